# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a source answers, it is counted or it is no data: anything at all is put in the place of any part of a good answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, Reading, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError
from ansible_collections.coalmine.canary.plugins.module_utils.probes.logs import LogsAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.loki import LokiLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.podlogs import PodLogs
from ansible_collections.coalmine.canary.plugins.module_utils.probes.prometheus import PrometheusAsked, prometheus
from ansible_collections.coalmine.canary.plugins.module_utils.probes.resources import Resources, ResourcesAsked
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import (
    Counted,
    NoAnswer,
    ProbedPod,
    Sides,
    Source,
    Value,
    Version,
)
from ansible_collections.coalmine.canary.plugins.module_utils.probes.traffic import expected_of_counters
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web
from tests.unit.probes.serving import send, serving

SIDES = Sides("shop", Version("7c6d", (ProbedPod("c", "1"),)), Version("5d5f", (ProbedPod("s", "2"),)))
ROWS = [{"metric": {"pod": pod, "le": le}, "value": [5, "7"]} for pod in "cs" for le in ("0.1", "+Inf")]
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": ROWS}, "warnings": [], "isPartial": False}
RANGE = {"metric": {"pod": "s"}, "values": [[5, "7"], [20, "9"]]}
MATRIX = {"status": "success", "data": {"resultType": "matrix", "result": [RANGE]}}
STREAM = {"stream": {"pod": "c"}, "values": [["1700000000000000000", "ERROR"]]}
STREAMS = {"status": "success", "data": {"resultType": "streams", "result": [STREAM]}}
USED = [
    {"metadata": {"name": pod}, "timestamp": "2026-01-01T00:00:00Z", "containers": [{"usage": {"memory": "1Mi"}}]}
    for pod in "cs"
]
STATUS = {
    "kind": "Status",
    "apiVersion": "v1",
    "message": "no",
    "details": {"causes": []},
    "metadata": {"continue": ""},
}
COUNTERS = {"bad": 'e{pod=~"<pods>"}', "total": 'r{pod=~"<pods>"}'}


class Forecast:
    """What a source can tell beforehand, asked as a source is."""

    def __init__(self, url: str) -> None:
        self._asked = PrometheusAsked(Web(url), **COUNTERS)

    def begin(self, sides: Sides) -> None:
        expected_of_counters(self._asked, sides)

    def look(self, sides: Sides, seconds: float) -> dict[str, Counted | Value]:
        return {}

    def close(self) -> None:
        pass


# By name: a good answer, its status, and the source that reads it.
ANSWERS: dict[str, tuple[Any, int, Callable[[str, Api], Any]]] = {
    "counters": (VECTOR, 200, lambda url, api: prometheus(PrometheusAsked(Web(url), **COUNTERS))),
    "histogram": (
        VECTOR,
        200,
        lambda url, api: prometheus(PrometheusAsked(Web(url), histogram='h{pod=~"<pods>"}', slower_than=(0.1,))),
    ),
    "value": (VECTOR, 200, lambda url, api: prometheus(PrometheusAsked(Web(url), query="up"))),
    "forecast": (MATRIX, 200, lambda url, api: Forecast(url)),
    "Loki": (STREAMS, 200, lambda url, api: LokiLogs(LogsAsked(web=Web(url), query='{pod=~"<pods>"}'), Web(url))),
    "resources": ({"items": USED}, 200, lambda url, api: Resources(api, ResourcesAsked())),
    "resources, refused": (STATUS, 422, lambda url, api: Resources(api, ResourcesAsked())),
    "a log, refused": (STATUS, 410, lambda url, api: PodLogs(api, LogsAsked("ERROR"))),
}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(["NaN", "1e308", "-1", "9" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of it, as where it stands and under what."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def taken(source: Source) -> None:
    """As a run takes it."""
    for answer in [one for _ in range(2) for one in source.look(SIDES, 5.0).values()]:
        with suppress(JudgementError):
            if isinstance(answer, Value):
                Reading(5.0, answer.value)
            else:
                counts = [Count(side.bad, side.total) for side in (answer.canary, answer.stable)]
                Sample(5.0, *counts, stable_pods=answer.stable.by_pod)


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_counted_or_no_data(name: str) -> None:
    good, status, make = ANSWERS[name]
    body = [b""]

    def respond(request: BaseHTTPRequestHandler) -> None:
        send(request, body[0], status)

    with serving(respond) as url, connect(Connection(host=url, api_key="x")) as api:

        @given(st.data())
        def try_all(data: st.DataObject) -> None:
            answer = copy.deepcopy(good)
            place, key = data.draw(st.sampled_from(list(places(answer))))
            place[key] = data.draw(ANYTHING)
            body[0] = json.dumps(answer).encode()
            with closing(make(url, api)) as source, suppress(NoAnswer):
                source.begin(SIDES)
                taken(source)

        try_all()
