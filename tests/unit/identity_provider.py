"""What an identity provider could sign and publish: for tests of what the verifier of ID tokens makes of it."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.id_tokens import JwtIdTokenVerifier
from chalicelib.errors import AuthError, InvalidCode, ProviderError
from tests.world.clock import START
from tests.world.constants import NONCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.ports import Jwk

ISSUER = "https://accounts.example.com"
ISSUERS = frozenset({ISSUER, "accounts.example.com"})
CLIENT_ID = "client-1.apps.example.com"
ACCESS_TOKEN = "an access token of the provider"
ABSENT: Any = object()  # a claim or member that is left out
HASHES = {
    "RS256": "sha256",
    "RS384": "sha384",
    "RS512": "sha512",
    "PS256": "sha256",
    "PS384": "sha384",
    "PS512": "sha512",
    "ES256": "sha256",
    "ES384": "sha384",
    "ES512": "sha512",
    "EdDSA": "sha512",
}
ALGORITHMS = tuple(HASHES)


@lru_cache
def private_key(algorithm: str, which: int = 0, bits: int = 2048) -> Any:
    """A private key for the algorithm; another one for each `which`. Kept: an RSA key takes its time."""
    del which
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES256K":
            return ec.generate_private_key(ec.SECP256K1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ES512":
            return ec.generate_private_key(ec.SECP521R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(key: Any, algorithm: str, **members: Any) -> dict[str, Any]:
    """The public half of a private key as providers publish it."""
    published = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    members = {"use": "sig", "key_ops": ABSENT, "alg": algorithm, **members}
    return {name: value for name, value in {**published, **members}.items() if value is not ABSENT}


def at_hash(access_token: str, algorithm: str) -> str:
    """The left half of the access token's hash (OpenID Connect Core section 3.1.3.6)."""
    digest = hashlib.new(HASHES[algorithm], access_token.encode()).digest()
    return b64url(digest[: len(digest) // 2])


class Provider:
    """Publishes one key, signs with it whatever it is told to, and asks the verifier. It is ports.JwkSource itself."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self.key = private_key(algorithm)
        self.published: Sequence[Any] = [jwk(self.key, algorithm, kid="key-1")]
        self.newer: Sequence[Any] | None = None  # what a second read answers; None for the same again
        self.fails: AuthError | None = None
        self.reads = 0
        self.newer_reads = 0
        self.header = {"alg": algorithm, "typ": "JWT", "kid": "key-1"}

    def jwks(self) -> Sequence[Jwk]:
        """The keys."""
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        return self.published

    def newer_jwks(self) -> Sequence[Jwk]:
        """The keys, read again."""
        self.newer_reads += 1
        return self.published if self.newer is None else self.newer

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims as Google sends them, with changes."""
        genuine = {
            "iss": ISSUER,
            "azp": CLIENT_ID,
            "aud": CLIENT_ID,
            "sub": "110169484474386276334",
            "email": "ada@example.com",
            "email_verified": True,
            "at_hash": at_hash(ACCESS_TOKEN, self.algorithm),
            "nonce": NONCE,
            "iat": START,
            "exp": START + 3600,
        }
        return {name: value for name, value in {**genuine, **changes}.items() if value is not ABSENT}

    def signed(
        self, payload: object = None, *, header: object = None, algorithm: str | None = None, key: Any = None
    ) -> str:
        """A token with a good signature over header and payload, given as JSON values or as bytes."""
        values = [self.header if header is None else header, self.claims() if payload is None else payload]
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in values]
        signing_input = ".".join(b64url(part) for part in parts)
        signer = get_default_algorithms()[algorithm or self.algorithm]
        return f"{signing_input}.{b64url(signer.sign(signing_input.encode(), key or self.key))}"

    def verify(self, id_token: str, **changes: Any) -> Mapping[str, Any]:
        """What the verifier makes of the token."""
        expected: dict[str, Any] = {
            "issuers": ISSUERS,
            "client_id": CLIENT_ID,
            "nonce": NONCE,
            "access_token": ACCESS_TOKEN,
            "now": START,
        }
        return JwtIdTokenVerifier().verify(id_token, self, **{**expected, **changes})

    def refusal(self, id_token: str, **changes: Any) -> type[AuthError] | None:
        """The error that the token is answered with, None where it is taken."""
        try:
            self.verify(id_token, **changes)
        except (ProviderError, InvalidCode) as error:
            return type(error)
        return None

    def refuses(self, id_token: str, **changes: Any) -> bool:
        """Whether the token is answered with ProviderError. InvalidCode is a failure: that is the nonce's alone."""
        refusal = self.refusal(id_token, **changes)
        assert refusal in {None, ProviderError}
        return refusal is not None
