"""What nobody can guess: from the operating system, asked at each use; and keys as `make deploy` makes them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.crypto.encoding import from_b64url
from chalicelib.crypto.keys import parse_public_keys
from chalicelib.crypto.random import SystemTokenSource
from chalicelib.crypto.refresh_tokens import ID_BYTES, SECRET_BYTES
from infra import keys
from tests.world.clock import START
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys
    from types_boto3_ssm import SSMClient

ROOT = Path(__file__).parents[3]
# A container that Lambda has frozen and copied, as SnapStart does, is a fork: what it kept of a generator, both have.
FORKED = """
import json, os
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chalicelib.crypto.keys import parse_public_keys
from chalicelib.crypto.random import SystemTokenSource
source = SystemTokenSource()
source.token(16)
read, write = os.pipe()
child = os.fork()
mine = [source.token(16).hex() for _ in range(100)]
if child == 0:
    os.write(write, json.dumps(mine).encode())
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([mine, json.loads(os.read(read, 65536))]))
"""


def test_identifiers_and_secrets_are_long_enough() -> None:
    """Ids have 128 bits and secrets 256 (ASVS V7.2.3, V11.5.1)."""
    assert (ID_BYTES * 8, SECRET_BYTES * 8) == (128, 256)


def test_none_comes_twice() -> None:
    """Of a hundred thousand tokens no two are equal, and each bit is set in about half of them (ASVS V7.2.3)."""
    source = SystemTokenSource()
    tokens = [source.token(16) for _ in range(100_000)]
    assert {len(token) for token in tokens} == {16}
    assert len(set(tokens)) == len(tokens)
    numbers = [int.from_bytes(token) for token in tokens]
    shares = [sum(number >> bit & 1 for number in numbers) / len(numbers) for bit in range(0, 128, 16)]
    # Ten standard deviations: a generator that works does not fail here in the life of the universe.
    assert all(abs(share - 0.5) < 10 * 0.5 / len(numbers) ** 0.5 for share in shares)


def test_copies_of_a_container_share_nothing() -> None:
    """What two copies of one process draw afterwards differs: no state of a generator is kept (ASVS V11.5.2)."""
    done = subprocess.run(  # noqa: S603  # our own interpreter, our own code
        [sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    mine, theirs = json.loads(done.stdout)
    assert len({*mine, *theirs}) == 200


def made(algorithm: str) -> tuple[MemoryParameters, AllowedPublicKeys]:
    """What `make deploy` puts into an empty parameter store, and the public key among it."""
    parameters = MemoryParameters()
    keys.ensure(cast("SSMClient", parameters), PREFIX, algorithm, START)
    (public,) = parse_public_keys(parameters.values[f"{PREFIX}/public"])
    return parameters, public.key


def test_new_rsa_keys_are_strong() -> None:
    """3072 bits, the exponent that everybody verifies by, and primes that are far apart (ASVS V11.6.1).

    Primes that lie close together are found from their product's root (Fermat); a hundred steps find none here.
    """
    _, key = made("RS256")
    assert isinstance(key, rsa.RSAPublicKey)
    numbers = key.public_numbers()
    assert (key.key_size, numbers.e) == (3072, 65537)
    root = math.isqrt(numbers.n) + 1
    squares = [(root + step) ** 2 - numbers.n for step in range(100)]
    assert [square for square in squares if math.isqrt(square) ** 2 == square] == []


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_new_keys_of_curves_are_of_the_named_one(algorithm: str) -> None:
    """P-256 and Ed25519, and each deployment has another one (ASVS V11.6.1)."""
    found = [made(algorithm)[1] for _ in range(3)]
    for key in found:
        if algorithm == "ES256":
            assert isinstance(key, ec.EllipticCurvePublicKey)
            assert isinstance(key.curve, ec.SECP256R1)
        else:
            assert isinstance(key, ed25519.Ed25519PublicKey)
    assert len({key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in found}) == 3


def test_new_root_secrets_are_random() -> None:
    """256 bits, another for each deployment and each group (ASVS V11.5.1)."""
    held = [made("ES256")[0].values for _ in range(20)]
    documents = [values[f"{PREFIX}/{group}"] for values in held for group in GROUPS]
    secrets = [from_b64url(json.loads(document)["secrets"][0]["key"]) for document in documents]
    assert {len(secret) for secret in secrets} == {32}
    assert len(set(secrets)) == 40
