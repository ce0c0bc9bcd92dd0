"""Keys that have leaked stay out, whatever else writes to the parameter store at the same time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.keyring import COOLDOWN, KeyRing
from chalicelib.errors import ConfigurationError, Unavailable
from infra.failure import Failure
from infra.key_parameters import LARGEST, TRIES, WITHDRAWN_FOR, entries_of
from infra.keys import PUBLISHED_AHEAD
from tests.unit.key_containers import SESSIONS, WITHDRAWN, Container
from tests.unit.key_makers import NAMES, SETS, Cut, Recorder, ensure, entries, rotate, secrets, works
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable


class Interleaved(Recorder):
    """A parameter store in which another command runs whole before a chosen call of the first command."""

    def __init__(self, other: Callable[[Interleaved], object], call: int) -> None:
        super().__init__()
        self.other: Callable[[Interleaved], object] | None = None
        ensure(self)
        self.other, self.before_call = other, call
        self.leaked = {entry["kid"] for entry in entries(self)}
        self.leaked |= {secret["id"] for group in GROUPS for secret in secrets(self, group)}

    def _turn(self) -> None:
        if self.other is None:
            return
        self.before_call -= 1
        if self.before_call < 0:
            other, self.other = self.other, None
            other(self)

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803  # boto3's names
        """Read it, after the other command where this is its turn."""
        self._turn()
        return super().get_parameter(Name=Name, WithDecryption=WithDecryption)

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool = False) -> dict[str, Any]:  # noqa: N803
        """Write it, as above."""
        self._turn()
        return super().put_parameter(Name=Name, Value=Value, Type=Type, Overwrite=Overwrite)

    def delete_parameter(self, *, Name: str) -> None:  # noqa: N803
        """Delete it, as above."""
        self._turn()
        super().delete_parameter(Name=Name)

    @property
    def held(self) -> set[str]:
        """The ids in all sets."""
        found = {entry["kid"] for entry in entries(self)}
        return found | {secret["id"] for group in GROUPS for secret in secrets(self, group)}


def leak(ssm: Recorder) -> None:
    """What `make rotate-keys LEAKED=yes` does."""
    rotate(ssm, now=START + 5, leaked=True)


@pytest.mark.parametrize("leaked_first", [False, True])
@pytest.mark.parametrize("call", range(40))
def test_rotation_beside_a_leak_rotation_brings_nothing_back(call: int, leaked_first: bool) -> None:  # noqa: FBT001  # both ways
    """Wherever one of the two runs inside the other, no leaked key is in a set afterwards, and the stage works."""
    other: Callable[[Recorder], object] = (lambda ssm: rotate(ssm, now=START + 5)) if leaked_first else leak
    ssm = Interleaved(other, call)
    try:
        rotate(ssm, now=START + 5, leaked=leaked_first)
    except Failure as refused:
        assert "run this one again" in str(refused)  # noqa: PT017  # most interleavings are let through
    ran, ssm.other = ssm.other is None, None
    if not ran and not leaked_first:
        return
    assert not ssm.held & ssm.leaked
    for moment in (START + 5, START + 5 + PUBLISHED_AHEAD):
        assert works(ssm, moment)
    for entry in entries(ssm):
        assert NAMES.signing(entry["kid"]) in ssm.values


@pytest.mark.parametrize("call", range(30))
def test_two_rotations_lose_no_key_of_each_other(call: int) -> None:
    """Both keys are published, each with its private half, and both secrets of each group."""
    ssm = Interleaved(lambda other: rotate(other, now=START + 5), call)
    rotate(ssm, now=START + 5)
    if ssm.other is None:
        assert len(entries(ssm)) == 3
        assert [len(secrets(ssm, group)) for group in GROUPS] == [3, 3]
        assert all(NAMES.signing(entry["kid"]) in ssm.values for entry in entries(ssm))
    assert works(ssm, START + 5 + PUBLISHED_AHEAD)


@pytest.mark.parametrize("call", range(30))
def test_two_leak_rotations_leave_a_stage_that_works(call: int) -> None:
    """No leaked key is left; where one has withdrawn the key of the other, it is told to run again."""
    ssm = Interleaved(leak, call)
    try:
        leak(ssm)
    except Failure:
        ssm.other = None
        leak(ssm)
    ssm.other = None
    assert not ssm.held & ssm.leaked
    assert works(ssm, START + 5)


def test_writer_gives_up_in_one_line() -> None:
    """Another command that writes all the time is told, after a bounded number of writes."""

    class Busy(Recorder):
        def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool = False) -> dict[str, Any]:  # noqa: N803
            if Name == NAMES.public and self.busy:
                super().put_parameter(Name=Name, Value=Value, Type=Type, Overwrite=True)
            return super().put_parameter(Name=Name, Value=Value, Type=Type, Overwrite=Overwrite)

        busy = False

    ssm = Busy()
    ensure(ssm)
    ssm.writes.clear()
    ssm.busy = True
    with pytest.raises(Failure, match="run this one again") as refused:
        rotate(ssm, now=START + 10)
    assert "\n" not in str(refused.value)
    assert [name for name, _ in ssm.writes].count(NAMES.public) == 2 * TRIES


def test_withdrawn_ids_are_listed_before_anything_is_published() -> None:
    """The list comes before the new sets, and names the leaked keys of every kind, unpublished private keys too."""
    ssm = Recorder()
    ensure(ssm)
    ssm.values[NAMES.signing("left-behind")] = "pem"
    leaked = {"left-behind", entries(ssm)[0]["kid"], *(secrets(ssm, group)[0]["id"] for group in GROUPS)}
    ssm.writes.clear()
    leak(ssm)
    written = [name for name, kind in ssm.writes if kind != "deleted"]
    assert written[1:] == [NAMES.withdrawn, NAMES.public, *SETS]
    listed = json.loads(ssm.values[NAMES.withdrawn])["withdrawn"]
    assert listed == dict.fromkeys(listed, START + 5 + WITHDRAWN_FOR)
    assert listed.keys() == leaked


def test_ids_leave_the_list_in_time() -> None:
    """The next rotation after a leak removes ids whose time is over. The list always fits its parameter."""
    ssm = Recorder()
    ensure(ssm)
    leak(ssm)
    first = {*json.loads(ssm.values[NAMES.withdrawn])["withdrawn"]}
    rotate(ssm, now=START + 5 + WITHDRAWN_FOR, leaked=True)
    assert not first & {*json.loads(ssm.values[NAMES.withdrawn])["withdrawn"]}
    for number in range(80):
        rotate(ssm, now=START + 6 + WITHDRAWN_FOR + number, leaked=True)
    assert LARGEST - 100 < len(ssm.values[NAMES.withdrawn]) <= LARGEST


@pytest.mark.parametrize(
    "broken", ["changeme", "[]", '{"withdrawn":[]}', '{"withdrawn":{"a":"x"}}', '{"withdrawn":{"a":1e999}}']
)
def test_damaged_list_refuses(broken: str) -> None:
    """A damaged list lets no key through and no planned command write; a rotation after a leak replaces it."""
    container = Container()
    container.parameters.values[WITHDRAWN] = broken
    with pytest.raises(ConfigurationError, match="make rotate-keys LEAKED=yes"):
        container.ring.public_keys()
    ssm = Recorder()
    ensure(ssm)
    ssm.values[NAMES.withdrawn] = broken
    for command in (ensure, rotate):
        with pytest.raises(ConfigurationError):
            command(ssm)
    leak(ssm)
    assert works(ssm, START + 5)


def test_container_refuses_a_withdrawn_key_wherever_it_appears(container: Container) -> None:
    """A leaked key that was written back verifies nothing and signs nothing, of each kind."""
    before = dict(container.parameters.values)
    container.rotate(leaked=True)
    for name in (*SETS, NAMES.public):
        member = "keys" if name == NAMES.public else "secrets"
        both = [*entries_of(before[name], member), *entries_of(container.parameters.values[name], member)]
        container.parameters.values[name] = json.dumps({member: both[::-1]})
    (new,) = container.ring.public_keys()
    assert new.kid != json.loads(before[NAMES.public])["keys"][0]["kid"]
    assert len(container.ring.session_secrets()) == len(container.ring.login_secrets()) == 1
    assert container.ring.find_session_secret(json.loads(before[SESSIONS])["secrets"][0]["id"]) is None
    container.parameters.values |= before
    fresh = KeyRing(container.parameters, PREFIX, FrozenClock(), groups=GROUPS)
    assert fresh.public_keys() == ()
    for read in (fresh.signing_key, fresh.session_secret, fresh.login_secret):
        with pytest.raises(Unavailable):
            read()


def test_container_that_read_between_the_writes_asks_again(container: Container) -> None:
    """All keys are withdrawn and the new ones not published yet: it is 503, and over within the cooldown."""
    ids = [container.kid, *(entries_of(container.parameters.values[name], "secrets")[0]["id"] for name in SETS)]
    container.parameters.values[WITHDRAWN] = json.dumps({"withdrawn": dict.fromkeys(ids, START)})
    with pytest.raises(Unavailable):
        container.ring.signing_key()
    container.rotate(leaked=True)
    container.clock.advance(COOLDOWN)
    assert container.ring.signing_key().kid == container.kid


@pytest.mark.parametrize("step", range(1, 5))
def test_deployment_completes_an_interrupted_leak_rotation(step: int) -> None:
    """Where every key of a set is withdrawn, `make deploy` makes one that works at once, and so does a rotation."""
    for command in (ensure, rotate):
        ssm = Recorder()
        ensure(ssm)
        ssm.dies_at = len(ssm.writes) + step
        with pytest.raises(Cut):
            leak(ssm)
        ssm.dies_at = None
        command(ssm, now=START + 6)
        assert works(ssm, START + 6)
