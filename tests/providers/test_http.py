"""One call: TLS that is verified, nothing from the environment, nothing read from another machine than was named."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from chalicelib import deadline
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers import http
from tests.providers.certificates import certificate
from tests.world.clock import START
from tests.world.misdeeds import ENDPOINTS, KEYS, METADATA, TOKEN, USERINFO
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.providers.party import Party


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for localhost, with its key, which no machine trusts."""
    return certificate(tmp_path)


@pytest.fixture
def secure(authority: Path) -> Iterator[StandIn]:
    """The stand-in behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with StandIn(lambda: START, tls=context) as stand_in:
        yield stand_in


def trust(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this machine trust the certificate."""
    http._tls.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))


@pytest.fixture(autouse=True)
def _trust_anew() -> Iterator[None]:
    """No test leaves another one its certificate authorities."""
    yield
    http._tls.cache_clear()


def test_untrusted_certificate(secure: StandIn) -> None:
    """A certificate that the system does not trust is no provider, and nothing is sent to it."""
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        http.call(secure.url + METADATA)
    assert not secure.fetches


def test_trusted_certificate(secure: StandIn, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the system trusts is."""
    trust(authority, monkeypatch)
    assert http.call(secure.url + METADATA).json()["issuer"] == secure.url


def test_certificate_of_another_name(secure: StandIn, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good certificate of another host is not this host's."""
    trust(authority, monkeypatch)
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        http.call(secure.url.replace("localhost", "127.0.0.1") + METADATA)


def test_handshake_that_hangs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers a greeting is given up in time, and its connection is closed then."""
    monkeypatch.setattr(http, "CALL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        with pytest.raises(Unavailable):
            http.call(f"https://127.0.0.1:{server.getsockname()[1]}/")
        connected, _ = server.accept()
        with connected:
            connected.settimeout(5)
            while connected.recv(4096):
                pass


def test_old_tls_is_not_spoken() -> None:
    """TLS 1.2 is the least, and certificates and names are checked."""
    context = http._tls()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_proxies_of_the_environment_are_not_used(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials go where the metadata say, whatever the environment names."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert http.call(party.stand_in.url + METADATA).status == 200


def test_request_says_what_it_takes(party: Party) -> None:
    """JSON as it is, unpacked: no more is read than is received. For a key set, its own type is named too."""
    party.stand_in.claims = {}  # so that userinfo is asked
    party.log_in()
    accepts = {}
    for path, headers, _ in party.stand_in.requests:
        accepts[path] = headers["Accept"]
        assert headers["Accept-Encoding"] == "identity"
        assert headers["User-Agent"] == "keyturn"
        assert headers["Host"] == party.stand_in.url.removeprefix("http://")
    json = "application/json, */*;q=0.1"
    assert accepts == {METADATA: json, TOKEN: json, USERINFO: json, KEYS: f"application/jwk-set+json, {json}"}


@pytest.mark.parametrize(
    ("endpoint", "media_type"),
    [
        (METADATA, "application/json"),
        (KEYS, "application/json"),
        (KEYS, "application/jwk-set+json"),
        (TOKEN, "application/json"),
        (USERINFO, "application/json"),
    ],
)
def test_endpoint_that_answers_406(party: Party, endpoint: str, media_type: str) -> None:
    """An endpoint that has one type alone is told that it is taken (panva/openid-client #466)."""
    party.stand_in.claims = {}
    party.stand_in.strict[endpoint] = media_type
    assert party.log_in().subject == "person-1"


@pytest.mark.parametrize("status", [100, 102, 103, 110, 199])
@pytest.mark.parametrize("number", [1, 3])
def test_interim_answers_are_passed_over(party: Party, status: int, number: int) -> None:
    """Any number of 1xx may come before the final answer (RFC 9110 section 15.2; snoyberg/http-client #521)."""
    party.stand_in.claims = {}
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </style.css>; rel=preload\r\nContent-Length: 9\r\n\r\n".encode()
    party.stand_in.interim = interim * number
    assert party.log_in().subject == "person-1"
    assert party.stand_in.fetches == dict.fromkeys(ENDPOINTS, 1)


@pytest.mark.parametrize("interim", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 103 Wait\r\n\r\n" * 1000])
def test_interim_answers_without_an_end(party: Party, interim: bytes) -> None:
    """A protocol that was not asked for and interim answers by the hundred are no answer."""
    party.stand_in.interim = interim
    with pytest.raises(ProviderError, match="HTTP 10"):
        party.log_in()


def test_query_is_sent(party: Party) -> None:
    """An endpoint's query goes with it, also where its path is empty."""
    assert http.call(f"{party.stand_in.url}{METADATA}?a=b").status == 200
    assert http.call(f"{party.stand_in.url}?a=b").status == 404
    assert party.stand_in.fetches == {METADATA: 1, "/": 1}


def test_form_is_encoded(party: Party) -> None:
    """What is posted arrives as it was, whatever is in it."""
    form = {"code": "a&b=c d+e%ü", "empty": ""}
    http.call(party.stand_in.url + TOKEN, form=form)
    assert party.stand_in.requests[0][2] == form


def test_spent_time_sends_nothing(party: Party) -> None:
    """Where no time is left nothing is sent: a code that nobody waits for would be lost."""
    with deadline.start(0), pytest.raises(Unavailable, match="spent"):
        http.call(party.stand_in.url + METADATA)
    assert not party.stand_in.fetches


def test_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no name server knows is an outage."""

    def unknown(*_: object) -> NoReturn:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match="gaierror"):
        http.call("https://provider.example.com/")


def test_name_server_that_hangs(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server is waited for no longer than anything else; its late answer sends nothing any more."""
    over, find, before = Event(), socket.getaddrinfo, set(enumerate_threads())

    def late(*asked: Any) -> Any:
        over.wait(10)
        return find(*asked)

    monkeypatch.setattr(http, "CALL_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", late)
    with pytest.raises(Unavailable, match="TimeoutError"):
        http.call(party.stand_in.url + METADATA)
    over.set()
    for thread in set(enumerate_threads()) - before:
        thread.join(5)
        assert not thread.is_alive()
    assert not party.stand_in.fetches


def test_url_that_is_none() -> None:
    """What is no URL is not called."""
    with pytest.raises(ProviderError):
        http.call("https://user@localhost/")


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/json", "text/javascript", "application/json, text/html", "text/html", ""]
)
def test_content_type_is_not_read(content_type: str) -> None:
    """JSON is JSON, whatever media type a provider says of it; members that are null or empty are absent."""
    answer = http.Answer(200, {"Content-Type": content_type}, b'{"a": 1, "b": null, "c": ""}')
    assert answer.json() == {"a": 1}


def gzipped(body: bytes) -> bytes:
    """The body as a server sends it that was asked for `identity`."""
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity", ""])
def test_content_coding(coding: str) -> None:
    """An answer in gzip is unpacked, though it was not asked for."""
    content = gzipped(b"{}") if "gzip" in coding.lower() else b"{}"
    assert http._decoded(content, {"Content-Encoding": coding}) == b"{}"


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("br", b"{}"),
        ("gzip", b"{}"),
        ("gzip", gzipped(b"{}")[:-9]),
        ("gzip, gzip", gzipped(gzipped(b"{}"))),
        ("gzip", b""),
    ],
)
def test_content_coding_that_is_refused(coding: str, content: bytes) -> None:
    """Another coding, gzip that is none, and gzip that breaks off."""
    with pytest.raises(ValueError):  # noqa: PT011  # whichever of several
        http._decoded(content, {"Content-Encoding": coding})


def test_small_answer_that_becomes_large() -> None:
    """Of a gzip bomb, no more is unpacked than one byte over the limit."""
    assert len(http._decoded(gzipped(bytes(64 * 2**20)), {"Content-Encoding": "gzip"})) == http.MAX_ANSWER + 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":' * 90_000, b'{"a": 1' + b"0" * 5000 + b"}"]
)
def test_body_that_is_no_object(body: bytes) -> None:
    """Everything but a JSON object is refused, and nothing else happens."""
    with pytest.raises(ProviderError):
        http.Answer(200, {"Content-Type": "application/json"}, body).json()


def test_import_reads_no_certificates() -> None:
    """The system's certificates cost 15 ms: a container that calls no provider never reads them."""
    code = "import chalicelib.providers as p; print(p.openid.http._tls.cache_info().currsize)"
    done = subprocess.run(  # noqa: S603  # our own interpreter, our own code
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "0"
