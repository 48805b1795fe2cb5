"""Exchanges the JWT on standard input for credentials with boto3; prints the session's ARN, or AWS's error code.

    python assume_role.py ROLE_ARN
"""

import sys

import boto3
from botocore.exceptions import ClientError

try:
    answer = boto3.client("sts").assume_role_with_web_identity(
        RoleArn=sys.argv[1], RoleSessionName="agent", WebIdentityToken=sys.stdin.read()
    )
    print(answer["AssumedRoleUser"]["Arn"])
except ClientError as error:
    print(error.response["Error"]["Code"])
