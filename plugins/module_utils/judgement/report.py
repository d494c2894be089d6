# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict as plain mappings for results and plots, and back into the history that a later call continues.

This module is private to the collection.
"""

from __future__ import annotations

import math
import re
from typing import Any, Iterable, Mapping, Sequence

from .buckets import Bucket
from .dispersion import Scatter
from .samples import HIGHEST_COUNT, LEAST_EXPOSURE, Count
from .tolerance import JudgementError
from .verdicts import BoundFigures, CheckVerdict, RunVerdict, StreamFigures

# Of a series row: field, and the number of a bucket that it holds.
_ROW = ("begin", "time", "step", "canary_bad", "canary_total", "stable_bad", "stable_total", "squares", "sums")
# Seconds of a lifetime.
_LONGEST = 1e10
_HIGHEST = {field: _LONGEST if field in ("begin", "time", "step") else HIGHEST_COUNT for field in _ROW} | {
    "squares": HIGHEST_COUNT**2
}
_MOST_STEPS = 10_000
_LONGEST_NAME = 500
# As values of the label pod-template-hash are; none where the verb did not say.
_HASH = re.compile(r"[-A-Za-z0-9_.]{0,63}")


def as_result(run: RunVerdict) -> dict[str, Any]:
    """Plain values, lists and mappings. Rates are bad events a unit of exposure, times seconds since the start."""
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


def history_of(result: Any) -> dict[tuple[str, str], tuple[Bucket, ...]]:
    """What a later part of the same run needs from `as_result` of an earlier one, which somebody else has kept meanwhile: so
    nothing of it is trusted. Errors: JudgementError."""
    history: dict[tuple[str, str], tuple[Bucket, ...]] = {}
    version = _mapping(result, "it").get("hash", "")
    if not isinstance(version, str) or not _HASH.fullmatch(version):
        raise _tampered("its hash is none of a pod template")
    marks_of(result)
    for check in _list(result.get("checks", []), "checks"):
        name = _text(_mapping(check, "checks").get("name"), "a check")
        for stream in _list(check.get("streams", []), f"streams of check {name}"):
            key = name, _text(_mapping(stream, f"streams of check {name}").get("name"), "a stream")
            if key in history:
                raise _tampered(f"check {name} has the same stream twice")
            history[key] = tuple(_buckets(name, _list(stream.get("series"), f"series of check {name}")))
    return history


def marks_of(result: Any) -> tuple[str, ...]:
    """The lists of the user's own samples that an earlier call has counted, as `history_of` reads them. Errors: JudgementError."""
    marks = _list(_mapping(result, "it").get("samples", []), "samples")
    return tuple(_text(mark, "a list of samples") for mark in marks)


def _buckets(name: str, rows: Iterable[Any]) -> Iterable[Bucket]:
    end, step = 0.0, 0
    for row in rows:
        bucket = _bucket(name, _mapping(row, f"series of check {name}"))
        if bucket.begin < end or bucket.step < step:
            raise _tampered(f"the series of check {name} goes back in time")
        end, step = bucket.end, bucket.step
        yield bucket


def _bucket(name: str, row: Mapping[str, Any]) -> Bucket:
    begin, end, step, *counts = (_number(name, row, field) for field in _ROW)
    canary, stable, scatter = Count(*counts[0:2]), Count(*counts[2:4]), Scatter(*counts[4:6])
    if begin > end or step > _MOST_STEPS or step != int(step):
        raise _tampered(f"the series of check {name} has times or steps that cannot be")
    if min(canary.total, stable.total) < LEAST_EXPOSURE:
        raise _tampered(f"the series of check {name} has counts without exposure")
    return Bucket(begin, end, canary, stable, scatter, int(step))


def _number(name: str, row: Mapping[str, Any], field: str) -> float:
    try:
        number = math.nan if isinstance(row[field], bool) else float(row[field])
    except (KeyError, OverflowError, TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= _HIGHEST[field]:
        raise _tampered(f"the series of check {name} has a row without a number for {field} that can be")
    return number


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _tampered(f"{where} should be a mapping")
    return value


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise _tampered(f"{where} should be a list")
    return value


def _text(value: Any, of: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise _tampered(f"the name of {of} should be a printable text of up to {_LONGEST_NAME} characters")
    return value


def _tampered(why: str) -> JudgementError:
    return JudgementError(
        f"history is no result of canary_verify: {why}. Hand over verify of the call before, unchanged"
    )
