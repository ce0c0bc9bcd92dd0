"""Attack runs: what ten thousand attempts of each kind come to, and that docs/attacks.md says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import attacks
from tests.bench.attacks import ATTACKS, ATTEMPTS, FASTEST, HOME, KINDS, OWNER, SHARED, WRONG, Attack, Stage
from tests.world.constants import PASSWORD

DOCUMENT = Path(__file__).parents[2] / "docs" / "attacks.md"
ONE_ACCOUNT = ("guesses at one account",)
MOST_GUESSES = 47  # of one hour: docs/decisions/0017-limits.md
# The first place of each kind, and the owner's own address.
QUICK = {(what, places[0]) for what, _, places in KINDS} | {(attack.what, attack.where) for attack in SHARED}


def each(attacks: tuple[Attack, ...]) -> pytest.MarkDecorator:
    """Every attack; those at the other pace and from further places are slow."""
    params = [
        pytest.param(
            attack,
            id=attack.name.replace(" ", "-"),
            marks=() if attack.pace == FASTEST and (attack.what, attack.where) in QUICK else pytest.mark.slow,
        )
        for attack in attacks
    ]
    return pytest.mark.parametrize("attack", params)


@each(ATTACKS)
def test_attack_comes_to_what_is_documented(attack: Attack) -> None:
    """The owner's device is let in at once; one account is guessed at 47 times an hour; the row is the document's."""
    outcome = attacks.run(attack)
    assert outcome.hashes + outcome.by_table + outcome.from_memory == ATTEMPTS
    assert outcome.known_device_is_let_in
    assert outcome.waits <= 300
    if attack.what.startswith(ONE_ACCOUNT):
        assert outcome.hashes <= MOST_GUESSES
    row = attacks.rows([outcome])[-1]
    assert row in DOCUMENT.read_text(encoding="utf-8").splitlines(), row


@each(SHARED)
def test_attack_from_the_owners_address_comes_to_what_is_documented(attack: Attack) -> None:
    """Behind the attacker's address, who is known is let in at once, and no attack holds up what is counted apart."""
    outcome = attacks.run_beside(attack)
    waits = outcome.waits
    assert (waits["password, known device"], waits["provider, known browser"]) == (0, 0)
    held_up = {act for act, wait in waits.items() if wait}
    if attack.what == "sign-ups":
        assert held_up == {"sign-up"}
        assert waits["sign-up"] <= 60
    elif attack.what == "logins begun at a provider":
        assert held_up == {"provider, new browser"}
        assert waits["provider, new browser"] <= 10
    else:
        assert held_up == {"password, new device"}
        assert waits["password, new device"] <= (300 if attack.what.startswith(ONE_ACCOUNT) else 10)
    row = attacks.rows_beside([outcome])[-1]
    assert row in DOCUMENT.read_text(encoding="utf-8").splitlines(), row


@pytest.mark.parametrize(
    ("head", "run"),
    [(attacks.rows([])[0], ATTACKS), (attacks.rows_beside([])[0], SHARED)],
    ids=["all", "from the owner's address"],
)
def test_document_has_every_attack_and_no_other(head: str, run: tuple[Attack, ...]) -> None:
    """Each of its tables has the rows of the runs, in their order."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    table = "\n".join(lines[lines.index(head) :]).partition("\n\n")[0].splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in table[2:]] == [attack.name for attack in run]
    assert sum(line.startswith("| ") for line in lines) == len(ATTACKS) + len(SHARED) + 2


def test_bill_is_the_cost_contracts() -> None:
    """What the runs count is what the contract has for each kind of attempt, measured on a table elsewhere."""
    stage = Stage()
    attacks.log_in(stage.container(), PASSWORD, HOME)
    assert (stage.store.reads, stage.store.writes, stage.hasher.hashes) == (1, 4, 1)
    attacks.log_in(stage.container(), PASSWORD, HOME, device_token=stage.device_token)
    assert (stage.store.reads, stage.store.writes, stage.hasher.hashes) == (2, 6, 2)
    attacks.sign_up(stage, 0, HOME)
    assert (stage.store.reads, stage.store.writes, stage.hasher.hashes) == (2, 13, 3)
    attacks.begin(stage.container(), HOME)
    assert (stage.store.reads, stage.store.writes, stage.hasher.hashes) == (2, 15, 3)


def test_attack_is_no_phantom() -> None:
    """The attempts are what they say: a guess is wrong, and the owner's password is right."""
    stage = Stage()
    login = stage.store.find_login(OWNER)
    assert login is not None
    assert stage.hasher.verify(login.password_digest, PASSWORD)
    assert not stage.hasher.verify(login.password_digest, WRONG)
