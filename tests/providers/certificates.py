"""A certificate for localhost, which no machine trusts until a test says so."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chalicelib.providers import http
from tests.world.forgery import rsa_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


def certificate(directory: Path) -> Path:
    """A file with a certificate for localhost and its key."""
    key, name = rsa_key(0), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@contextmanager
def trusted(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this machine trust the certificate."""
    http._tls.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    yield
    http._tls.cache_clear()
