# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every source, dead, slow or lying: no data with the reason, within a time and with a memory that are bounded, no secret in
it, and a run that has nothing else to go by ends inconclusive.

The server here goes wrong on request. It is Prometheus, Loki, the application and the API server at once.
"""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, session
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import BoundCheck, Plan, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import NoData
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.trial import Trial
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.probes import podlogs, resources
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import LogsAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.loki import LokiLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.podlogs import PodLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.prometheus import PrometheusAsked, prometheus
from ansible_collections.coalmine.canary.plugins.module_utils.probes.requests import HttpAsked, HttpRequests
from ansible_collections.coalmine.canary.plugins.module_utils.probes.resources import Resources, ResourcesAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    NoAnswer,
    ProbedPod,
    Sides,
    Source,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.ways import Via
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.clocks import Pauses
from tests.unit.probes.serving import MUCH_LATER_SECONDS, Respond, hang, serving

SECRETS = ("s3cr3t-t0ken", "s3cr3t-header", "s3cr3t-passw0rd")
# Who waits for what never comes need not wait long; what comes at once may take its time on a busy machine.
IMPATIENT, PATIENT = 0.15, 5.0
MOST_BYTES = 24 << 20
SIDES = Sides(
    "shop",
    canary=Version("7c6d", (ProbedPod("web-7c6d-a", "1"),)),
    stable=Version("5d5f", (ProbedPod("web-5d5f-a", "2"), ProbedPod("web-5d5f-b", "3"))),
)


@dataclass(frozen=True)
class Place:
    """Where all sources are, and the API by which some are reached."""

    url: str
    api: Api
    patience: float

    def web(self) -> Web:
        return Web(self.url, {"X-Key": SECRETS[1]}, SECRETS[0], timeout=self.patience)

    def http(self, via: Via) -> Source:
        web, headers = None, {"X-Key": f"Bearer {SECRETS[1]}"}
        if via is Via.URL:
            web = Web(self.url, username="me", password=SECRETS[2])
        asked = HttpAsked(
            via=via, web=web, timeout=self.patience, headers=headers, canary_headers={"X-Version": "canary"}, rate=50.0
        )
        return HttpRequests(self.api, asked)


def counters(place: Place) -> Source:
    return prometheus(PrometheusAsked(place.web(), bad='errors{pod=~"<pods>"}', total='requests{pod=~"<pods>"}'))


def histogram(place: Place) -> Source:
    return prometheus(PrometheusAsked(place.web(), histogram='seconds{pod=~"<pods>"}', slower_than=(0.1,)))


def value(place: Place) -> Source:
    return prometheus(PrometheusAsked(place.web(), query="up"))


def loki(place: Place) -> Source:
    return LokiLogs(LogsAsked(web=place.web(), query='{pod=~"<pods>"} |= "ERROR"'), place.web())


# By name: the source, and how what is asked of it travels.
SOURCES: dict[str, tuple[Callable[[Place], Source], str]] = {
    "prometheus, counters": (counters, "web"),
    "prometheus, histogram": (histogram, "web"),
    "prometheus, one value": (value, "web"),
    "logs, Loki": (loki, "web"),
    "logs, API": (lambda place: PodLogs(place.api, LogsAsked("ERROR")), "api"),
    "resources": (lambda place: Resources(place.api, ResourcesAsked()), "api"),
    "http, url": (lambda place: place.http(Via.URL), "pod"),
    "http, proxy": (lambda place: place.http(Via.PROXY), "proxy"),
    "http, forwarded port": (lambda place: place.http(Via.PORT_FORWARD), "forwarded"),
}


def answer(status: int, body: bytes = b"", kind: str = "text/html", **headers: str) -> Respond:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, text in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(body)

    return respond


def body_after(head: int, piece: Callable[[], bytes], pause: float) -> Respond:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(head)
        request.end_headers()
        try:
            while True:
                request.wfile.write(piece())
                time.sleep(pause)
        except OSError:
            return

    return respond


def drip_head(request: BaseHTTPRequestHandler) -> None:
    try:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            request.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        return


def garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def broken_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"status": "succ')


ECHO = json.dumps({"status": "error", "error": f"bad credentials: {' '.join(SECRETS)}"}).encode()
UNREACHED = "did not answer within|does not answer within|no answer for|did not finish|cannot be reached|broke|is up"
NO_ANSWER = "would not write|HTTP 200|without time stamps|has logged a line"
NO_HTTP = "not answer as HTTP does|does not answer within|broke|cannot be read"

# By name: what the server does, and what is told where it is asked directly, through the API, or as an application.
FAULTS: dict[str, tuple[Respond | None, dict[str, str]]] = {
    "dead": (None, {"": "cannot be reached|does not answer"}),
    "401": (answer(401, ECHO), {"web": "answers 401: check the token", "": "401|credentials"}),
    "403": (answer(403), {"web": "answers 403: check the token", "": "403"}),
    "404": (answer(404, b"<html>not here</html>"), {"web": "answers 404$", "": "404|no metrics.k8s.io|no such API"}),
    "429": (answer(429), {"web": "answers 429$", "": "429"}),
    "500 with a page": (answer(500, b"<html>db password is hunter2</html>"), {"": "500"}),
    "503 with our secrets": (answer(503, ECHO, "application/json"), {"": "503"}),
    "a redirect": (answer(302, Location="http://127.0.0.1:9/"), {"": "302"}),
    "hangs": (hang, {"": UNREACHED}),
    "drips its head": (drip_head, {"": UNREACHED}),
    "drips its body": (body_after(200, lambda: b" ", 0.05), {"": UNREACHED}),
    "a huge body": (
        body_after(200, lambda: b"[" * 65536, 0.0),
        {"web": "more than 4 MiB", "api": "more than|without time stamps", "": "."},
    ),
    "a huge refusal": (body_after(500, lambda: b"[" * 65536, 0.0), {"": "500"}),
    "no HTTP": (garbage, {"": NO_HTTP}),
    "broken off": (broken_off, {"web": NO_HTTP, "": "broke|does not answer|HTTP 200"}),
    "an empty body": (answer(200), {"web": "not answer with a JSON object", "": NO_ANSWER}),
    "no JSON": (answer(200, b"<html>log in</html>"), {"web": "not answer with a JSON object", "": NO_ANSWER}),
    "deep JSON": (answer(200, b"[" * 100_000), {"web": "not answer with a JSON object", "": NO_ANSWER}),
    "a list": (answer(200, b"[1, 2]"), {"web": "not answer with a JSON object", "": NO_ANSWER}),
    "a refusal of another shape": (
        answer(422, b'{"kind": "Status", "message": ["no"], "details": ["no"], "metadata": "no"}', "application/json"),
        {"": "422|cannot be read|no port could be forwarded"},
    ),
    "another shape": (
        answer(200, json.dumps({"status": "success", "data": [], "items": [{"name": 1}]}).encode()),
        {"web": "does not answer as Prometheus|is it Loki", "": NO_ANSWER},
    ),
}  # fmt: skip

SLOW = frozenset({"hangs", "drips its head", "drips its body"})

# What is no fault: an application may answer with any body, of which 64 KiB are read. And heads
# that come through the API are the API server's own, which is trusted.
ANY_BODY = ("an empty body", "no JSON", "deep JSON", "a list", "another shape")
NO_FAULT = {
    *((source, fault) for source in ("http, url", "http, proxy") for fault in (*ANY_BODY, "a huge body")),
    *((source, "drips its head") for source, (_make, travels) in SOURCES.items() if travels not in ("web", "pod")),
}
CASES = [(source, fault) for source in SOURCES for fault in FAULTS if (source, fault) not in NO_FAULT]


@contextmanager
def at(respond: Respond | None, patience: float) -> Iterator[Place]:
    """Where the server goes wrong; None: where none is any more."""
    with serving(respond or answer(200)) as url:
        api = Api(session(Connection(host=url, api_key=SECRETS[0])), seconds=patience, clock=Pauses([]))
        if respond:
            yield Place(url, api, patience)
    if not respond:
        yield Place(url, api, patience)


def told(source: Source) -> str:
    with pytest.raises(NoAnswer) as no_answer:
        try:
            source.begin(SIDES)
            source.look(SIDES, 1.0)
        finally:
            source.close()
    return str(no_answer.value)


@pytest.mark.parametrize(("source", "fault"), CASES, ids=[f"{source}: {fault}" for source, fault in CASES])
def test_it_is_no_data_with_a_reason_and_nothing_else(source: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = IMPATIENT if fault in SLOW else PATIENT
    monkeypatch.setattr(resources, "_SECONDS", patience)
    monkeypatch.setattr(podlogs, "_SECONDS", patience)
    make, travels = SOURCES[source]
    respond, words = FAULTS[fault]
    with at(respond, patience) as there:
        begun = time.monotonic()
        tracemalloc.start()
        try:
            reason = told(make(there))
            _now, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert time.monotonic() - begun < MUCH_LATER_SECONDS
    assert most < MOST_BYTES
    assert any_of(words.get(travels, words[""]), reason), reason
    assert not any(secret in reason for secret in SECRETS), reason
    assert "hunter2" not in reason
    run = judged_by(source, reason)
    assert run.verdict is Verdict.INCONCLUSIVE and reason in run.reason


def any_of(patterns: str, text: str) -> bool:
    return bool(re.search(patterns, text))


def judged_by(source: str, reason: str) -> Any:
    """A run of a minute in which this was all that was heard."""
    one_value = source in ("resources", "prometheus, one value")
    check = BoundCheck("it", maximum=1.0) if one_value else RateCheck("it", Tolerance(max_increase=0.01))
    trial = Trial(Plan((check,)))
    for second in range(0, 60, 5):
        trial.observe("it", NoData(float(second), reason))
        assert trial.look(float(second)) is None
    return trial.report(60.0)
