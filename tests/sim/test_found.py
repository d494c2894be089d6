# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulation found in the verbs, or in itself, each as the shortest history that showed it. All of it is mended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim.controllers import Pace
from tests.sim.faults import UNANSWERED, Fault, Planned, PlannedStream, StreamFault
from tests.sim.gateway import Lags
from tests.sim.governing import Governed, Hook
from tests.sim.history import Ask, Befalls, End, Foreign, History, Incident, Script
from tests.sim.pods import Nature
from tests.sim.running import play
from tests.sim.telling import report
from tests.sim.users import HEADER
from tests.sim.world import Played, World
from tests.toolchain.sampled import sampled

START, UNDO, WEIGHT = Ask("start"), Ask("undo"), Ask("start", pods=None, weight=44)
LAGGING = Pace(0.002, 0.5)
TAKING_THEIR_TIME = {version: Nature(0.05, 1.0, ends_in=5.0) for version in ("v1", "v2")}


def ana(*asks: Ask, **more: object) -> Script:
    return Script("ana", 8.0, asks=asks, **more)  # type: ignore[arg-type]


FOUND: dict[str, History] = {
    "a canary that another call of the same run finds in trouble is taken back": History(
        natures={"v2": Nature(waits="ImagePullBackOff")},
        scripts=(ana(Ask("release"), Ask("release", on_failure="undo"), names="both"),),
    ),
    "what a person promotes while its release waits for him stays, and whoever goes on with that is told so": History(
        scripts=(
            ana(
                Ask("release", gate="stop"), Ask("promote", wait=False), Ask("release", on_failure="undo", goes_on=True)
            ),
        ),
    ),
    "a share is planned of the replicas that an autoscaler gives the Deployment meanwhile": History(
        seed=225531936249253,
        replicas=1,
        bounds=(1, 5),
        load=((15.9, 8),),
        scripts=(ana(Ask("release", pods=None, weight=51), faults=(Planned(3, Fault.SLOW, 10.0),)),),
    ),
    "users are not pinned to stable pods that a promotion takes, where nobody can read its record any more": History(
        seed=79299,
        replicas=3,
        deployments=Pace(latest=3.0),
        scripts=(ana(Ask("start", share="0"), Ask("release", guard=5.0)),),
        foreign=(Foreign(28.5, "record garbled"),),
        gateway=Lags(routes=0.1, endpoints=5.0, forgets=True),
    ),
    "a rollback of which a policy makes what stands there has changed nothing": History(
        seed=86664,
        replicas=1,
        history_limit=0,
        governed=Governed(Hook.ANNOTATES_IN_EARNEST, 43.97190872404727, 63.97190872404727),
        scripts=(
            Script(
                "ana",
                13.0,
                skew=-4000.0,
                names="both",
                asks=(Ask("rollback"), Ask("release", shares=("5",), on_failure="undo"), Ask("rollback")),
                faults=(Planned(49, Fault.BUSY, 0.3, 504), Planned(60, Fault.BROKEN_AFTER, 2.0, 502)),
            ),
        ),
        gateway=Lags(routes=5.0, endpoints=5.0),
    ),
    "an undo takes what a policy has made of the stable version for no canary": History(
        seed=70259,
        governed=Governed(Hook.ANNOTATES, 8.346341651567657, 28.346341651567656),
        foreign=(Foreign(14.701390356797948, "minReadySeconds of a hold", 1, "v2"),),
        gateway=Lags(routes=5.0, endpoints=2.0, forgets=True),
    ),
    "an undo knows of no pod that its ReplicaSet had not counted when it looked": History(
        seed=112287089045126,
        replicas=5,
        missing=True,
        scripts=(ana(Ask("release", version="v1", creates=True), Ask("release", pods=2, gate="stop")),),
        incidents=(Incident(21.738877654260406, Befalls.CRASH, version="v1"),),
    ),
    "a rollback whose answer was lost says that it has changed something": History(
        seed=95548,
        max_unavailable=0,
        deployments=Pace(latest=3.0, stops=((23.149621830077436, 38.19662649689293),)),
        replica_sets=Pace(latest=3.0, stops=((23.149621830077436, 32.19662649689293),)),
        scripts=(
            ana(
                *(START, START, Ask("rollback"), Ask("info of all"), Ask("info"), Ask("release", held=True)),
                *(Ask("start", think=3.0), START, Ask("bake", seconds=0.0), Ask("rollback")),
                names="both",
                faults=(
                    Planned(0, Fault.LATE, 2.0),
                    Planned(22, Fault.LOST_AFTER, 2.0),
                    Planned(63, Fault.LOST_AFTER, 10.0, 502),
                ),
                streams=(PlannedStream(0, StreamFault.SILENT, 2.0),),
            ),
        ),
    ),
    "no user stays with stable pods that a policy replaces on their way back until the owner's Service is reached": History(
        max_surge=0,
        max_unavailable=1,
        governed=Governed(Hook.ANNOTATES_IN_EARNEST, 60.0),
        natures={"v1": Nature(1.0, 2.0, ends_in=5.0), "v2": Nature(0.5, 1.0, ends_in=5.0)},
        scripts=(ana(Ask("start", share="20", kind="istio"), Ask("undo", think=90.0)),),
        gateway=Lags(0.5, 2.0, hidden=True),
    ),
    "pods that were just made and are not counted yet are pods all the same": History(
        natures={"v2": Nature(restarts=True)}, replica_sets=LAGGING, scripts=(ana(Ask("start", pods=3, surge=4), UNDO),)
    ),
    "an undo right after a step takes no pod too many": History(
        natures={"v1": Nature(3.0, 3.1), "v2": Nature(0.05, 4.05)},
        replica_sets=LAGGING,
        scripts=(ana(Ask("start", pods=3)), Script("eve", 11.0, asks=(Ask("info", think=3.0), UNDO))),
    ),
    "an undo gives controllers that have just begun to work again time to count": History(
        seed=1,
        replicas=8,
        natures={"v1": Nature(0.05, 4.05), "v2": Nature(0.05, 4.05, ends_in=20.0)},
        deployments=Pace(0.002, 0.05, ((10.83, 36.39),)),
        replica_sets=Pace(0.002, 0.05, ((10.83, 36.39),)),
        scripts=(ana(Ask("start", pods=4, max_unavailable=1)), Script("eve", 26.4, asks=(UNDO,))),
    ),
    "a step that got no answer before the time was over is told, and that it may have been carried out": History(
        scripts=(
            ana(
                Ask("start", pods=3, timeout=30.0),
                Ask("start", pods=3, timeout=30.0, think=3.0),
                faults=(Planned(8, Fault.LATE, 0.3), Planned(19, Fault.LATE, 10.0)),
            ),
        ),
    ),
    "what the undo of a release that failed had done before it failed, too, is told": History(
        deployments=Pace(stops=((16.0, 60.0),)),
        replica_sets=Pace(stops=((16.0, 60.0),)),
        scripts=(
            ana(
                Ask("release", through="step 1"),
                Ask("release", goes_on=True, reason="smoke tests failed", on_failure="undo", think=10.0),
            ),
        ),
        foreign=(Foreign(40.0, "the whole manifest", 0, "v3"),),
    ),
    "steps that were behind a canary are not said to be held once that is being taken back": History(
        seed=59253123261426,
        replicas=8,
        min_ready=2,
        natures={"v1": Nature(3.0, 3.1), "v2": Nature(0.05, 1.05)},
        scripts=(
            ana(Ask("release", pods=3, verdicts=("good", "good", "bad"), on_failure="undo"), names="hash"),
            Script(
                "ben",
                8.0,
                skew=4000.0,
                names="both",
                asks=(
                    Ask("release", think=3.0, pods=3, through="step 1"),
                    Ask("release", think=3.0, pods=3, through="step 2", goes_on=True),
                ),
            ),
        ),
    ),
    "whoever is told that he came too late to give KEDA's switches back sees them given back all the same": History(
        bounds=(1, 6),
        keda=True,
        scripts=(ana(Ask("release", autoscaler="hold"), faults=(Planned(29, Fault.TWICE),)),),
    ),
    "a refused start that gave its pin back tells of the routes that it gave back besides": History(
        seed=275111014442599,
        min_ready=2,
        bounds=(2, 7),
        load=((9.66, 8), (14.84, 4), (30.58, 5)),
        natures={"v2": Nature(3.0, 7.0)},
        replica_sets=Pace(latest=0.5),
        scripts=(
            ana(
                Ask("start", share="20", kind="istio"),
                Ask("resume", think=3.0),
                Ask("release", held=True),
                Ask("guard", seconds=60.0),
                Ask("start", version="v3", autoscaler="pin", share="25", kind="istio"),
                names="run",
            ),
        ),
        foreign=(Foreign(16.92, "label lost", 6, "v3"), Foreign(18.03, "a GitOps loop", 6, "v2")),
        gateway=Lags(0.1, 0.1, forgets=True),
    ),
    "a promotion whose patch got no answer, and which nobody could look for after that, is told as one that was changed": History(
        scripts=(
            ana(
                Ask("release", through="step 1"),
                Ask("release", goes_on=True),
                faults=(Planned(18, Fault.LATE, 2.0), Planned(19, Fault.LATE, 2.0)),
            ),
        ),
    ),
    "testers keep the canary where a promotion died after it gave the owner's backends back, and its share is given again": History(
        gateway=Lags(routes=2.0, endpoints=0.1),
        scripts=(
            ana(Ask("start", share="20", header="x-canary")),
            Script("bob", 30.0, asks=(Ask("promote"),), faults=(Planned(8, Fault.KILLED_AFTER),)),
            Script("eve", 60.0, asks=(Ask("start", sticky=True, takeover=True),)),
        ),
    ),
    "testers keep the canary where a promotion by weights is taken over, and its share made smaller": History(
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(
                Ask("start", pods=4, surge=4, share="10", header="x-canary", sticky=True),
                Ask("promote"),
                faults=(Planned(43, Fault.KILLED_AFTER),),
            ),
            Script(
                "ben",
                30.0,
                machine="there",
                asks=(Ask("start", pods=4, surge=4, share="50", sticky=True, takeover=True),),
            ),
        ),
    ),
    "a route that a Deployment left which was deleted in the middle of its release is taken up by the release of the next": History(
        replicas=1,
        max_surge=0,
        max_unavailable=1,
        gateway=Lags(0.1, 0.1),
        scripts=(ana(Ask("start", share="50")), Script("ben", 60.0, machine="there", asks=(Ask("start", share="50"),))),
        foreign=(Foreign(8.12, "delete and create", 0, "v1"),),
    ),
    "a start of what somebody has scaled to 0 meanwhile ends in words": History(
        deployments=Pace(stops=((24.4, 29.9),)),
        scripts=(ana(WEIGHT), Script("eve", 29.2, asks=(WEIGHT,))),
        foreign=(Foreign(24.5, "kubectl scale to 0 and back"),),
    ),
    "a release of a canary whose ReplicaSet the controllers have yet to make is planned in words": History(
        deployments=Pace(stops=((8.0, 60.0),)),
        replica_sets=Pace(stops=((8.0, 60.0),)),
        scripts=(ana(Ask("release", timeout=10.0), Ask("release"), names="run"),),
    ),
    "a start that arrives long after its caller has given up is undone all the same": History(
        replicas=1,
        scripts=(ana(START, faults=(Planned(4, Fault.LATE, 10.0), Planned(5, Fault.BROKEN_AFTER))),),
    ),
    "fields of a hold that somebody puts during an undo end it in words": History(
        replicas=2,
        replica_sets=Pace(0.002, 0.5, ((20.7, 42.7),)),
        scripts=(ana(START, Ask("undo", think=12.0)),),
        foreign=(Foreign(24.2, "minReadySeconds of a hold"),),
    ),
    "fields of a hold that come after the end of a release have nothing to do with its routes": History(
        gateway=Lags(0.1, 0.1),
        scripts=(ana(Ask("start", share="20"), UNDO),),
        foreign=(Foreign(40.0, "minReadySeconds of a hold"),),
    ),
    "a canary that is another one before its ReplicaSet is made is found by its release in words": History(
        gateway=Lags(10.0, 0.1),
        deployments=Pace(stops=((30.0, 60.0),)),
        scripts=(ana(Ask("release", shares=("5",))),),
        foreign=(Foreign(35.0, "kubectl rollout restart"),),
    ),
    "what a check would write of a hold that somebody lets grow meanwhile is told of that hold, and ends in words": History(
        replicas=3,
        scripts=(
            ana(Ask("release", shares=("0",), mirror="100")),
            Script(
                "ben",
                13.0,
                machine="there",
                asks=(Ask("release", think=3.0, shares=("0",)),),
                faults=(Planned(1, Fault.SLOW, 0.3),),
            ),
        ),
        foreign=(Foreign(16.15, "another strategy", 1),),
        gateway=Lags(2.0, 0.1),
    ),
    "a hold that somebody let grow is grown in words": History(
        replicas=8,
        scripts=(ana(START, Ask("start", think=10.0, pods=None, weight=27)),),
        foreign=(Foreign(12.0, "another strategy", 10),),
    ),
    "a dry run whose answer is lost is sent again": History(
        scripts=(ana(START, faults=(Planned(3, Fault.LOST_BEFORE),)),)
    ),
    "a step whose answer is lost is taken once": History(
        scripts=(ana(Ask("start", pods=3), faults=(Planned(10, Fault.LATE, 2.0), Planned(12, Fault.LOST_AFTER))),)
    ),
    "a stable pod that is lost while quota is short comes back with the undo": History(
        quota=4, scripts=(ana(START),), incidents=(Incident(13.3, Befalls.DELETION, "v1", 2),)
    ),
    "a Deployment scaled to 0 and back whose stable ReplicaSet is gone has a way to its end": History(
        replicas=5,
        history_limit=0,
        natures={"v2": Nature(never_ready=True)},
        scripts=(ana(START),),
        foreign=(Foreign(18.4, "kubectl scale to 0 and back"),),
    ),
    "nobody needs the label to end a release": History(
        scripts=(ana(START),),
        foreign=(Foreign(20.5, "label lost"), Foreign(22.6, "another strategy", 3)),
        end=End.PROMOTE,
    ),
    "of two starts at one moment only one has begun the release, whatever became of the answer of the other": History(
        replicas=2,
        scripts=(
            Script("ana", 13.0, asks=(START,), faults=(Planned(4, Fault.LATE, 2.0),)),
            Script("ben", 13.0, asks=(START,)),
        ),
    ),
    "a start that was carried out although its answer was lost says so when it is refused at last": History(
        scripts=(
            ana(START, faults=(Planned(4, Fault.BROKEN_AFTER), Planned(5, Fault.SLOW, 3.0))),
            Script("ben", 8.02, asks=(Ask("start", pods=3),)),
        ),
    ),
    "a weight in another room than the one that was held in is refused in words": History(
        replicas=2,
        scripts=(ana(START, Ask("start", think=2.0, pods=None, weight=27, surge=0)),),
        foreign=(Foreign(8.005, "kubectl scale", 1),),
    ),
    "what a stream that lags tells of pods that are gone counts for no step": History(
        replicas=5,
        natures={"v2": Nature(0.5, 1.5, ends_in=0.05)},
        quota=7,
        scripts=(ana(Ask("start", think=3.0, pods=4), streams=(PlannedStream(0, StreamFault.BEHIND, 10.0),)),),
        incidents=(Incident(14.4, Befalls.EVICTION, "v2", 1),),
    ),
    "a step that never arrived is none": History(
        natures={"v2": Nature(waits="CrashLoopBackOff")},
        scripts=(ana(Ask("start", pods=3), faults=tuple(Planned(n, Fault.LOST_BEFORE) for n in range(4, 12))),),
    ),
    "where no history is kept, nothing is stopped that could take the stable version away": History(
        history_limit=0, natures={"v2": Nature(0.05, 0.1, restarts=True)}, scripts=(ana(START),), end=End.PROMOTE
    ),
    "what an incident took is given back by pods of either version": History(
        seed=1,
        quota=6,
        natures={"v1": Nature(0.05, 4.05, ends_in=20.0), "v2": Nature(0.5, 1.5, ends_in=20.0)},
        scripts=(ana(Ask("start", pods=3)),),
        incidents=(
            Incident(36.3, Befalls.DELETION, "v2"),
            Incident(23.4, Befalls.DELETION, "v1"),
            Incident(24.7, Befalls.DELETION, "v1"),
        ),
    ),
    "an undo is not over because a list is older than the canary": History(
        seed=7521,
        min_ready=2,
        natures={"v1": Nature(0.05, 0.15, ends_in=20.0), "v2": Nature(0.5, 1.5, ends_in=0.05)},
        scripts=(
            Script("ana", 8.1, asks=(Ask("start", think=3.0, pods=3, max_unavailable=1), UNDO)),
            Script("ben", 13.0, asks=(Ask("start", think=0.1),), faults=(Planned(1, Fault.STALE, 2.0),)),
        ),
    ),
    "users are sent to no Service whose endpoints nobody has told yet": History(
        seed=54,
        replica_sets=Pace(0.002, 3.0, ((9.55, 23.8),)),
        gateway=Lags(2.0, 2.0, forgets=True),
        scripts=(ana(Ask("start", share="20"), faults=(Planned(9, Fault.BROKEN_AFTER, 10.0, 502),)),),
    ),
    "a Service that a list is too old to show is deleted all the same": History(
        seed=612,
        natures={"v2": Nature(0.05, 0.15)},
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(
                Ask("start", pods=4, surge=4, share="0", kind="service_selector"),
                Ask("start", pods=4, surge=4, share="100", kind="service_selector"),
                Ask("promote"),
                faults=(
                    Planned(15, Fault.LATE, 0.3),
                    Planned(22, Fault.REFUSED, 0.3),
                    Planned(26, Fault.BROKEN_AFTER, 10.0, 503),
                    Planned(51, Fault.LOST_AFTER),
                    Planned(56, Fault.STALE, 10.0),
                ),
            ),
        ),
    ),
    "of two starts at once the one with a share rewrites no route for the other": History(
        seed=278,
        replicas=1,
        gateway=Lags(2.0, 0.1, forgets=True),
        scripts=(
            ana(Ask("start", think=0.1)),
            Script("eve", 8.0, asks=(Ask("start", think=0.1, share="0"),)),
        ),
    ),
    "a share that is not in force yet is not written once the release is over": History(
        seed=56,
        replicas=3,
        natures={"v2": Nature(0.05, 1.05, ends_in=20.0)},
        gateway=Lags(2.0, 2.0),
        scripts=(
            ana(Ask("start", share="0")),
            Script("ben", 8.0, asks=(Ask("release", think=3.0, shares=("5",)),)),
        ),
    ),
    "a run that was taken over from switches no Service for its canary": History(
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(Ask("release", shares=("0",), kind="service_selector")),
            Script("ben", 13.0, asks=(Ask("undo", takeover=True),)),
        ),
    ),
    "a run that was taken over from while it goes by shares promotes nothing": History(
        replicas=2,
        natures={"v1": Nature(0.05, 0.15, ends_in=20.0), "v2": Nature(0.05, 1.05, ends_in=20.0)},
        gateway=Lags(2.0, 0.1),
        scripts=(
            ana(Ask("start", share="0", kind="service_selector")),
            Script("eve", 14.0, asks=(Ask("release", shares=("0",), kind="service_selector"),)),
            Script("ben", 18.0, asks=(Ask("undo", takeover=True),)),
        ),
    ),
    "whoever waits for a route that another run has written is the one who may take it back": History(
        replica_sets=Pace(0.002, 0.5, ((8.37, 46.38),)),
        gateway=Lags(0.1, 5.0, forgets=True),
        scripts=(ana(Ask("release", shares=("5", "10"))), Script("ben", 13.0, asks=(Ask("start", takeover=True),))),
    ),
    "whoever takes over from a promotion writes no route on what was there before it": History(
        seed=258631271419389,
        replicas=1,
        natures={"v2": Nature(0.05, 0.15, ends_in=20.0)},
        gateway=Lags(0.1, 5.0),
        scripts=(
            Script("ana", 8.1, asks=(Ask("undo", think=3.0), Ask("undo", think=3.0, takeover=True))),
            Script("ben", 8.0, asks=(Ask("release", shares=("0", "5", "20"), by="weights"),)),
        ),
    ),
    "what a stream tells of a pod as it was before it was told last counts for no step": History(
        seed=258631271419808,
        scripts=(
            ana(
                START,
                Ask("start", pods=3),
                faults=(
                    Planned(1, Fault.LOST_AFTER, 2.0, 503),
                    Planned(3, Fault.LOST_AFTER, 10.0, 502),
                    Planned(5, Fault.BROKEN_BEFORE, 0.3, 500),
                    Planned(7, Fault.BUSY, 10.0, 504),
                    Planned(12, Fault.REFUSED, 2.0, 500),
                    Planned(14, Fault.SLOW, 10.0, 503),
                    Planned(15, Fault.BROKEN_AFTER, 10.0, 502),
                ),
                streams=(PlannedStream(0, StreamFault.BEHIND, 10.0),),
            ),
        ),
        incidents=(Incident(18.4, Befalls.EVICTION, "v2", 3),),
    ),
    "a start whose release is over makes no Service for it": History(
        seed=71134,
        replicas=1,
        natures={"v2": Nature(0.05, 0.15, ends_in=20.0)},
        gateway=Lags(2.0, 1.0),
        scripts=(
            Script("ben", 8.1, asks=(Ask("start", share="0"), Ask("promote"))),
            Script("eve", 8.1, asks=(Ask("start", think=3.0),), faults=(Planned(7, Fault.SLOW, 10.0, 502),)),
        ),
    ),
    "pods of an earlier release of the same version, in a list that is older than the start, count for no step": History(
        seed=61123,
        max_surge=0,
        max_unavailable=1,
        history_limit=2,
        natures={"v1": Nature(3.0, 3.1, ends_in=0.05), "v2": Nature(0.5, 0.6)},
        deployments=Pace(0.002, 3.0, ((11.326375617161268, 19.96635544155164),)),
        replica_sets=Pace(0.002, 3.0, ((11.326375617161268, 13.966355441551643),)),
        scripts=(
            ana(
                Ask("start", think=3.0, pods=4, surge=2, max_unavailable=1),
                Ask("verify", seconds=0.0),
                Ask("rollback"),
                Ask("undo", think=0.1, timeout=20.0),
                Ask("start", pods=3),
                names="hash",
                faults=(
                    Planned(22, Fault.LOST_BEFORE, 2.0, 502),
                    Planned(35, Fault.LOST_AFTER, 10.0, 504),
                    Planned(36, Fault.BROKEN_BEFORE, 0.3, 504),
                    Planned(43, Fault.LOST_AFTER, 2.0, 504),
                    Planned(53, Fault.STALE, 10.0),
                ),
                streams=(PlannedStream(3, StreamFault.CUT, 0.2),),
            ),
        ),
    ),
    "a promotion that was faster than an undo is stopped before that is sent again": History(
        seed=21,
        replicas=8,
        natures={"v1": Nature(0.05, 4.05, ends_in=20.0), "v2": Nature(3.0, 3.1, ends_in=20.0)},
        scripts=(
            ana(Ask("start", pods=2), names="run"),
            Script("ben", 14.0, machine="there", asks=(Ask("promote", takeover=True),)),
            Script("eve", 14.09, machine="there", asks=(Ask("undo", takeover=True),)),
        ),
    ),
    "a Service that was switched and switched back is not switched by a write that comes too late": History(
        seed=28379,
        gateway=Lags(5.0, 0.1),
        scripts=(
            Script(
                "ana",
                8.1,
                asks=(Ask("start", share="0", kind="service_selector"), Ask("promote", by="pods")),
                faults=(Planned(14, Fault.LATE, 10.0, 500),),
            ),
        ),
    ),
    "a rollout by a strategy that lets every pod be away for a moment promises users none": History(
        seed=18156577405519,
        replicas=1,
        max_unavailable=1,
        gateway=Lags(0.1, 0.1),
        scripts=(ana(Ask("start", pods=1), Ask("promote"), Ask("rollback")),),
    ),
    "whoever knows only a Deployment that is gone takes no Lease of the one that was made after it": History(
        natures={"v2": Nature(3.0, 4.0)},
        scripts=(
            ana(START, faults=(Planned(2, Fault.SLOW, 10.0),)),
            Script("ben", 17.0, asks=(START,)),
        ),
        foreign=(Foreign(13.5, "delete and create", 0, "v1"),),
    ),
    "whoever takes a release over sends users to no pods that an undo of the run before takes late": History(
        seed=54,
        natures=TAKING_THEIR_TIME,
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(
                Ask("start", share="5"),
                Ask("start", pods=2, surge=2, share="50", think=1.0),
                Ask("undo", think=1.0),
                faults=(Planned(54, Fault.LATE, 8.0),),
            ),
            Script("eve", 13.9, asks=(Ask("start", share="10", pods=2, surge=2, takeover=True),)),
        ),
    ),
    "whoever takes a release over switches users back to no pods that a promotion of the run before takes late": History(
        seed=48,
        natures=TAKING_THEIR_TIME,
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(
                Ask("start", pods=4, surge=4, share="0", kind="service_selector"),
                Ask("promote", think=1.0),
                faults=(Planned(48, Fault.LATE, 8.0),),
            ),
            Script(
                "eve",
                16.96,
                asks=(Ask("start", pods=4, surge=4, share="0", kind="service_selector", takeover=True),),
            ),
        ),
    ),
    "whoever takes a start over and undoes it has no Service switched by its first write, which comes late": History(
        seed=14,
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(
                Ask("start", pods=4, surge=4, share="0", kind="service_selector"),
                faults=(Planned(14, Fault.LATE, 8.0),),
            ),
            Script("eve", 8.4, asks=(Ask("undo", takeover=True),)),
        ),
    ),
    "whoever takes a start over and undoes it has no route written by its first write, which comes late": History(
        seed=15,
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(Ask("start", share="5"), faults=(Planned(15, Fault.LATE, 8.0),)),
            Script("eve", 8.43, asks=(Ask("undo", takeover=True),)),
        ),
    ),
    "a proxy that still knows a write of before proves no later one": History(
        seed=303804,
        replicas=2,
        gateway=Lags(5.0, 2.0, forgets=True, plain=True),
        scripts=(
            Script(
                "ben",
                8.0,
                asks=(
                    Ask("start", version="v3", share="20", sticky=True),
                    Ask("start", version="v3", share="25", sticky=True),
                    Ask("promote"),
                ),
            ),
        ),
    ),
    "pods of a Deployment that was deleted, which nobody has taken yet, count for no step of the next one": History(
        seed=1700001623,
        natures={"v1": Nature(0.05, 0.15, ends_in=20.0)},
        scripts=(Script("again", 33.56682111448016, names="hash", asks=(START, Ask("start", pods=3))),),
        foreign=(Foreign(8.0, "delete and create", 0, "v1", 5),),
    ),
    "an autoscaler that a list does not show, since that is older than the Deployment, is pinned": History(
        seed=1500005998,
        replicas=3,
        bounds=(1, 4),
        load=((7.4, 6), (49.8, 8)),
        scripts=(ana(Ask("start", autoscaler="pin"), names="run", faults=(Planned(2, Fault.STALE, 10.0, 500),)),),
    ),
    "the Lease of a Deployment that was deleted is no Lease of a run at work": History(
        seed=900001855,
        replicas=3,
        natures={"v1": Nature(0.05, 4.05, ends_in=0.05), "v3": Nature(0.05, 0.15, ends_in=0.05)},
        scripts=(
            Script(
                "ben",
                8.1,
                machine="there",
                names="run",
                asks=(
                    Ask("start", version="v3", pods=3),
                    UNDO,
                    Ask("start", version="v3", pods=2),
                    Ask("pause", think=3.0),
                ),
            ),
        ),
        foreign=(Foreign(14.148914784927104, "delete and create", 0, "v1"),),
    ),
    "who rejects what he has only planned takes back nothing that another run holds, also where its record has his name in a word": History(
        scripts=(
            Script(
                "ana",
                13.0,
                names="run",
                asks=(
                    Ask("release", through="plan"),
                    Ask("release", think=3.0, reason="no", on_failure="undo", goes_on=True),
                ),
            ),
            Script("ben", 13.0, names="run", asks=(Ask("start"),)),
        ),
    ),
    "a start whose Deployment is made again while it waits for stable pods begins nothing": History(
        seed=2,
        replicas=1,
        natures={"v1": Nature(0.05, 4.5, ends_in=20.0)},
        deployments=Pace(0.002, 3.0),
        replica_sets=Pace(0.002, 3.0),
        scripts=(ana(START),),
        foreign=(Foreign(8.013, "delete and create", 3, "v1"),),
    ),
    "a share of users that became smaller is not drawn twice": History(
        seed=3100001954,
        replicas=1,
        gateway=Lags(0.1, 0.1),
        scripts=(
            ana(Ask("start", version="v3", share="20", sticky=True)),
            Script(
                "ben",
                13.0,
                asks=(
                    Ask("start", version="v3", share="10", sticky=True),
                    Ask("start", version="v3", share="25", sticky=True),
                ),
            ),
        ),
    ),
    "a canary pod that was deleted, of which a stream that lags has not told yet, counts for no step": History(
        seed=14115,
        natures={"v2": Nature(3.0, 7.0, ends_in=0.05)},
        scripts=(
            ana(
                Ask("start", pods=3),
                names="run",
                faults=(Planned(9, Fault.BUSY), Planned(10, Fault.LOST_BEFORE)),
                streams=(PlannedStream(0, StreamFault.BEHIND, 10.0),),
            ),
        ),
        incidents=(Incident(14.272119117405158, Befalls.DELETION, "v2", 2),),
    ),
    "a Deployment that is deleted in the foreground goes although it has no pod": History(
        scripts=(ana(UNDO),),
        foreign=(
            Foreign(8.0, "kubectl scale", 0),
            Foreign(11.0, "delete in the foreground and create", 1, "v1"),
        ),
    ),
    "whoever takes over a canary that is a percentage of its Deployment is told its way": History(
        replicas=5,
        bounds=(3, 8),
        scripts=(
            ana(Ask("start", pods=None, weight=20, surge=5, autoscaler="hold")),
            Script("ben", 20.0, names="run", asks=(Ask("release"),)),
        ),
    ),
    "a start waits for the pods that an autoscaler has just taken, and gives back, before it is pinned": History(
        seed=4,
        bounds=(1, 5),
        load=((3.2, 1),),
        deployments=LAGGING,
        replica_sets=LAGGING,
        scripts=(Script("ana", 8.4, asks=(Ask("start", autoscaler="pin"),)),),
    ),
    "a start asks few times whether an autoscaler that keeps scaling has seen that it is pinned": History(
        seed=289,
        bounds=(1, 5),
        load=((3.2, 1),),
        deployments=LAGGING,
        replica_sets=LAGGING,
        scripts=(Script("ana", 8.9, asks=(Ask("start", autoscaler="pin"),)),),
    ),
    "a release is brought to its end once a GitOps tool has put its manifest back for the last time": History(
        seed=1,
        replicas=8,
        max_surge="100%",
        max_unavailable="0%",
        natures={"v1": Nature(0.05, 4.05), "v2": Nature(restarts=True)},
        deployments=Pace(0.002, 3.0),
        replica_sets=Pace(0.002, 3.0),
        scripts=(ana(Ask("start", pods=3, surge=0)),),
        foreign=(Foreign(15.0, "a GitOps loop", 15, "v2"),),
    ),
    "a release that waits for a person is not said to be held where another one is frozen": History(
        scripts=(
            ana(Ask("release", gate="stop"), Ask("release", gate="stop", goes_on=True, think=30.0)),
            Script("ben", 20.0, asks=(Ask("promote"), Ask("start", version="v3"), Ask("pause"))),
        ),
    ),
    "a step that is carried out after nobody could look any more is told": History(
        seed=206526954193872,
        replicas=3,
        deployments=Pace(0.002, 0.05, ((8.7, 32.34),)),
        scripts=(
            ana(
                Ask("start", pods=3, timeout=30.0, think=3.0),
                Ask("start", pods=3, timeout=30.0, think=3.0),
                names="both",
                faults=(
                    Planned(21, Fault.LATE, 0.3),
                    Planned(34, Fault.LOST_BEFORE),
                    Planned(37, Fault.LATE, 0.3),
                    Planned(39, Fault.REFUSED),
                    Planned(40, Fault.REFUSED),
                ),
            ),
        ),
    ),
}

