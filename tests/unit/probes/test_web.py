# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a source trusts: certificates are verified, by the authority that was given, unless that was switched off."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import NoAnswer
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web, ask_json
from tests.cluster.certificates import Authority


class Fine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"answered": self.headers["Authorization"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up in the handshake is what is tested."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority") / "pki")


@pytest.fixture(scope="module")
def web(authority: Authority) -> Iterator[Web]:
    """A server whose certificate names this machine, signed by an authority that the system does not know."""
    pair = authority.server("prometheus", ["IP:127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = Quiet(("127.0.0.1", 0), Fine)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Web(f"https://127.0.0.1:{server.server_port}", token="s3cr3t")
    with suppress(OSError):
        server.shutdown()
        server.server_close()


def test_a_server_that_nobody_vouches_for_is_told_and_gets_no_token(web: Web) -> None:
    with pytest.raises(NoAnswer, match=r"shows a certificate that is not trusted.*give ca_cert"):
        ask_json(web, "/")


def test_the_authority_that_was_given_is_trusted(web: Web, authority: Authority) -> None:
    trusted = replace(web, ca_cert=str(authority.certificate))
    assert ask_json(trusted, "/") == {"answered": "Bearer s3cr3t"}


def test_a_certificate_for_another_name_is_told(web: Web, authority: Authority) -> None:
    elsewhere = replace(web, url=web.url.replace("127.0.0.1", "localhost"), ca_cert=str(authority.certificate))
    with pytest.raises(NoAnswer, match="not trusted"):
        ask_json(elsewhere, "/")


def test_verification_can_be_switched_off(web: Web) -> None:
    assert ask_json(replace(web, validate_certs=False), "/") == {"answered": "Bearer s3cr3t"}


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_told(web: Web, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(NoAnswer, match=r"ca_cert .* cannot be read"):
        ask_json(replace(web, ca_cert=str(path)), "/")


def test_plain_http_is_told_apart_from_https(web: Web) -> None:
    with pytest.raises(NoAnswer):
        ask_json(replace(web, url=web.url.replace("https", "http")), "/")
