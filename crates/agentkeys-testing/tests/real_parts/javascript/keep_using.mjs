// Puts and gets an object again and again with the AWS SDK for JavaScript, whose default chain finds the credentials.
//
//     node keep_using.mjs NODE_MODULES BUCKET PREFIX COUNT SECONDS
//
// Prints {"access_key_id": …, "expiration": …} whenever the credentials are others than before. Ends well once it has
// had COUNT different ones, and badly after SECONDS, or when anything is refused.
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';

const [modules, bucket, prefix, count, seconds] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { GetObjectCommand, PutObjectCommand, S3Client } = require('@aws-sdk/client-s3');

const PAUSE = 200;
const object = { Bucket: bucket, Key: `${prefix}by-javascript` };
const seen = new Set();

const s3 = new S3Client({ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
s3.middlewareStack.add(watch, { step: 'finalizeRequest', priority: 'low' });

try {
  await keepUsing();
} catch (error) {
  console.error(`${error}`);
  process.exitCode = 1;
}

async function keepUsing() {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    await s3.send(new PutObjectCommand({ ...object, Body: 'hello' }));
    const { Body } = await s3.send(new GetObjectCommand(object));
    if ((await Body.transformToString()) !== 'hello') throw new Error('another object came back');
    if (seen.size >= count) return;
    if (performance.now() >= end) throw new Error(`only ${seen.size} different credentials in ${seconds} seconds`);
    await pause(PAUSE);
  }
}

// Sees what a request is signed with.
function watch(next, context) {
  return (request) => {
    const { accessKeyId, expiration } = context.__smithy_context.selectedHttpAuthScheme.identity;
    if (!seen.has(accessKeyId)) {
      seen.add(accessKeyId);
      console.log(JSON.stringify({ access_key_id: accessKeyId, expiration: expiration?.toISOString() ?? null }));
    }
    return next(request);
  };
}
