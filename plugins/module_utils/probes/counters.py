# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Increases of Prometheus counters, read raw and subtracted here: exact counts, no extrapolation, resets handled.

Several Prometheus servers may stand behind one address, each with its own scrapes.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Mapping

from ..values import dataclass
from .source import NoAnswer, Version

MOST_SERIES = 20_000
# Up to here a float counts every event.
HIGHEST_COUNT = 2.0**53

# A series by its labels, sorted.
Series = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Grown:
    """`by_series`: what was added since the look before. `unclear`: a sum over pods is among them, and the pods are others
    than at the look before."""

    by_series: Mapping[Series, float]
    unclear: bool = False


class Counters:
    """One counter of one version: the labels of both may be the same, as they are of a sum. Remembers the last value of
    every series for the whole run, so that one that was not scraped for a while goes on from there.

    A series that was never seen begins at 0: error counters appear with their first error. Where nothing was read of its pod before,
    neither here nor of `of_all`, which counts every event of which these are some, it only says where counting starts: nobody knows how long
    its history is. The pod is new, or was not scraped at first. A sum over pods starts afresh whenever the pods are others.

    A value that is not even half is a restart of the counter, which begins at 0 again; one that is only somewhat smaller comes
    from a server that is a scrape behind, and adds nothing until it is made up for. What is left of a sum over several pods
    after one of them began again was there before, and adds nothing.
    """

    def __init__(self, of_all: Counters | None = None) -> None:
        self._all = of_all
        self._last: dict[Series, float] = {}
        self._pods: Mapping[str, str] | None = None
        self._read_of: set[str] = set()

    def grown(self, values: Mapping[Series, float], version: Version) -> Grown:
        """Of each series that is there now. Raises NoAnswer."""
        if len(self._last.keys() | values.keys()) > MOST_SERIES:
            raise NoAnswer(f"the query gives more than {MOST_SERIES} series: aggregate it, sum by (pod)")
        wrong = next((value for value in values.values() if not 0 <= value <= HIGHEST_COUNT), None)
        if wrong is not None:
            raise NoAnswer(
                f"the query gives {wrong:g}, which is not a count of events: is it a counter, without rate()?"
            )
        pods = {pod.name: pod.uid for pod in version.pods}
        others = self._pods is not None and self._pods != pods
        increases = {series: self._added(series, value, pods) for series, value in values.items()}
        self._pods = pods
        self._read_of |= {_whose(series, pods) for series in values}
        return Grown(increases, others and any(not pod_of(series, pods) for series in values))

    def _added(self, series: Series, value: float, pods: Mapping[str, str]) -> float:
        pod = pod_of(series, pods)
        begins = series not in self._last and not self._was_read(_whose(series, pods))
        if begins or not self._goes_on(pod, pods):
            self._last[series] = value
            return 0.0
        before = self._last.get(series, 0.0)
        began_again = value < before / 2
        self._last[series] = value if began_again else max(value, before)
        if began_again:
            return value if pod or len(pods) == 1 else 0.0
        return max(0.0, value - before)

    def _was_read(self, pod: str) -> bool:
        """Of a pod, by its uid; where all events are summed over pods, of any."""
        return not self._read_of.isdisjoint((pod, "")) or (self._all is not None and self._all._was_read(pod))

    def _goes_on(self, pod: str, pods: Mapping[str, str]) -> bool:
        if self._pods is None:
            return False
        return self._pods.get(pod) == pods.get(pod) if pod else self._pods == pods


def _whose(series: Series, pods: Mapping[str, str]) -> str:
    """uid of its pod; nothing for a sum over pods. Of a pod that is none of these, its name."""
    pod = pod_of(series, pods)
    return pods.get(pod, pod)


def pod_of(series: Series, pods: Mapping[str, str]) -> str:
    """Name of the pod that a series is of: of these pods whatever the label is called, else by its label `pod`. Nothing for a
    sum over pods."""
    named = next((text for _label, text in series if text in pods), "")
    return named or next((text for label, text in series if label == "pod"), "")
