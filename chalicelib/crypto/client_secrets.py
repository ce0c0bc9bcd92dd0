"""Client secrets that a client signs itself: JWTs, as Sign in with Apple asks for them."""

from __future__ import annotations

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chalicelib.errors import ConfigurationError

LIFETIME = 300  # seconds; Apple takes up to six months, and a secret is used once, at once


class SignedClientSecrets:
    """ports.ClientSecretIssuer over PyJWT."""

    def issue(self, private_key: str, *, key_id: str, team_id: str, client_id: str, audience: str, now: int) -> str:
        """A secret of `client_id` for the token endpoint of `audience`, signed with ES256.

        ConfigurationError where `private_key` is no PKCS #8 PEM of a P-256 key, which is what Apple's .p8 files hold.
        """
        try:
            key = load_pem_private_key(private_key.encode(), password=None)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(debug="the provider's secret is no private key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ConfigurationError(debug="the provider's secret is no P-256 key")
        claims = {"iss": team_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + LIFETIME}
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": key_id})
