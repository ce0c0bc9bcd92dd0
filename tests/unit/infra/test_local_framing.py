"""How `make run` finds the end of a request (RFC 9112), byte by byte."""

from __future__ import annotations

import socket
from contextlib import suppress
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from chalice.app import Chalice
from chalice.config import Config
from hypothesis import given
from hypothesis import strategies as st

from infra import gateway
from infra.local import framing
from infra.local.http import Handler

if TYPE_CHECKING:
    from collections.abc import Sequence

NEXT = b"GET /next HTTP/1.1\r\n"
REFUSED_LENGTHS = (
    *("", " ", "+5", "-5", "-0", "5 5", "5,5", "5, 5", "5;5", "5_0", "5.0", "5e0", "0x5", "five"),
    *("\xb2", "\xb9\xb2", "5\x0b", "5\x85", "\xa05"),
)
EXTENSIONS = ("", ";", ";a", ";a=b", ' ; a="b;c"', "\t;\t\xff")


def chunked(chunks: Sequence[bytes], extension: str = "", trailer: bytes = b"") -> bytes:
    """A body in these chunks, each with this extension."""
    written = [b"%x%b\r\n%b\r\n" % (len(chunk), extension.encode("latin-1"), chunk) for chunk in chunks if chunk]
    return b"".join(written) + b"0\r\n" + trailer + b"\r\n"


@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from(EXTENSIONS), st.sampled_from([b"", b"A: b\r\n"]))
def test_chunks_are_the_body_and_nothing_after_it(chunks: list[bytes], extension: str, trailer: bytes) -> None:
    """However a body is cut, it is read to its last byte, and the next request is left."""
    stream = BytesIO(chunked(chunks, extension, trailer) + NEXT)
    assert framing.read_body(stream, None) == b"".join(chunks)
    assert stream.read() == NEXT


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), st.data())
def test_every_cut_of_a_chunked_body_is_no_body(chunks: list[bytes], data: st.DataObject) -> None:
    """A client that leaves anywhere in the middle has sent no request."""
    whole = chunked(chunks, ";a=b", b"A: b\r\n")
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(framing.Gone):
        framing.read_body(BytesIO(whole[:cut]), None)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    """Whatever comes, it is read, refused, or a client that has left."""
    for read in (framing.read_fields, lambda stream: framing.read_body(stream, None)):
        with suppress(framing.Refused, framing.Gone):
            read(BytesIO(content))


@pytest.mark.parametrize("length", REFUSED_LENGTHS)
def test_length_is_plain_digits(length: str) -> None:
    """A Content-Length that int() or another server might read is refused where it is not digits of ASCII alone."""
    with pytest.raises(framing.Refused, match="400"):
        framing.length_of_body(1, [("Content-Length", length)])


@pytest.mark.parametrize("lengths", [("5", "5"), ("5", "6"), ("0", "5"), ("5", "")])
def test_two_lengths_are_refused(lengths: tuple[str, str]) -> None:
    """RFC 9112 section 6.3: two lengths are refused, equal ones too."""
    with pytest.raises(framing.Refused, match="400"):
        framing.length_of_body(1, [("Content-Length", lengths[0]), ("content-length", lengths[1])])


@pytest.mark.parametrize(
    ("length", "read"), [("0", 0), ("5", 5), ("0005", 5), ("0" * 5000 + "5", 5), (str(framing.MAX_BODY), 10485760)]
)
def test_length_is_read(length: str, read: int) -> None:
    """Leading zeros are digits, and the largest body is as large as API Gateway's."""
    assert framing.length_of_body(1, [("CONTENT-LENGTH", length)]) == read


@pytest.mark.parametrize("length", [str(framing.MAX_BODY + 1), "9" * 20, "9" * 5000])
def test_larger_bodies_are_refused(length: str) -> None:
    """More than 10 MB is 413, however many digits say it."""
    with pytest.raises(framing.Refused, match="413"):
        framing.length_of_body(1, [("Content-Length", length)])


