"""Has hvac log in with the OIDC JWT in a file, at a Vault that is played here.

    python vault_login.py FILE ROLE

Prints {"method": …, "url": …, "body": …}, which is what it would have sent. Reaches no network.
"""

import json
import sys

import hvac
import requests
from requests.adapters import BaseAdapter


class Vault(BaseAdapter):
    def send(self, request, **_):
        self.request = request
        answer = requests.Response()
        answer.status_code = 200
        answer.headers["Content-Type"] = "application/json"
        answer._content = json.dumps({"auth": {"client_token": "taken", "lease_duration": 3600}}).encode()
        return answer

    def close(self):
        pass


file, role = sys.argv[1:]
with open(file, encoding="utf-8") as opened:
    jwt = opened.read()
vault, session = Vault(), requests.Session()
session.mount("http://", vault)
client = hvac.Client(url="http://127.0.0.1:8200", session=session)
client.auth.jwt.jwt_login(role=role, jwt=jwt)
assert client.token == "taken"

sent = vault.request
print(json.dumps({"method": sent.method, "url": sent.url, "body": json.loads(sent.body)}))