BY_NEXT = (0.1, 0.1)
WITHOUT_LEASES = frozenset({("create", "leases.coordination.k8s.io")})
# A policy that changes pod templates begins in mid-release, and acts from then on.
FOUND |= {
    "a step whose answer was lost is told as one that may have been taken, where the undo failed too": History(
        seed=33277622101398,
        natures={"v1": Nature(3.0, 3.1, ends_in=20.0)},
        scripts=(
            ana(
                Ask("release", pods=2, verdicts=("good", "good", "good"), through="step 1"),
                Ask("release", pods=2, on_failure="undo", goes_on=True),
                faults=(
                    Planned(7, Fault.REFUSED, 0.3, 504),
                    Planned(8, Fault.BUSY, 0.3, 504),
                    Planned(13, Fault.LOST_BEFORE, 10.0, 503),
                    Planned(24, Fault.LATE, 0.3, 502),
                    Planned(26, Fault.BUSY, 10.0, 502),
                    Planned(33, Fault.LATE, 10.0, 502),
                    Planned(37, Fault.REFUSED, 0.3, 502),
                    Planned(40, Fault.LOST_AFTER, 2.0, 503),
                    Planned(42, Fault.LOST_BEFORE, 2.0, 503),
                    Planned(44, Fault.BROKEN_AFTER, 0.3),
                ),
            ),
        ),
    ),
    "a canary that is held is not made another one by its pause": History(
        governed=Governed(Hook.ANNOTATES, 12.0),
        scripts=(ana(START, Ask("pause", think=5.0), Ask("resume")),),
    ),
    "a promotion that was paused with another template is not resumed": History(
        replicas=8,
        governed=Governed(Hook.ANNOTATES, 20.0),
        natures={"v2": Nature(3.0, 4.0)},
        scripts=(ana(START, Ask("promote", wait=False, think=4.0), Ask("pause", think=5.0), Ask("resume", think=3.0)),),
    ),
    "a promotion that was all out, and was paused with another template by an undo that died, is taken back": History(
        governed=Governed(Hook.ANNOTATES, 40.0),
        scripts=(
            ana(START, Ask("promote", wait=False)),
            Script("ben", 45.0, asks=(UNDO,), faults=(Planned(4, Fault.KILLED_AFTER),)),
        ),
    ),
    "a promotion that was all out is taken back although a policy makes another template of it, and little history is kept": History(
        history_limit=1,
        governed=Governed(Hook.ANNOTATES, 40.0),
        scripts=(ana(START, Ask("promote", wait=False)), Script("ben", 45.0, asks=(UNDO,))),
    ),
    "what is left of a release is removed whatever a policy makes of the template": History(
        replicas=1,
        governed=Governed(Hook.ANNOTATES, 9.0),
        scripts=(ana(Ask("info", think=3.0)),),
        foreign=(Foreign(8.0, "label from nowhere", 1, "v1"),),
    ),
    "whoever takes a canary over to pause it makes no other one of it": History(
        governed=Governed(Hook.ANNOTATES, 20.0),
        scripts=(ana(START, names="run"), Script("ben", 30.0, machine="there", asks=(Ask("pause", takeover=True),))),
    ),
    "users are not left with stable pods that an undo replaces": History(
        governed=Governed(Hook.ANNOTATES, 30.0),
        gateway=Lags(*BY_NEXT),
        scripts=(ana(Ask("start", share="20"), replace(UNDO, think=20.0)),),
    ),
    "a Service is not left with stable pods that an undo replaces": History(
        governed=Governed(Hook.ANNOTATES, 30.0),
        gateway=Lags(*BY_NEXT),
        scripts=(ana(Ask("start", share="0", pods=4, surge=4, kind="service_selector"), replace(UNDO, think=20.0)),),
    ),
    "users of a canary that is taken back from another run are sent away before its pods are replaced": History(
        governed=Governed(Hook.ANNOTATES, 30.0),
        gateway=Lags(*BY_NEXT),
        scripts=(ana(Ask("start", share="20"), names="run"), Script("ben", 40.0, asks=(replace(UNDO, takeover=True),))),
    ),
    "a Service is not switched again for a release that was taken back meanwhile, where no Lease can tell": History(
        seed=253900590823609,
        replicas=2,
        governed=Governed(Hook.ANNOTATES, 14.4, 34.4),
        scripts=(
            ana(
                Ask("start", share="0", kind="service_selector"),
                faults=(Planned(16, Fault.SLOW, 10.0),),
                forbidden=WITHOUT_LEASES,
            ),
            Script("ben", 13.0, asks=(Ask("release", on_failure="undo"),), forbidden=WITHOUT_LEASES),
        ),
        gateway=Lags(0.1),
    ),
    "a policy that denies the second attempt tells nothing of the first, which is carried out later": History(
        governed=Governed(Hook.DENIES, 27.0, 38.2),
        scripts=(ana(START, faults=(Planned(5, Fault.LATE, 2.0),)),),
    ),
    "nor does one that denies a step": History(
        governed=Governed(Hook.DENIES, 13.0, 43.0),
        scripts=(
            ana(Ask("start", pods=3), faults=(Planned(8, Fault.KILLED_AFTER),)),
            Script("ben", 12.0, asks=(Ask("start", pods=3),), faults=(Planned(7, Fault.LATE, 2.0),)),
        ),
    ),
    "nor does one that would make another template of it": History(
        governed=Governed(Hook.ANNOTATES, 11.07),
        scripts=(ana(START, Ask("promote", think=1.0), faults=(Planned(13, Fault.LATE, 2.0),)),),
    ),
    "an undo whose second attempt a policy denies does not end for want of an answer": History(
        governed=Governed(Hook.DENIES, 9.05, 38.8),
        scripts=(ana(START, UNDO, faults=(Planned(12, Fault.BROKEN_BEFORE, 0.3, 502),)),),
    ),
    "whoever was to create what somebody else has created at that moment may say that he has": History(
        missing=True,
        scripts=tuple(
            Script(name, 13.0, asks=(Ask("release", creates=True),), faults=faults)
            for name, faults in (("ben", (Planned(1, Fault.LOST_BEFORE, 0.3),)), ("eve", ()))
        ),
    ),
    "a write that got no answer, and that a warning tells of, may be said to have changed something": History(
        seed=60424,
        replicas=5,
        bounds=(5, 7),
        governed=Governed(Hook.ANNOTATES, 8.41601497294089),
        scripts=(
            Script(
                "ben",
                8.0,
                names="run",
                asks=(
                    Ask("start", autoscaler="pin", share="10"),
                    Ask("info"),
                    Ask("start", autoscaler="pin", share="20"),
                ),
                faults=(
                    Planned(28, Fault.LOST_AFTER, 2.0, 504),
                    Planned(29, Fault.LATE, 10.0, 503),
                    Planned(31, Fault.LATE, 10.0, 502),
                    Planned(43, Fault.LOST_BEFORE, 10.0, 502),
                    Planned(48, Fault.REFUSED, 2.0, 504),
                    Planned(52, Fault.BROKEN_BEFORE, 2.0),
                    Planned(54, Fault.LATE, 0.3, 504),
                ),
            ),
        ),
        foreign=(Foreign(11.390051894788696, "delete without its pods, which stay in the way, and create", 7, "v3"),),
        gateway=Lags(5.0, 2.0),
    ),
    "what comes back as a policy makes it by now ends once its pods can get Ready": History(
        seed=253900590839418,
        replicas=5,
        max_unavailable=0,
        governed=Governed(Hook.ANNOTATES_IN_EARNEST, 67.2308567219401),
        natures={"v1": Nature(3.0, 3.1, ends_in=20.0), "v2": Nature(never_ready=True)},
        scripts=(
            ana(
                *(Ask(verb, think=3.0) for verb in ("headroom", "start", "resume")),
                START,
                names="hash",
            ),
        ),
        foreign=(
            Foreign(26.25776173310363, "minReadySeconds of a hold", version="v2"),
            Foreign(17.956943690524977, "delete and create", 4, "v2"),
        ),
    ),
    "the version that was asked for may be the one that comes back, as a policy of that time has made it": History(
        seed=42253,
        missing=True,
        governed=Governed(Hook.ANNOTATES, 12.7, 13.7),
        scripts=(
            Script("ana", 13.0, asks=(Ask("release", creates=True),)),
            Script(
                "ben",
                13.0,
                asks=(Ask("release", think=3.0, verdicts=("bad",) * 3, on_failure="undo", creates=True),),
            ),
        ),
    ),
    "an undo that has no stable version to bring back lets no pods of a policy's template come": History(
        seed=5,
        history_limit=0,
        max_surge=0,
        max_unavailable="100%",
        governed=Governed(Hook.ANNOTATES, 14.8),
        natures={"v2": Nature(5.0, 6.0)},
        scripts=(ana(START, Ask("promote", wait=False), Ask("pause", think=1.5)),),
        end=End.UNDO,
    ),
    "an undo lets no stable pod go before the one that a policy makes of it is Ready, however long that takes": History(
        seed=129878198664994,
        replicas=1,
        governed=Governed(Hook.ANNOTATES, 8.01693033836193),
        natures={"v2": Nature(3.0, 4.0, ends_in=0.05)},
        deployments=Pace(stops=((11.399356064818958, 33.57825440646989),)),
        scripts=(ana(START, Ask("undo", think=3.0, timeout=20.0), names="run"),),
    ),
    "a Service that is made for a Deployment that is gone goes with it": History(
        seed=60448396219619,
        scripts=(
            ana(
                Ask("start", share="0"),
                Ask("start", share="5", header=HEADER),
                faults=(
                    Planned(10, Fault.LATE, 0.3, 503),
                    Planned(18, Fault.BUSY, 0.3, 503),
                    Planned(23, Fault.REFUSED),
                    Planned(26, Fault.BROKEN_AFTER, 0.3),
                    Planned(31, Fault.BROKEN_AFTER, 10.0, 503),
                ),
            ),
        ),
        foreign=(Foreign(8.0, "delete and create", 4, "v1", 31),),
        gateway=Lags(*BY_NEXT),
    ),
    "nobody gets a canary of which the promotion would make another one": History(
        governed=Governed(Hook.ANNOTATES, 30.0),
        gateway=Lags(*BY_NEXT),
        scripts=(ana(Ask("start", share="5", pods=4, surge=4), Ask("promote", by="weights", think=30.0)),),
    ),
}


