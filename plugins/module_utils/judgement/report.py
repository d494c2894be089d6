# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict as plain mappings for results and plots, and back into the history that a later call continues.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .buckets import Bucket
from .dispersion import Scatter
from .samples import Count
from .tolerance import JudgementError
from .verdicts import BoundFigures, CheckVerdict, RunVerdict, StreamFigures

# Of a series row: field, and the number of a bucket that it holds.
_ROW = ("begin", "time", "step", "canary_bad", "canary_total", "stable_bad", "stable_total", "squares", "sums")


def as_result(run: RunVerdict) -> dict[str, Any]:
    """Plain values, lists and mappings. Rates are bad events a unit of exposure, times seconds since the begin."""
    return {
        "verdict": run.verdict.value,
        "reason": run.reason,
        "seconds": run.after,
        "confidence": run.confidence,
        "evidence": run.evidence,
        "limit": run.limit,
        "checks": [_check(check) for check in run.checks],
    }


def _check(check: CheckVerdict) -> dict[str, Any]:
    result: dict[str, Any] = {
        "name": check.name,
        "verdict": check.verdict.value,
        "rule": check.rule.name.lower(),
        "rule_text": check.rule.value,
        "reason": check.reason,
        "suspect": check.suspect,
        "decided_after": check.decided_after,
        "decided_on": check.decided_on,
        "gaps": check.gaps,
        "last_gap": check.last_gap,
    }
    if check.streams:
        result["streams"] = [_stream(stream) for stream in check.streams]
    if check.bound:
        result["bound"] = _bound(check.bound)
    return result


def _stream(stream: StreamFigures) -> dict[str, Any]:
    estimate = stream.estimate
    return {
        "name": stream.name,
        "canary": _count(stream.canary),
        "stable": _count(stream.stable),
        "estimate": {
            "of": estimate.quantity.value,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "confidence": estimate.confidence,
        },
        "evidence_to_fail": stream.to_fail,
        "evidence_to_pass": stream.to_pass,
        "scatter": stream.scatter_factor,
        "series": [_row(bucket) for bucket in stream.series],
        "warmup_series": [_row(bucket) for bucket in stream.warmup_series],
    }


def _bound(bound: BoundFigures) -> dict[str, Any]:
    return {
        "min": bound.minimum,
        "max": bound.maximum,
        "series": [{"time": reading.at, "value": reading.value} for reading in bound.series],
    }


def _count(count: Count) -> dict[str, Any]:
    return {"bad": count.bad, "total": count.total, "rate": count.rate}


def _row(bucket: Bucket) -> dict[str, float]:
    canary, stable, scatter = bucket.canary, bucket.stable, bucket.scatter
    counts = (canary.bad, canary.total, stable.bad, stable.total, scatter.squares, scatter.sums)
    return dict(zip(_ROW, (bucket.begin, bucket.end, bucket.step, *counts), strict=True))


def history_of(result: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Bucket, ...]]:
    """What a later part of the same run needs from `as_result` of an earlier one. Errors: JudgementError."""
    history = {}
    for check in result.get("checks", ()):
        for stream in check.get("streams", ()):
            history[(check["name"], stream["name"])] = tuple(_buckets(check["name"], stream["series"]))
    return history


def _buckets(name: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[Bucket]:
    for row in rows:
        try:
            begin, end, step, *counts = (float(row[field]) for field in _ROW)
        except (KeyError, TypeError, ValueError) as cause:
            raise JudgementError(
                f"the history of check {name!r} has a row that is not one of a series: hand over the result unchanged"
            ) from cause
        canary, stable, scatter = Count(*counts[0:2]), Count(*counts[2:4]), Scatter(*counts[4:6])
        yield Bucket(begin, end, canary, stable, scatter, int(step))
