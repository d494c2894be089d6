# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in trouble in the middle of a release: what each verb says of it, and that either end is still open.

What may never happen meanwhile is looked at by the simulation itself (invariants.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.pods import Nature, Pod
from tests.sim.running import play
from tests.sim.test_switch import BLUE, GREEN
from tests.sim.test_traffic import DRAINING
from tests.sim.world import World

# Of a pod that does not heed SIGTERM and has an hour for that, or whose node cannot say any more that it has ended.
AN_HOUR = 3600.0
BEGINS = 8.0
# One canary pod is held, and it is watched.
WHILE_WATCHED = BEGINS + 15.0
GROWS = Ask("start", pods=3, think=1.0)


def canary_pods(world: World) -> list[Pod]:
    return [pod for pod in world.replica_sets.pods.values() if pod.version == "v2" and pod.active]


def registry_is_gone(world: World) -> None:
    """Who runs has its image; nobody else gets it any more."""
    world.replica_sets.natures = {"v2": Nature(waits="ImagePullBackOff")}


def quota_is_exhausted(world: World) -> None:
    """Others use what the surge needs."""
    world.replica_sets.quota = world.history.replicas - 1


def node_is_lost(world: World) -> None:
    """That of the canary pod, with half of all pods: they are deleted for that, and nobody ever tells that they have ended."""
    (canary,) = canary_pods(world)
    for pod in list(world.replica_sets.pods.values()):
        if pod.node == canary.node:
            pod.nature = replace(pod.nature, ends_in=AN_HOUR)
            world.replica_sets.is_deleted(pod)


def is_killed(world: World) -> None:
    """As by the kernel, for its memory."""
    for pod in canary_pods(world):
        world.replica_sets.crashes(pod, 5.0)


def readiness_flaps(world: World) -> None:
    """Of each canary pod, for two seconds in six."""

    def fails() -> None:
        for pod in canary_pods(world):
            world.replica_sets.is_unready(pod, 2.0)

    for number in range(40):
        world.timeline.after(6.0 * number, fails)


@dataclass(frozen=True)
class Trouble:
    """What it makes of the cluster, and what is said then by who watches, by who takes the next step, and at each end. `ends_in`: seconds
    that every pod takes for that."""

    happens: Callable[[World], None]
    watch: str
    grow: str
    promote: str
    undo: str
    ends_in: float = 1.0


STEADY = r"^ok: \d canary pods? Ready, none restarted"
GREW, PROMOTED, UNDONE = "^changed: holding 3 canary", "^changed: promoted: 4 pods", "^changed: undone: .*4 of 4 stable"
NO_IMAGE = r"^failed \(stuck, changed\): .*container app of pod \S+ is in ImagePullBackOff.*canary_undo"
REFUSED = r"^failed \(stuck, changed\): .*pods of ReplicaSet \S+ are refused: .*exceeded quota.*canary_undo"
RESTARTED = r"^failed \(stuck(, changed)?\): .*restarted 1 time.*canary_undo"

TROUBLE: dict[str, Trouble] = {
    "the registry is gone": Trouble(registry_is_gone, STEADY, NO_IMAGE, NO_IMAGE, UNDONE),
    "a quota is exhausted": Trouble(
        quota_is_exhausted,
        STEADY,
        REFUSED,
        REFUSED,
        r"^failed \(timeout, changed\): .*3 of 4 stable pods are Ready; pods of ReplicaSet \S+ are refused: .*exceeded quota",
    ),
    "a container is killed": Trouble(
        is_killed, RESTARTED, RESTARTED, r"^failed \(no_canary_ready\): no canary pod .* is Ready", UNDONE
    ),
    "readiness flaps": Trouble(
        readiness_flaps, r"^failed \(stuck\): .*is not Ready any more.*canary_undo", GREW, PROMOTED, UNDONE
    ),
    "no pod heeds SIGTERM": Trouble(
        lambda world: None,
        STEADY,
        GREW,
        f"{PROMOTED}.*; 4 pods are still terminating",
        f"{UNDONE}.*; 5 pods are still terminating",
        AN_HOUR,
    ),
    "a node is lost": Trouble(
        node_is_lost,
        r"^failed \(stuck\): .*canary pod \S+ is gone.*canary_undo",
        GREW,
        rf"{PROMOTED}.*; \d pods are still terminating",
        rf"{UNDONE}.*; \d pods are still terminating",
    ),
}


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("what", TROUBLE)
def test_in_the_middle_of_a_release(what: str, end: End) -> None:
    trouble = TROUBLE[what]
    asks = (Ask("start"), Ask("bake", think=10.0, seconds=30.0), GROWS, Ask(end.value, think=1.0))
    natures = {version: Nature(ends_in=trouble.ends_in) for version in ("v1", "v2")}
    world = World(History(natures=natures, scripts=(Script("ana", BEGINS, asks=asks),), end=end))
    world.timeline.at(WHILE_WATCHED, lambda: trouble.happens(world))
    played = world.play()
    assert not played.violations
    told = [call.told() for call in played.calls if call.actor == "ana"]
    said = ("^changed: holding 1 canary", trouble.watch, trouble.grow, getattr(trouble, end.value))
    for line, pattern in zip(told, said, strict=True):
        assert re.search(pattern, line), f"{pattern}: {line}"


def one_hangs(world: World, pod: Pod) -> None:
    world.replica_sets.is_unready(pod, AN_HOUR)


def one_finds_no_node(world: World, pod: Pod) -> None:
    """Another is made in its place."""
    world.replica_sets.natures = {**world.replica_sets.natures, "v1": Nature(homeless=True)}
    world.replica_sets.is_deleted(pod)


@pytest.mark.parametrize("happens", [one_hangs, one_finds_no_node])
@pytest.mark.parametrize("at", [WHILE_WATCHED, 40.5], ids=["before", "meanwhile"])
@pytest.mark.parametrize("surge", [1, 0])
def test_no_canary_pod_is_kept_for_a_stable_one_that_is_down_for_a_reason_of_its_own(
    surge: int, at: float, happens: Callable[[World, Pod], None]
) -> None:
    """Nor where it goes down while the undo waits."""
    start = Ask("start", pods=2, surge=surge, max_unavailable=None if surge else 2)
    asks = (start, Ask("undo", think=40.0 - BEGINS))
    world = World(History(replicas=6, scripts=(Script("ana", BEGINS, asks=asks),), end=End.UNDO))
    world.timeline.at(at, lambda: happens(world, next(iter(world.replica_sets.pods.values()))))
    played = world.play()
    undo = played.calls[1].told()
    # One that says of no reason is waited for once the canary is gone.
    assert re.search(
        "^failed .*: 0 canary pods are left, " if happens is one_hangs else "^changed: undone: no canary pod is left",
        undo,
    )
    assert not [violation for violation in played.violations if "end" not in violation.rule], played.violations


HELD_ASIDE = (Ask("start", pods=2, surge=2),)


@pytest.mark.parametrize("starts", [HELD_ASIDE, (BLUE, GREEN)], ids=["by pods", "blue and green"])
def test_a_canary_that_alone_serves_stays_until_a_stable_pod_does(starts: tuple[Ask, ...]) -> None:
    """All stable pods lose their readiness for half a minute, as with a database that hangs, and the canary is taken back meanwhile."""
    asks = (*starts, Ask("undo", think=30.0))
    world = World(History(natures=DRAINING, scripts=(Script("ana", BEGINS, asks=asks),), end=End.UNDO, gateway=Lags()))
    pods, serving = world.replica_sets.pods, list[int]()

    def hang() -> None:
        for pod in [one for one in pods.values() if one.version == "v1"]:
            world.replica_sets.is_unready(pod, 30.0)
        world.store.listen(lambda _change: serving.append(sum(one.serving for one in pods.values())))

    world.timeline.at(36.0, hang)
    played = world.play()
    undo = played.calls[len(starts)]
    assert undo.begun > 36.0 and undo.told().startswith("changed: undone: no canary pod is left; 4 of 4"), undo.told()
    assert min(serving) >= 2 and not played.violations, played.violations


@pytest.mark.parametrize(("at", "surge", "ready"), [(36.0, 0, 2), (36.0, 2, 0), (40.5, 0, 2)])
def test_no_canary_pod_that_serves_nobody_is_kept_where_no_stable_pod_serves_either(
    at: float, surge: int, ready: int
) -> None:
    """It would hold the place of a stable one that could."""
    asks = (Ask("start", pods=2, surge=surge), Ask("undo", think=30.0))
    world = World(History(natures=DRAINING, scripts=(Script("ana", BEGINS, asks=asks),), end=End.UNDO))

    def hang() -> None:
        for pod in list(world.replica_sets.pods.values()):
            world.replica_sets.is_unready(pod, AN_HOUR)

    world.timeline.at(at, hang)
    played = world.play()
    undo = played.calls[1]
    assert f": 0 canary pods are left, {ready} of 4 stable pods are Ready" in undo.told(), undo.told()
    assert not [violation for violation in played.violations if "end" not in violation.rule], played.violations


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("limit", [0, 1, 2])
def test_two_releases_after_each_other_of_a_deployment_that_keeps_hardly_a_revision(limit: int, end: End) -> None:
    """Its old ReplicaSets go at once, those that an undo would come back to as well, but not while they have pods."""
    asks = [Ask(verb, version=version, think=5.0) for version in ("v2", "v3") for verb in ("start", end.value)]
    played = play(History(history_limit=limit, scripts=(Script("ana", BEGINS, asks=tuple(asks)),), end=end))
    assert not played.violations
    told = [call.told() for call in played.calls if call.actor == "ana"]
    ended = {End.PROMOTE: PROMOTED, End.UNDO: UNDONE}[end]
    for line, pattern in zip(told, ["^changed: holding 1 canary", ended] * 2, strict=True):
        assert re.search(pattern, line), line