def assert_holds(played: Played) -> None:
    assert not played.violations, "\n".join(["", *report(played)])


CREATES = Ask("release", version="v1", creates=True)


@pytest.mark.parametrize("fault", sorted(UNANSWERED, key=str))
def test_a_first_version_is_created_whether_that_gets_an_answer_or_not(fault: Fault) -> None:
    played = play(History(missing=True, scripts=(ana(CREATES, faults=(Planned(1, fault),)),)))
    assert_holds(played)
    created = played.calls[0]
    assert created.hit == [fault] and created.told().startswith("changed: web in namespace shop: created.")


@pytest.mark.parametrize(("version", "second"), [("v1", "already released"), ("v2", "released")])
def test_what_somebody_creates_first_is_released_as_any_other(version: str, second: str) -> None:
    """Right before the request that would create it."""
    for thinks in (0.0, 0.004, 0.005):
        ben = Script("ben", 8.0, asks=(replace(CREATES, version=version, think=thinks),))
        played = play(History(seed=1, missing=True, scripts=(ana(CREATES), ben)))
        assert_holds(played)
        assert [call.release.outcome.value for call in played.calls[:2] if call.release] == ["created", second]


def test_a_manifest_of_which_admission_makes_what_is_out_needs_no_canary() -> None:
    """And asks for none again and again where the webhook is not asked at a dry run."""
    played = play(
        History(change_cause=True, governed=Governed(Hook.ANNOTATES_IN_EARNEST), scripts=(ana(CREATES, CREATES),))
    )
    assert_holds(played)
    assert [call.told() for call in played.calls[:2]] == [
        "changed: web in namespace shop: already released. All pods run this version."
    ] * 2


