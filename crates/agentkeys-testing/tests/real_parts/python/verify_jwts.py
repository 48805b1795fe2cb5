"""Verifies JWTs with jwcrypto, and the certificates of their keys with cryptography.

Reads `{"issuer": …, "keys": JWK_SET, "jwts": [JWT, …]}`; prints `[[ALG, SUBJECT or the error's name], …]`.
"""

import base64
import json
import sys

from cryptography import x509
from jwcrypto.jwk import JWK, JWKSet
from jwcrypto.jwt import JWT

given = json.load(sys.stdin)

for published in given["keys"]["keys"]:
    key = JWK(**published)
    assert key.thumbprint() == published["kid"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(published["x5c"][0]))
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().public_numbers() == key.get_op_key("verify").public_numbers()

keys = JWKSet.from_json(json.dumps(given["keys"]))
outcomes = []
for jwt in given["jwts"]:
    token = JWT(check_claims={"iss": given["issuer"], "aud": "sts.amazonaws.com", "exp": None}, algs=["ES256", "RS256"])
    try:
        token.deserialize(jwt, keys)
        header, claims = json.loads(token.header), json.loads(token.claims)
        outcomes.append([header["alg"], claims["sub"]])
    except Exception as error:
        outcomes.append([None, type(error).__name__])
print(json.dumps(outcomes))
