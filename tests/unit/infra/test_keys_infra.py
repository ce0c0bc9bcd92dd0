"""How keys are made: what is missing and no more, in an order that can be cut anywhere, and pruned in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.crypto.encoding import from_b64url
from chalicelib.crypto.keyring import KEPT, KeyRing
from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.crypto.refresh_tokens import FORM
from chalicelib.errors import ConfigurationError
from chalicelib.settings.sessions import DAY
from infra import key_parameters
from infra.keys import KEPT_AFTER_SUCCESSOR, PUBLISHED_AHEAD, SECRET_KEPT_AFTER_SUCCESSOR
from tests.unit.key_makers import (
    NAMES,
    SETS,
    Cut,
    Recorder,
    ensure,
    entries,
    rotate,
    secrets,
    works,
    works_or_refuses_all,
)
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


def not_working(ssm: MemoryParameters) -> bool:
    """Whether a container that starts now refuses to."""
    with pytest.raises(ConfigurationError, match="make deploy"):
        works(ssm)
    return True


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_first_keys_work_at_once(algorithm: str) -> None:
    """A new stage has a signing key and root secrets that are active, each under its name and type."""
    ssm = Recorder()
    made = ensure(ssm, algorithm)
    kid = entries(ssm)[0]["kid"]
    assert made == [NAMES.signing(kid), NAMES.public, *SETS]
    assert ssm.writes == [
        (NAMES.signing(kid), "SecureString"),
        (NAMES.public, "String"),
        *((name, "SecureString") for name in SETS),
    ]
    assert entries(ssm)[0]["alg"] == algorithm
    assert works(ssm)


def test_form_is_what_runtime_reads() -> None:
    """Names are the documented ones, and an id fits into a refresh token."""
    ssm = Recorder()
    ensure(ssm)
    kid = entries(ssm)[0]["kid"]
    assert set(ssm.values) == {f"{PREFIX}/public", f"{PREFIX}/sessions", f"{PREFIX}/logins", f"{PREFIX}/signing/{kid}"}
    for group in GROUPS:
        (secret,) = secrets(ssm, group)
        assert set(secret) == {"id", "key", "activate_at"}
        assert len(from_b64url(secret["key"])) == 32
        assert FORM.fullmatch(f"kt1.{secret['id']}.{'A' * 112}")


def test_public_set_has_no_private_member() -> None:
    """What is published is a public JWK and nothing else."""
    ssm = Recorder()
    for algorithm, members in (("ES256", {"crv", "x", "y"}), ("EdDSA", {"crv", "x"})):
        ssm.values.clear()
        ensure(ssm, algorithm)
        assert set(entries(ssm)[0]) == {"kty", "kid", "use", "alg", "activate_at", *members}


def test_repeating_makes_nothing() -> None:
    """What is there stays as it is, byte for byte."""
    ssm = Recorder()
    ensure(ssm)
    before = dict(ssm.values)
    assert ensure(ssm, now=START + DAY) == []
    assert ssm.values == before


def test_two_stages_share_nothing() -> None:
    """Each stage has keys of its own, and each of its groups root secrets of its own."""
    one, other = Recorder(), Recorder()
    ensure(one)
    ensure(other)
    assert entries(one)[0]["x"] != entries(other)[0]["x"]
    assert len({secrets(ssm, group)[0]["key"] for ssm in (one, other) for group in GROUPS}) == 4


@pytest.mark.parametrize("step", range(4))
def test_first_keys_survive_an_interruption(step: int) -> None:
    """Whichever write is the last one, deploying again completes the set, and replaces nothing that is in use."""
    ssm = Recorder()
    ssm.dies_at = step
    with pytest.raises(Cut):
        ensure(ssm)
    published = ssm.values.get(NAMES.public)
    ssm.dies_at = None
    assert ensure(ssm)
    assert works(ssm)
    assert published is None or ssm.values[NAMES.public] == published
    assert ensure(ssm) == []


@pytest.mark.parametrize("name", [NAMES.public, *SETS])
@pytest.mark.parametrize("broken", ["", "changeme", "{}", '{"keys":[],"secrets":[]}'])
def test_unreadable_sets_are_not_overwritten(name: str, broken: str) -> None:
    """Somebody's mistake is told, not mended: the keys in it may be the ones in use."""
    ssm = Recorder()
    ensure(ssm)
    ssm.values[name] = broken
    for operation in (ensure, rotate):
        with pytest.raises(ConfigurationError):
            operation(ssm)
    assert ssm.values[name] == broken


