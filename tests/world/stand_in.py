"""An OpenID provider on loopback that is honest until a test tells it otherwise."""

from __future__ import annotations

import secrets
import time
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from chalicelib.crypto.encoding import b64url
from tests.world.forgery import Forgery, changed, rsa_key
from tests.world.misdeeds import KEYS, METADATA, TOKEN, USERINFO, Fault, Server
from tests.world.person import Person

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from email.message import Message

    from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class _Code:
    subject: str
    nonce: str
    code_challenge: str
    redirect_uri: str
    client_id: str
    claims: dict[str, Any]


class StandIn:
    """An OpenID provider over real HTTP, for `with`: `url` is its issuer.

    Honest by default: discovery, keys, a token endpoint that checks client, redirect and PKCE (S256, required) and
    takes each code once, and userinfo. A test changes what it wants wrong:

    - `faults[TOKEN] = Fault.HANG`: what an endpoint (METADATA, KEYS, TOKEN, USERINFO) does instead of answering;
    - `metadata`, `userinfo`, `token_response`: members to add or change, ABSENT to leave out; `userinfo_status`;
    - `forgery`: what is wrong with ID tokens; `refusal`: (status, error) of every code;
    - `key`: the number of the key that signs, `published`: of those that are published: `rotate()` changes both;
    - `extra_keys`: JWKs to publish besides; `key_set`: what to publish instead of a key set;
    - `headers[KEYS] = {"Cache-Control": …}`: response headers of an endpoint;
    - `strict[KEYS] = "application/jwk-set+json"`: the one type that an endpoint has: 406 to who does not accept it;
    - `interim`: what comes before every answer, as bytes;
    - `answers["/path"] = (status, value)`: what a provider of another kind answers there;
    - `signed_by`: the public key that verifies client secrets, which are JWTs then, as Apple has them;
    - `person`: who logs in at `authorize`, `refuses`: whether the person refuses;
    - `claims`: what is told of the person, whatever the person is; `says_auth_time`: whether the moment is told too.

    `fetches` counts requests by path; `requests` keeps each one's path, headers and form.
    """

    def __init__(
        self, now: Callable[[], int] | None = None, *, tls: ssl.SSLContext | None = None, says_auth_time: bool = True
    ) -> None:
        self.now = now or (lambda: int(time.time()))
        self.client_id = "web-client"
        self.client_secret = "a secret: with + and % and ü"
        self.public_clients: set[str] = {"native-client"}
        self.faults: dict[str, Fault] = {}
        self.metadata: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.userinfo_status = 200
        self.token_response: dict[str, Any] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.strict: dict[str, str] = {}
        self.interim = b""
        self.forgery = Forgery()
        self.refusal: tuple[int, Any] | None = None
        self.key = 0
        self.published: list[int] = [0]
        self.extra_keys: list[Any] = []
        self.key_set: Any = None
        self.issuer_path = ""
        self.answers: dict[str, tuple[int, Any]] = {}
        self.signed_by: ec.EllipticCurvePublicKey | None = None
        self.person = Person(email="person@example.com")
        self.claims: dict[str, Any] | None = None
        self.refuses = False
        self.says_issuer, self.says_auth_time = True, says_auth_time
        self.fetches: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self._codes: dict[str, _Code] = {}
        self._subjects: dict[str, _Code] = {}  # by access token
        self.lock = Lock()
        self.over = Event()
        self._server = Server(self)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if tls is None else 'https'}://localhost:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def recover(self) -> None:
        """Be honest from now on."""
        self.faults.clear()
        self.metadata.clear()
        self.userinfo.clear()
        self.token_response.clear()
        self.headers.clear()
        self.extra_keys.clear()
        self.forgery, self.refusal, self.key_set = Forgery(), None, None

    def rotate(self) -> None:
        """Publish and sign with another key, and forget the one before."""
        self.key += 1
        self.published = [self.key]

    def issue_code(
        self,
        *,
        nonce: str,
        code_challenge: str,
        redirect_uri: str,
        subject: str = "person-1",
        client_id: str | None = None,
        **claims: Any,
    ) -> str:
        """An authorization code, as if this person had just agreed. `claims` are the ID token's and userinfo's."""
        code = secrets.token_urlsafe(16)
        with self.lock:
            self._codes[code] = _Code(
                subject, nonce, code_challenge, redirect_uri, client_id or self.client_id, dict(claims)
            )
        return code

    def authorize(self, url: str) -> str:
        """Play the browser and the person at the authorization endpoint: where the browser is sent back to."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(f"{self.url}/authorize?")
        assert asked["response_type"] == "code"
        assert asked["client_id"] in {self.client_id, *self.public_clients}
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        answer = {"state": asked["state"]}
        if self.says_issuer:
            answer["iss"] = self.url
        if self.refuses:
            answer["error"] = "access_denied"
        else:
            answer["code"] = self.issue_code(
                nonce=asked["nonce"],
                code_challenge=asked["code_challenge"],
                redirect_uri=asked["redirect_uri"],
                client_id=asked["client_id"],
                subject=self.person.name,
                **self._claims(),
            )
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def public_pem(self) -> bytes:
        """The public key that signs now, as PEM."""
        return rsa_key(self.key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, number: int) -> dict[str, Any]:
        """A key of ours as it is published."""
        jwk = RSAAlgorithm.to_jwk(rsa_key(number).public_key(), as_dict=True)
        return {**jwk, "kid": f"key-{number}", "alg": "RS256", "use": "sig"}

    def answer(self, path: str, headers: Message, form: Mapping[str, str]) -> tuple[int, Any]:
        """Status and JSON of the honest answer, with the changes that a test asked for."""
        if path in self.answers:
            return self.answers[path]
        if path == self.issuer_path + METADATA:
            return 200, changed(self._metadata(), self.metadata)
        if path == KEYS:
            keys = [*(self.jwk(number) for number in self.published), *self.extra_keys]
            return 200, {"keys": keys} if self.key_set is None else self.key_set
        if path == TOKEN:
            return self._redeem(headers, form)
        if path == USERINFO:
            return self._userinfo(headers)
        return 404, {}

    def _claims(self) -> dict[str, Any]:
        """What is told of the person who has just logged in."""
        if self.claims is not None:
            return self.claims
        return self.person.claims | ({"auth_time": self.now()} if self.says_auth_time else {})

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": self.url + TOKEN,
            "jwks_uri": self.url + KEYS,
            "userinfo_endpoint": self.url + USERINFO,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.says_issuer,
        }

    def _redeem(self, headers: Message, form: Mapping[str, str]) -> tuple[int, Any]:
        if self.refusal is not None:
            return self.refusal[0], {"error": self.refusal[1], "error_description": "because"}
        client_id = self._client(headers, form)
        if client_id is None:
            return 401, {"error": "invalid_client"}
        with self.lock:
            code = self._codes.pop(form.get("code", ""), None)
        if (
            code is None
            or form.get("grant_type") != "authorization_code"
            or code.client_id != client_id
            or (code.redirect_uri != form.get("redirect_uri") and not self._is_app(client_id, form))
            or code.code_challenge != b64url(sha256(form.get("code_verifier", "").encode()).digest())
        ):
            return 400, {"error": "invalid_grant"}
        access_token = secrets.token_urlsafe(24)
        self._subjects[access_token] = code
        answer = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "openid email",
            "id_token": self._id_token(code, access_token),
        }
        return 200, changed(answer, self.token_response)

    def _client(self, headers: Message, form: Mapping[str, str]) -> str | None:
        if self.signed_by is not None:
            return self._signed_client(self.signed_by, form)
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client_id, _, secret = b64decode(credentials).decode().partition(":")
            given = (unquote_plus(client_id), unquote_plus(secret))
            return self.client_id if given == (self.client_id, self.client_secret) else None
        if form.get("client_id") in self.public_clients and "client_secret" not in form:
            return form["client_id"]
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        return self.client_id if given == (self.client_id, self.client_secret) else None

    def _is_app(self, client_id: str, form: Mapping[str, str]) -> bool:
        """Whether an app redeems its code at Apple, where it asked without a redirect."""
        return self.signed_by is not None and client_id in self.public_clients and "redirect_uri" not in form

    def _signed_client(self, key: ec.EllipticCurvePublicKey, form: Mapping[str, str]) -> str | None:
        """The client whose secret is a JWT by the team's key, for this issuer and these minutes."""
        try:
            claims = jwt.decode(
                form.get("client_secret", ""),
                key,
                ["ES256"],
                audience=self.url,
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return None
        fresh = claims["iat"] <= self.now() < claims["exp"]
        return form.get("client_id") if fresh and claims["sub"] == form.get("client_id") else None

    def _id_token(self, code: _Code, access_token: str) -> str:
        claims = {
            "iss": self.url,
            "aud": code.client_id,
            "azp": code.client_id,
            "sub": code.subject,
            "nonce": code.nonce,
            "at_hash": b64url(sha256(access_token.encode()).digest()[:16]),
            "iat": self.now(),
            "exp": self.now() + 300,
            **code.claims,
        }
        return self.forgery.sign(f"key-{self.key}", claims, rsa_key(self.key))

    def _userinfo(self, headers: Message) -> tuple[int, Any]:
        code = self._subjects.get(headers.get("Authorization", "").removeprefix("Bearer "))
        if code is None:
            return 401, {"error": "invalid_token"}
        return self.userinfo_status, changed({"sub": code.subject, **code.claims}, self.userinfo)
