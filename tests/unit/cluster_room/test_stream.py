# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch makes of lines that are not events: the error of a stream that broke, which every wait survives."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError, ConnectionLost, Gone
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import _wire
from tests.unit.probes.serving import send, serving

EVENT = b'{"type":"ADDED","object":{"kind":"Pod"}}\n'


def told_by(lines: bytes) -> tuple[int, ApiError | None]:
    """How many events came, and what ended them."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, lines)

    events = 0
    with serving(answer) as url, connect(Connection(host=url, api_key="none")) as api:
        try:
            with api.watch("/api/v1/pods", seconds=1) as stream:
                for _event in stream:
                    events += 1
        except ApiError as error:
            return events, error
    return events, None


def test_events_are_told_until_the_server_ends_them() -> None:
    assert told_by(EVENT + b"\n" + EVENT) == (2, None)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","obj',
        b"[" * 90_000,
        b"[]",
        b"null",
        b"7",
        b'"ADDED"',
        b"{}",
        b'{"type":"ADDED"}',
        b'{"object":{}}',
        b'{"type":3,"object":{}}',
        b'{"type":"ADDED","object":[]}',
        b'{"type":"ERROR"}',
        b'{"type":"ERROR","object":"gone"}',
    ],
    ids=lambda line: line[:30].decode(),
)
def test_what_is_not_an_event_breaks_the_stream(line: bytes) -> None:
    events, error = told_by(EVENT + line + b"\n")
    assert events == 1
    assert isinstance(error, ConnectionLost)


@pytest.mark.parametrize(
    ("code", "kind"), [("410", Gone), ('"410"', ApiError), ("null", ApiError), ("1e400", ApiError)]
)
def test_an_error_of_the_server_is_its_own(code: str, kind: type[ApiError]) -> None:
    status = f'{{"type":"ERROR","object":{{"kind":"Status","code":{code},"message":"too old"}}}}\n'
    events, error = told_by(EVENT + status.encode())
    assert events == 1
    assert isinstance(error, kind)


def test_the_other_end_of_a_silent_stream_is_asked_for_a_sign_of_life() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, EVENT)

    with (
        serving(answer) as url,
        connect(Connection(host=url, api_key="none")) as api,
        api.watch("/api/v1/pods", seconds=1) as stream,
    ):
        wire = _wire(stream._exchange._response)
        assert wire is not None and wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
