"""Puts and gets an object again and again with boto3, whose default chain finds the credentials.

    python keep_using.py BUCKET PREFIX COUNT SECONDS

Prints {"access_key_id": …, "expiration": …} whenever the credentials are others than before. Ends well once it has had
COUNT different ones, and badly after SECONDS, or when anything is refused.
"""

import json
import re
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PAUSE = 0.2

bucket, prefix = sys.argv[1:3]
count, seconds = map(int, sys.argv[3:])
began = time.monotonic()
session = boto3.Session()
s3 = session.client("s3", config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"))
seen = set()


def watch(request, **_):
    signer = re.search(r"Credential=([^/]+)/", request.headers["Authorization"].decode())[1]
    if signer in seen:
        return
    seen.add(signer)
    # What does not expire has no such attribute.
    expiration = getattr(session.get_credentials(), "_expiry_time", None)
    expiration = expiration and expiration.strftime("%Y-%m-%dT%H:%M:%SZ")
    print(json.dumps({"access_key_id": signer, "expiration": expiration}), flush=True)


s3.meta.events.register("before-send.s3", watch)

try:
    while True:
        s3.put_object(Bucket=bucket, Key=f"{prefix}by-boto3", Body=b"hello")
        if s3.get_object(Bucket=bucket, Key=f"{prefix}by-boto3")["Body"].read() != b"hello":
            sys.exit("another object came back")
        if len(seen) >= count:
            break
        if time.monotonic() - began >= seconds:
            sys.exit(f"only {len(seen)} different credentials in {seconds} seconds")
        time.sleep(PAUSE)
except (BotoCoreError, ClientError) as error:
    sys.exit(str(error))