def test_other_algorithm_is_published_ahead() -> None:
    """A change of the algorithm is a rotation: the new key signs ten minutes later, and is made once."""
    ssm = Recorder()
    ensure(ssm)
    assert len(ensure(ssm, "EdDSA", START + 5)) == 2
    old, new = entries(ssm)
    assert (old["alg"], new["alg"]) == ("ES256", "EdDSA")
    assert new["activate_at"] == START + 5 + PUBLISHED_AHEAD
    assert ensure(ssm, "EdDSA", START + 6) == []
    assert works(ssm, START + 6)
    ring = KeyRing(ssm, PREFIX, FrozenClock(new["activate_at"]), groups=GROUPS)
    assert ring.signing_key().algorithm == "EdDSA"
    assert [len(secrets(ssm, group)) for group in GROUPS] == [1, 1]


def test_rotation_is_published_ahead() -> None:
    """A new key and new secrets are there ten minutes before they are used; those of before go on verifying."""
    ssm = Recorder()
    ensure(ssm)
    old_kid, old_ids = entries(ssm)[0]["kid"], [secrets(ssm, group)[0]["id"] for group in GROUPS]
    rotate(ssm, now=START + DAY)
    assert [entry["activate_at"] for entry in entries(ssm)] == [START, START + DAY + PUBLISHED_AHEAD]
    for group in GROUPS:
        assert [secret["activate_at"] for secret in secrets(ssm, group)] == [START, START + DAY + PUBLISHED_AHEAD]
    assert entries(ssm)[0]["kid"] == old_kid
    assert [secrets(ssm, group)[0]["id"] for group in GROUPS] == old_ids
    assert len({secret["key"] for group in GROUPS for secret in secrets(ssm, group)}) == 4
    assert PUBLISHED_AHEAD > 2 * KEPT
    assert works(ssm, START + DAY)


def test_rotation_of_a_new_stage_makes_its_first_keys() -> None:
    """Rotating what is not there yet makes it, once."""
    ssm = Recorder()
    assert len(rotate(ssm)) == 4
    assert len(entries(ssm)) == len(secrets(ssm)) == len(secrets(ssm, LOGINS)) == 1
    assert works(ssm)


@pytest.mark.parametrize("leaked", [False, True])
@pytest.mark.parametrize("step", range(8))
def test_rotation_survives_an_interruption(step: int, leaked: bool) -> None:  # noqa: FBT001  # both ways
    """Whichever write is the last one, the stage goes on working, and rotating again completes it.

    After a leak it works, or accepts no key: what has leaked is refused before the new keys are there.
    """
    ssm = Recorder()
    ensure(ssm)
    rotate(ssm, now=START + 10)
    later = START + 10 + PUBLISHED_AHEAD + KEPT_AFTER_SUCCESSOR
    ssm.writes.clear()
    ssm.dies_at = step
    leaked_kids = {entry["kid"] for entry in entries(ssm)} if leaked else set()
    leaked_ids = {secret["id"] for group in GROUPS for secret in secrets(ssm, group)} if leaked else set()
    try:
        rotate(ssm, now=later, leaked=leaked)
    except Cut:
        assert works_or_refuses_all(ssm, later, leaked_kids | leaked_ids)
        ssm.dies_at = None
        rotate(ssm, now=later + 1, leaked=leaked)
    assert works(ssm, later + 1)
    assert works(ssm, later + 1 + PUBLISHED_AHEAD)
    assert not leaked_kids & {entry["kid"] for entry in entries(ssm)}
    assert not leaked_ids & {secret["id"] for group in GROUPS for secret in secrets(ssm, group)}
    for entry in entries(ssm):
        assert NAMES.signing(entry["kid"]) in ssm.values
    if leaked:
        assert sum(name.startswith(NAMES.signing("")) for name in ssm.values) == len(entries(ssm))


def test_lost_private_half_is_made_up_for_at_once() -> None:
    """Where the key that signs has no private half any more, the next deployment brings one that signs at once."""
    ssm = Recorder()
    ensure(ssm)
    del ssm.values[NAMES.signing(entries(ssm)[0]["kid"])]
    assert not_working(ssm)
    ensure(ssm, now=START + 5)
    assert works(ssm, START + 5)


@pytest.mark.parametrize("name", [NAMES.public, *SETS])
def test_replacing_needs_nothing_of_what_it_replaces(name: str) -> None:
    """What is damaged can be replaced: the remedy that the error names."""
    ssm = Recorder()
    ensure(ssm)
    ssm.values[name] = "changeme"
    rotate(ssm, leaked=True)
    assert works(ssm)