def test_a_larger_share_is_refused_before_anybody_gets_it_where_a_policy_would_make_another_canary() -> None:
    asks = (Ask("start", share="5"), Ask("start", share="20", think=30.0))
    played = play(History(governed=Governed(Hook.ANNOTATES, 30.0), gateway=Lags(*BY_NEXT), scripts=(ana(*asks),)))
    assert_holds(played)
    refused = played.calls[1]
    assert refused.told().startswith("failed (admission): an admission webhook or policy would change")
    assert not refused.writes


def test_an_undo_says_what_lets_the_pods_of_a_template_come_that_it_leaves_paused() -> None:
    found = FOUND["an undo that has no stable version to bring back lets no pods of a policy's template come"]
    undone = play(found).calls[-1].result
    assert isinstance(undone, Outcome)
    told = 'Deployment "web" stays paused: canary_resume lets the pods of its pod template come'
    assert undone.message == "what was left of a release was removed" and told in undone.warnings


def test_no_stable_version_is_said_to_be_back_where_another_template_has_come_with_a_pause() -> None:
    """A promotion takes all stable pods at once, and no history is kept: the pause lets the controller clean up."""
    played = play(
        History(
            seed=5,
            history_limit=0,
            max_surge=0,
            max_unavailable="100%",
            governed=Governed(Hook.ANNOTATES, 15.5),
            natures={"v2": Nature(5.0, 6.0)},
            scripts=(ana(Ask("release", on_failure="undo")),),
            foreign=(Foreign(16.0, "kubectl rollout pause"),),
        )
    )
    assert_holds(played)
    failed = played.calls[0]
    assert failed.release is not None and failed.release.outcome is Ending.FAILED
    assert failed.told().endswith("Somebody has rolled out another pod template since, and that one stays.")
    assert isinstance(failed.result, VerbFailure)
    assert any('"web" stays paused: canary_resume' in told for told in failed.result.warnings)


