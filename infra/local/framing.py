"""How `make run` reads requests from a connection: request line, header fields and body, by RFC 9112.

A body is read whole before its request is answered. Where two readers could find different ends of a request, it is
refused and the connection ends: otherwise a part of a body would be taken for the connection's next request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

MAX_BODY = 10 * 1024 * 1024  # bytes; API Gateway's own limit
MAX_LINE = 65536  # bytes of a request line or a header field, as http.server has it
MAX_FIELDS = 100
MAX_CHUNK_LINE = 4096  # bytes of a chunk's size with its extensions
# Bytes of all chunk extensions of a body: without this limit, chunks of one byte make a body of 40 GB.
MAX_EXTENSIONS = 65536

CRLF = b"\r\n"
BLANK = {CRLF, b"\n"}

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"  # neither CR nor NUL nor another control character (RFC 9110 section 5.5)
_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\r?\n" % _TOKEN)
# A blank before the colon (RFC 9112 section 5.1) and a folded line (section 5.2) have no match.
_FIELD = re.compile(rb"(%b):(%b)\r?\n" % (_TOKEN, _TEXT))
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;%b)?)\r\n" % _TEXT)
_DIGITS = re.compile(r"[0-9]+")


class Refused(Exception):
    """The request cannot be read. The answer has this status, and the connection ends with it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Gone(Exception):
    """The client has closed the connection in the middle of a request: an answer would reach nobody."""


class RequestLine(NamedTuple):
    """`minor` is the 1 of HTTP/1.1."""

    method: str
    target: str
    minor: int


def parse_request_line(line: bytes) -> RequestLine:
    """The parts of a request line. Raises Refused and Gone."""
    if not line.endswith(b"\n"):
        raise Gone
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused(400)
    if match[3] != b"1":
        raise Refused(505)
    return RequestLine(match[1].decode(), match[2].decode("latin-1"), int(match[4]))


def read_fields(stream: BinaryIO) -> list[tuple[str, str]]:
    """Header or trailer fields up to the empty line that ends them. Raises Refused and Gone."""
    fields: list[tuple[str, str]] = []
    while (line := _line(stream, MAX_LINE, 431)) not in BLANK:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Refused(400)
        if len(fields) == MAX_FIELDS:
            raise Refused(431)
        fields.append((match[1].decode(), match[2].strip(b" \t").decode("latin-1")))
    return fields


def length_of_body(minor: int, fields: Sequence[tuple[str, str]]) -> int | None:
    """The body's length by the header fields, None where it is chunked (RFC 9112 section 6). Raises Refused."""
    codings, lengths = list_of("transfer-encoding", fields), _values("content-length", fields)
    if _values("transfer-encoding", fields):
        # Section 6.1: HTTP/1.0 has no Transfer-Encoding, and beside a Content-Length it may be a smuggling attempt.
        # Section 6.3: without a final `chunked` the end of the body cannot be told.
        if lengths or minor == 0 or codings[-1:] != ["chunked"] or codings.count("chunked") > 1:
            raise Refused(400)
        if codings != ["chunked"]:
            raise Refused(501)
        return None
    # Section 6.3 allows to take equal lengths for one. Here two lengths are refused, equal or not.
    value = ",".join(lengths) if lengths else "0"
    if not _DIGITS.fullmatch(value):
        raise Refused(400)
    digits = value.lstrip("0") or "0"
    if len(digits) > len(str(MAX_BODY)) or int(digits) > MAX_BODY:
        raise Refused(413)
    return int(digits)


def read_body(stream: BinaryIO, length: int | None) -> bytes:
    """The whole body, chunked where `length` is None. Raises Refused and Gone."""
    return _chunked(stream) if length is None else _exactly(stream, length)


def list_of(name: str, fields: Iterable[tuple[str, str]]) -> list[str]:
    """The members of a field that is a list, in lower case. A list may stand in several fields of one name."""
    members = (member.strip(" \t").lower() for value in _values(name, fields) for member in value.split(","))
    return [member for member in members if member]


def _values(name: str, fields: Iterable[tuple[str, str]]) -> list[str]:
    return [value for field, value in fields if field.lower() == name]


def _chunked(stream: BinaryIO) -> bytes:
    """A body in chunks (RFC 9112 section 7.1), without extensions and trailer fields, which are discarded."""
    body, extensions = bytearray(), 0
    while True:
        match = _CHUNK.fullmatch(_line(stream, MAX_CHUNK_LINE, 400))
        if match is None:
            raise Refused(400)
        size, extensions = int(match[1], 16), extensions + len(match[2])
        if extensions > MAX_EXTENSIONS:
            raise Refused(400)
        if size == 0:
            read_fields(stream)
            return bytes(body)
        if len(body) + size > MAX_BODY:
            raise Refused(413)
        body += _exactly(stream, size)
        if _exactly(stream, len(CRLF)) != CRLF:
            raise Refused(400)


def _line(stream: BinaryIO, limit: int, status: int) -> bytes:
    """A line with its end. Refused with this status where it is longer than the limit."""
    line = stream.readline(limit + 1)
    if len(line) > limit:
        raise Refused(status)
    if not line.endswith(b"\n"):
        raise Gone
    return line


def _exactly(stream: BinaryIO, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise Gone
    return content
