"""A connection to a host that has several addresses, some of which do not answer (RFC 8305, Happy Eyeballs).

    0 s        0.15 s       0.3 s
    |----------|------------|--------
    | first    | second     | third     the first address that is connected, over TLS that is established, is taken
               where an attempt fails, the next begins at once

The address that was taken last is tried first the next time, so that the calls of one login wait for a dead address
once. All of it runs on the thread of the call.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections import deque
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

STAGGER = 0.15  # seconds; RFC 8305 section 5 recommends 0.25, and 0.1 at least: a login has 2.3 for all of its calls
CONNECT_SECONDS = 1.0  # seconds that an address has until it is connected, where there is no other left

Address = tuple[int, int, int, Any]  # family, kind, protocol, and what to connect to

# Which of its addresses a host was reached by last, by name and port. Hosts are of configuration and metadata: few.
_taken: dict[tuple[str, int], Address] = {}


def connect(host: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> socket.socket:
    """A socket to one of the host's addresses within `seconds`, with TLS established where a context is given.

    OSError where no address takes the connection, TimeoutError where none does in time.
    """
    end = time.monotonic() + seconds
    addresses = _addresses(host, port)
    with DefaultSelector() as selector:
        try:
            attempt = _race(selector, deque(addresses), host, tls, end)
        finally:
            for key in list(selector.get_map().values()):
                key.data.socket.close()
    _taken[host, port] = attempt.address
    attempt.socket.settimeout(seconds)
    return attempt.socket


class _Attempt:
    """One address that is being connected to, without blocking."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connected = False
        self.socket = socket.socket(*address[:3])
        self.socket.settimeout(0)
        # What is wrong with it is told as soon as it is waited for.
        self.begun = self.socket.connect_ex(address[3])

    def advance(self, host: str, tls: ssl.SSLContext | None) -> int | None:
        """Go on: the event to wait for next, None once the connection can be used. OSError where it cannot be had."""
        if not self.connected:
            code = self.begun if self.begun != errno.EINPROGRESS else 0
            code = code or self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self.connected = True
            if tls is not None:
                # The new object has the old one's descriptor.
                self.socket = tls.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        if isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                return EVENT_READ
            except ssl.SSLWantWriteError:
                return EVENT_WRITE
        return None


def _race(
    selector: DefaultSelector, waiting: deque[Address], host: str, tls: ssl.SSLContext | None, end: float
) -> _Attempt:
    """The first attempt that succeeds. The attempts that are still under way stay registered, and are the caller's."""
    failure: OSError = TimeoutError()
    attempt: _Attempt
    next_at = connect_by = 0.0
    while waiting or selector.get_map():
        now = time.monotonic()
        running = [key.data for key in selector.get_map().values()]
        over = end if waiting or any(attempt.connected for attempt in running) else min(end, connect_by)
        if now >= over:
            raise TimeoutError
        if waiting and (not running or now >= next_at):
            try:
                attempt = _Attempt(waiting.popleft())
            except OSError as error:  # a machine without IPv6
                failure = _telling(failure, error)
                continue
            selector.register(attempt.socket, EVENT_WRITE, attempt)
            next_at, connect_by = now + STAGGER, now + CONNECT_SECONDS
            continue
        for key, _ in selector.select((min(over, next_at) if waiting else over) - now):
            attempt = key.data
            selector.unregister(key.fileobj)
            try:
                event = attempt.advance(host, tls)
            except OSError as error:
                attempt.socket.close()
                failure, next_at = _telling(failure, error), now
            else:
                if event is None:
                    return attempt
                selector.register(attempt.socket, event, attempt)
    raise failure


def _telling(one: OSError, other: OSError) -> OSError:
    """The error that says more: that a certificate is not trusted says more than the outage of the next address."""
    return one if isinstance(one, ssl.SSLError) else other


def _addresses(host: str, port: int) -> list[Address]:
    """The host's addresses, families by turns (RFC 8305 section 4), after the one that was taken last."""
    found: dict[int, deque[Address]] = {}  # by family
    for family, kind, protocol, _, where in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        found.setdefault(family, deque()).append((family, kind, protocol, where))
    turns: dict[Address, None] = {}
    while any(found.values()):
        for addresses in found.values():
            if addresses:
                turns[addresses.popleft()] = None
    last = _taken.get((host, port))
    return [last, *(address for address in turns if address != last)] if last in turns else list(turns)
