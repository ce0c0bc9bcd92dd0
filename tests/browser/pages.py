"""Pages of other origins, on loopback: an empty document for each, in which a test runs its scripts."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = b'<!doctype html><title>A page</title><link rel="icon" href="data:,"><h1></h1><ul></ul>'


class _Page(BaseHTTPRequestHandler):
    """The page, whatever path is asked for, and whatever is posted to it."""

    def do_GET(self) -> None:
        """Serve it."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's names
        """Nothing."""


@contextmanager
def served(host: str) -> Iterator[str]:
    """The page's origin, whose host is one of this machine's names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
