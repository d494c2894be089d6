# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP server on this machine that answers as it is told to, badly if need be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A timeout of a second or less has held if no more than this has passed, however busy the machine is; these servers would
# take for ever.
MUCH_LATER_SECONDS = 15.0

Respond = Callable[[BaseHTTPRequestHandler], None]


def send(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "application/json") -> None:
    """A whole answer."""
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def hang(request: BaseHTTPRequestHandler) -> None:
    """Says nothing until the client has gone away."""
    with suppress(OSError):
        while request.rfile.read(1):
            pass


@contextmanager
def serving(respond: Respond, address: str = "127.0.0.1") -> Iterator[str]:
    """Its URL, while it lives. `address`: of this machine, of IPv4 or IPv6."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    server = Server((address, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        host = f"[{address}]" if ":" in address else address
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
