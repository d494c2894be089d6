# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_verify is asked: checks, each a question and the source of its answers.

The front door makes these values and sees nothing of the rooms behind them; so what it needs is named here.
This module is private to the collection.
"""

from __future__ import annotations

from typing import Union

from ...cluster.api import Api
from ...judgement.buckets import BucketRule
from ...judgement.checks import ONLY_STREAM, BoundCheck, Check, Plan, RateCheck
from ...judgement.evidence import Promise
from ...judgement.report import history_of
from ...judgement.samples import Sample, given_samples
from ...judgement.tolerance import JudgementError, Tolerance
from ...probes.logs import LogsAsked
from ...probes.loki import LokiLogs
from ...probes.placeholders import names_stable
from ...probes.podlogs import PodLogs
from ...probes.podstates import PodStates
from ...probes.prometheus import PrometheusAsked, prometheus, stream_of
from ...probes.requests import HttpAsked, HttpRequests
from ...probes.resources import Resources, ResourcesAsked
from ...probes.source import Misasked, Source
from ...probes.web import Web
from ...values import dataclass
from .asked import OnNoData, Resource, VerifyRequest, Via

__all__ = [
    "BoundCheck",
    "BucketRule",
    "CheckAsked",
    "HttpAsked",
    "JudgementError",
    "LogsAsked",
    "Misasked",
    "OnNoData",
    "PodsAsked",
    "PrometheusAsked",
    "RateCheck",
    "Resource",
    "ResourcesAsked",
    "SamplesAsked",
    "Tolerance",
    "VerifyRequest",
    "Via",
    "Web",
    "counts_requests",
    "given_samples",
    "gives_value",
    "history_of",
    "measures_time",
    "needs_pods",
    "needs_stable",
    "open_source",
    "plan_of",
    "streams_of",
]


@dataclass(frozen=True)
class PodsAsked:
    """Restarts, readiness lost and evictions, from the pods themselves."""


@dataclass(frozen=True)
class SamplesAsked:
    """What the user's own tasks have counted; times in seconds since the run began."""

    samples: tuple[Sample, ...]


SourceAsked = Union[PodsAsked, HttpAsked, PrometheusAsked, LogsAsked, ResourcesAsked, SamplesAsked]


@dataclass(frozen=True)
class CheckAsked:
    """`check` is a BoundCheck exactly where the source gives one value and no counts."""

    check: Check
    source: SourceAsked

    def __post_init__(self) -> None:
        if gives_value(self.source) is not isinstance(self.check, BoundCheck):
            raise Misasked(f"check {self.check.name!r}: min and max go with one value, a tolerance with counts")


def gives_value(source: SourceAsked) -> bool:
    return isinstance(source, ResourcesAsked) or (isinstance(source, PrometheusAsked) and bool(source.query))


def needs_stable(source: SourceAsked) -> bool:
    """Its answer says nothing without a stable version beside the new one."""
    if isinstance(source, PrometheusAsked) and source.query:
        return names_stable(source.query)
    return not isinstance(source, PodsAsked)


def needs_pods(source: SourceAsked) -> bool:
    """Its exposure, or whom it asks, are the pods that are there: without a fresh list of them it cannot say anything. What
    Prometheus counts, it counts whoever is there."""
    return isinstance(source, (PodsAsked, LogsAsked)) or (isinstance(source, HttpAsked) and source.via is not Via.URL)


def counts_requests(source: SourceAsked) -> bool:
    """Each is bad or is not. Events of pods and lines of logs may be more than the seconds that they are counted in."""
    return isinstance(source, (HttpAsked, PrometheusAsked, SamplesAsked))


def measures_time(source: SourceAsked) -> bool:
    """How long requests take, which goes with the load of a pod."""
    if isinstance(source, PrometheusAsked):
        return bool(source.slower_than)
    return isinstance(source, HttpAsked) and source.slow_ms is not None


def streams_of(source: SourceAsked) -> tuple[str, ...]:
    """One stream a bound of a histogram, else the one."""
    if isinstance(source, PrometheusAsked) and source.slower_than:
        return tuple(stream_of(bound) for bound in source.slower_than)
    return (ONLY_STREAM,)


def plan_of(request: VerifyRequest) -> Plan:
    """Raises JudgementError."""
    checks = tuple(asked.check for asked in request.checks)
    return Plan(checks, Promise(request.confidence), request.warmup, fresh_starts=request.steps)


def open_source(api: Api, asked: SourceAsked) -> Source | None:
    """None for samples, which are there already."""
    if isinstance(asked, PodsAsked):
        return PodStates()
    if isinstance(asked, HttpAsked):
        return HttpRequests(api, asked, api.clock)
    if isinstance(asked, PrometheusAsked):
        return prometheus(asked)
    if isinstance(asked, LogsAsked):
        return LokiLogs(asked, asked.web) if asked.web else PodLogs(api, asked, api.clock)
    return Resources(api, asked) if isinstance(asked, ResourcesAsked) else None
