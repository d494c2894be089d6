# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of canary_verify and of a release, made of what a task says.

This module is private to the collection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..verbs.judging.checks import (
    BoundCheck,
    BucketRule,
    CheckAsked,
    HttpAsked,
    JudgementError,
    LogsAsked,
    Misasked,
    OnNoData,
    PodsAsked,
    PrometheusAsked,
    RateCheck,
    Resource,
    ResourcesAsked,
    SamplesAsked,
    SourceAsked,
    Tolerance,
    VerifyRequest,
    Via,
    counts_requests,
    given_samples,
    gives_value,
    history_of,
    plan_of,
    streams_of,
)
from .arguments import ArgumentError, Options, Parameters, at_least, call, within
from .verify import CHECK, SOURCES
from .web import headers, web

# Seconds, steps: more than anybody can mean.
HIGHEST = 10**9
# One an hour and pod: of rare events such as restarts, more is no accident.
PODS_MAX_INCREASE = 1 / 3600


def verify_request(parameters: Parameters, check: bool, actor: str) -> VerifyRequest:
    at_least(1, parameters, "duration", "interval")
    at_least(0, parameters, "warmup", "steps")
    for name in ("duration", "interval", "warmup", "steps"):
        if parameters[name] > HIGHEST:
            raise ArgumentError(f"{name} is more than {HIGHEST}: give less")
    try:
        request = VerifyRequest(
            # Waiting is what this verb does; the options of other verbs' waits mean nothing here.
            call=call({**parameters, "wait": True, "wait_timeout": parameters["duration"]}, check, actor),
            checks=tuple(_check(number, given) for number, given in enumerate(parameters["checks"])),
            duration=float(parameters["duration"]),
            interval=float(parameters["interval"]),
            warmup=float(parameters["warmup"]),
            confidence=parameters["confidence"],
            on_no_data=OnNoData(parameters["on_no_data"]),
            inconclusive_ok=parameters["inconclusive_ok"],
            guard=parameters["guard"],
            steps=parameters["steps"],
            history=parameters["history"] or {},
        )
        plan_of(request)
        if request.history:
            history_of(request.history)
    except (JudgementError, Misasked) as error:
        raise ArgumentError(str(error)) from error
    return request


def _check(number: int, given: Parameters) -> CheckAsked:
    place = f"checks[{number}]"
    _must_be_finite(given, CHECK, place)
    kinds = [kind for kind in SOURCES if given[kind] is not None]
    if len(kinds) != 1:
        raise ArgumentError(f"{place} needs exactly one of {', '.join(SOURCES)}")
    with within(place, CHECK, JudgementError):
        return _of_kind(kinds[0], given)


def _of_kind(kind: str, given: Parameters) -> CheckAsked:
    with within(kind, CHECK[kind].get("options", ()), Misasked):
        source = _MAKE[kind](given[kind])
    name = given["name"] or kind
    if gives_value(source):
        _not_both(given, "one value is judged by min and max", "max_ratio", "max_increase", "must_pass")
        return CheckAsked(BoundCheck(name, given["min"], given["max"], given["in_a_row"]), source)
    _not_both(given, "counts are judged by max_ratio and max_increase", "min", "max")
    return CheckAsked(_rate_check(name, kind, given, source), source)


def _must_be_finite(given: Parameters, options: Options, where: str) -> None:
    """Ansible takes inf and nan for numbers, with which everything and nothing is compared. Raises ArgumentError."""
    for name, option in options.items():
        value = given[name]
        if value is None:
            continue
        if "options" in option:
            _must_be_finite(value, option["options"], f"{where}.{name}")
        elif option["type"] == "float" or option.get("elements") == "float":
            numbers = value if isinstance(value, list) else [value]
            if not all(math.isfinite(number) for number in numbers):
                raise ArgumentError(f"{where}.{name} is {value}, but a finite number is needed")


def _not_both(given: Parameters, why: str, *options: str) -> None:
    wrong = [option for option in options if given[option] is not None]
    if wrong:
        raise ArgumentError(f"{wrong[0]} cannot be given, because {why}: leave it out")


def _rate_check(name: str, kind: str, given: Parameters, source: SourceAsked) -> RateCheck:
    tolerance = Tolerance(given["max_ratio"], given["max_increase"], counts_requests(source))
    if kind == "pods" and given["max_ratio"] is None and given["max_increase"] is None:
        tolerance = Tolerance(max_increase=PODS_MAX_INCREASE)
    at_least(0, given, "bucket_seconds")
    seconds = given["bucket_seconds"]
    return RateCheck(
        name,
        tolerance,
        streams=streams_of(source),
        buckets=BucketRule() if seconds is None else BucketRule(seconds, seconds),
        weight=given["weight"],
        must_pass=kind != "pods" if given["must_pass"] is None else given["must_pass"],
    )


def _http(given: Parameters) -> HttpAsked:
    via = Via(given["via"])
    return HttpAsked(
        path=given["path"],
        port=given["port"],
        scheme=given["scheme"],
        via=via,
        status=tuple(given["status"]),
        body=given["body"],
        slow_ms=given["slow_ms"],
        timeout=given["timeout"],
        rate=given["rate"],
        most=given["max_requests"],
        price_per_gb=given["price_per_gb"],
        headers=headers(given, "headers"),
        canary_headers=headers(given, "canary_headers"),
        stable_headers=headers(given, "stable_headers"),
        web=web(given) if given["url"] else None,
    )


def _prometheus(given: Parameters) -> PrometheusAsked:
    return PrometheusAsked(
        web=web(given),
        bad=given["bad"],
        total=given["total"],
        histogram=given["histogram"],
        slower_than=tuple(given["slower_than"]),
        query=given["query"],
    )


def _logs(given: Parameters) -> LogsAsked:
    source = web(given) if given["url"] else None
    return LogsAsked(given["pattern"], given["container"], source, given["query"], given["settled_after"])


_MAKE: dict[str, Callable[[Any], SourceAsked]] = {
    "pods": lambda given: PodsAsked(),
    "http": _http,
    "prometheus": _prometheus,
    "logs": _logs,
    "resources": lambda given: ResourcesAsked(Resource(given["resource"])),
    "samples": lambda given: SamplesAsked(given_samples(given)),
}