def test_two_first_deployments_do_not_overwrite_each_other() -> None:
    """A document that came meanwhile is not written over by one that was made before it was seen."""
    ssm = Recorder()
    ensure(ssm)
    with pytest.raises(AssertionError):
        key_parameters.put(cast("SSMClient", ssm), NAMES.group(SESSIONS), {}, "SecureString", first=True)


def test_private_half_is_there_before_the_public_one() -> None:
    """At no moment is a key published that nobody can sign with, nor deleted while it is published."""
    ssm = Recorder()
    ensure(ssm)
    rotate(ssm, now=START + 10)
    old = entries(ssm)[0]["kid"]
    ssm.writes.clear()
    rotate(ssm, now=START + 10 + PUBLISHED_AHEAD + KEPT_AFTER_SUCCESSOR)
    new = entries(ssm)[-1]["kid"]
    assert ssm.writes == [
        (NAMES.signing(new), "SecureString"),
        (NAMES.public, "String"),
        *((name, "SecureString") for name in SETS),
        (NAMES.signing(old), "deleted"),
    ]


def test_leaked_keys_go_at_once() -> None:
    """After a leak nothing of before is accepted, and what is new is used at once."""
    ssm = Recorder()
    ensure(ssm)
    rotate(ssm, now=START + 10)
    before = set(ssm.values) | {secret["id"] for group in GROUPS for secret in secrets(ssm, group)}
    rotate(ssm, now=START + 20, leaked=True)
    assert set(ssm.values) & before == {NAMES.public, *SETS}
    assert [entry["activate_at"] for entry in entries(ssm)] == [START + 20]
    for group in GROUPS:
        assert [secret["activate_at"] for secret in secrets(ssm, group)] == [START + 20]
        assert secrets(ssm, group)[0]["id"] not in before
    assert works(ssm, START + 20)


@pytest.mark.parametrize(("after", "kept"), [(KEPT_AFTER_SUCCESSOR - 1, 3), (KEPT_AFTER_SUCCESSOR, 2)])
def test_keys_are_pruned_when_their_last_token_has_expired(after: int, kept: int) -> None:
    """A key goes at a rotation after its successor has signed for as long as any access token lives."""
    ssm = Recorder()
    ensure(ssm)
    rotate(ssm)
    rotate(ssm, now=START + PUBLISHED_AHEAD + after)
    assert len(entries(ssm)) == kept
    assert len([name for name in ssm.values if "/signing/" in name]) == kept


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("after", "kept"), [(-1, 3), (0, 2)])
def test_secrets_are_pruned_when_their_last_token_is_over(group: str, after: int, kept: int) -> None:
    """A root secret is kept for the longest life of what it makes: a session, or a device token."""
    ssm = Recorder()
    ensure(ssm)
    rotate(ssm)
    rotate(ssm, now=START + PUBLISHED_AHEAD + SECRET_KEPT_AFTER_SUCCESSOR[group] + after)
    assert len(secrets(ssm, group)) == kept


def test_algorithms_agree_with_the_longest_settings() -> None:
    """What is kept outlives the longest lifetimes that the configuration takes."""
    assert KEPT_AFTER_SUCCESSOR > 3600
    assert SECRET_KEPT_AFTER_SUCCESSOR[SESSIONS] >= 400 * DAY
    assert SECRET_KEPT_AFTER_SUCCESSOR[LOGINS] > LIFE


@pytest.mark.parametrize(("every", "rotations"), [(30 * DAY, 30), (14 * DAY, 60)])
def test_regular_rotation_fits_a_parameter(every: int, rotations: int) -> None:
    """Rotating every month or fortnight, for years, never outgrows the 4 KiB of a standard parameter."""
    ssm = Recorder()
    ensure(ssm)
    for number in range(1, rotations):
        rotate(ssm, now=START + number * every)  # the fake refuses longer values
        assert works(ssm, START + number * every)
    assert len(entries(ssm)) == 2


def test_keys_of_any_algorithm_fit_together() -> None:
    """Five RSA keys in one set, more than any hour needs, fit 4 KiB."""
    modulus = "A" * 512
    entry = {
        "kty": "RSA",
        "n": modulus,
        "e": "AQAB",
        "kid": "A" * 12,
        "use": "sig",
        "alg": "RS256",
        "activate_at": START,
    }
    assert len(json.dumps({"keys": [entry] * 5}, separators=(",", ":"))) < 4096
