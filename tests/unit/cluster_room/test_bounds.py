# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server, or whoever stands in its place, cannot do to us: send us elsewhere, fill our memory, or exhaust our stack."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster import exchange
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError, ServerError
from tests.unit.probes.serving import send, serving

POD = "/api/v1/namespaces/shop/pods/web"
TOKEN = "a-token-of-ours"


def api_of(url: str) -> Api:
    return connect(Connection(host=url, api_key=TOKEN, kubeconfig={}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed_elsewhere_with_our_credentials(status: int) -> None:
    seen: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        seen.append(str(request.headers.get("Authorization")))
        send(request, b"{}")

    with serving(elsewhere) as other:

        def sends_away(request: BaseHTTPRequestHandler) -> None:
            request.rfile.read(int(request.headers.get("Content-Length") or 0))
            request.send_response(status)
            request.send_header("Location", f"{other}{request.path}")
            request.send_header("Content-Length", "0")
            request.end_headers()

        with serving(sends_away) as url, api_of(url) as api:
            for ask in (lambda: api.get(POD), lambda: api.patch(POD, {}, PatchKind.MERGE)):
                with pytest.raises(ApiError) as raised:
                    ask()
                assert raised.value.status == status and TOKEN not in str(raised.value)
    assert seen == []


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 1 << 20)

    def drowns(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        piece = b"x" * 65536
        try:
            while True:
                request.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError:
            return

    with serving(drowns) as url, api_of(url) as api, pytest.raises(ServerError, match="answers with more than 1 MiB"):
        api.get(POD)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}"], ids=["lists", "objects", "bytes"])
def test_what_no_reader_of_json_can_follow_is_told(body: bytes) -> None:
    with serving(lambda request: send(request, body)) as url, api_of(url) as api, pytest.raises(ServerError):
        api.get(POD)
