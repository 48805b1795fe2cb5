"""Verifies a JWT with jwcrypto, as a relying party does that knows its issuer and its own name.

Reads `{"issuer": …, "audience": …, "keys": JWK_SET, "jwt": JWT}`; prints the claims. Ends badly where anything is wrong.
"""

import json
import sys

from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

given = json.load(sys.stdin)
expected = {"iss": given["issuer"], "aud": given["audience"], "exp": None, "sub": None}
token = JWT(check_claims=expected, algs=["ES256", "RS256"])
token.deserialize(given["jwt"], JWKSet.from_json(json.dumps(given["keys"])))
print(token.claims)
