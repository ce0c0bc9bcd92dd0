"""The passwords that people choose most, as a file of digests beside this one (ASVS V6.2.4, NIST SP 800-63B 3.1.1.2).

Of each password the file has the first 32 bits of a SHA-256, sorted, so that the distance to the next one fits into 16.
Where it does not, a digest that is nobody's stands between the two.

| number of blocks | first digest of each block | distances in block 0 | distances in block 1 | ...
| 4 bytes          | 4 bytes each               | 2 bytes each, BLOCK - 1 of them in every block

A look reads the first digests and one block, and keeps nothing: 4 KB and 0.1 ms, once for each new password. Nothing
is opened before, so a cold start does not pay for it. Numbers are big-endian. infra/common_passwords.py makes the file;
docs/decisions/0014-passwords.md says from what. It has 475,100 digests of the 2**32 that there are: of passwords that
are not on the list, one in 9,040 is taken for one that is.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from chalicelib.domain.passwords import fold

FILE = Path(__file__).with_name("common_passwords.bin")
BLOCK = 1024  # digests
DIGEST_BYTES = 4
DISTANCE_BYTES = 2


def fingerprint(password: str) -> int:
    """What the file has of a password, whatever its case: whoever guesses a word tries it in capitals next."""
    return int.from_bytes(hashlib.sha256(fold(password).encode()).digest()[:DIGEST_BYTES])


def is_common(password: str) -> bool:
    """Whether the list has the password, in whatever case.

    Raises OSError and struct.error where the file is not there or cut short, which packaging has to prevent: a password
    that could not be looked up is not taken.
    """
    wanted = fingerprint(password)
    with FILE.open("rb") as file:
        (blocks,) = struct.unpack(">I", file.read(DIGEST_BYTES))
        firsts = struct.unpack(f">{blocks}I", file.read(DIGEST_BYTES * blocks))
        block = bisect_right(firsts, wanted) - 1
        if block < 0:
            return False
        size = DISTANCE_BYTES * (BLOCK - 1)
        file.seek(DIGEST_BYTES * (1 + blocks) + size * block)
        distances = struct.unpack(f">{BLOCK - 1}H", file.read(size))
    return wanted in accumulate(distances, initial=firsts[block])
