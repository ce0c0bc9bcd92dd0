"""Verifiers of others. Each knows the issuer's URL and the audience; everything else it reads as it is published."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joserfc.jwk
import joserfc.jwt
import jwt

from tests.world.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    Claims = dict[str, Any]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Refused(Exception):
    """The verifier does not take the token."""


def published(url: str) -> Any:
    """A document, as anybody gets it."""
    reply = Client(url).call("GET", "")
    assert reply.status == 200, reply
    return reply.json


def metadata_of(issuer: str) -> Any:
    """The issuer's metadata, which must be its own (OpenID Connect Discovery section 4.3)."""
    metadata = published(f"{issuer}/.well-known/openid-configuration")
    assert metadata["issuer"] == issuer
    return metadata


def pyjwt(issuer: str, audience: str, token: str) -> Claims:
    """PyJWT with its PyJWKClient."""
    metadata = metadata_of(issuer)
    try:
        key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
        claims: Claims = jwt.decode(
            token,
            key.key,
            algorithms=metadata["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=metadata["issuer"],
            options={"require": ["exp", "iat", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise Refused(str(error)) from error
    return claims


def joserfc_verifier(issuer: str, audience: str, token: str) -> Claims:
    """The key set, by joserfc."""
    metadata = metadata_of(issuer)
    keys = joserfc.jwk.KeySet.import_key_set(published(metadata["jwks_uri"]))
    registry = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": metadata["issuer"]},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    try:
        verified = joserfc.jwt.decode(token, keys, algorithms=metadata["id_token_signing_alg_values_supported"])
        registry.validate(verified.claims)
    except (joserfc.errors.JoseError, ValueError) as error:
        raise Refused(str(error)) from error
    assert verified.header["typ"] == "at+jwt"
    return verified.claims


def api_gateway(issuer: str, audience: str, token: str) -> Claims:
    """What AWS documents of a JWT authorizer of an HTTP API, step by step: RSA alone, by `kid`, then the claims."""
    header = jwt.get_unverified_header(token)
    keys = {key["kid"]: key for key in published(metadata_of(issuer)["jwks_uri"])["keys"]}
    key = keys[header["kid"]]
    assert (key["kty"], key["alg"], header["alg"]) == ("RSA", "RS256", "RS256")
    untimed = {"verify_exp": False, "verify_aud": False, "verify_iss": False, "verify_iat": False}
    try:
        claims: Claims = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["RS256"], options=untimed)  # type: ignore[arg-type]  # PyJWT's private TypedDict
    except jwt.PyJWTError as error:
        raise Refused(str(error)) from error
    now = time.time()
    for name, good in {
        "iss": claims["iss"] == issuer,
        "aud": audience in {claims["aud"], claims["client_id"]},
        "exp": claims["exp"] > now,
        "nbf": claims.get("nbf", 0) <= now,
        "iat": claims["iat"] <= now,
        "scope": "orders:read" in claims["scope"].split(),
    }.items():
        if not good:
            raise Refused(name)
    return claims


PYTHON = {"PyJWT": pyjwt, "joserfc": joserfc_verifier, "API Gateway": api_gateway}


def node(script: str, question: Mapping[str, Any]) -> Any:
    """What a script of ours, on a library from npm, answers."""
    done = subprocess.run(  # noqa: S603  # our own script
        [shutil.which("node") or ROOT / ".tools" / "bin" / "node", HERE / script],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
