"""Microsoft Entra ID and personal Microsoft accounts. Source: learn.microsoft.com/entra/identity-platform.

`common` and `organizations` are issuers of many tenants: their metadata name the issuer `…/{tenantid}/v2.0`, and a
token names its tenant in `iss`. An identity is known by the issuer of its own tenant.
"""

from __future__ import annotations

import re

from chalicelib.providers.profile import Profile, Use

MANY_TENANTS = re.compile(r"(https?://[^/]+)/(?:common|organizations)/v2\.0", re.ASCII)

PROFILE = Profile(
    name="microsoft",
    issuer="https://login.microsoftonline.com/common/v2.0",
    # `email` may hold any text that a tenant's administrator likes (the attack "nOAuth"). It is proven only where the
    # optional claim `xms_edov` says that the tenant owns the address's domain; Microsoft spells it in these ways.
    many_tenants=True,
    proof="xms_edov",
    proven=(True, 1, "1", "true"),
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
        "xms_edov": Use.USED,
        "auth_time": Use.USED,
        # Must be the tenant of `iss` where the issuer is that of many tenants (crypto/id_tokens.py).
        "tid": Use.IGNORED,
        # Not a claim of Entra ID's own: a tenant can map any value to it.
        "email_verified": Use.IGNORED,
        # The person's id in the whole directory. `sub` is the id for this client, which no other client learns.
        "oid": Use.IGNORED,
        "acr": Use.IGNORED,
        "amr": Use.IGNORED,
        "c_hash": Use.IGNORED,
        "sid": Use.IGNORED,
        "jti": Use.IGNORED,
        # Accounts have no name. A directory's groups and roles are not Keyturn's.
        "name": Use.IGNORED,
        "preferred_username": Use.IGNORED,
        "groups": Use.IGNORED,
        "roles": Use.IGNORED,
        # Microsoft's own: session, version and routing.
        "ver": Use.IGNORED,
        "uti": Use.IGNORED,
        "rh": Use.IGNORED,
        "aio": Use.IGNORED,
    },
)


def tenants_issuer(issuer: str) -> str:
    """The issuer with `{tenantid}` in place of `common` or `organizations`; any other issuer as it is."""
    match = MANY_TENANTS.fullmatch(issuer)
    return issuer if match is None else f"{match[1]}/{{tenantid}}/v2.0"
