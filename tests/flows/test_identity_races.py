"""Whatever changes who can get in races with everything else: what comes of both is what comes of one after the other.

One request runs whole at every store call of another one. What the clients are told, which sessions live and what opens
the account must be as if the two had come one after the other, in one order or the other: no third outcome exists.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    AuthError,
    IdentityNotFound,
    IdentityTaken,
    InvalidCredentials,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    Unavailable,
)
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange
from tests.flows.racing import RacedStore
from tests.flows.steps import EMAIL, NEW_PASSWORD, change_password, decoded, holder, link, log_in, sign_up, unlink
from tests.flows.tables import a_table
from tests.world.constants import CLIENT
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Principal
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store

    Act = Callable[["Scene", Services], Grant | None]

MINE = Person("mine", "somewhere@else.example")  # linked at `oidc` from the beginning
OWNER = Person("owner", EMAIL)
UNPROVEN = Person("unproven", EMAIL, email_verified=False)
OTHERS = Person("others", "carol@example.com")


@dataclass
class Scene:
    """An account, two sessions of it, of which each act has its own or both the first, and whom a bearer stands for."""

    world: Federated
    grants: tuple[Grant, Grant]
    side: int = 0

    @property
    def grant(self) -> Grant:
        """The session that asks."""
        return self.grants[self.side]

    @property
    def principal(self) -> Principal:
        """Whom the authorizer has let in with it before the race."""
        return holder(self.world.services, self.grant)

    @classmethod
    def unproven(cls, store: Store) -> Scene:
        """With a password, of an address that nobody has proven."""
        world = Federated.over(store)
        return cls._with_identity(world, sign_up(world.services), log_in(world.services))

    @classmethod
    def passwordless(cls, store: Store) -> Scene:
        """Proven, opened by two identities and no password."""
        world = Federated.over(store)
        return cls._with_identity(world, *(world.log_in(world.google, OWNER) for _ in range(2)))

    @classmethod
    def proven(cls, store: Store) -> Scene:
        """Opened by one identity, and by whichever other one proves the address."""
        world = Federated.over(store)
        return cls(world, (world.log_in(world.google, OWNER), world.log_in(world.google, OWNER)))

    @classmethod
    def empty(cls, store: Store) -> Scene:
        """The address has no account yet; somebody else's does."""
        world = Federated.over(store)
        dave = "dave@example.com"
        return cls._with_identity(world, sign_up(world.services, email=dave), log_in(world.services, email=dave))

    @classmethod
    def _with_identity(cls, world: Federated, grant: Grant, other: Grant) -> Scene:
        return cls(world, (link(world.services, grant, "oidc", code_for(world.oidc, MINE)), other))

    def lives(self, grant: Grant) -> tuple[bool, bool]:
        """Whether the authorizer lets the grant's bearer in, and whether it would be refreshed."""
        access = refreshed = True
        try:
            self.world.keyturn.authorize(grant.access_token)
        except InvalidToken:
            access = False
        if grant.refresh is not None:
            services = self.world.keyturn.container()
            try:
                services.refresh(decoded(services, grant), CLIENT)
            except InvalidGrant:
                refreshed = False
        return access, refreshed

    def password_works(self, password: str) -> bool:
        """Whether it logs in."""
        try:
            log_in(self.world.services, password)
        except InvalidCredentials:
            return False
        return True


def log_in_by_identity(scene: Scene, services: Services) -> Grant:
    """By the identity that has opened the account so far."""
    return exchange(services, scene.world.oidc, MINE)


def arrive_as_owner(scene: Scene, services: Services) -> Grant:
    """With the address verified."""
    return exchange(services, scene.world.google, OWNER)


def arrive_at_oidc(scene: Scene, services: Services) -> Grant:
    """With the address verified, at another provider."""
    return exchange(services, scene.world.oidc, OWNER)


def link_mine(scene: Scene, services: Services) -> Grant:
    """Link an identity of that provider."""
    return link(services, scene.grant, "oidc", code_for(scene.world.oidc, MINE))


