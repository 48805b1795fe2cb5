"""Has google-auth run a command that gives it an OIDC JWT for Google's workload identity federation.

    python google_executable.py COMMAND AUDIENCE

Prints {"subject_token": …}, or the error: {"error": NAME, "message": …}. Reaches no network.
"""

import json
import os
import sys

from google.auth import pluggable

command, audience = sys.argv[1:]
# What a person must set before google-auth runs anything.
os.environ["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"

credentials = pluggable.Credentials.from_info(
    {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": {"command": command, "timeout_millis": 10_000}},
    }
)
try:
    print(json.dumps({"subject_token": credentials.retrieve_subject_token(None)}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
