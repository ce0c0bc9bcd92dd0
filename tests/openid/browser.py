"""A browser without a screen: it keeps cookies, follows redirects at a provider and submits the provider's forms."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, ProxyHandler, Request, build_opener

from tests.http.server import ADDRESS
from tests.rehearsal.client import Reply
from tests.world.constants import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.request import OpenerDirector

STEPS = 12  # redirects and forms; a login takes at most eight


@dataclass(frozen=True)
class Person:
    """Somebody with an account at a provider, which knows them by name and tells `email`."""

    name: str
    email: str


@dataclass
class Form:
    """A form of a page: where it goes, and what it sends."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)

    def names(self, person: Person) -> bool:
        """Whether the form is the button of this person, on a page that lists those who can log in."""
        return not {person.name, person.email}.isdisjoint(self.fields.values())


class Page(HTMLParser):
    """Forms and links of a page."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url, self.forms, self.links = url, list[Form](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a field, a button that sends something, or a link."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self.url, found.get("action", ""))))
        if tag in ("input", "button") and "name" in found:
            self.forms[-1].fields[found["name"]] = found.get("value", "")
        if tag == "a" and "href" in found:
            self.links.append(urljoin(self.url, found["href"]))


class Browser:
    """One person's browser, at a network address of its own. What comes from Keyturn is returned as it came."""

    def __init__(self) -> None:
        # A secure context on this machine needs no TLS: browsers send Secure cookies there.
        self.cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        cookies = HTTPCookieProcessor(self.cookies)
        self._opener = build_opener(ProxyHandler({}), cookies, _AsItComes)
        prefix = uuid.uuid4().hex
        self._address = f"2001:db8:{prefix[:4]}:{prefix[4:8]}::1"

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Go to a URL."""
        return self._send("GET", url, headers or {})

    def call(self, method: str, url: str, members: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON, as a script of the frontend's origin does."""
        sent = {"Origin": ORIGIN, **(headers or {})}
        if members is None:
            return self._send(method, url, sent)
        return self._send(method, url, {"Content-Type": "application/json", **sent}, json.dumps(members).encode())

    def log_in(self, authorization_url: str, person: Person) -> str:
        """Log in at the provider and consent; the URL it redirects back to, also by way of a form that it posts."""
        return self._through(authorization_url, person)

    def refuse(self, authorization_url: str) -> str:
        """Press what cancels; the URL it redirects back to."""
        return self._through(authorization_url, None)

    def post(self, url: str, fields: Mapping[str, str]) -> Reply:
        """Post a form."""
        return self._submit(url, fields)

    def post_across(self, url: str, fields: Mapping[str, str]) -> Reply:
        """Post the form of another site's page. Browsers send no SameSite cookie with it."""
        across = {"Origin": "https://appleid.apple.com", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        return self._submit(url, fields, across, build_opener(ProxyHandler({}), _AsItComes))

    def _through(self, url: str, person: Person | None) -> str:
        provider = urlsplit(url).netloc
        reply = self._send("GET", url)
        for _ in range(STEPS):
            if location := reply.header("Location"):
                url = urljoin(url, location)
                if urlsplit(url).netloc != provider:
                    return url
                reply = self._send("GET", url)
                continue
            assert reply.status == 200, reply
            page = Page(url, reply.body.decode())
            if person is not None:
                form = next((form for form in page.forms if form.names(person)), page.forms[0])
                if urlsplit(form.action).netloc != provider:
                    reply = self.post_across(form.action, form.fields)
                    assert reply.status == 303, reply
                    return urljoin(form.action, reply.header("Location") or "")
                answers = {"login": person.name, "password": "any", "sub": person.email}
                fields = {name: answers.get(name, value) for name, value in form.fields.items()}
                url, reply = form.action, self._submit(form.action, fields)
            elif aborts := [link for link in page.links if link.endswith("/abort")]:
                url, reply = aborts[0], self._send("GET", aborts[0])
            else:
                (form,) = (form for form in page.forms if form.fields.get("action") == "deny")
                url, reply = form.action, self._submit(form.action, form.fields)
        message = f"no way out of {url}"
        raise AssertionError(message)

    def _submit(
        self,
        url: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        opener: OpenerDirector | None = None,
    ) -> Reply:
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", url, sent, urlencode(fields).encode(), opener)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        opener: OpenerDirector | None = None,
    ) -> Reply:
        sent = {ADDRESS: self._address, **(headers or {})}
        request = Request(url, body, sent, method=method)  # noqa: S310  # http, on this machine
        with (opener or self._opener).open(request, timeout=30) as response:
            return Reply(response.status, response.getheaders(), response.read())


class _AsItComes(HTTPErrorProcessor):
    """Every answer is an answer: no redirect is followed, no status raises."""

    def http_response(self, _request: Any, response: Any) -> Any:
        return response


def query(url: str) -> dict[str, str]:
    """The query's parameters; one of each."""
    found = parse_qs(urlsplit(url).query, strict_parsing=True, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), url
    return {name: values[0] for name, values in found.items()}
