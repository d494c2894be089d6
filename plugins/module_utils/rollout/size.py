# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many canary pods, and by which strategy values a Deployment holds them.

A hold is `RollingUpdate` with whole numbers maxSurge = s and maxUnavailable = u, under a minReadySeconds that no pod
outlives. The Deployment controller then comes to rest by itself at

    stable = N - u        canary = min(N, s + u)        total = N + s     (for s + u <= N)

because canary pods are Ready but never Available (pkg/controller/deployment/rolling.go: reconcileOldReplicaSets gives
up old pods only against Available ones). A larger hold is reached by steps. Raising u by d takes d stable pods at once
and brings d canary pods after them, so that Ready dips by at most d: a step is as large as the pods that are Ready
beyond what must stay. Lowering s or u does nothing: a hold only grows.

    N = 10, 3 canary pods, surge 1:   (s,u) = (1,0) -> (1,1) -> (1,2)       pods 10+1, 9+2, 8+3; never below 10 Ready
    N = 10, 3 canary pods, surge 3:   (3,0)                                 pods 10+3
    N = 4, 2 canary pods, surge 0, max_unavailable 1:  (0,1) -> (0,2)       pods 3+1, 2+2; never below 3 Ready

Where a Deployment may be scaled up meanwhile and the size was asked for as a share, maxSurge is a percentage, so that the canary grows with
it (`percent_for`): with maxUnavailable 0 the stable version gets what is added to replicas, and the canary what is added to the surge.

    N = 10, 3 canary pods, "30%":   pods 10+3, after a scale-up to 20   pods 20+6

This module is private to the collection.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction

from ..values import dataclass
from ..wording import count_of
from .arithmetic import predict_hold
from .intstr import IntOrPercent, scaled


class ImpossibleSize(ValueError):
    """No hold has this size; the text says why and what is possible."""


@dataclass(frozen=True)
class Hold:
    """The strategy of a hold: `surge` pods beyond replicas, `unavailable` stable pods given up for canary pods.

    `percent`: of replicas, which is what `surge` is written as then (0: as a number); `surge` is what it means for the replicas that it
    was read, or made, for.
    """

    surge: int
    unavailable: int
    percent: int = 0

    @classmethod
    def of(cls, surge: IntOrPercent, unavailable: int, replicas: int) -> Hold:
        """As it stands in a strategy. Raises ValueError for text that is no percentage."""
        percent = 0 if isinstance(surge, int) else int(surge.removesuffix("%"))
        return cls(scaled(surge, replicas, round_up=True), unavailable, percent)

    @property
    def pods(self) -> int:
        return self.surge + self.unavailable

    @property
    def max_surge(self) -> IntOrPercent:
        """As it is written."""
        return f"{self.percent}%" if self.percent else self.surge

    def at(self, replicas: int) -> Hold:
        """The same for so many replicas."""
        return replace(self, surge=scaled(self.max_surge, replicas, round_up=True)) if self.percent else self

    def stable(self, replicas: int) -> int:
        return predict_hold(replicas, self.at(replicas).surge, self.unavailable).stable

    def canary(self, replicas: int) -> int:
        return predict_hold(replicas, self.at(replicas).surge, self.unavailable).canary


@dataclass(frozen=True)
class Room:
    """What a hold may use: pods beyond replicas (`surge`), and how far Ready pods may drop below (`max_unavailable`)."""

    surge: int
    max_unavailable: int

    @classmethod
    def of(cls, surge: int, max_unavailable: int | None) -> Room:
        """Without surge a canary pod can only take the place of a stable one, so one may be missing meanwhile.

        Raises ImpossibleSize when nothing may be added and nothing may be missing.
        """
        room = cls(surge, (0 if surge else 1) if max_unavailable is None else max_unavailable)
        if room.surge < 0 or room.max_unavailable < 0:
            raise ImpossibleSize("surge and max_unavailable are numbers of pods and cannot be negative")
        if room.surge == 0 and room.max_unavailable == 0:
            raise ImpossibleSize(
                "with surge 0 and max_unavailable 0 there is no room for a canary pod: allow surge 1 (one pod more) "
                "or max_unavailable 1 (one Ready pod fewer while a pod is replaced)"
            )
        return room


def pods_for_weight(weight: int, replicas: int, surge: int) -> int:
    """The number of canary pods whose share of all pods is nearest to `weight` per cent; ties go to fewer pods.

    All pods are replicas plus the surge that the size uses: c canary pods among replicas + min(surge, c).

        weight 10, 10 replicas, surge 1:   1 of 11 = 9.1 %         weight 50, 4 replicas, surge 1:   2 of 5 or 3 of 5 -> 2
    """
    largest = _largest(replicas, surge)
    if not largest:
        raise ImpossibleSize(_no_size(replicas))

    def of_all(pods: int) -> Fraction:
        return Fraction(pods, replicas + min(surge, pods))

    # The share grows with the pods: the two sizes around the weight are the nearest.
    wanted = Fraction(weight, 100)
    over = bisect_left(range(1, largest), wanted, key=of_all) + 1
    return min((max(1, over - 1), over), key=lambda pods: abs(of_all(pods) - wanted))


