"""What is measured of logins at a provider: by redirect and by exchange, of people whom Keyturn knows already."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from chalicelib.crypto.encoding import b64url
from tests.bench.script import BEGIN, CALLBACK, EXCHANGE, FORGED_STATE, Person, answers, api_event, forged
from tests.world import stand_in
from tests.world.constants import NONCE, PAGE, VERIFIER

if TYPE_CHECKING:
    from tests.bench.script import Event, Stage

NAME = "google"


@dataclass
class Visitor:
    """Somebody with an account at the provider, and a browser that keeps the cookies of its login."""

    provider: stand_in.StandIn
    person: Person = field(default_factory=Person)
    cookie: str = ""
    callback: str = ""

    def begin(self) -> Event:
        """The event of following the page's link."""
        query = urlencode({"return_to": PAGE})
        return api_event("GET", f"/login/{NAME}", source_ip=self.person.source_ip, query=query, provider=NAME)

    def agree(self, departure: Event) -> None:
        """Go to the provider, say yes, and be sent back."""
        cookies = departure["multiValueHeaders"]["Set-Cookie"]
        self.cookie = "; ".join(cookie.partition(";")[0] for cookie in cookies)
        email = self.person.credentials["email"]
        self.provider.person = stand_in.Person(email, {"email": email, "email_verified": True})
        self.callback = urlsplit(self.provider.authorize(departure["headers"]["Location"])).query

    def come_back(self, query: str) -> Event:
        """The event of loading the callback."""
        return api_event(
            "GET",
            f"/login/{NAME}/callback",
            source_ip=self.person.source_ip,
            query=query,
            cookie=self.cookie,
            provider=NAME,
        )

    def forge(self) -> Event:
        """The event of a callback with a state that somebody made up."""
        query = {name: values[0] for name, values in parse_qs(self.callback).items()}
        return self.come_back(urlencode({**query, "state": forged(query["state"])}))

    def exchange(self) -> Event:
        """The event of bringing a code, over the transport `body`."""
        email = self.person.credentials["email"]
        challenge = b64url(sha256(VERIFIER.encode()).digest())
        code = self.provider.issue_code(
            subject=email, nonce=NONCE, code_challenge=challenge, redirect_uri=PAGE, email=email, email_verified=True
        )
        members = {"code": code, "code_verifier": VERIFIER, "redirect_uri": PAGE, "nonce": NONCE, "transport": "body"}
        path = f"/login/{NAME}/exchange"
        return api_event("POST", path, members, source_ip=self.person.source_ip, provider=NAME)


def play(stage: Stage, people: int, provider: stand_in.StandIn) -> None:
    """Go through every operation, `people` times each. AssertionError where the function does not answer as it should.

    Everybody arrives for the first time outside the measurement, which leaves the provider's keys in the container too.
    """
    crowd = [Visitor(provider) for _ in range(people)]
    for visitor in crowd:
        assert stage.call("api_handler", visitor.exchange())["statusCode"] == EXCHANGE.status
    departures = answers(stage, BEGIN, [visitor.begin() for visitor in crowd])
    for visitor, departure in zip(crowd, departures, strict=True):
        visitor.agree(departure)
    answers(stage, FORGED_STATE, [visitor.forge() for visitor in crowd])
    returned = answers(stage, CALLBACK, [visitor.come_back(visitor.callback) for visitor in crowd])
    # A login that was refused comes back to the page too, with its error.
    assert {answer["headers"]["Location"] for answer in returned} == {PAGE}, returned
    answers(stage, EXCHANGE, [visitor.exchange() for visitor in crowd])
