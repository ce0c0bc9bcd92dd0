"""`python -m infra.common_passwords SOURCE`: make the list of common passwords from a text file with one a line.

The same source gives the same bytes. Which one it is, and under what licence: docs/decisions/0014-passwords.md. This
runs when the list changes, and never in a deployment: the file is in the repository.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.crypto.common_passwords import BLOCK, FILE, fingerprint
from chalicelib.domain.passwords import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST = 8  # characters: the policy admits no shorter password, so none needs a place (chalicelib/settings/passwords.py)
FARTHEST = 2**16 - 1  # that a distance can say


def listed(source: str) -> set[str]:
    """The passwords of a source that a policy could admit, each once, as they are looked up."""
    return {password for password in map(fold, source.split("\n")) if len(password) >= LEAST}


def encode(fingerprints: Iterable[int]) -> bytes:
    """The file that has these digests (chalicelib/crypto/common_passwords.py draws it)."""
    digests: list[int] = []
    for value in sorted(set(fingerprints)):
        while digests and value - digests[-1] > FARTHEST:
            digests.append(digests[-1] + FARTHEST)
        digests.append(value)
    # The last block is filled up with its own last digest: a distance of zero adds nothing.
    digests += digests[-1:] * (-len(digests) % BLOCK)
    firsts = digests[::BLOCK]
    blocks = (digests[start : start + BLOCK] for start in range(0, len(digests), BLOCK))
    distances = [after - before for block in blocks for before, after in pairwise(block)]
    return struct.pack(f">I{len(firsts)}I{len(distances)}H", len(firsts), *firsts, *distances)


def main() -> int:
    """Make the file, and say what it holds."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # the command and its source
        print("usage: python -m infra.common_passwords SOURCE", file=sys.stderr)
        return 2
    passwords = listed(Path(sys.argv[1]).read_text(encoding="utf-8"))
    contents = encode(map(fingerprint, passwords))
    FILE.write_bytes(contents)
    print(f"{FILE}  {len(passwords)} passwords  {len(contents)} bytes  sha256 {hashlib.sha256(contents).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