@pytest.mark.parametrize(
    ("codings", "status"),
    [
        (("",), 400),
        (("identity",), 400),
        (("gzip",), 400),
        (("chunked, gzip",), 400),
        (("chunked", "gzip"), 400),
        (("chunked, chunked",), 400),
        (("gzip, chunked, chunked",), 400),
        (("xchunked",), 400),
        (("chunked;q=1",), 400),
        (('"chunked"',), 400),
        (("chunked chunked",), 400),
        (("\xa0chunked",), 400),
        (('gzip;a=",chunked"',), 400),
        (("gzip, chunked",), 501),
        (("gzip", "chunked"), 501),
        (("identity, chunked",), 501),
        (("gzip\t,,CHUNKED",), 501),
    ],
)
def test_coding_is_chunked_alone(codings: tuple[str, ...], status: int) -> None:
    """RFC 9112 sections 6.1 and 6.3: 400 without a final `chunked`, 501 where another coding comes before it."""
    with pytest.raises(framing.Refused, match=str(status)):
        framing.length_of_body(1, [("Transfer-Encoding", coding) for coding in codings])


@pytest.mark.parametrize("codings", [("chunked",), ("Chunked",), (",chunked ,",), ("", "chunked")])
def test_chunked_is_known(codings: tuple[str, ...]) -> None:
    """Codings are compared without case, and a list may have empty members (RFC 9110 section 5.6.1)."""
    assert framing.length_of_body(1, [("Transfer-Encoding", coding) for coding in codings]) is None


@pytest.mark.parametrize(
    "size", ["", " 1", "1 ", "+1", "-1", "0x1", "1_0", "g", "\u0661", "1\x00", "1;\x00", "1;a\rb", "1" * 17, ";a"]
)
def test_size_is_hex_digits(size: str) -> None:
    """A chunk's size that int() might read is refused where it is not hex digits alone."""
    with pytest.raises(framing.Refused, match="400"):
        framing.read_body(BytesIO(size.encode() + b"\r\nx\r\n0\r\n\r\n"), None)


@pytest.mark.parametrize("ends", [(b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\r", b"\r\n"), (b"\r\n", b"xx")])
def test_chunks_end_with_crlf(ends: tuple[bytes, bytes]) -> None:
    """A size line and a chunk end with CR LF, and with nothing that only some servers take for it."""
    with pytest.raises(framing.Refused, match="400"):
        framing.read_body(BytesIO(b"1" + ends[0] + b"x" + ends[1] + b"0\r\n\r\n" + b"x" * 9000), None)


def test_everything_around_chunks_is_bounded() -> None:
    """Neither many small chunks nor extensions nor trailer fields have a client read from for ever."""
    too_much = {
        b"1;%b\r\nx\r\n" % (b"a" * 4000) * 20: 400,
        b"1;%b\r\n" % (b"a" * 5000): 400,
        b"0\r\n" + b"A: b\r\n" * 200: 431,
        b"0\r\nA: " + b"b" * 70000: 431,
        b"ffffffffffffffff\r\n": 413,
        b"100000\r\n%b\r\n" % bytes(0x100000) * 11: 413,
    }
    for content, status in too_much.items():
        with pytest.raises(framing.Refused, match=str(status)):
            framing.read_body(BytesIO(content), None)


def test_handler_lets_silent_clients_go() -> None:
    """A connection on which nothing comes ends by itself, before a request and in the middle of one."""

    class Impatient(Handler):
        timeout = 0.1
        gateway_responses = gateway.gateway_responses(frozenset())

    for sent in (b"", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhal"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(sent)
            arguments = (theirs, ("127.0.0.1", 1), None, Chalice("silent"), Config())
            thread = Thread(target=Impatient, args=arguments, daemon=True)
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            theirs.close()
            assert ours.recv(100) == b""
