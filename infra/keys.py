"""Makes the key material that chalicelib/crypto/keys.py reads, and puts it into the parameter store."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keys import (
    MINIMUM_RSA_BITS,
    ROOT_SECRET_BYTES,
    newest_active_key,
    parse_public_keys,
    parse_root_secrets,
)

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

PUBLISHED_AHEAD = 600  # seconds: every container has read a key set by then, whatever its cache did
KEPT_AFTER_SUCCESSOR = 3600 + 300  # seconds: the longest access TTL that Config takes, and clocks that differ
SECRET_KEPT_AFTER_SUCCESSOR = 400 * 86400  # seconds: the longest absolute session lifetime that Config takes


@dataclass(frozen=True, slots=True)
class Names:
    """The parameters under a stage's prefix."""

    prefix: str

    @property
    def public(self) -> str:
        """The public key set."""
        return f"{self.prefix}/public"

    @property
    def root(self) -> str:
        """The root-secret set."""
        return f"{self.prefix}/root"

    def signing(self, kid: str) -> str:
        """One private key."""
        return f"{self.prefix}/signing/{kid}"


def ensure(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Make what is missing; return the names of what was made. Safe to repeat, and to interrupt at any point.

    A first key works at once, and so does one in the place of a key whose private half is lost. A key of another
    algorithm than the newest one's is published ahead, as a rotation is. What is there but cannot be read is an error
    (ConfigurationError), never overwritten.
    """
    names = Names(prefix)
    made = []
    document = _read(ssm, names.public)
    if document is None:
        made += _add_signing_key(ssm, names, [], algorithm, activate_at=now, first=True)
    else:
        public = parse_public_keys(document)
        entries = json.loads(document)["keys"]
        if _read(ssm, names.signing(newest_active_key(public, now).kid)) is None:
            made += _add_signing_key(ssm, names, entries, algorithm, activate_at=now)
        elif public[-1].algorithm != algorithm:
            made += _add_signing_key(ssm, names, entries, algorithm, activate_at=now + PUBLISHED_AHEAD)
    root = _read(ssm, names.root)
    if root is None:
        made += _add_root_secret(ssm, names, [], activate_at=now, first=True)
    else:
        parse_root_secrets(root)
    return made


def rotate(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Publish a new signing key and root secret, to be used in ten minutes; drop those that nothing needs any more.

    Returns the names of what was written and deleted.
    """
    names = Names(prefix)
    ensured = ensure(ssm, prefix, algorithm, now)
    if ensured:
        return ensured
    activate_at = now + PUBLISHED_AHEAD
    published = json.loads(_read(ssm, names.public) or "{}")["keys"]
    held = json.loads(_read(ssm, names.root) or "{}")["secrets"]
    kept = _unexpired(published, now, KEPT_AFTER_SUCCESSOR)
    changed = _add_signing_key(ssm, names, kept, algorithm, activate_at=activate_at)
    changed += _add_root_secret(ssm, names, _unexpired(held, now, SECRET_KEPT_AFTER_SUCCESSOR), activate_at=activate_at)
    return changed + _delete_unpublished(ssm, names)


def replace(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Replace every key at once, after a leak or damage: what was made before is accepted for a minute more, at most.

    Reads nothing of what it replaces; safe to repeat. Returns the names of what was written and deleted.
    """
    names = Names(prefix)
    changed = _add_signing_key(ssm, names, [], algorithm, activate_at=now)
    changed += _add_root_secret(ssm, names, [], activate_at=now)
    return changed + _delete_unpublished(ssm, names)


def _delete_unpublished(ssm: SSMClient, names: Names) -> list[str]:
    """Delete private keys whose public half is published no more, those that an interrupted run left behind too."""
    published = {names.signing(entry["kid"]) for entry in json.loads(_read(ssm, names.public) or "{}")["keys"]}
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=names.signing("").rstrip("/"))
    unpublished = sorted({parameter["Name"] for page in pages for parameter in page["Parameters"]} - published)
    for name in unpublished:
        ssm.delete_parameter(Name=name)
    return unpublished


def _unexpired(entries: list[dict[str, Any]], now: int, kept: int) -> list[dict[str, Any]]:
    """Entries whose successor has not been in use for `kept` seconds yet, oldest first."""
    ordered = sorted(entries, key=lambda entry: int(entry["activate_at"]))
    successors = [*ordered[1:], None]
    return [
        entry
        for entry, successor in zip(ordered, successors, strict=True)
        if successor is None or int(successor["activate_at"]) + kept > now
    ]


def _add_signing_key(
    ssm: SSMClient,
    names: Names,
    published: list[dict[str, Any]],
    algorithm: str,
    *,
    activate_at: int,
    first: bool = False,
) -> list[str]:
    kid = b64url(secrets.token_bytes(9))
    pem, jwk = _generate(algorithm)
    # The private half first: a published key that nobody can sign with would stop every login once it is active.
    ssm.put_parameter(Name=names.signing(kid), Value=pem, Type="SecureString")
    entry = {**jwk, "kid": kid, "use": "sig", "alg": algorithm, "activate_at": activate_at}
    _write(ssm, names.public, {"keys": [*published, entry]}, "String", first=first)
    return [names.signing(kid), names.public]


def _add_root_secret(
    ssm: SSMClient, names: Names, held: list[dict[str, Any]], *, activate_at: int, first: bool = False
) -> list[str]:
    key = b64url(secrets.token_bytes(ROOT_SECRET_BYTES))
    entry = {"id": b64url(secrets.token_bytes(6)), "key": key, "activate_at": activate_at}
    _write(ssm, names.root, {"secrets": [*held, entry]}, "SecureString", first=first)
    return [names.root]


def _generate(algorithm: str) -> tuple[str, dict[str, Any]]:
    """A fresh private key as PKCS8 PEM, and its public half as JWK."""
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
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, {name: value for name, value in jwk.items() if name != "key_ops"}


def _read(ssm: SSMClient, name: str) -> str | None:
    try:
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def _write(ssm: SSMClient, name: str, document: dict[str, Any], kind: Any, *, first: bool) -> None:  # noqa: ANN401  # a Literal of boto3's
    # A first document is never written over another: two first deployments at once would each lose the other's key.
    ssm.put_parameter(Name=name, Value=json.dumps(document, separators=(",", ":")), Type=kind, Overwrite=not first)
