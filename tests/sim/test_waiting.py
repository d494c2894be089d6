# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a wait: what cannot succeed and whoever interferes, at once and in words; and time, where that is all there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import PODS, Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.waiting import Mirror
from tests.sim.faults import Faults, PlannedStream, StreamFault
from tests.sim.objects import Json
from tests.sim.pods import Nature
from tests.sim.refusals import Refused
from tests.sim.stage import Stage
from tests.situations import WHOEVER, Web

# Of the virtual ten minutes that a wait was given. Who interferes is noticed by a stream.
# Far below the timeout of the wait, and far above what a busy machine takes where a real cluster is the witness.
AT_ONCE_SECONDS = 45.0
LONG = Wait(timeout=600.0)
NEVER_READY = {"lab.coalmine/never-ready": "true"}
NEXT = r"The canary stays held for you to look at: canary_info shows it, canary_undo brings the stable version back\.$"


def fails_at_once(web: Web, call: Callable[[], Any], code: str = "stuck") -> VerbFailure:
    begun = web.admin.clock.monotonic()
    with pytest.raises(VerbFailure) as raised:
        call()
    assert raised.value.code == code, raised.value.message
    assert web.admin.clock.monotonic() - begun < AT_ONCE_SECONDS
    return raised.value


def patient(web: Web) -> Web:
    return replace(web, wait=LONG)


REASONS = ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")


@pytest.mark.parametrize("reason", REASONS)
def test_a_container_that_cannot_run_ends_the_wait_with_its_reason(reason: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    failure = fails_at_once(web, lambda: patient(web).start(annotations={"lab.coalmine/waiting": reason}))
    said = (
        rf'^Deployment "{web.name}" in namespace "{web.namespace}": container app of pod {web.name}\S+ is in {reason}'
    )
    assert re.search(said, failure.message), failure.message
    assert re.search(NEXT, failure.message) and failure.changed
    assert web.split() == {"v1": 3, "v2": 1} and web.phase == "starting"
    assert web.undo().changed and web.split() == {"v1": 3}


def test_a_canary_that_restarts_fails_even_when_it_is_ready_again(new: Callable[..., Web]) -> None:
    web = new().make(3)
    with pytest.raises(VerbFailure, match=r"restarted 1 times?"):
        patient(web).start(pods=2, annotations={"lab.coalmine/restart-after": "0"})
        patient(web).start(pods=3, annotations={"lab.coalmine/restart-after": "0"})


@contextmanager
def meanwhile(web: Web, does: Callable[[Web], Any]) -> Iterator[Web]:
    """`does` happens once the canary's ReplicaSet is there and counted, while the verb waits."""

    def acts(web: Web) -> None:
        web.until(lambda: len(web.split()) == 2 and web.get()["status"].get("updatedReplicas"), "the canary begins")
        does(web)

    with web.world.meanwhile(web, acts):
        yield patient(web)


INTERFERENCES: dict[str, tuple[Callable[[Web], Any], str]] = {
    "another image": (
        lambda web: web.kubectl("set", "image", f"deployment/{web.name}", "app=lab.local/app:v3"),
        r"somebody replaced the pod template of the canary \(" + WHOEVER + r" replaced the pod template(?: at \S+)?\)\.",
    ),
    "the old image": (
        lambda web: web.patch(
            {"spec": {"template": {"metadata": {"annotations": dict.fromkeys(NEVER_READY)},
                                   "spec": {"containers": [{"name": "app", "image": "lab.local/app:v1"}]}}}}
        ),
        r"somebody changed the fields of the hold \(its pod template was put back to the stable one",
    ),
    "a restart": (
        lambda web: web.kubectl("rollout", "restart", f"deployment/{web.name}"),
        r"somebody replaced the pod template of the canary",
    ),
    "a pause": (
        lambda web: web.kubectl("rollout", "pause", f"deployment/{web.name}"),
        r"somebody paused the Deployment\.",
    ),
    "scaled to 0": (
        lambda web: web.scale(0),
        r"somebody scaled the Deployment to 0 replicas; scaling up again would make all pods canary pods\.",
    ),
    "minReadySeconds": (
        lambda web: web.patch({"spec": {"minReadySeconds": 0}}),
        r"somebody changed the fields of the hold \(" + WHOEVER + r" ended the hold by putting minReadySeconds back",
    ),
    "the strategy": (
        lambda web: web.patch({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}}}),
        r"somebody changed the fields of the hold \(" + WHOEVER + r" changed the strategy of the hold(?: at \S+)?\)",
    ),
    "an undo": (lambda web: replace(web, wait=Wait(enabled=False), takeover=True).undo(), r"somebody (undid the canary|ended the release)"),
    "deleted": (
        lambda web: web.kubectl("delete", f"deployment/{web.name}"), r"there is no Deployment"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INTERFERENCES)
def test_somebody_who_interferes_ends_the_wait(what: str, new: Callable[..., Web]) -> None:
    web = new().make(3)
    does, message = INTERFERENCES[what]
    with meanwhile(web, does) as waiting:
        failure = fails_at_once(
            web, lambda: waiting.start(annotations=NEVER_READY), "not_found" if what == "deleted" else "stuck"
        )
    assert re.search(message, failure.message), failure.message


