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
from typing import Any, Mapping, Sequence

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


@dataclass(frozen=True)
class _Measured:
    """`at`: when, in seconds since 1970, by the clock of whoever measured; None where that is not told."""

    used: float
    at: float | None


class Resources:
    """The mean of the canary's pods, as a multiple of the mean of the stable ones.

    What was measured is there at every look until it is measured again, and counts at one of them: a look gives a value where each of these
    pods has been measured since the last one that did, or since the beginning.
    """

    def __init__(self, api: Api, wanted: ResourcesAsked) -> None:
        self._api = api
        self._asked = wanted
        self._counted: dict[str, float] = {}
        # Whether looks have given a value, once there was one.
        self._gave: bool | None = None

    def begin(self, sides: Sides) -> None:
        self._counts(self._measured(sides))

    def look(self, sides: Sides, seconds: float) -> Answers:
        measured = self._measured(sides)
        canary, stable = (_mean(version, measured) for version in (sides.canary, sides.stable))
        if canary is None or stable is None:
            raise NoAnswer(f"metrics.k8s.io has nothing yet of {'the canary' if canary is None else 'stable'}'s pods")
        if stable == 0:
            raise NoAnswer(f"stable uses no {self._asked.resource.value}, so there is no ratio to it")
        if self._is_counted(measured, (*sides.canary.names, *sides.stable.names)):
            self._gave = bool(self._gave)
            return {}
        self._gave = True
        self._counts(measured)
        return {"": Value(canary / stable)}

    def _is_counted(self, measured: Mapping[str, _Measured], names: Sequence[str]) -> bool:
        """Some of these pods have not been measured anew. One of several servers may also answer with what is older."""
        moments = ((measured[name].at, self._counted.get(name)) for name in names if name in measured)
        return any(at is not None and before is not None and at <= before for at, before in moments)

    def _counts(self, measured: Mapping[str, _Measured]) -> None:
        self._counted.update({name: one.at for name, one in measured.items() if one.at is not None})

    def _measured(self, sides: Sides) -> dict[str, _Measured]:
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
            measured = {
                item["metadata"]["name"]: _Measured(self._of_pod(item), _moment(item))
                for item in found
                if _is_of_now(_moment(item), now)
            }
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise NoAnswer("metrics.k8s.io answers with what metrics-server would not write") from None
        if found and not measured:
            raise NoAnswer(
                f"metrics.k8s.io has measured nothing in the last {STALE_SECONDS:g} seconds, by the API server's clock: look at "
                "metrics-server, and at the clock of its node"
            )
        return measured

    def _of_pod(self, item: Mapping[str, Any]) -> float:
        name = self._asked.resource.value
        return sum(_quantity(container["usage"][name]) for container in item.get("containers") or ())

    def close(self) -> None:
        pass

    def doubt(self) -> str:
        return "" if self._gave in (None, True) else "metrics.k8s.io has not measured all of these pods anew meanwhile"

    def costs(self) -> Mapping[str, float]:
        return {}


def _moment(item: Mapping[str, Any]) -> float | None:
    """The time stamp of the measurement (RFC 3339)."""
    written = item.get("timestamp")
    return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp() if written else None


def _is_of_now(at: float | None, now: float | None) -> bool:
    """By the server's clock; where it or the time stamp is missing nothing speaks against it."""
    return now is None or at is None or abs(at - now) <= STALE_SECONDS


def _mean(version: Version, measured: Mapping[str, _Measured]) -> float | None:
    found = [measured[name].used for name in version.names if name in measured]
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
