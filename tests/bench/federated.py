"""What is measured of logins at a provider: by redirect and by exchange, of people whom Keyturn knows already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.bench.script import BEGIN, CALLBACK, EXCHANGE, FORGED_STATE, User, answers, api_event, forged
from tests.world.constants import PAGE
from tests.world.own_request import own_code
from tests.world.person import Person

if TYPE_CHECKING:
    from tests.bench.script import Event, Stage
    from tests.world.stand_in import StandIn

NAME = "google"


@dataclass
class Visitor:
    """Somebody with an account at the provider, and a browser that keeps the cookies of its login."""

    provider: StandIn
    user: User = field(default_factory=User)
    cookie: str = ""
    callback: str = ""

    def begin(self) -> Event:
        """The event of following the page's link."""
        query = urlencode({"return_to": PAGE})
        return api_event("GET", f"/login/{NAME}", source_ip=self.user.source_ip, query=query, provider=NAME)

    def agree(self, departure: Event) -> None:
        """Go to the provider, say yes, and be sent back."""
        cookies = departure["multiValueHeaders"]["Set-Cookie"]
        self.cookie = "; ".join(cookie.partition(";")[0] for cookie in cookies)
        email = self.user.credentials["email"]
        self.provider.person = Person(email, email)
        self.callback = urlsplit(self.provider.authorize(departure["headers"]["Location"])).query

    def come_back(self, query: str) -> Event:
        """The event of loading the callback."""
        return api_event(
            "GET",
            f"/login/{NAME}/callback",
            source_ip=self.user.source_ip,
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
        email = self.user.credentials["email"]
        members = {**own_code(self.provider, Person(email, email)), "transport": "body"}
        path = f"/login/{NAME}/exchange"
        return api_event("POST", path, members, source_ip=self.user.source_ip, provider=NAME)


def play(stage: Stage, people: int, provider: StandIn) -> None:
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
