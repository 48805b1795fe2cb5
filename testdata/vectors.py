"""Makes vectors.json: what our formats must come to, by implementations that share no code with ours.

    python vectors.py            writes vectors.json beside this file
    python vectors.py --check    fails when vectors.json is not what this script makes

Needs the packages of requirements.txt. The output is deterministic: keys and values come from fixed labels,
ECDSA is RFC 6979 throughout.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys
import unicodedata

import idna
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import to_checksum_address
from jwcrypto import jwk, jws
from siwe import SiweMessage

OUTPUT = pathlib.Path(__file__).with_name("vectors.json")

CLIENT_ID = "agentkeys"
MASTER_SECRET = bytes(range(32))
WALLET_INFO = b"agentkeys-evm-wallet-v1:"

DOMAIN = "127.0.0.1:8470"
URI = "http://127.0.0.1:8470"
STATEMENT = "Prove this wallet for your AgentKeys account."

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# As a person or a provider writes them; `canonical` gives the form that is hashed.
IDENTITIES = [
    ("email", "ada@example.com"),
    ("email", "grace@example.org"),
    ("email", " A.B@X.IO "),
    ("email", "ada+agents=1@x-y.example"),
    ("email", "ada@BÜCHER.example"),
    ("email", "ada@bu\u0308cher.example"),
    ("email", "ada@straße.example"),
    ("email", "dev@agentkeys.localhost"),
    ("oauth2_google", "110169484474386276334"),
    ("oauth2_google", "ada@example.com"),
    ("oauth2_acme", "248289761001"),
    ("oauth2_acme", "auth0|5f7c8ec7c33c6c004bbafe82"),
    ("evm", "0x74144a5f826537a8610B136552c6fFEc9D37A6dE"),
    ("evm", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
]

# EIP-55, section "Test Cases".
EIP55_PUBLISHED = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]

# RFC 5869, appendix A.1 to A.3 (SHA-256).
HKDF_PUBLISHED = [
    {
        "ikm": "0b" * 22,
        "salt": "000102030405060708090a0b0c",
        "info": "f0f1f2f3f4f5f6f7f8f9",
        "length": 42,
        "okm": "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
        "ikm": bytes(range(0x00, 0x50)).hex(),
        "salt": bytes(range(0x60, 0xB0)).hex(),
        "info": bytes(range(0xB0, 0x100)).hex(),
        "length": 82,
        "okm": "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
        "ikm": "0b" * 22,
        "salt": "",
        "info": "",
        "length": 42,
        "okm": "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
]

# RFC 7515, appendix A.3: its key, its token.
JWS_PUBLISHED = {
    "jwk": {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    "compact": "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
}


def hkdf_sha256(ikm, salt, info, length):
    """RFC 5869, sections 2.2 and 2.3."""
    key = hmac.digest(salt or bytes(32), ikm, "sha256")
    output, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


def wallet_key(omni_account):
    """The account's secp256k1 key. The next counter is for keys out of range, which no test will ever meet."""
    for counter in range(256):
        info = WALLET_INFO + omni_account + (bytes([counter]) if counter else b"")
        key = hkdf_sha256(MASTER_SECRET, b"", info, 32)
        if 0 < int.from_bytes(key) < SECP256K1_ORDER:
            return key
    raise ValueError("no key in range")


def canonical(identity_type, written):
    if identity_type == "evm":
        return written.lower()
    if identity_type != "email":
        return written
    local, domain = unicodedata.normalize("NFC", written.strip()).split("@")
    return f"{local.lower()}@{idna.encode(domain.lower()).decode()}"


def omni_account(identity_type, value):
    return hashlib.sha256((CLIENT_ID + identity_type + value).encode()).digest()


def sign(key, message):
    return "0x" + Account.sign_message(encode_defunct(primitive=message), key).signature.hex().removeprefix("0x")


def accounts():
    for identity_type, written in IDENTITIES:
        value = canonical(identity_type, written)
        account = omni_account(identity_type, value)
        key = wallet_key(account)
        yield {
            "identity_type": identity_type,
            "written": written,
            "value": value,
            "omni_account": account.hex(),
            "wallet": Account.from_key(key).address,
            "hello_signature": sign(key, b"hello"),
        }


