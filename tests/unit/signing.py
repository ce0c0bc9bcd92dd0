"""What somebody with the private key could sign: for tests of what the verifier makes of it."""

from __future__ import annotations

import json
from typing import Any, cast

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt.algorithms import get_default_algorithms

from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import KeyRing
from chalicelib.domain.access_tokens import AccessTokenClaims
from chalicelib.errors import InvalidToken
from tests.world.clock import START, FrozenClock
from tests.world.parameters import PREFIX, MemoryParameters, parameters_with_keys

ISSUER = "https://auth.example.com/prod"
AUDIENCE = "https://api.example.com"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # NIST SP 800-186 section 3.2.1.3
ALGORITHMS = ("RS256", "ES256", "EdDSA")
CLAIMS = AccessTokenClaims(
    sub="AAAAAAAAAAAAAAAAAAAAAA",
    sid="BBBBBBBBBBBBBBBBBBBBBB",
    jti="CCCCCCCCCCCCCCCCCCCCCC",
    ver=3,
    iat=START,
    exp=START + 900,
    auth_time=START - 100,
    amr=("pwd",),
    roles=("user", "admin"),
    scope="orders:read orders:write",
    email_verified=True,
)


def with_low_s(signature: bytes) -> bytes:
    """Of the two good spellings of an ES256 signature, (r, s) and (r, n - s), the one that is ours."""
    return min(signature, with_other_s(signature), key=lambda spelling: spelling[32:])


def with_other_s(signature: bytes) -> bytes:
    """The other good spelling of an ES256 signature."""
    s = P256_ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + s.to_bytes(32, "big")


class Party:
    """The codec over its keys, and what somebody with the private key could make of them."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self.clock = FrozenClock()
        self.parameters: MemoryParameters = parameters_with_keys(algorithm)
        keyring = KeyRing(self.parameters, PREFIX, self.clock, groups=())
        self.codec = JwtAccessTokenCodec(keyring, issuer=ISSUER, audience=AUDIENCE)
        self.jwk: dict[str, Any] = json.loads(self.parameters.values[f"{PREFIX}/public"])["keys"][0]
        self.kid: str = self.jwk["kid"]
        self.header = {"alg": algorithm, "typ": "at+jwt", "kid": self.kid}

    @property
    def private_key(self) -> Any:
        """The private half of the published key."""
        return load_pem_private_key(self.parameters.values[f"{PREFIX}/signing/{self.kid}"].encode(), password=None)

    @property
    def public_pem(self) -> bytes:
        """The public key as everybody can have it."""
        return cast(
            "bytes", self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def payload(self, **changes: Any) -> dict[str, Any]:
        """A genuine token's payload, with changes."""
        genuine = json.loads(from_b64url(self.codec.issue(CLAIMS).split(".")[1]))
        return {**genuine, **changes}

    def signed(self, header: object, payload: object, *, algorithm: str | None = None, key: Any = None) -> str:
        """A token with a good signature of our own key over whatever is given, as JSON or as bytes."""
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
        signing_input = ".".join(b64url(part) for part in parts)
        signer = get_default_algorithms()[algorithm or self.algorithm]
        signature = signer.sign(signing_input.encode(), key or self.private_key)
        if (algorithm or self.algorithm) == "ES256":
            signature = with_low_s(signature)
        return f"{signing_input}.{b64url(signature)}"

    def refuses(self, access_token: str, now: int = START) -> bool:
        """Whether the token is answered with InvalidToken, and with nothing else."""
        try:
            self.codec.verify(access_token, now)
        except InvalidToken:
            return True
        return False
