# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a gateway: as a user's request is, on a connection of its own; and whatever comes of it is told, never raised."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import entry
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import LONGEST, Entry, Knock, knock
from tests.cluster.certificates import Authority

HOST = "shop.example"


class Gate(BaseHTTPRequestHandler):
    """Answers with what it was asked, in the header that is read; it would keep the connection."""

    protocol_version = "HTTP/1.1"
    callers: set[object]

    def do_GET(self) -> None:
        self.callers.add(self.client_address)
        self.send_response(302)
        told = " ".join([self.path, str(self.headers["Host"]), str(self.headers["x-probe"])])
        self.send_header("Location", told if self.path != "/long" else "x" * 2 * LONGEST)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Who hangs up in the handshake is what is tested."""


@contextmanager
def gate(context: ssl.SSLContext | None = None) -> Iterator[Entry]:
    Gate.callers = set()
    server = Quiet(("127.0.0.1", 0), Gate)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Entry("127.0.0.1", server.server_port, HOST, tls=context is not None)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """For the name of the host, by an authority that this machine does not know."""
    authority = Authority.create(tmp_path_factory.mktemp("authority") / "pki")
    pair = authority.server("gateway", [f"DNS:{HOST}"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def test_a_request_is_as_a_users_and_its_headers_are_added() -> None:
    with gate() as at:
        answer = knock(Knock(at, "/path", {"x-probe": "7"}))
    assert (answer.status, answer.location) == (302, f"/path {HOST}:{at.port} 7")


def test_each_request_has_a_connection_of_its_own() -> None:
    with gate() as at:
        for _time in range(5):
            knock(Knock(at, "/"))
        assert len(Gate.callers) == 5


def test_of_an_answer_no_more_is_kept_than_is_needed() -> None:
    with gate() as at:
        assert knock(Knock(at, "/long")).location == "x" * LONGEST


def test_a_certificate_counts_unless_that_was_switched_off(secured: ssl.SSLContext) -> None:
    with gate(secured) as at:
        refused = knock(Knock(at, "/"))
        assert refused.status == 0 and refused.location.startswith("its certificate is not trusted (")
        assert knock(Knock(replace(at, validate_certs=False), "/")).status == 302


def test_the_name_is_that_of_the_host_and_not_of_the_address(
    secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    secured.sni_callback = lambda _socket, name, _context: asked.append(name)
    with gate(secured) as at:
        knock(Knock(replace(at, validate_certs=False), "/"))
    assert asked == [HOST]


def test_nobody_who_listens_and_no_answer_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = Entry("127.0.0.1", silent.getsockname()[1], HOST)
        assert knock(Knock(at, "/")) == entry.Knocked(0, "no answer within 0.1 s")
    assert knock(Knock(at, "/")) == entry.Knocked(0, "Connection refused")


@pytest.mark.parametrize("said", [b"", b"what?\r\n\r\n", b"HTTP/1.1 999999 No\r\n\r\n", b"\xff" * 100_000])
def test_what_is_no_answer_is_told(said: bytes) -> None:
    def serve() -> None:
        with listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        answer = knock(Knock(Entry("127.0.0.1", listener.getsockname()[1], HOST), "/"))
        thread.join()
    assert answer.status == 0 and answer.location


@pytest.mark.parametrize(("port", "tls", "host"), [(80, False, HOST), (443, True, HOST), (8080, False, f"{HOST}:8080")])
def test_a_port_that_is_not_the_usual_one_belongs_to_the_host(port: int, tls: bool, host: str) -> None:
    assert entry._host(Entry("10.0.0.1", port, HOST, tls)) == host