def test_scaling_while_a_start_waits_is_told_with_the_true_counts(new: Callable[..., Web]) -> None:
    web = new().make(4)
    with meanwhile(web, lambda web: web.scale(8)) as waiting:
        outcome = waiting.start(annotations={"lab.coalmine/ready-after": "6000"})
    counts = web.split()
    assert (
        f"somebody scaled the Deployment from 4 to 8 replicas since the start, which spread over both versions: "
        f"{counts['v1']} stable and {counts['v2']} canary pods now"
    ) in outcome.warnings
    again = web.start(annotations={"lab.coalmine/ready-after": "6000"})
    assert not again.changed and any("from 4 to 8 replicas" in warning for warning in again.warnings)


def test_scaling_down_while_a_start_waits_ends_it(new: Callable[..., Web]) -> None:
    web = new().make(5)
    with meanwhile(web, lambda web: web.scale(3)) as waiting:
        failure = fails_at_once(web, lambda: waiting.start(annotations=NEVER_READY))
    assert "somebody scaled the Deployment from 5 down to 3 replicas" in failure.message
    web.undo()
    assert web.split() == {"v1": 3}


def test_scaled_down_until_no_stable_pod_is_left_is_no_hold(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.start(pods=2)  # 3 stable and 2 canary pods
    web.scale(1)
    web.until(lambda: web.split() == {"v2": 1}, "only the canary is left")
    found = web.info()
    assert (found["phase"], found["why"]) == ("damaged", "no stable pod is left beside the canary")
    assert "Repair it with canary_undo" in web.refused(lambda: web.start(pods=2), "damaged")
    web.undo()
    assert web.split() == {"v1": 1}


def test_a_timeout_says_how_far_it_came_and_the_canary_stays(new: Callable[..., Web]) -> None:
    web = new().make(2)
    with pytest.raises(VerbFailure) as raised:
        replace(web, wait=Wait(timeout=2.0)).start(annotations=NEVER_READY)
    assert raised.value.code == "timeout"
    assert re.search(r"timed out: 0 of 1 canary pods are Ready\. Pod \S+ is Running.* " + NEXT, raised.value.message)
    assert web.split() == {"v1": 2, "v2": 1}


def test_a_promotion_that_fails_says_why_and_how_to_go_on(new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.start(patch={"metadata": {"annotations": {"lab.coalmine/ready-after": "2000"}}})
    before = web.generation

    def replaces(web: Web) -> None:
        """Once the promotion has begun, no pod gets Ready any more."""
        web.until(lambda: web.generation > before, "the promotion begins")
        web.patch({"spec": {"template": {"metadata": {"annotations": NEVER_READY}}}})

    with web.world.meanwhile(web, replaces):
        failure = fails_at_once(web, patient(web).promote)
    assert re.search(
        r"somebody replaced the pod template meanwhile(?: \([^)]*\))?\. It was left as it is: canary_info shows it, canary_undo brings the stable "
        r"version back\.$",
        failure.message,
    ), failure.message
    assert web.phase == "foreign"
    web.undo()
    assert web.split() == {"v1": 3}


def test_a_deployment_that_was_made_again_meanwhile_is_another_one(new: Callable[..., Web]) -> None:
    web = new().make(2, annotations={"lab.coalmine/ready-after": "3000"})
    web.start()

    def make_again(told: str) -> None:
        if "if this is interrupted" in told:  # the wait has yet to begin
            manifest = web.manifest(2)
            manifest["spec"]["template"] = web.spec["template"]
            belongs = [f"replicaset/{rs['metadata']['name']}" for rs in web.replica_sets()]
            for each in (f"deployment/{web.name}", *belongs):
                web.kubectl("delete", each)
            web.admin.create(f"{web.apps}/deployments", manifest)

    failure = fails_at_once(web, replace(patient(web), report=make_again).promote)
    assert "the Deployment was deleted and made again" in failure.message
    assert web.phase == "none"


def test_a_promotion_has_as_long_for_each_pod_as_it_was_given(new: Callable[..., Web]) -> None:
    web = new().make(3, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    web.start(annotations={"lab.coalmine/ready-after": "6000"})
    begun = web.admin.clock.monotonic()
    web.wait = Wait(timeout=11.0)
    web.promote()
    assert web.admin.clock.monotonic() - begun > 11.0 and web.split() == {"v2": 3}


def test_the_time_that_pods_need_to_become_available_is_no_standstill(new: Callable[..., Web]) -> None:
    web = new().make(2, minReadySeconds=4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    web.start()
    replace(web, wait=Wait(timeout=3.5)).promote()
    assert web.split() == {"v2": 2}


def test_terminated_pods_are_waited_for_only_when_asked(new: Callable[..., Web]) -> None:
    web = new().make(2, annotations={"lab.coalmine/end-after": "8000"})
    web.start()
    promoted = web.promote()
    assert [pod for pod in web.pods() if pod["metadata"].get("deletionTimestamp")]
    assert re.search(r"; (1 pod is|2 pods are) still terminating$", promoted.message)
    assert promoted.canary["terminating"] > 0
    told: list[str] = []
    started = replace(web, report=told.append).start("v3", annotations={"lab.coalmine/end-after": "3000"})
    warned = [text for text in started.warnings if "of an earlier rollout still terminating" in text]
    assert warned and told[0] == warned[0]
    replace(web, wait=Wait(timeout=60.0, terminated=True)).promote()
    assert not [pod for pod in web.pods() if pod["metadata"].get("deletionTimestamp")]


def _is_another_size(before: Json, after: Json) -> bool:
    return LIVE in (before["metadata"].get("labels") or {}) and before["spec"]["strategy"] != after["spec"]["strategy"]


def refuses_steps(stage: Stage, times: int) -> Callable[[str, Json | None, Json], Json]:
    """A webhook that fails so often when a hold is to grow."""

    def admit(kind: str, before: Json | None, after: Json) -> Json:
        if kind == "deployments" and before is not None and _is_another_size(before, after):
            asked.append(stage.timeline.now)
            if len(asked) <= times:
                raise Refused(500, "InternalError", 'failed calling webhook "policy"')
        return after

    asked: list[float] = []
    stage.server.admission.append(admit)
    return admit


def test_a_step_that_does_not_go_through_for_a_while_is_tried_again(stage: Stage) -> None:
    web = stage.web().make(4)
    refuses_steps(stage, 2)
    patient(web).start(pods=3)
    assert web.split() == {"v1": 2, "v2": 3} and web.phase == "held"


def test_a_step_that_never_goes_through_is_tried_until_the_time_is_over_and_not_all_the_time(stage: Stage) -> None:
    web = stage.web().make(4)
    admit = refuses_steps(stage, 1000)
    before = web.api.requests
    with pytest.raises(
        VerbFailure, match=r'the next step did not go through \(.*failed calling webhook "policy"'
    ) as raised:
        replace(web, wait=Wait(timeout=60.0)).start(pods=2)
    assert raised.value.code == "timeout"
    assert web.api.requests - before < 100
    stage.server.admission.remove(admit)
    patient(web).start(pods=2)
    assert web.phase == "held"


@pytest.mark.parametrize("lag", [0.1, 4.0, 20.0])
@pytest.mark.parametrize("listed_after", [0.0, 2.0, 8.0])
def test_pods_are_those_of_one_moment(lag: float, listed_after: float, stage: Stage) -> None:
    """A stream that begins after the list does not tell what was deleted in between, and one that lags tells later of what is gone."""
    web = stage.web().make(2)
    late = Faults(streams={0: PlannedStream(0, StreamFault.BEHIND, lag)})
    site = Site(stage.api("somebody", faults=late), Target(web.name, web.namespace))
    mirror = Mirror(site, site.look(pods=True), (PODS,))
    took, ends, was_listed = stage.timeline.now, stage.timeline.now + 60.0, False
    stage.pods.is_deleted(next(iter(stage.pods.pods.values())))
    while stage.timeline.now < ends:
        mirror.listen(0.1)
        if not was_listed and stage.timeline.now >= took + listed_after:
            mirror.look(last=True)
            was_listed = True
        told = [pod.name for pod in mirror.picture.pods or () if pod.serving]
        assert len(told) <= 2, f"{stage.timeline.now - took:.1f} s after a pod was deleted: {told}"
    mirror.look(last=False)
    found = mirror.picture.pods or ()
    assert sorted(pod.name for pod in found if pod.serving) == sorted(pod.name for pod in stage.pods.pods.values())


def test_what_a_stream_begins_with_is_not_taken_in_part(stage: Stage) -> None:
    """It is told by name, and one of it may be newer than the list."""
    web = stage.web().make(4)
    site = Site(stage.api("somebody"), Target(web.name, web.namespace))
    picture = site.look(pods=True)
    first = f"/api/v1/namespaces/{web.namespace}/pods/{min(pod.name for pod in picture.pods or ())}"
    web.admin.patch(first, {"metadata": {"labels": {"since": "the-list"}}}, PatchKind.MERGE)
    mirror = Mirror(site, picture, (PODS,))
    seen = {len(mirror.picture.pods or ()) for _time in range(50) if mirror.listen(0.01) is not None}
    assert seen == {4} and max(pod.version for pod in mirror.picture.pods or ()) > max(
        pod.version for pod in picture.pods or ()
    )


@pytest.mark.parametrize("seconds", [3.0, 40.0])
def test_a_quota_that_pods_leave_room_in_once_they_have_ended_is_waited_for(seconds: float) -> None:
    """As many pods as are allowed: each further one is refused until an old one has ended and the controller tries again."""
    natures = {version: Nature(ends_in=seconds) for version in ("v1", "v2")}
    web = Stage(0, natures, quota=3).web("web").make(2)
    web.start()
    assert patient(web).promote().message.startswith("promoted: 2 pods run the new version")
    assert web.split() == {"v2": 2}
