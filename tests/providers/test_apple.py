"""Sign in with Apple: its form, its signed client secrets, its spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chalicelib.errors import ConfigurationError
from tests.providers.party import NATIVE_REDIRECT, SECRET_PARAMETER, Party
from tests.world.clock import START
from tests.world.forgery import ABSENT
from tests.world.misdeeds import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """A key as Apple's .p8 files hold it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def apple() -> Iterator[Party]:
    """Apple, played by a provider that takes its client secret in the body alone."""
    party = Party(name="apple", team_id="TEAM123456", key_id="KEY1234567")
    party.parameters.values[SECRET_PARAMETER] = pem()
    party.stand_in.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    party.stand_in.signed_by = KEY.public_key()
    with party.stand_in:
        yield party


def sent(party: Party) -> dict[str, str]:
    """The form of the last call to the token endpoint."""
    return [form for path, _, form in party.stand_in.requests if path == TOKEN][-1]


def test_answer_comes_by_form(apple: Party) -> None:
    """Apple sends the address by `form_post` alone."""
    assert parse_qs(urlsplit(apple.authorization_url()).query)["response_mode"] == ["form_post"]


def test_secret_is_signed_for_each_call(apple: Party) -> None:
    """The client secret is a JWT of the team, by the key, for this client and five minutes (Apple's documentation)."""
    assert apple.log_in().subject == "person-1"
    secret = sent(apple)["client_secret"]
    assert jwt.get_unverified_header(secret) == {"alg": "ES256", "kid": "KEY1234567", "typ": "JWT"}
    claims = jwt.decode(
        secret, KEY.public_key(), ["ES256"], options={"verify_aud": False, "verify_exp": False, "verify_iat": False}
    )
    assert claims == {
        "iss": "TEAM123456",
        "sub": "web-client",
        "aud": apple.stand_in.url,
        "iat": START,
        "exp": START + 300,
    }
    apple.clock.advance(301)
    assert apple.log_in().subject == "person-1"
    assert sent(apple)["client_secret"] != secret


def test_native_app(apple: Party) -> None:
    """A code of an app is redeemed with a secret of the app's bundle id, without a redirect URI."""
    code = apple.code(NATIVE_REDIRECT, "native-client")
    assert apple.provider.identify(code).subject == "person-1"
    form = sent(apple)
    assert (form["client_id"], form.get("redirect_uri")) == ("native-client", None)
    claims = jwt.decode(form["client_secret"], options={"verify_signature": False})
    assert claims["sub"] == "native-client"


@pytest.mark.parametrize(
    ("said", "verified"), [("true", True), (True, True), ("false", False), (False, False), (1, False), ("TRUE", False)]
)
def test_address_is_proven_by_either_spelling(apple: Party, said: object, verified: bool) -> None:  # noqa: FBT001  # a table's column
    """Apple says `email_verified` as a boolean or as a string."""
    apple.stand_in.claims = {"email": "a@privaterelay.appleid.com", "email_verified": said}
    identity = apple.log_in()
    assert (identity.email, identity.email_verified) == ("a@privaterelay.appleid.com", verified)


def test_without_userinfo(apple: Party) -> None:
    """Apple has no userinfo: a second login, which tells no address, has none."""
    apple.stand_in.metadata["userinfo_endpoint"] = ABSENT
    apple.stand_in.claims = {}
    assert apple.log_in().email is None


@pytest.mark.parametrize(
    "secret", ["a secret", pem(ec.generate_private_key(ec.SECP384R1())), pem()[:-60]], ids=["text", "P-384", "cut"]
)
def test_key_that_cannot_sign(apple: Party, secret: str) -> None:
    """The operator is told that the parameter holds no fitting key; the key itself is not repeated."""
    apple.parameters.values[SECRET_PARAMETER] = secret
    with pytest.raises(ConfigurationError) as raised:
        apple.log_in()
    assert secret not in raised.value.debug
