# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `resources` check: CPU or memory of a canary pod against a stable one, from metrics.k8s.io.

This module is private to the collection.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Mapping

from ..cluster.api import Api
from ..cluster.asked import asked
from ..cluster.clock import moment_of_date
from ..cluster.errors import ApiError, NotFound, from_answer, status_of
from ..values import dataclass
from .choices import Resource
from .source import Answers, NoAnswer, Sides, Value, Version

# For the head of the answer, and again for its body; and how long it may be.
_SECONDS = 10.0
_LARGEST = 4 << 20


# metrics-server measures every 15 seconds (--metric-resolution), some clusters every minute.
STALE_SECONDS = 180.0


@dataclass(frozen=True)
class ResourcesAsked:
    resource: Resource = Resource.MEMORY


# Suffixes of resource.Quantity (staging/src/k8s.io/apimachinery/pkg/api/resource/suffix.go).
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    **{suffix: 1000.0**power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": 1024.0**power for power, suffix in enumerate("KMGTPE", 1)},
}


class Resources:
    """The mean of the canary's pods, as a multiple of the mean of the stable ones."""

    def __init__(self, api: Api, wanted: ResourcesAsked) -> None:
        self._api = api
        self._asked = wanted

    def begin(self, sides: Sides) -> None:
        self._used(sides)

    def look(self, sides: Sides, seconds: float) -> Answers:
        used = self._used(sides)
        canary, stable = (_mean(version, used) for version in (sides.canary, sides.stable))
        if canary is None or stable is None:
            raise NoAnswer(f"metrics.k8s.io has nothing yet of {'the canary' if canary is None else 'stable'}'s pods")
        if stable == 0:
            raise NoAnswer(f"stable uses no {self._asked.resource.value}, so there is no ratio to it")
        return {"": Value(canary / stable)}

    def _used(self, sides: Sides) -> dict[str, float]:
        """By pod. The answer comes from whatever stands behind this API, not from the API server: nothing of it is trusted."""
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{sides.namespace}/pods"
        try:
            answer = self._api.raw("GET", path, timeout=_SECONDS, max_bytes=_LARGEST)
            if answer.status >= 300:
                raise from_answer(asked("GET", path), answer.status, status_of(answer.data))
        except NotFound:
            raise NoAnswer(
                "this cluster has no metrics.k8s.io: install metrics-server, or leave resources out"
            ) from None
        except ApiError as error:
            raise NoAnswer(f"metrics.k8s.io cannot be read: {error.why}") from None
        if answer.truncated:
            raise NoAnswer(f"metrics.k8s.io answers with more than {_LARGEST >> 20} MiB: are there so many pods?")
        try:
            found = json.loads(answer.data).get("items") or ()
            now = moment_of_date(answer.headers.get("Date"))
            used = {item["metadata"]["name"]: self._of_pod(item) for item in found if _is_of_now(item, now)}
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise NoAnswer("metrics.k8s.io answers with what metrics-server would not write") from None
        if found and not used:
            raise NoAnswer(
                f"metrics.k8s.io has measured nothing in the last {STALE_SECONDS:g} seconds, by the API server's clock: look at "
                "metrics-server, and at the clock of its node"
            )
        return used

    def _of_pod(self, item: Mapping[str, Any]) -> float:
        name = self._asked.resource.value
        return sum(_quantity(container["usage"][name]) for container in item.get("containers") or ())

    def close(self) -> None:
        pass

    def doubt(self) -> str:
        return ""

    def costs(self) -> Mapping[str, float]:
        return {}


def _is_of_now(item: Mapping[str, Any], now: float | None) -> bool:
    """By the time stamp of the measurement (RFC 3339) and the server's clock; where one of them is missing nothing speaks against it."""
    written = item.get("timestamp")
    if now is None or not written:
        return True
    return abs(datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp() - now) <= STALE_SECONDS


def _mean(version: Version, used: Mapping[str, float]) -> float | None:
    found = [used[name] for name in version.names if name in used]
    return sum(found) / len(found) if found else None


def _quantity(text: str) -> float:
    number = text.rstrip("numkMGTPEKi")
    try:
        amount = float(number) * _FACTORS[text[len(number) :]]
    except (KeyError, ValueError):
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise NoAnswer(f"metrics.k8s.io answers with {text[:40]}, which is not a quantity of anything used")
    return amount
