# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TLS proxy before the real API server that goes wrong on request, and otherwise passes every byte on as it comes.

Each connection carries one request. Who asks must authenticate with a token: a client certificate ends here.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.certificates import Authority
from tests.faults.doors import Line, arriving

_LISTEN_SECONDS = 0.2
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `passed` says whether the real server got it too."""

    method: str
    target: str
    body: bytes
    passed: bool


# What a fault does with a request: it has the client's side, and may open the server's.
Fault = Callable[["Passage"], None]


@dataclass
class Passage:
    """One request on its way."""

    client: ssl.SSLSocket
    request: bytes
    open_server: Callable[[], ssl.SSLSocket]
    passed: bool = False

    def forward(self) -> ssl.SSLSocket:
        server = self.open_server()
        server.sendall(self.request)
        self.passed = True
        return server


def pass_on(passage: Passage) -> None:
    server = passage.forward()
    with suppress(OSError), server:
        while piece := server.recv(65536):
            passage.client.sendall(piece)


def answer(status: int, body: str = "", **headers: str) -> Fault:
    """Answers in the server's place."""
    lines = [f"HTTP/1.1 {status} Fault", f"Content-Length: {len(body.encode())}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda passage: passage.client.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def hang_up_before(passage: Passage) -> None:
    """The server never hears of the request."""


def hang_up_after(passage: Passage) -> None:
    """The server carries the request out; the answer is lost."""
    with passage.forward() as server:
        server.recv(65536)


def late(seconds: float) -> Fault:
    """Passes each piece of the answer on so much later than it came: of a watch, whatever happens."""

    def fault(passage: Passage) -> None:
        with suppress(OSError), passage.forward() as server:
            for piece in arriving(server, Line(seconds)):
                passage.client.sendall(piece)

    return fault


def silent_from(moment: threading.Event) -> Fault:
    """Passes the answer on until then, and nothing afterwards, although the connection stays."""

    def fault(passage: Passage) -> None:
        with suppress(OSError), passage.forward() as server:
            while piece := server.recv(65536):
                if not moment.is_set():
                    passage.client.sendall(piece)

    return fault


def stay_silent(seconds: float) -> Fault:
    return lambda passage: time.sleep(seconds)


def cut_after(marker: bytes) -> Fault:
    """Passes the answer on up to the first `marker`, then hangs up."""

    def fault(passage: Passage) -> None:
        got = b""
        with passage.forward() as server:
            while marker not in got and (piece := server.recv(65536)):
                got += piece
        passage.client.sendall(got[: got.index(marker) + len(marker)])

    return fault


def retell(said: bytes, instead: bytes) -> Fault:
    """Passes the answer on with every `said` in it replaced by something of the same length."""
    assert len(said) == len(instead), "the length of the answer has been told already"

    def fault(passage: Passage) -> None:
        got = b""
        with passage.forward() as server:
            while piece := server.recv(65536):
                got += piece
        passage.client.sendall(got.replace(said, instead))

    return fault


def drip(head: str, byte_every: float) -> Fault:
    """An answer that never stops and never falls silent."""

    def fault(passage: Passage) -> None:
        passage.client.sendall(head.encode() + _HEAD_END)
        with suppress(OSError):
            while True:
                passage.client.sendall(b".")
                time.sleep(byte_every)

    return fault


@dataclass
class FaultProxy:
    """`go_wrong` lets the next requests that match meet a fault each; `seen` is every request in order."""

    address: tuple[str, int]
    authority: Path
    seen: list[Seen] = field(default_factory=list)
    _planned: list[tuple[re.Pattern[str], Fault]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return f"https://{self.address[0]}:{self.address[1]}"

    def go_wrong(self, pattern: str, *faults: Fault) -> None:
        """`pattern` is searched in "METHOD /path?query"."""
        with self._lock:
            self._planned += [(re.compile(pattern), fault) for fault in faults]

    def forget(self) -> None:
        with self._lock:
            self._planned.clear()
            self.seen = []

    def fault_for(self, method: str, target: str) -> Fault:
        with self._lock:
            for number, (pattern, fault) in enumerate(self._planned):
                if pattern.search(f"{method} {target}"):
                    del self._planned[number]
                    return fault
        return pass_on


@contextmanager
def fault_proxy(server: str, server_authority: str, directory: Path) -> Iterator[FaultProxy]:
    """A proxy on a free loopback port before `server` (https://host:port)."""
    authority = Authority.create(directory / "proxy-pki")
    pair = authority.server("proxy", ["IP:127.0.0.1"])
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(pair.certificate, pair.key)
    trusting = ssl.create_default_context(cafile=server_authority)
    host, _colon, port = server.removeprefix("https://").rpartition(":")

    def open_server() -> ssl.SSLSocket:
        return trusting.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_LISTEN_SECONDS)
        proxy = FaultProxy(listener.getsockname(), authority.certificate)
        done = threading.Event()
        thread = threading.Thread(target=_accept, args=(listener, accepting, proxy, open_server, done), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            done.set()
            thread.join()


def _accept(
    listener: socket.socket,
    tls: ssl.SSLContext,
    proxy: FaultProxy,
    open_server: Callable[[], ssl.SSLSocket],
    done: threading.Event,
) -> None:
    while not done.is_set():
        with suppress(TimeoutError):
            connection, _address = listener.accept()
            threading.Thread(target=_serve, args=(connection, tls, proxy, open_server), daemon=True).start()


def _serve(
    connection: socket.socket, tls: ssl.SSLContext, proxy: FaultProxy, open_server: Callable[[], ssl.SSLSocket]
) -> None:
    with suppress(OSError), connection, tls.wrap_socket(connection, server_side=True) as client:
        head, body = _read_request(client)
        if not head:
            return
        method, target, _version = head.split(b"\r\n")[0].decode().split(" ")
        request = head + b"\r\nConnection: close" + _HEAD_END + body
        passage = Passage(client, request, open_server)
        # One that takes its time is none of those that come after it was forgotten.
        seen = proxy.seen
        try:
            proxy.fault_for(method, target)(passage)
        finally:
            seen.append(Seen(method, target, body, passage.passed))


def _read_request(client: ssl.SSLSocket) -> tuple[bytes, bytes]:
    got = b""
    while _HEAD_END not in got:
        piece = client.recv(65536)
        if not piece:
            return b"", b""
        got += piece
    head, _end, body = got.partition(_HEAD_END)
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += client.recv(65536)
    return head, body
