"""Has azure-identity exchange the OIDC JWT in a file, at an Entra that is played here.

    python azure_federated.py FILE

Prints {"method": …, "url": …, "form": {…}}, which is what it would have sent. Reaches no network.
"""

import json
import sys
from urllib.parse import parse_qsl

from azure.core.pipeline.transport import HttpResponse, HttpTransport
from azure.identity import WorkloadIdentityCredential


class Answer(HttpResponse):
    def __init__(self, request):
        super().__init__(request, None)
        self.status_code = 200
        self.reason = "OK"
        self.headers = {"Content-Type": "application/json"}
        self.content_type = "application/json"

    def body(self):
        return json.dumps({"access_token": "taken", "expires_in": 3600, "token_type": "Bearer"}).encode()


class Entra(HttpTransport):
    def send(self, request, **_):
        self.request = request
        return Answer(request)

    def open(self):
        pass

    def close(self):
        pass

    def __exit__(self, *_):
        pass


entra = Entra()
credential = WorkloadIdentityCredential(
    tenant_id="00000000-0000-0000-0000-000000000001",
    client_id="00000000-0000-0000-0000-000000000002",
    token_file_path=sys.argv[1],
    transport=entra,
)
assert credential.get_token("https://storage.azure.com/.default").token == "taken"

sent = entra.request
form = sent.body if isinstance(sent.body, dict) else dict(parse_qsl(sent.body, strict_parsing=True))
print(json.dumps({"method": sent.method, "url": sent.url, "form": form}))
