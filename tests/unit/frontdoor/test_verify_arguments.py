# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may write for canary_verify, the request that comes of it, and what of it is never shown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.verify import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    BoundCheck,
    BucketRule,
    HttpAsked,
    LogsAsked,
    PodsAsked,
    PrometheusAsked,
    RateCheck,
    Resource,
    ResourcesAsked,
    SamplesAsked,
    Tolerance,
    VerifyRequest,
)

URL = {"url": "http://prometheus:9090"}
COUNTERS = {**URL, "bad": "e{pod=~'<pods>'}", "total": "r{pod=~'<pods>'}"}
OF_REQUESTS = Tolerance(of_requests=True)


def asked(*checks: dict[str, Any], **options: Any) -> VerifyRequest:
    result = ArgumentSpecValidator(VERB.arguments.argument_spec).validate(
        {"name": "web", "checks": list(checks), **options}
    )
    if result.error_messages:
        raise ArgumentError(result.errors.msg)
    request = VERB.arguments.to_request(result.validated_parameters, False, "ann")
    assert isinstance(request, VerifyRequest)
    return request


@pytest.mark.parametrize(
    ("given", "check", "kind"),
    [
        (
            {"http": {}, "max_ratio": 1.5, "max_increase": 0.005},
            RateCheck("http", Tolerance(1.5, 0.005, of_requests=True)),
            HttpAsked,
        ),
        ({"pods": {}}, RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked),
        (
            {"pods": {}, "max_ratio": 2, "must_pass": True, "name": "crashes"},
            RateCheck("crashes", Tolerance(max_ratio=2)),
            PodsAsked,
        ),
        ({"prometheus": COUNTERS}, RateCheck("prometheus", OF_REQUESTS), PrometheusAsked),
        (
            {"prometheus": {**URL, "histogram": "h{pod=~'<pods>'}", "slower_than": [0.1, 1]}},
            RateCheck("prometheus", OF_REQUESTS, streams=("slower than 0.1 s", "slower than 1 s")),
            PrometheusAsked,
        ),
        ({"prometheus": {**URL, "query": "up"}, "min": 1}, BoundCheck("prometheus", minimum=1), PrometheusAsked),
        (
            {"logs": {"pattern": "ERROR"}, "bucket_seconds": 30},
            RateCheck("logs", buckets=BucketRule(30, 30)),
            LogsAsked,
        ),
        ({"resources": {"resource": "cpu"}, "max": 1.5, "in_a_row": 5}, BoundCheck("resources", None, 1.5, 5), None),
        ({"samples": []}, RateCheck("samples", OF_REQUESTS), SamplesAsked),
    ],
)
def test_a_check_is_a_question_and_a_source(given: dict[str, Any], check: RateCheck | BoundCheck, kind: Any) -> None:
    (only,) = asked(given).checks
    assert only.check == check
    assert isinstance(only.source, kind or ResourcesAsked)


def test_what_is_not_said_has_a_default() -> None:
    request = asked({"http": {}})
    assert (request.duration, request.interval, request.warmup, request.confidence) == (300, 5, 0, 0.95)
    (check,) = request.checks
    assert check.source == HttpAsked(path="/", port=8080, status=(200,), rate=10, most=5000)
    assert asked({"resources": {}, "max": 2}).checks[0].source == ResourcesAsked(Resource.MEMORY)


