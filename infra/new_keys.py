"""Makes fresh key material. Nothing here reads or writes the parameter store."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keys import MINIMUM_RSA_BITS, ROOT_SECRET_BYTES


class SigningKey(NamedTuple):
    """A key pair: the private half as PKCS8 PEM, and the entry of the public set."""

    kid: str
    pem: str
    entry: dict[str, Any]


def signing_key(algorithm: str) -> SigningKey:
    """A fresh key pair. The entry has no `activate_at` yet."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    match algorithm:
        case "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=MINIMUM_RSA_BITS)
            jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
            jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            private = ed25519.Ed25519PrivateKey.generate()
            jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    kid = b64url(secrets.token_bytes(9))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = {name: value for name, value in jwk.items() if name != "key_ops"}
    return SigningKey(kid, pem, {**public, "kid": kid, "use": "sig", "alg": algorithm})


def root_secret() -> dict[str, Any]:
    """A fresh entry of a root-secret set, without `activate_at`."""
    key = b64url(secrets.token_bytes(ROOT_SECRET_BYTES))
    return {"id": b64url(secrets.token_bytes(6)), "key": key}
