"""Google. Source: developers.google.com/identity/openid-connect/openid-connect."""

from __future__ import annotations

from chalicelib.providers.profile import Profile, Use

PROFILE = Profile(
    name="google",
    issuer="https://accounts.google.com",
    # Google documents both; nothing else is its own, however similar (GHSA-75c5-xw7c-p5pm).
    spellings=frozenset({"https://accounts.google.com", "accounts.google.com"}),
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
        # The Workspace organisation. It would narrow who may log in, and whose address Google answers for today and not
        # since it was given; neither is a setting here. SECURITY.md says what that means.
        "hd": Use.IGNORED,
        # An id of this one token. It comes straight from Google and its nonce is used once: nothing is left to replay.
        "jti": Use.IGNORED,
        # Accounts have no name and no picture. Their scope, `profile`, is not asked for.
        "name": Use.IGNORED,
        "given_name": Use.IGNORED,
        "family_name": Use.IGNORED,
        "picture": Use.IGNORED,
        "locale": Use.IGNORED,
        "profile": Use.IGNORED,
    },
)