@pytest.mark.parametrize(
    ("checks", "options", "says"),
    [
        ([], {}, "at least one check"),
        ([{}], {}, r"checks\[0\] needs exactly one of"),
        ([{"http": {}, "pods": {}}], {}, r"checks\[0\] needs exactly one of"),
        ([{"http": {}}, {"http": {}}], {}, "twice: http"),
        ([{"http": {}, "max": 3}], {}, "max cannot be given"),
        ([{"resources": {}, "max": 3, "max_ratio": 2}], {}, "max_ratio cannot be given"),
        ([{"resources": {}}], {}, r"^checks\[0\].min and max are the bounds"),
        ([{"http": {}, "max_ratio": 0}], {}, "max_ratio is 0"),
        ([{"http": {"path": "healthz"}}], {}, r"^checks\[0\].http.path does not begin with /"),
        ([{"http": {"via": "url"}}], {}, "url"),
        ([{"prometheus": URL}], {}, r"^checks\[0\].prometheus: exactly one is needed of"),
        ([{"prometheus": {**COUNTERS, "url": "prometheus:9090"}}], {}, "http://"),
        ([{"logs": {}}], {}, r"^checks\[0\].logs.pattern is needed"),
        ([{"samples": [{"time": 1}]}], {}, r"samples\[0\] lacks canary"),
        ([{"http": {}}], {"confidence": 1.0}, "confidence"),
        ([{"http": {}}], {"duration": 0}, "duration is 0"),
        ([{"http": {}}], {"warmup": -1}, "warmup is -1"),
        ([{"http": {}}], {"duration": 10**400}, "duration is more than"),
        ([{"http": {}}], {"steps": 10**10}, "steps is more than"),
        ([{"http": {}}], {"confidence": "nan"}, "confidence"),
        ([{"http": {}, "max_ratio": "inf"}], {}, r"checks\[0\].max_ratio is inf, but a finite"),
        ([{"http": {}, "bucket_seconds": "inf"}], {}, r"checks\[0\].bucket_seconds is inf"),
        ([{"http": {}, "weight": "nan"}], {}, r"checks\[0\].weight is nan"),
        ([{"http": {}, "weight": 1e300}], {}, r"^checks\[0\].weight is 1e[+]300"),
        ([{"http": {}, "max_ratio": 1e300}], {}, "max_ratio is 1e[+]300"),
        ([{"http": {}, "max_increase": 1e300}], {}, "max_increase is 1e[+]300"),
        ([{"http": {"slow_ms": "nan"}}], {}, r"checks\[0\].http.slow_ms is nan"),
        ([{"http": {"slow_ms": 0}}], {}, r"^checks\[0\].http.slow_ms is 0"),
        ([{"http": {"price_per_gb": "inf"}}], {}, r"http.price_per_gb is inf"),
        ([{"http": {"price_per_gb": -1}}], {}, "price_per_gb"),
        ([{"http": {"rate": "inf"}}], {}, r"http.rate is inf"),
        ([{"http": {"timeout": "-inf"}}], {}, r"http.timeout is -inf"),
        ([{"http": {"port": 0}}], {}, "http.port is 0"),
        ([{"http": {"port": 65536}}], {}, "http.port is 65536"),
        ([{"http": {"status": []}}], {}, r"^checks\[0\].http.status is empty"),
        ([{"http": {"status": [20]}}], {}, "http.status is empty, or has one that is none"),
        ([{"http": {"body": "("}}], {}, "not a regular expression"),
        ([{"http": {"headers": {"X-Café": "a"}}}], {}, "HTTP cannot carry"),
        ([{"http": {"headers": {"X": "snow☃"}}}], {}, "HTTP cannot carry"),
        ([{"http": {"canary_headers": {"X": "a\r\nY: b"}}}], {}, "HTTP cannot carry"),
        ([{"http": {"stable_headers": {"": "a"}}}], {}, "HTTP cannot carry"),
        ([{"prometheus": {**COUNTERS, "timeout": "inf"}}], {}, r"prometheus.timeout is inf"),
        ([{"prometheus": {**COUNTERS, "timeout": 0}}], {}, r"^checks\[0\].prometheus.timeout is 0"),
        ([{"prometheus": {**COUNTERS, "url": "http://prom etheus:9090"}}], {}, "holds a blank"),
        ([{"prometheus": {**COUNTERS, "url": "http://prometheus:9090/a b"}}], {}, "holds a blank"),
        ([{"prometheus": {**COUNTERS, "url": "http://prométheus:9090"}}], {}, "holds a blank or another"),
        ([{"prometheus": {**COUNTERS, "headers": {"X-Org": "щ"}}}], {}, "HTTP cannot carry"),
        (
            [{"prometheus": {**COUNTERS, "token": "s3cr3t\n"}}],
            {},
            "prometheus.token for http://prometheus:9090 holds a line break",
        ),
        ([{"prometheus": {**URL, "histogram": "h{pod=~'<pods>'}", "slower_than": [0]}}], {}, "above 0"),
        ([{"prometheus": {**URL, "histogram": "h{pod=~'<pods>'}", "slower_than": ["inf"]}}], {}, "slower_than is"),
        ([{"logs": {"pattern": "x", "settled_after": "nan"}}], {}, r"logs.settled_after is nan"),
        ([{"logs": {"pattern": "(" * 5000}}], {}, "not a regular expression"),
        ([{"resources": {}, "max": "inf"}], {}, r"checks\[0\].max is inf"),
        ([{"samples": [{"time": 10**400, "canary": {}, "stable": {}}]}], {}, r"samples\[0\]"),
        (
            [{"samples": [{"time": 1, "canary": {"bad": 0, "total": 1e300}, "stable": {"bad": 0, "total": 1}}]}],
            {},
            "samples",
        ),
        ([{"http": {}}], {"history": {"checks": "all"}}, "^history is no result of canary_verify"),
        ([{"http": {}}], {"history": {"hash": ["a"]}}, "its hash is none of a pod template"),
    ],
)
def test_what_makes_no_sense_is_refused(checks: list[dict[str, Any]], options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as told:
        asked(*checks, **options)
    assert "s3cr3t" not in str(told.value)


class TestSecrets:
    def test_tokens_and_passwords_are_never_shown(self) -> None:
        for source in ("http", "prometheus", "logs"):
            options = VERB.arguments.argument_spec["checks"]["options"][source]["options"]
            assert options["token"]["no_log"] and options["password"]["no_log"]