def test_what_a_release_has_left_is_removed_before_another_version_is_said_to_be_out() -> None:
    begun = ana(START, Ask("promote", wait=False))
    asks = Script("ben", 60.0, asks=(Ask("release", version="v3"),))
    played = play(History(scripts=(begun, asks), foreign=(Foreign(40.0, "kubectl set image", version="v3"),)))
    assert_holds(played)
    released, undone = played.calls[2:]
    told = "web in namespace shop: already released. All pods run this version."
    assert (released.told(), undone.told()) == (f"changed: {told}", "ok: no canary is held: nothing to undo")


def test_a_promotion_that_comes_with_another_template_is_paused_where_no_history_is_kept_too() -> None:
    policy = Governed(Hook.ANNOTATES_IN_EARNEST, 12.0)
    asks = (START, Ask("promote", think=5.0), Ask("undo", think=10.0))
    played = play(History(history_limit=0, governed=policy, scripts=(ana(*asks),)))
    assert_holds(played)
    promoted, undone = played.calls[1:3]
    assert "and the Deployment was paused at once" in promoted.told()
    assert undone.told().startswith("changed: undone: no canary pod is left; 4 of 4 stable pods are Ready")


@pytest.mark.parametrize(
    "fails", [Nature(never_ready=True), Nature(waits="ImagePullBackOff")], ids=["waits", "hopeless"]
)
def test_no_stable_pod_goes_for_what_a_policy_makes_of_it_and_what_does_not_get_ready(fails: Nature) -> None:
    """The undo comes to no end then, and says so; all pods of before serve meanwhile."""
    undo = Ask("undo", think=20.0, timeout=20.0)
    world = World(History(governed=Governed(Hook.ANNOTATES, 15.0), scripts=(ana(START, undo),)))

    def fail() -> None:
        world.replica_sets.natures = {"v1": fails}

    world.timeline.at(20.0, fail)
    played = world.play()
    assert_holds(played)
    assert "4 old pods are left, 0 of 4 stable pods are Ready" in played.calls[1].told()