def personal_signatures(siwe_message):
    account = omni_account("email", "ada@example.com")
    key = wallet_key(account)
    messages = {
        "one byte": b"\x00",
        "hello": b"hello",
        "non-ASCII text": "Grüße, 世界 🔑".encode(),
        "32 raw bytes": hashlib.sha256(b"32 raw bytes").digest(),
        "1 KiB": bytes(range(256)) * 4,
        "not UTF-8": b"\xff\xfe\x80",
        "SIWE": siwe_message.encode(),
    }
    for name, message in messages.items():
        yield {
            "name": name,
            "omni_account": account.hex(),
            "address": Account.from_key(key).address,
            "message_hex": message.hex(),
            "signature": sign(key, message),
        }


def checksummed_addresses():
    made = [to_checksum_address(hashlib.sha256(f"address {n}".encode()).digest()[:20]) for n in range(50)]
    for address in EIP55_PUBLISHED:
        assert to_checksum_address(address.lower()) == address, address
    return EIP55_PUBLISHED + made


def siwe_messages():
    cases = [
        ("ada@example.com", 1, "n8XkQ2mVb7Rt5Lw3Ys9P", "2026-11-23T10:00:00Z", "2026-11-23T10:05:00Z"),
        ("grace@example.org", 8453, "0123456789abcdefABCDEF", "2026-12-31T23:57:30Z", "2027-01-01T00:02:30Z"),
        ("dev@agentkeys.localhost", 84532, "A" * 32, "2028-02-29T00:00:00Z", "2028-02-29T00:05:00Z"),
    ]
    for email, chain_id, nonce, issued_at, expiration_time in cases:
        account = omni_account("email", email)
        key = wallet_key(account)
        fields = {
            "domain": DOMAIN,
            "address": Account.from_key(key).address,
            "statement": STATEMENT,
            "uri": URI,
            "version": "1",
            "chain_id": chain_id,
            "nonce": nonce,
            "issued_at": issued_at,
            "expiration_time": expiration_time,
            "resources": [f"urn:agentkeys:account:{account.hex()}"],
        }
        message = SiweMessage(**fields).prepare_message()
        yield {"omni_account": account.hex(), **fields, "message": message, "signature": sign(key, message.encode())}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def p256_key(label):
    secret = 1 + int.from_bytes(hashlib.sha512(label.encode()).digest()) % (P256_ORDER - 1)
    return ec.derive_private_key(secret, ec.SECP256R1())


def public_jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x.to_bytes(32)), "y": base64url(numbers.y.to_bytes(32))}


def thumbprints():
    keys = [public_jwk(p256_key(f"thumbprint {n}")) for n in range(4)] + [JWS_PUBLISHED["jwk"]]
    for key in keys:
        # RFC 7638, section 3: the required members in lexicographic order, without white space.
        canonical_key = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        thumbprint = base64url(hashlib.sha256(canonical_key.encode()).digest())
        assert jwk.JWK(**key).thumbprint() == thumbprint
        yield {"jwk": key, "thumbprint": thumbprint}


def signed_tokens():
    key = p256_key("token")
    public = public_jwk(key)
    header = {"typ": "JWT", "alg": "ES256", "kid": jwk.JWK(**public).thumbprint()}
    claims = {"iss": URI, "sub": "wallet:0x74144a5f826537a8610b136552c6ffec9d37a6de", "iat": 1795341600}
    signed = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    der = key.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    signature = b"".join(number.to_bytes(32) for number in decode_dss_signature(der))
    made = {"jwk": public, "compact": f"{signed}.{base64url(signature)}"}
    for token in (JWS_PUBLISHED, made):
        verified = jws.JWS()
        verified.deserialize(token["compact"], jwk.JWK(**token["jwk"]))
        yield {**token, "payload_hex": verified.payload.hex()}


def published_derivations():
    for case in HKDF_PUBLISHED:
        ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        assert hkdf_sha256(ikm, salt, info, case["length"]).hex() == case["okm"]
    return HKDF_PUBLISHED


def vectors():
    siwe = list(siwe_messages())
    return {
        "client_id": CLIENT_ID,
        "master_secret": MASTER_SECRET.hex(),
        "accounts": list(accounts()),
        "eip191": list(personal_signatures(siwe[0]["message"])),
        "eip55": checksummed_addresses(),
        "siwe": siwe,
        "hkdf_sha256": published_derivations(),
        "thumbprints": list(thumbprints()),
        "es256": list(signed_tokens()),
    }


def main():
    text = json.dumps(vectors(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv[1:]:
        OUTPUT.write_text(text, encoding="utf-8")
    elif OUTPUT.read_text(encoding="utf-8") != text:
        sys.exit(f"{OUTPUT.name} is not what {pathlib.Path(__file__).name} makes")


if __name__ == "__main__":
    main()
