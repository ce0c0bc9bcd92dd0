"""What signing up and logging in with a password take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.services.sessions.begin import Authenticated

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller, Transport
    from chalicelib.domain.sessions import Device, RefreshToken

PASSWORD = ("pwd",)  # RFC 8176 section 2


class Credentials(NamedTuple):
    """What signup and login take, with the sessions that the browser came with, if any.

    `device_token` is what an earlier login left on the device, unverified.
    """

    email: str
    password: str
    transport: Transport
    carried: tuple[RefreshToken, ...] = ()
    device_token: str | None = None

    def authenticated(self, account: Account, caller: Caller, now: int, device: Device | None = None) -> Authenticated:
        """The person of the account, whose password these are, as a session begins for them."""
        return Authenticated(
            account=account,
            amr=PASSWORD,
            auth_time=now,
            transport=self.transport,
            caller=caller,
            carried=self.carried,
            device=device,
        )
