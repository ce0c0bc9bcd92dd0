"""Libraries of others verify our tokens from the published metadata alone, over real HTTP, and refuse bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.http.client import assert_problem
from tests.http.hostile import SIGNATURE
from tests.interop.conftest import AUDIENCE
from tests.interop.verifiers import PYTHON, Refused, metadata_of, node, published

if TYPE_CHECKING:
    from tests.interop.conftest import Issuer


def claims_of(token: str) -> Any:
    """What the token says, believed."""
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize("name", PYTHON)
def test_python(issuer: Issuer, name: str) -> None:
    """A good token is verified with all that it says; no bad one is."""
    verify = PYTHON[name]
    claims = verify(issuer.url, AUDIENCE, issuer.token)
    assert claims == claims_of(issuer.token)
    assert (claims["sid"], claims["scope"]) == (issuer.held.session_id, "orders:read orders:write")
    for what, token in issuer.bad_tokens().items():
        with pytest.raises(Refused):
            pytest.fail(f"{name} takes {what}: {verify(issuer.url, AUDIENCE, token)}")


def test_jose(issuer: Issuer) -> None:
    """The same for npm's jose, which says why it refuses."""
    tokens = {"good": issuer.token, **issuer.bad_tokens()}
    answers = node("jose.mjs", {"issuer": issuer.url, "audience": AUDIENCE, "tokens": tokens})
    assert answers == {
        "good": claims_of(issuer.token),
        "tampered payload": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
        "tampered signature": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
        "another audience": "ERR_JWT_CLAIM_VALIDATION_FAILED",
        "another issuer": "ERR_JWT_CLAIM_VALIDATION_FAILED",
        "expired": "ERR_JWT_EXPIRED",
    }


def test_openid_client(issuer: Issuer) -> None:
    """The same for npm's openid-client, found by discovery; its revocation and introspection are understood too."""
    refresh_token = issuer.held.refresh_token
    answers = node(
        "openid-client.mjs",
        {
            "issuer": issuer.url,
            "audience": AUDIENCE,
            "tokens": {"good": issuer.token, **issuer.bad_tokens()},
            "signature": SIGNATURE[1],
            "revoke": issuer.token,
            "introspect": [issuer.token, refresh_token, "x"],
        },
    )
    verified = answers["verified"]
    assert verified.pop("good") == claims_of(issuer.token)
    assert set(verified) == set(issuer.bad_tokens())
    assert all(isinstance(code, str) and code.startswith("OAUTH_") for code in verified.values()), verified
    revoked, refreshing, unknown = answers["introspected"]
    assert (revoked, unknown) == ({"active": False}, {"active": False})
    assert (refreshing["active"], refreshing["sid"]) == (True, issuer.held.session_id)
    assert_problem(issuer.held.me(), 401, "invalid_token")
    issuer.held.refreshed().assert_lives()


def test_published_keys_are_what_api_gateway_takes(issuer: Issuer) -> None:
    """RSA keys alone, each for signatures, with an id and the algorithm; their URL lies below the issuer's."""
    metadata = metadata_of(issuer.url)
    assert metadata["jwks_uri"].startswith(f"{issuer.url}/")
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256"]
    for key in published(metadata["jwks_uri"])["keys"]:
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert key["kid"]
