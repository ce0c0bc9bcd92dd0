"""A stage of the version before, which had one root-secret set for all purposes: no session ends, no leak stays.

TOKENS were made by the version before, at START, under the root secret in BEFORE. They cannot be made again here.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from chalicelib.crypto.csrf_tokens import CsrfTokens
from chalicelib.crypto.device_tokens import DeviceTokens
from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keyring import KeyRing
from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.crypto.login_states import LoginStates
from chalicelib.crypto.random import SystemTokenSource
from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
from chalicelib.domain.sessions import Device
from chalicelib.errors import LoginExpired
from infra import rotate as command
from infra.failure import Failure
from infra.keys import PUBLISHED_AHEAD
from tests.unit.key_makers import NAMES, SETS, Cut, Recorder, ensure, rotate, secrets, works, works_or_refuses_all
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX, parameters_with_keys

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport

# Two secrets, as after a rotation: what is copied is the whole set.
BEFORE = [
    {
        "id": "before01",
        "key": "Lk6bQKp2QPpRrowgs4iRUzBn0-4RdyBZT_o-sAGwLr0",  # pragma: allowlist secret
        "activate_at": START - 3600,
    },
    {
        "id": "before02",
        "key": "vVZqO2sK0lN1mYc4x7uW8dTgRjFhEaPbQiCkUzXyLoM",  # pragma: allowlist secret
        "activate_at": START - 60,
    },
]
BODY = "kt1.before01.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAAADICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj"
TOKENS: dict[Transport, str] = {
    "body": f"{BODY}_41Tp1X5ruiKg8V3z9IKUk",
    "cookie": f"{BODY}-G5FiB8knZ29vofHWrkg4u",
    "session": f"{BODY}_anzRXw8pKDSQvjDK90kCt",
}
SID = b64url(bytes(range(16, 32)))
CSRF_TOKEN = "zRumiNk5sYHZGMKQv5IXagzhMwh-5LVZhVmtCDiWOYs"  # pragma: allowlist secret
STATE = "AAECAwQFBgcICQoLDA0OD1_zLZjXsX9ta0nUWJ_zy-3RDodDjaIdN27zrqU"  # pragma: allowlist secret
EMAIL = "alice@example.com"
DEVICE_TOKEN = "kd1.before01.AAECAwQFBgcICQoLDA0ODwAAAAJsNyAAtdrag02u3rrHtPzTeHib4A"
BOTH = pytest.mark.parametrize("leaked", [False, True])


def stage_of_before(algorithm: str = "ES256") -> Recorder:
    """Its parameters: public set, private key, and one root-secret set."""
    ssm = Recorder()
    ssm.values |= parameters_with_keys(algorithm).values
    for name in SETS:
        del ssm.values[name]
    ssm.values[NAMES.root] = json.dumps({"secrets": BEFORE})
    return ssm


def migrated() -> Recorder:
    """The same stage after a deployment of this version."""
    ssm = stage_of_before()
    ensure(ssm)
    ssm.writes.clear()
    return ssm


def ids(ssm: Recorder) -> set[str]:
    """The ids of every root secret of both groups."""
    return {secret["id"] for group in GROUPS for secret in secrets(ssm, group)}


def test_both_groups_get_the_secrets_of_before() -> None:
    """Deploying copies them, once; the old parameter stays as it is, for functions of before and for a rollback."""
    ssm = stage_of_before()
    before = dict(ssm.values)
    assert ensure(ssm) == SETS
    assert ssm.writes == [(name, "SecureString") for name in SETS]
    assert [secrets(ssm, group) for group in GROUPS] == [BEFORE, BEFORE]
    assert {name: value for name, value in ssm.values.items() if name not in SETS} == before
    assert ensure(ssm) == []
    assert works(ssm)


def test_tokens_of_before_verify() -> None:
    """Nobody is logged out: refresh tokens, CSRF tokens, states and device tokens of the version before are genuine.

    `guard` needs the group `sessions` alone for those that it takes.
    """
    ssm = migrated()
    guard = KeyRing(ssm, PREFIX, FrozenClock(), groups=(SESSIONS,))
    for transport, token in TOKENS.items():
        presented = RefreshTokenCodec(guard).decode(token, transport)
        assert (presented.sid, presented.generation, presented.secret) == (SID, 3, bytes(range(32, 64)))
        assert RefreshTokenCodec(guard).encode(presented, "before01", transport) == token
    assert CsrfTokens(guard).verify(CSRF_TOKEN, SID)
    api = KeyRing(ssm, PREFIX, FrozenClock(), groups=GROUPS)
    assert LoginStates(api).verify(STATE, "google").expires_at == START + 600
    devices = DeviceTokens(api, SystemTokenSource())
    assert devices.verify(DEVICE_TOKEN, EMAIL, START) == Device(b64url(bytes(range(16))), 2)


def test_guard_alone_verifies_no_token_of_logins() -> None:
    """With the group `sessions` alone nothing of `logins` is genuine, whoever made it."""
    guard = KeyRing(migrated(), PREFIX, FrozenClock(), groups=(SESSIONS,))
    assert DeviceTokens(guard, SystemTokenSource()).verify(DEVICE_TOKEN, EMAIL, START) is None
    with pytest.raises(LoginExpired):
        LoginStates(guard).verify(STATE, "google")


@pytest.mark.parametrize("step", range(2))
def test_interrupted_copy_is_completed(step: int) -> None:
    """Whichever write is the last one: what is there is what was there before, and deploying again copies the rest."""
    ssm = stage_of_before()
    before = dict(ssm.values)
    ssm.dies_at = step
    with pytest.raises(Cut):
        ensure(ssm)
    assert before.items() <= ssm.values.items()
    assert {name for name in SETS if name in ssm.values} == {*SETS[:step]}
    ssm.dies_at = None
    assert ensure(ssm) == SETS[step:]
    assert [secrets(ssm, group) for group in GROUPS] == [BEFORE, BEFORE]


@BOTH
@pytest.mark.parametrize("missing", [SETS, SETS[:1], SETS[1:]], ids=["both", "sessions", "logins"])
def test_rotation_waits_for_a_deployment(missing: list[str], leaked: bool) -> None:  # noqa: FBT001  # both ways
    """While functions of before may run, their keys are neither taken from them nor left to them where they leaked.

    The refusal is one line with the remedy, and writes nothing.
    """
    ssm = migrated()
    for name in missing:
        del ssm.values[name]
    before = dict(ssm.values)
    with pytest.raises(Failure, match=r"run `make deploy STAGE=\.\.\.` first") as refused:
        rotate(ssm, leaked=leaked)
    assert all(name in str(refused.value) for name in (NAMES.root, *missing))
    assert "\n" not in str(refused.value)
    assert (ssm.values, ssm.writes) == (before, [])


@BOTH
def test_rotation_deletes_the_root_of_before(leaked: bool) -> None:  # noqa: FBT001  # both ways
    """The old parameter goes with the first rotation, before any new secret is there that a rollback would not know."""
    ssm = migrated()
    changed = rotate(ssm, leaked=leaked)
    assert changed[0] == NAMES.root
    assert ssm.writes[0] == (NAMES.root, "deleted")
    assert NAMES.root not in ssm.values
    assert works(ssm)
    assert ids(ssm) & {"before01", "before02"} == (set() if leaked else {"before01", "before02"})
    new = [secrets(ssm, group)[-1] for group in GROUPS]
    assert new[0]["key"] != new[1]["key"]  # from now on the groups have nothing in common
    assert NAMES.root not in rotate(ssm, now=START + 1, leaked=leaked)


@BOTH
@pytest.mark.parametrize("step", range(6))
def test_interrupted_rotation_is_completed(step: int, leaked: bool) -> None:  # noqa: FBT001  # both ways
    """Whichever write is the last one, the stage works, and rotating again completes it: no leaked secret stays."""
    ssm = migrated()
    ssm.dies_at = step
    try:
        rotate(ssm, leaked=leaked)
    except Cut:
        assert works_or_refuses_all(ssm, START, {"before01", "before02"} if leaked else set())
        assert (NAMES.root in ssm.values) == (step == 0)
        ssm.dies_at = None
        assert ensure(ssm) == [] or leaked  # a deployment in between brings nothing back
        rotate(ssm, now=START + 1, leaked=leaked)
    assert ssm.dies_at is None or step == 5  # the last write of a rotation that drops no key is the fifth
    assert NAMES.root not in ssm.values
    assert works(ssm, START + 1)
    assert works(ssm, START + 1 + PUBLISHED_AHEAD)
    assert not leaked or not ids(ssm) & {"before01", "before02"}
    assert leaked or {"before01", "before02"} <= ids(ssm)


@pytest.mark.parametrize("broken", ["", "changeme", "{}", '{"secrets":[]}', '{"secrets":[{"id":"a","key":"AAAA"}]}'])
def test_unreadable_root_of_before_is_told(broken: str) -> None:
    """Nothing is copied from what cannot be read, or made in its place; one line says how to go on, and that works."""
    ssm = stage_of_before()
    ssm.values[NAMES.root] = broken
    with pytest.raises(Failure, match=f"aws ssm delete-parameters --names {NAMES.root}$"):
        ensure(ssm)
    assert ssm.writes == []
    del ssm.values[NAMES.root]
    ensure(ssm)
    assert works(ssm)


@BOTH
def test_command_refuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    leaked: bool,  # noqa: FBT001  # both ways
) -> None:
    """`make rotate-keys` says what to do first, and ends with 1; after it, it says what was changed."""
    ssm = stage_of_before("RS256")  # as the stage's settings have it
    ssm.values = {name.replace(PREFIX, "/keyturn/dev"): value for name, value in ssm.values.items()}
    monkeypatch.setattr("boto3.Session", lambda: SimpleNamespace(client=lambda _: ssm))
    monkeypatch.setattr("time.time", lambda: float(START))
    monkeypatch.setattr("sys.argv", ["rotate", "--stage", "dev", *(["--leaked"] if leaked else [])])
    assert command.main() == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert "make deploy" in output.err
    for group in (SESSIONS, LOGINS):
        ssm.values[f"/keyturn/dev/{group}"] = ssm.values["/keyturn/dev/root"]
    assert command.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert {f"parameter /keyturn/dev/{name}: changed" for name in (*GROUPS, "root")} <= {*lines}