@pytest.mark.parametrize("name", FOUND, ids=str)
def test_it_holds_now(name: str) -> None:
    assert_holds(play(FOUND[name]))


def test_a_run_that_was_taken_over_leaves_no_service_that_was_made_after_the_others_end() -> None:
    """It was asked for before that, and got no answer."""
    start = ana(Ask("start", share="0"), faults=(Planned(16, Fault.LATE, 10.0),))
    world = World(History(scripts=(start, Script("zoe", 10.0, asks=(Ask("undo", takeover=True),))), gateway=Lags()))
    played = world.play()
    assert_holds(played)
    made, gone = (change for change in world.store.log if change.kind == "services" and change.by == "ana/0")
    assert made.at > max(call.ended or 0.0 for call in played.calls if call.user == "zoe/0"), "it came before the end"
    assert (made.before, gone.after) == (None, None)
    assert list(world.store.of("services")) == ["web"]


@pytest.mark.parametrize("number", sampled(range(40)))
def test_two_starts_of_different_sizes_never_hold_more_than_either_asked_for(number: int) -> None:
    eve = Script("eve", 8.0 + number / 20, asks=(Ask("start", pods=3, surge=3),))
    assert_holds(play(History(seed=number, replica_sets=LAGGING, scripts=(ana(Ask("start", pods=2)), eve))))


