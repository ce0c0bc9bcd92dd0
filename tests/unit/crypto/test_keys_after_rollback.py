"""The version before, deployed again, has written root secrets: the next deployment of this version takes them over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keyring import COOLDOWN, KEPT, KeyRing
from chalicelib.crypto.keys import LOGINS, SESSIONS
from infra.failure import Failure
from infra.keys import PUBLISHED_AHEAD
from tests.unit.crypto.test_keys_of_before import BEFORE, BOTH, ids, migrated, stage_of_before
from tests.unit.key_makers import NAMES, SETS, Cut, Recorder, ensure, rotate, secrets, works
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable


def secret(number: int, activate_at: int = START) -> dict[str, Any]:
    """A root secret as the version before makes one."""
    return {
        "id": f"rolled{number}",
        "key": b64url(bytes(range(100 + number, 132 + number))),
        "activate_at": activate_at,
    }


NEW = secret(1)
# What the version before can leave in /root: replaced, rotated, a dropped secret, and the same id with another key.
LEFT = pytest.mark.parametrize(
    "left",
    [[NEW], [*BEFORE, secret(1, START + PUBLISHED_AHEAD)], BEFORE[1:], [BEFORE[0], {**NEW, "id": BEFORE[1]["id"]}]],
    ids=["replaced", "rotated", "dropped", "changed"],
)


def leave(ssm: Recorder, left: list[dict[str, Any]]) -> None:
    """The version before writes its root secrets."""
    ssm.values[NAMES.root] = json.dumps({"secrets": left})


@LEFT
def test_both_groups_get_what_the_version_before_left(left: list[dict[str, Any]]) -> None:
    """A leaked secret that it replaced is gone, tokens of its new secret verify, and /root stays. Once is enough."""
    ssm = migrated()
    leave(ssm, left)
    root = ssm.values[NAMES.root]
    assert ensure(ssm) == SETS
    assert ssm.writes == [(name, "SecureString") for name in SETS]
    assert [secrets(ssm, group) for group in GROUPS] == [left, left]
    assert ssm.values[NAMES.root] == root
    assert works(ssm)
    assert ensure(ssm) == []
    assert len(ssm.writes) == 2


@pytest.mark.parametrize("behind", GROUPS)
@pytest.mark.parametrize("broken", [None, "", "changeme", "[]", '{"secrets":[]}'])
def test_one_group_that_is_no_copy_gets_one(behind: str, broken: str | None) -> None:
    """The other one is not written. A damaged group loses nothing: what it held is in /root."""
    ssm = migrated()
    ssm.values[NAMES.group(behind)] = json.dumps({"secrets": [NEW]}) if broken is None else broken
    assert ensure(ssm) == [NAMES.group(behind)]
    assert [secrets(ssm, group) for group in GROUPS] == [BEFORE, BEFORE]


@pytest.mark.parametrize("step", range(2))
@pytest.mark.parametrize("again", [False, True], ids=["as it was", "replaced again"])
@pytest.mark.parametrize("make", [stage_of_before, migrated])
def test_interrupted_copy_is_completed(make: Callable[[], Recorder], again: bool, step: int) -> None:  # noqa: FBT001  # both ways
    """Wherever it was cut, and whatever the version before does in between: the next deployment copies /root."""
    ssm = make()
    leave(ssm, [NEW])
    ssm.dies_at = step
    with pytest.raises(Cut):
        ensure(ssm)
    ssm.dies_at = None
    left = [secret(2)] if again else [NEW]
    leave(ssm, left)
    assert ensure(ssm) == (SETS if again else SETS[step:])
    assert [secrets(ssm, group) for group in GROUPS] == [left, left]
    assert ensure(ssm) == []


@BOTH
def test_rollback_after_a_rotation(leaked: bool) -> None:  # noqa: FBT001  # both ways
    """A rotation deleted /root, and the version before made a new one: its functions were the last to make tokens."""
    ssm = migrated()
    rotate(ssm, leaked=leaked)
    leave(ssm, [NEW])
    assert ensure(ssm) == SETS
    assert ids(ssm) == {NEW["id"]}


class RotatedMeanwhile(Recorder):
    """A parameter store in which a rotation runs between two reads of a deployment."""

    before_read: int | None = None
    rotation: Callable[[], object] | None = None

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803  # boto3's names
        """Read it; the rotation runs first where this is its turn."""
        if self.rotation is not None and self.before_read is not None:
            self.before_read -= 1
            if self.before_read < 0:
                rotation, self.rotation = self.rotation, None
                rotation()
        return super().get_parameter(Name=Name, WithDecryption=WithDecryption)


@BOTH
@pytest.mark.parametrize("read", range(6))
def test_rotation_during_a_deployment_is_not_undone(read: int, leaked: bool) -> None:  # noqa: FBT001  # both ways
    """Whenever it comes, its secrets stay: a deployment that saw /root before does not copy it over them."""
    ssm = RotatedMeanwhile()
    ssm.values |= migrated().values
    ssm.before_read = read  # of six: the public set, the signing key, and a group and /root twice
    ssm.rotation = lambda: rotate(ssm, leaked=leaked)
    ensure(ssm)
    assert ssm.rotation is None
    assert [len(secrets(ssm, group)) for group in GROUPS] == ([1, 1] if leaked else [3, 3])
    assert NAMES.root not in ssm.values


@BOTH
@LEFT
def test_rotation_waits_for_the_copy(left: list[dict[str, Any]], leaked: bool) -> None:  # noqa: FBT001  # both ways
    """Functions of before are deployed; and cut after /root was deleted, it would leave the leaked secret in use."""
    ssm = migrated()
    leave(ssm, left)
    values = dict(ssm.values)
    with pytest.raises(Failure, match=r"run `make deploy STAGE=\.\.\.` first"):
        rotate(ssm, leaked=leaked)
    assert (ssm.values, ssm.writes) == (values, [])
    ensure(ssm)
    assert rotate(ssm, leaked=leaked)[0] == NAMES.root
    assert not leaked or not ids(ssm) & {entry["id"] for entry in (*BEFORE, *left)}


@pytest.mark.parametrize("there", [SETS, SETS[:1], SETS[1:]], ids=["both", "sessions", "logins"])
def test_unreadable_root_is_told(there: list[str]) -> None:
    """Nothing is written, and the remedy that the error names leaves no secret that may have leaked."""
    ssm = migrated()
    for name in {*SETS} - {*there}:
        del ssm.values[name]
    ssm.values[NAMES.root] = "changeme"
    with pytest.raises(Failure) as refused:
        ensure(ssm)
    assert ssm.writes == []
    if there == SETS:
        with pytest.raises(Failure, match="LEAKED=yes"):
            rotate(ssm)
        assert "`make rotate-keys STAGE=... LEAKED=yes`" in str(refused.value)
        rotate(ssm, leaked=True)
    else:
        assert str(refused.value).endswith(f"aws ssm delete-parameters --names {' '.join([NAMES.root, *there])}")
        for name in (NAMES.root, *there):
            del ssm.values[name]
    ensure(ssm)
    assert works(ssm)
    assert not ids(ssm) & {"before01", "before02"}


def test_running_container_takes_the_copy() -> None:
    """A token of the new secret is genuine at once; a minute later new tokens are made with it, and no other is."""
    ssm, clock = migrated(), FrozenClock()
    ring = KeyRing(ssm, PREFIX, clock, groups=(SESSIONS, LOGINS))
    assert ring.session_secret().id == "before02"
    leave(ssm, [NEW])
    ensure(ssm)
    clock.advance(COOLDOWN)
    assert ring.find_session_secret(NEW["id"]) is not None
    other = KeyRing(ssm, PREFIX, clock, groups=GROUPS)  # one that starts now
    clock.advance(KEPT)
    for container in (ring, other):
        assert (container.session_secret().id, container.login_secret().id) == (NEW["id"], NEW["id"])
        assert container.find_session_secret("before02") is None