def arrive_unproven(scene: Scene, services: Services) -> Grant:
    """With the address said, and not verified."""
    return exchange(services, scene.world.google, UNPROVEN)


def link_owner(scene: Scene, services: Services) -> Grant:
    """Prove the address by linking."""
    return link(services, scene.grant, "google", code_for(scene.world.google, OWNER))


def link_others(scene: Scene, services: Services) -> Grant:
    """Link an identity of another address."""
    return link(services, scene.grant, "google", code_for(scene.world.google, OTHERS))


def arrive_as_others(scene: Scene, services: Services) -> Grant:
    """The same identity, before it is linked, or after."""
    return exchange(services, scene.world.google, OTHERS)


def unlink_oidc(scene: Scene, services: Services) -> Grant:
    """Give up the identity of the beginning."""
    return unlink(services, scene.grant, "oidc")


def unlink_google(scene: Scene, services: Services) -> Grant:
    """Give up the other one."""
    return unlink(services, scene.grant, "google")


def set_first_password(scene: Scene, services: Services) -> Grant:
    """Without a current one."""
    return change_password(services, scene.grant, None)


def change_the_password(scene: Scene, services: Services) -> Grant:
    """With the current one."""
    return change_password(services, scene.grant)


def log_out_everywhere(scene: Scene, services: Services) -> None:
    """End all sessions."""
    services.accounts.log_out_everywhere(scene.principal, CLIENT)


def disable(scene: Scene, services: Services) -> None:
    """End everything."""
    services.accounts.disable(scene.principal.sub, CLIENT)


def register(scene: Scene, services: Services) -> Grant:
    """Sign up with the address and a password."""
    del scene
    return sign_up(services)


ENDERS = (log_out_everywhere, disable)
OUTRUN = (InvalidToken, InvalidGrant, InvalidCredentials, InvalidRequest, IdentityNotFound, IdentityTaken)
ACTS: dict[str, tuple[Callable[[Store], Scene], tuple[Act, ...]]] = {
    "unproven": (
        Scene.unproven,
        (
            log_in_by_identity,
            arrive_as_owner,
            arrive_as_others,
            link_owner,
            link_others,
            unlink_oidc,
            change_the_password,
            *ENDERS,
        ),
    ),
    "passwordless": (
        Scene.passwordless,
        (log_in_by_identity, arrive_as_owner, unlink_oidc, unlink_google, set_first_password, *ENDERS),
    ),
    "proven": (Scene.proven, (arrive_at_oidc, link_mine, set_first_password, unlink_google, *ENDERS)),
    "empty": (Scene.empty, (arrive_as_owner, arrive_unproven, register)),
}