@pytest.mark.parametrize("surge", [0, 1])
@pytest.mark.parametrize("seed", sampled(range(80)))
def test_a_promotion_that_is_taken_back_while_it_moves_keeps_what_was_promised(surge: int, seed: int) -> None:
    """The first pod that restarts ends it, at a moment at which the controller has just taken a stable pod."""
    failing, start = {"v2": Nature(restarts=True)}, Ask("start", surge=surge)
    assert_holds(play(History(seed=seed, natures=failing, scripts=(ana(start),), end=End.PROMOTE)))


@pytest.mark.parametrize("number", sampled(range(30)))
def test_a_start_that_was_overtaken_by_a_scaling_waits_for_its_pods(number: int) -> None:
    """Between its look and its patch; otherwise it would begin while pods are missing."""
    larger = Foreign(8.0 + number / 1000, "kubectl scale", 8)
    world = World(History(seed=number, scripts=(ana(START),), foreign=(larger,)))
    played = world.play()
    (began,) = [change for change in played.calls[0].writes if change.kind == "deployments"][:1]
    assert began.before is not None
    spec, status = began.before["spec"], began.before["status"]
    assert spec["replicas"] == status["readyReplicas"] or number > 25, f"{spec['replicas']}, {status}"


@pytest.mark.parametrize("number", sampled(range(60)))
def test_a_promotion_that_ends_while_somebody_takes_it_back_leaves_nothing_paused(number: int) -> None:
    promote, undo = Script("ana", 12.0, asks=(Ask("promote"),)), Script("eve", 12.0 + number / 20, asks=(UNDO,))
    assert_holds(play(History(seed=number, replicas=2, scripts=(ana(START), promote, undo))))


