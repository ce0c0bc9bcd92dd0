"""Logging in on a provider's own pages: its redirects are followed, its forms are read and sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

if TYPE_CHECKING:
    from tests.world.browser import Browser
    from tests.world.person import Person

STEPS = 12  # redirects and forms; a login takes at most eight


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


def log_in(browser: Browser, authorization_url: str, person: Person) -> str:
    """Log in at the provider and consent; the URL it redirects back to, also by way of a form that it posts."""
    return _through(browser, authorization_url, person)


def refuse(browser: Browser, authorization_url: str) -> str:
    """Press what cancels; the URL it redirects back to."""
    return _through(browser, authorization_url, None)


def _through(browser: Browser, url: str, person: Person | None) -> str:
    provider = urlsplit(url).netloc
    reply = browser.get(url)
    for _ in range(STEPS):
        if location := reply.header("Location"):
            url = urljoin(url, location)
            if urlsplit(url).netloc != provider:
                return url
            reply = browser.get(url)
            continue
        assert reply.status == 200, reply
        page = Page(url, reply.body.decode())
        if person is not None:
            form = next((form for form in page.forms if form.names(person)), page.forms[0])
            if urlsplit(form.action).netloc != provider:
                reply = browser.submit_across(form.action, form.fields)
                assert reply.status == 303, reply
                return urljoin(form.action, reply.header("Location") or "")
            answers = {"login": person.name, "password": "any", "sub": person.email or ""}
            fields = {name: answers.get(name, value) for name, value in form.fields.items()}
            url, reply = form.action, browser.submit(form.action, fields)
        elif aborts := [link for link in page.links if link.endswith("/abort")]:
            url, reply = aborts[0], browser.get(aborts[0])
        else:
            (form,) = (form for form in page.forms if form.fields.get("action") == "deny")
            url, reply = form.action, browser.submit(form.action, form.fields)
    message = f"no way out of {url}"
    raise AssertionError(message)


def query(url: str) -> dict[str, str]:
    """The query's parameters; one of each."""
    found = parse_qs(urlsplit(url).query, strict_parsing=True, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), url
    return {name: values[0] for name, values in found.items()}
