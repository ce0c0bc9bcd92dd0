"""Accounts on a stage that runs the former version: sessions that live, sessions that ended, logins under way.

All are made through the former version's routes. Only `age` knows how a session is stored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rehearsal.holder import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Transport
    from tests.rehearsal.stack import RunningStack
    from tests.world.browser import Browser
    from tests.world.stand_in import StandIn

TRANSPORTS: tuple[Transport, ...] = ("body", "cookie", "session")
REFRESHED: tuple[Transport, ...] = ("body", "cookie")  # a session cookie is never turned
NEW_PASSWORD = "fresh horse battery staple"
DAY = 86400
MORE_THAN_THE_LIST = 11  # access tokens: the blacklist names ten of an account, then a moment in their place


def signed_up(stack: RunningStack, transport: Transport) -> Holder:
    """Living: never refreshed, never used."""
    return Holder.sign_up(stack, transport)


def turned(stack: RunningStack, transport: Transport) -> Holder:
    """Living, refreshed twice; a day before the upgrade, so that the key may turn again at once."""
    holder = Holder.sign_up(stack, transport)
    for _ in range(2):
        assert holder.refresh().status == 200
    age(holder, DAY)
    return holder


def password_changed(stack: RunningStack, transport: Transport) -> Holder:
    """Living: the session that changed the password, of the account's next epoch."""
    holder = Holder.sign_up(stack, transport)
    assert holder.change_password(NEW_PASSWORD).status == 200
    return holder


def beside_a_logout(stack: RunningStack, transport: Transport) -> Holder:
    """Living, of an account on whose blacklist another session stands."""
    holder = Holder.sign_up(stack, transport)
    assert holder.log_in(transport).log_out().status == 204
    return holder


def logged_out(stack: RunningStack, transport: Transport) -> Holder:
    """Ended by its own credential."""
    holder = Holder.sign_up(stack, transport)
    assert holder.log_out().status == 204
    return holder


def logged_out_everywhere(stack: RunningStack, transport: Transport) -> Holder:
    """Ended with every session of the account."""
    holder = Holder.sign_up(stack, transport)
    assert holder.log_in("body").call("POST", "/logout/all").status == 204
    return holder


def ended_from_elsewhere(stack: RunningStack, transport: Transport) -> Holder:
    """Ended by its owner from the list of sessions, in another session."""
    holder = Holder.sign_up(stack, transport)
    assert holder.log_in("body").call("DELETE", f"/sessions/{holder.session_id}").status == 204
    return holder


def of_the_old_password(stack: RunningStack, transport: Transport) -> Holder:
    """Ended by a change of the password in another session."""
    holder = Holder.sign_up(stack, transport)
    assert holder.log_in("body").change_password(NEW_PASSWORD).status == 200
    return holder


def stolen(stack: RunningStack, transport: Transport) -> Holder:
    """Ended because a refresh token two turns old was presented."""
    holder, thief = copied(stack, transport)
    assert thief.refresh().status == 401
    return holder


LIVING: dict[str, Callable[[RunningStack, Transport], Holder]] = {
    "signed up": signed_up,
    "turned": turned,
    "password changed": password_changed,
    "beside a logout": beside_a_logout,
}
ENDED: dict[str, Callable[[RunningStack, Transport], Holder]] = {
    "logged out": logged_out,
    "logged out everywhere": logged_out_everywhere,
    "ended from elsewhere": ended_from_elsewhere,
    "of the old password": of_the_old_password,
    "stolen": stolen,
}

# A copied session cookie cannot be told from its owner's.
WAYS_TO_END = [(name, way) for name in ENDED for way in (REFRESHED if name == "stolen" else TRANSPORTS)]
WAYS_TO_LIVE = [(name, way) for name in LIVING for way in TRANSPORTS]


def copied(stack: RunningStack, transport: Transport) -> tuple[Holder, Holder]:
    """A living session whose key turned twice, and a thief's copy from before."""
    holder = Holder.sign_up(stack, transport)
    thief = holder.copy()
    for _ in range(2):
        assert holder.refresh().status == 200
    return holder, thief


@dataclass
class People:
    """Every account, by the names above and the transport."""

    living: dict[tuple[str, Transport], Holder]
    ended: dict[tuple[str, Transport], Holder]
    copied: dict[Transport, tuple[Holder, Holder]]
    turning: dict[Transport, Holder]
    token_revoked: Holder
    overflowed: tuple[Holder, list[str]]
    logged_in: Browser
    on_the_way: tuple[Browser, str]

    @classmethod
    def of(cls, stack: RunningStack, provider: StandIn) -> People:
        """Make every account below through the stage as it runs now."""
        somebody = stack.browser(provider)
        return cls(
            living={(name, way): LIVING[name](stack, way) for name, way in WAYS_TO_LIVE},
            ended={(name, way): ENDED[name](stack, way) for name, way in WAYS_TO_END},
            copied={way: copied(stack, way) for way in REFRESHED},
            turning={way: Holder.sign_up(stack, way) for way in REFRESHED},
            token_revoked=token_revoked(stack),
            overflowed=overflowed(stack),
            logged_in=logged_in(stack, provider),
            on_the_way=(somebody, somebody.agree(somebody.begin())),
        )


def token_revoked(stack: RunningStack) -> Holder:
    """Living. Only the access token that its client holds was revoked."""
    holder = Holder.sign_up(stack, "body")
    assert holder.revoke(holder.grant["access_token"]).status == 200
    return holder


def overflowed(stack: RunningStack) -> tuple[Holder, list[str]]:
    """Living. More access tokens were revoked than the blacklist has room for; the held token was issued later."""
    holder = Holder.sign_up(stack, "body")
    revoked = []
    for _ in range(MORE_THAN_THE_LIST):
        assert holder.refresh().status == 200
        revoked.append(str(holder.grant["access_token"]))
        assert holder.revoke(revoked[-1]).status == 200
    time.sleep(1.1)  # the moment is in whole seconds
    assert holder.refresh().status == 200
    return holder, revoked


def logged_in(stack: RunningStack, provider: StandIn) -> Browser:
    """A browser that has logged in at the provider."""
    somebody = stack.browser(provider)
    assert somebody.log_in().status == 303
    assert somebody.resume().json["user"]["email"] == somebody.person.email
    return somebody


def age(holder: Holder, seconds: int) -> None:
    """Move the session's last use back, in the table."""
    holder.stack.aws.client("dynamodb").update_item(
        TableName=holder.stack.table_name,
        Key={"pk": {"S": f"user#{holder.sub}"}, "sk": {"S": f"session#{holder.session_id}"}},
        UpdateExpression="SET #at = #at - :seconds",
        ConditionExpression="attribute_exists(#at)",
        ExpressionAttributeNames={"#at": "rotated_at"},
        ExpressionAttributeValues={":seconds": {"N": str(seconds)}},
    )