def test_nothing_is_told_of_pods_while_a_stream_is_opened_again() -> None:
    cut = tuple(PlannedStream(number, StreamFault.CUT, 3.0) for number in range(8))
    slow = {"v1": Nature(20.0, 21.0)}
    played = play(
        History(natures=slow, scripts=(Script("ana", 30.0, asks=(Ask("start", pods=3), UNDO), streams=cut),)),
        traced=True,
    )
    assert_holds(played)
    assert not [line for line in played.trace if "0 of 4 stable pods are Ready" in line]


def test_pods_that_crash_while_routes_take_their_time_are_not_promoted() -> None:
    """The gateway hears of the routes half a minute late; by then no canary pod is Ready any more."""
    start, promote = Ask("start", share="20", pods=2, surge=2), Ask("promote", think=2.0, by="pods", timeout=60.0)
    crash = tuple(Incident(100.0, Befalls.CRASH, "v2", place=place, seconds=400.0) for place in range(2))
    lags = Lags(25.0, 2.0)
    played = play(
        History(natures=TAKING_THEIR_TIME, scripts=(ana(start, promote),), gateway=lags, incidents=crash, end=End.UNDO)
    )
    started, promoted = played.calls[:2]
    assert started.ended is not None and started.ended < 100.0 < (promoted.ended or 0.0)
    assert 'no canary pod of Deployment "web" is Ready' in promoted.told()
