"""Any other OpenID provider, by discovery: Microsoft Entra ID with a tenant's own issuer, Okta, Keycloak and so on."""

from __future__ import annotations

from chalicelib.providers.profile import Profile, Use

PROFILE = Profile(
    name="oidc",
    # OpenID Connect Core sections 2 and 5.1. Where a provider leaves `email_verified` out of both ID token and
    # userinfo, as Entra ID does, its addresses count as unproven.
    claims={
        "iss": Use.CHECKED,
        "aud": Use.CHECKED,
        "azp": Use.CHECKED,
        "exp": Use.CHECKED,
        "iat": Use.CHECKED,
        "nonce": Use.CHECKED,
        "at_hash": Use.CHECKED,
        "sub": Use.USED,
        "email": Use.USED,
        "email_verified": Use.USED,
        "auth_time": Use.USED,
        # How the person was authenticated: no two providers mean the same by it, and no such strength was asked for.
        "acr": Use.IGNORED,
        "amr": Use.IGNORED,
        # The hash of a code that came by the front channel. Ours came back with the token, by the back channel.
        "c_hash": Use.IGNORED,
        # The provider's own session, which ends by its own rules.
        "sid": Use.IGNORED,
        "jti": Use.IGNORED,
        # Accounts have no name. An organisation's groups and roles are not Keyturn's.
        "name": Use.IGNORED,
        "preferred_username": Use.IGNORED,
        "groups": Use.IGNORED,
        "roles": Use.IGNORED,
        "oid": Use.IGNORED,
        "tid": Use.IGNORED,
    },
)
