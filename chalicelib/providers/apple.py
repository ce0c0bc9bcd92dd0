"""Sign in with Apple. Source: developer.apple.com/documentation/signinwithapplerestapi.

Apple answers by a form that is posted across sites, takes as client secret a JWT that the client signs
(client_secrets.py), and tells of a person who gives up by `user_cancelled_authorize`. It has no userinfo.
"""

from __future__ import annotations

from chalicelib.providers.profile import Profile, Use

PROFILE = Profile(
    name="apple",
    issuer="https://appleid.apple.com",
    spellings=frozenset({"https://appleid.apple.com"}),
    # Apple sends `email_verified` as a boolean or as a string, and only addresses that it has verified.
    proven=(True, "true"),
    # With the scope `email` Apple refuses every other response mode.
    form_post=True,
    key_secret=True,
    claims={
        "iss": Use.CHECKED,
        "aud": Use.CHECKED,
        "exp": Use.CHECKED,
        "iat": Use.CHECKED,
        "nonce": Use.CHECKED,
        "at_hash": Use.CHECKED,
        "sub": Use.USED,
        "email": Use.USED,
        "email_verified": Use.USED,
        "auth_time": Use.USED,
        # Whether Apple's clients know nonces. Keyturn needs the nonce whatever this claim says.
        "nonce_supported": Use.IGNORED,
        # A relayed address receives mail like any other, and identifies the person as well.
        "is_private_email": Use.IGNORED,
        # Apple's guess whether the person is real, at the first login of an app alone.
        "real_user_status": Use.IGNORED,
        # The subject under the team that an app was transferred from. Apple sends it for 60 days after a transfer.
        "transfer_sub": Use.IGNORED,
        # The hash of a code that came by the front channel. Keyturn's ID token comes by the back channel.
        "c_hash": Use.IGNORED,
    },
)
