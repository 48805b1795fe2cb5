"""Does with boto3 what an agent may and may not do; prints what came of each attempt as JSON.

    python objects.py BUCKET OWN_PREFIX OTHER_PREFIX
"""

import json
import sys
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

bucket, own, other = sys.argv[1:]
s3 = boto3.client("s3")


def outcome(attempt):
    try:
        return attempt()
    except ClientError as error:
        return error.response["Error"]["Code"]
    except urllib.error.HTTPError as error:
        return error.code


def read(key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def listed(prefix):
    return [entry["Key"].removeprefix(prefix) for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]


def presigned(key, version):
    client = boto3.client("s3", config=Config(signature_version=version))
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as response:
        return response.read().decode()


def put(key, **more):
    return s3.put_object(Bucket=bucket, Key=key, Body=b"hello", **more)["ResponseMetadata"]["HTTPStatusCode"]


print(
    json.dumps(
        {
            "put own": outcome(lambda: put(f"{own}a b+c.txt", ContentType="text/plain")),
            "get own": outcome(lambda: read(f"{own}a b+c.txt")),
            "list own": outcome(lambda: listed(own)),
            "presigned, version 4": outcome(lambda: presigned(f"{own}a b+c.txt", "s3v4")),
            "presigned, version 2": outcome(lambda: presigned(f"{own}a b+c.txt", "s3")),
            "get missing": outcome(lambda: read(f"{own}missing")),
            "put other": outcome(lambda: put(f"{other}a.txt")),
            "get other": outcome(lambda: read(f"{other}a.txt")),
            "list other": outcome(lambda: listed(other)),
            "list all": outcome(lambda: listed("")),
            "presigned other": outcome(lambda: presigned(f"{other}a.txt", "s3v4")),
            "copy from other": outcome(
                lambda: s3.copy_object(Bucket=bucket, Key=f"{own}stolen", CopySource=f"{bucket}/{other}a.txt")
            ),
        }
    )
)
