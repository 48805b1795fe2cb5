// An OpenID Provider on loopback, for one test: node provider.mjs NODE_MODULES
//
// The first line of standard input is its set-up: {"algorithm", "client_id", "client_secret", "accounts"}.
// It answers "ready ISSUER". Each further line is a URI to which the client may send people back, and is answered
// by "allowed URI". It ends with standard input.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const modules = pathToFileURL(`${process.argv[2]}/`);
const { default: Provider } = await import(new URL('oidc-provider/lib/index.js', modules));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value);

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: setup.client_id,
    client_secret: setup.client_secret,
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: setup.algorithm,
    grant_types: ['authorization_code'],
    response_types: ['code'],
    // It must have one, and the real ones are known later.
    redirect_uris: ['http://127.0.0.1/nowhere'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // E-mail addresses belong into the ID token, where Google has them.
  conformIdTokenClaims: false,
  cookies: { keys: [randomBytes(32).toString('hex')] },
  enabledJWA: { idTokenSigningAlgValues: [setup.algorithm] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims(id) }) }),
  jwks: { keys: [signingKey(setup.algorithm)] },
  pkce: { required: () => true },
});

const allowed = new Set();
provider.Client.prototype.redirectUriAllowed = (uri) => allowed.has(uri);
server.on('request', provider.callback());
console.log(`ready ${issuer}`);

for await (const uri of lines) {
  allowed.add(uri);
  console.log(`allowed ${uri}`);
}
process.exit();

function claims(id) {
  return setup.accounts[id] ?? { email: `${id}@example.com`, email_verified: true };
}

function signingKey(algorithm) {
  const { privateKey } = algorithm.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomBytes(8).toString('hex');
  return { ...privateKey.export({ format: 'jwk' }), alg: algorithm, kid, use: 'sig' };
}
