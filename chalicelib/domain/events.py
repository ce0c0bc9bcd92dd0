"""Every event that is written down: what kind of outcome it has, who sees it, and what an alarm sees of it.

Names and outcomes are in logs and in the table, so that none of them changes its meaning. docs/events.md says what each
of them means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# success  what was asked for has happened
# failure  it was refused
# alarm    it is what an attack looks like
# error    it was decided by nobody, because something is broken or away
Outcome = Literal["success", "failure", "alarm", "error"]

# Which events an owner's list shows where it has no room for all: an event makes room for those of ranks before its
# own, and for newer ones of its own rank.
#
# access  it changes who may get in
# alarm   it is any other alarm
# other   it is neither
Rank = Literal["access", "alarm", "other"]
RANKS: tuple[Rank, ...] = ("access", "alarm", "other")


class Kind(NamedTuple):
    """One kind of event. `shown`: the owner of the account that it names sees it. `metric`: its name as one.

    `shown_after` is how many seconds later the owner's list has it. `changes_access`: it changes who may get in, so
    that only newer events of such kinds displace it from the list.
    """

    outcome: Outcome
    shown: bool = False
    metric: str | None = None
    shown_after: int = 0
    changes_access: bool = False

    @property
    def rank(self) -> Rank:
        """What may displace it from its owner's list. An alarm that changes who may get in is a change of access."""
        if self.changes_access:
            return "access"
        return "alarm" if self.outcome == "alarm" else "other"


# Seconds. A list that told at once when the key was turned would tell a thief when to come inside the window.
LATE = 2 * 3600


EVENTS: Mapping[str, Kind] = {
    # Accounts and sessions
    "signed_up": Kind("success", shown=True),
    "signup_refused": Kind("failure"),
    "logged_in": Kind("success", shown=True),
    "login_refused": Kind("failure", shown=True),
    "too_many_attempts": Kind("failure", shown=True, metric="TooManyAttempts"),
    "rehash_failed": Kind("error"),
    "logged_out": Kind("success", shown=True),
    "logged_out_everywhere": Kind("success", shown=True),
    "session_ended": Kind("success", shown=True),
    "sessions_removed": Kind("success", shown=True),
    "token_revoked": Kind("success", shown=True),
    "password_changed": Kind("success", shown=True, metric="PasswordChanged", changes_access=True),
    "password_change_refused": Kind("failure", shown=True),
    "breach_lookup_failed": Kind("error", metric="BreachLookupFailed"),
    "account_disabled": Kind("success", shown=True, changes_access=True),
    "access_may_have_changed": Kind("error", shown=True, changes_access=True),
    # Identities
    "identity_linked": Kind("success", shown=True, changes_access=True),
    "identity_unlinked": Kind("success", shown=True, changes_access=True),
    "account_taken_over": Kind("alarm", shown=True, metric="AccountTakenOver", changes_access=True),
    "account_may_be_taken_over": Kind("alarm", shown=True, metric="AccountTakenOver", changes_access=True),
    # Refreshing
    "refresh_answered_late": Kind("success", shown=True, shown_after=LATE),
    "refresh_from_changed_client": Kind("success", shown=True, shown_after=LATE),
    # What an attack looks like. A forgery takes a leaked key: it is the operator's to see, and whoever has the key must
    # not be able to fill an owner's list.
    "refresh_token_reused": Kind("alarm", shown=True, metric="RefreshTokenReused"),
    "refresh_from_elsewhere": Kind("alarm", shown=True, metric="RefreshFromElsewhere", shown_after=LATE),
    "refresh_answered_late_often": Kind("alarm", shown=True, metric="RefreshAnsweredLateOften", shown_after=LATE),
    "refresh_token_forged": Kind("alarm", metric="TokenForged"),
    "session_cookie_forged": Kind("alarm", metric="TokenForged"),
    # Requests. What a guard denies is the guarded API's business, and may be every second request.
    "token_refused": Kind("failure"),
    "guard_refused": Kind("failure"),
    "request_refused": Kind("failure"),
    "foreign_event": Kind("error"),
    "authorizer_failed": Kind("error", metric="AuthorizerFailed"),
    "unexpected_error": Kind("error", metric="UnexpectedError"),
}

# The facts that an owner sees, by the names that they have there. All others are for the operator alone.
SHOWN_FACTS: Mapping[str, str] = {
    "by": "by",
    "kind": "kind",
    "method": "method",
    "provider": "provider",
    "sid": "session_id",
    "what": "what",
    "why": "why",
}

KEPT = 90 * 86400  # seconds: as long as the log (infra/deploy.py) and the longest session


class SecurityEvent(NamedTuple):
    """One decision about an account, as its owner may read it until `expires_at`.

    `id` tells events of one second apart, the same for each delivery of one event. `event` and `outcome` are of
    domain/events.py, and so is `rank`, which says what displaces it from the list; `facts` say why and by what, and
    hold no secret. The list has it from `shown_at` on.
    """

    sub: str
    at: int
    id: str
    event: str
    outcome: str
    request_id: str
    address: str
    user_agent: str
    facts: Mapping[str, str]
    shown_at: int
    expires_at: int
    rank: Rank = "other"