class Race:
    """Two acts in one scene, and what came of them. With `shared` both are asked by the first session."""

    def __init__(self, scene: Scene, acts: tuple[Act, ...], *, shared: bool) -> None:
        self.scene, self.acts, self.shared = scene, acts, shared
        self.timeline: list[tuple[str, str]] = []
        self.came_of: dict[int, Grant | type[AuthError] | None] = {}

    def act(self, side: int, store: RacedStore | None = None) -> int:
        """Do it, again after a 503 as clients do; how many calls the first try made."""
        store = store or RacedStore(self.scene.world.keyturn.store, str(side), self.timeline)
        asked = replace(self.scene, side=0 if self.shared else side)
        try:
            self.came_of[side] = self.acts[side](
                asked, self.scene.world.with_providers("google", "oidc", store=store).services
            )
        except Unavailable:
            self.act(side)
        except AuthError as refusal:
            # Where its session ends, or is renewed, between its reads, an act is refused by what it happens to find
            # first: its own session, or what has become of the account.
            outrun = self.shared or isinstance(refusal, OUTRUN)
            self.came_of[side] = AuthError if outrun else type(refusal)
        return len(store.calls)

    def nest(self, outer: int, before: int) -> None:
        """Run the one, the other one whole before the chosen call."""
        store = RacedStore(self.scene.world.keyturn.store, str(outer), self.timeline)
        store.before = before

        def rival() -> None:
            self.act(1 - outer)

        store.rival = rival
        self.act(outer, store)

    def outcome(self) -> object:
        """What the clients and the owner can see: no ids, which are fresh each time, but whose they are."""
        scene = self.scene
        keyturn = scene.world.keyturn
        held = contents(keyturn.store)
        held.assert_whole()
        assert set(self.came_of) == {0, 1}
        answers = [
            came_of if came_of is None or isinstance(came_of, type) else self._whose(came_of)
            for _, came_of in sorted(self.came_of.items())
        ]
        logins = {
            email: (
                login.account.epoch,
                login.account.disabled,
                login.account.email_verified,
                login.password_digest is not None,
                frozenset((one.provider, one.subject) for one in login.identities),
            )
            for email, login in held.logins.items()
        }
        passwords = [scene.password_works(password) for password in ("correct horse battery", NEW_PASSWORD)]
        return answers, logins, [scene.lives(grant) for grant in scene.grants], passwords

    def _whose(self, grant: Grant) -> tuple[bool, str, bool, tuple[bool, bool]]:
        account = grant.account
        # The address may be proven by another session, between an act's reads and its write: its next answer says so.
        verified = account.email_verified
        if not self.shared and not verified:
            held = self.scene.world.keyturn.store.find_account(account.sub)
            verified = held is not None and held.email_verified
        return account.sub == self.scene.principal.sub, account.email, verified, self.scene.lives(grant)


def assert_serial(name: str, first: int, second: int, make_store: Callable[[], Store], *, shared: bool) -> None:
    """Every interleaving of the two comes to what one of the two orders comes to."""
    make_scene, acts = ACTS[name]
    chosen = acts[first], acts[second]

    def race() -> Race:
        return Race(make_scene(make_store()), chosen, shared=shared)

    allowed = []
    calls = {}
    for order in ((0, 1), (1, 0)):
        serial = race()
        calls[order[0]] = serial.act(order[0])
        serial.act(order[1])
        allowed.append(serial.outcome())
    # After one call is before the next; after the last one is after it all.
    for outer, position in [(outer, position) for outer, made in calls.items() for position in range(made)]:
        raced = race()
        raced.nest(outer, position)
        assert raced.outcome() in allowed, f"before call {position} of {chosen[outer].__name__}: {raced.timeline}"


PAIRS = [
    pytest.param(name, first, second, id=f"{name}-{acts[first].__name__}-{acts[second].__name__}")
    for name, (_, acts) in ACTS.items()
    for first, second in combinations_with_replacement(range(len(acts)), 2)
]


@pytest.mark.parametrize("shared", [False, True], ids=["two-sessions", "one-session"])
@pytest.mark.parametrize(("name", "first", "second"), PAIRS)
def test_races_come_to_what_one_order_comes_to(name: str, first: int, second: int, *, shared: bool) -> None:
    """At every call, both ways: nothing of an old state is accepted, and nobody is locked out."""
    assert_serial(name, first, second, FakeStore, shared=shared)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        pytest.param("unproven", log_in_by_identity, arrive_as_owner, marks=pytest.mark.slow),
        pytest.param("unproven", link_others, arrive_as_others, marks=pytest.mark.slow),
        ("passwordless", unlink_oidc, unlink_google),
        pytest.param("passwordless", set_first_password, unlink_oidc, marks=pytest.mark.slow),
        pytest.param("empty", arrive_as_owner, arrive_as_owner, marks=pytest.mark.slow),
        ("empty", arrive_as_owner, register),
    ],
)
def test_races_come_to_what_one_order_comes_to_on_a_real_table(
    name: str,
    first: Act,
    second: Act,
) -> None:
    """The same on the persistent engine, for one race of each kind of write."""
    acts = ACTS[name][1]
    assert_serial(name, acts.index(first), acts.index(second), a_table, shared=False)
