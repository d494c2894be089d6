# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a source trusts: certificates are verified, by the authority that was given, unless that was switched off. And how it is
asked: in the URL, or in a form where that would be too long."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import Misasked, NoAnswer
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import LONGEST_QUERY, Web, ask_json
from tests.cluster.certificates import Authority
from tests.unit.probes.serving import send, serving


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


def repeat(request: BaseHTTPRequestHandler) -> None:
    """Tells how it was asked, as a gateway does that lets no URL of more than 4 KiB through."""
    form = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
    parts = urlsplit(request.path)
    told = {"method": request.command, "path": parts.path, "kind": request.headers["Content-Type"]}
    body = json.dumps({**told, "query": parse_qs(form or parts.query)}).encode()
    send(request, body, 414 if len(request.path) > 4096 else 200)


def test_a_short_question_stands_in_the_url() -> None:
    with serving(repeat) as url:
        told = ask_json(Web(f"{url}/prom/"), "/api/v1/query", {"query": 'up{pod=~"a|b"}'})
    assert told == {"method": "GET", "path": "/prom/api/v1/query", "kind": None, "query": {"query": ['up{pod=~"a|b"}']}}


@pytest.mark.parametrize(("pods", "method"), [(20, "GET"), (200, "POST"), (2000, "POST")])
def test_a_question_that_names_many_pods_is_a_form(pods: int, method: str) -> None:
    query = {"query": "|".join(f"web-5d5f6c7b8d-{number:05}" for number in range(pods)), "time": "1.5"}
    with serving(repeat) as url:
        told = ask_json(Web(url), "/api/v1/query", query)
    assert told["query"] == {name: [text] for name, text in query.items()}
    assert told["method"] == method
    assert told["kind"] == ("application/x-www-form-urlencoded" if method == "POST" else None)
    assert LONGEST_QUERY < 4096


@pytest.mark.parametrize("rest", ["?tenant=s3cr3t", "#s3cr3t", "/prom?x"])
def test_a_url_that_goes_on_after_its_path_is_refused(rest: str) -> None:
    with pytest.raises(Misasked, match="leave out") as told:
        Web(f"https://prometheus:9090{rest}")
    assert "s3cr3t" not in str(told.value)