def percent_for(pods: int, replicas: int) -> int:
    """The smallest percentage of these replicas that comes to so many pods, rounded up as maxSurge is; 0 where they are less than one
    per cent, which no percentage is. Of more than 100 replicas it may come to some pods more.

        3 of 10: 30       1 of 3: 33       1 of 200: 0       101 of 1000: 11
    """
    percent = 100 * pods // replicas
    falls_short = percent > 0 and scaled(f"{percent}%", replicas, round_up=True) < pods
    return percent + 1 if falls_short else percent


def share(canary: int, replicas: int, surge: int) -> float:
    """The per cent of all pods that `canary` pods are, once held."""
    return 100 * canary / (replicas + min(surge, canary)) if canary else 0.0


def _largest(replicas: int, surge: int) -> int:
    """The most canary pods of a hold that leaves a stable pod, which are no more than replicas; 0 where none does."""
    return max(0, min(replicas, replicas - 1 + surge))


def _no_size(replicas: int) -> str:
    return (
        f"with {count_of(replicas, 'replica')} and no surge every canary pod would leave no stable pod: allow surge 1"
    )


def check_size(pods: int, replicas: int, surge: int) -> None:
    """Raises ImpossibleSize when no hold of that many canary pods leaves a stable pod to come back to."""
    if pods < 1:
        raise ImpossibleSize(f"a canary needs at least 1 pod, not {pods}")
    if pods > replicas:
        raise ImpossibleSize(
            f"{count_of(pods, 'canary pod')} cannot be held beside {count_of(replicas, 'replica')}: a hold has at most as many canary pods as "
            f"replicas. Ask for {replicas} or fewer"
        )
    largest = _largest(replicas, surge)
    if pods > largest:
        raise ImpossibleSize(
            f"{count_of(pods, 'canary pod')} of {count_of(replicas, 'replica')} with surge {surge} would leave no stable pod to come back to. "
            + (f"Ask for {largest} or fewer, or allow a larger surge" if largest else "Allow surge 1 or more")
        )


def target(pods: int, surge: int, current: Hold | None = None) -> Hold:
    """The hold of that size. From `current` it only grows: first by surge, as far as `surge` allows, then by stable pods.

    target(3, surge=1) = (1,2)     target(3, surge=5) = (3,0)     target(5, surge=3, current=(1,1)) = (3,2)
    """
    if current is None:
        return Hold(min(surge, pods), pods - min(surge, pods))
    grown = max(current.surge, min(surge, pods - current.unavailable))
    return Hold(grown, pods - grown)


def first(goal: Hold, room: Room, current: Hold | None = None) -> Hold:
    """The hold of the first patch: all the surge, and as many stable pods as may be missing at once. One that is there stays as it is with
    that patch, and goes on by steps; a percentage costs no stable pod, and becomes the goal at once."""
    if current is None:
        return replace(goal, unavailable=min(goal.unavailable, room.max_unavailable))
    return goal if goal.percent or current.percent else current


def following(current: Hold, goal: Hold, ready: int, replicas: int, room: Room) -> Hold | None:
    """The next step from `current` towards `goal`, or None while too few pods are Ready for one.

    Surge grows first: it costs no stable pod. Then u grows by at most the Ready pods beyond replicas - max_unavailable.
    `ready` counts Ready pods of both versions, stable ones at most as many as `current` leaves.
    """
    if current.surge < goal.surge:
        return Hold(goal.surge, current.unavailable)
    surplus = ready - (replicas - room.max_unavailable)
    if surplus < 1 or current.unavailable >= goal.unavailable:
        return None
    return Hold(current.surge, min(goal.unavailable, current.unavailable + surplus))


def patches(goal: Hold, replicas: int, room: Room, current: Hold | None = None) -> list[Hold]:
    """Every hold on the way there, each to be Ready before the next; the first is that of the first patch, or its successor where that leaves
    `current` as it is."""
    path = [first(goal, room, current)]
    while path[-1] != goal:
        here = path[-1]
        ready = here.stable(replicas) + here.canary(replicas)
        step = following(here, goal, ready, replicas, room)
        if step is None:
            raise ImpossibleSize(
                f"from maxSurge {here.surge} and maxUnavailable {here.unavailable} no further step fits"
            )
        path.append(step)
    return path[1:] if path[0] == current else path
