# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others leave behind when they touch a Deployment with a canary, and that canary_undo heals it, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import CHANGE_CAUSE, LIVE, RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import InfoRequest, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from tests.sim.stage import Stage
from tests.situations import Web

OWN_FIELDS: dict[str, Any] = {
    "minReadySeconds": 1,
    "progressDeadlineSeconds": 321,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}},
}
RESTORE = Restore(min_ready_seconds=1, progress_deadline_seconds=321, max_surge="30%", max_unavailable=1)
NO_RECORD: dict[str, Any] = {"metadata": {"annotations": {RECORD: None}}}


def forget_copies(web: Web) -> None:
    """The record is gone from the Deployment and from its ReplicaSets."""
    web.patch(NO_RECORD, PatchKind.MERGE)
    for rs in web.replica_sets():
        web.admin.patch(f"{web.apps}/replicasets/{rs['metadata']['name']}", NO_RECORD, PatchKind.MERGE)


def rollout(verb: str) -> Callable[[Web], Any]:
    return lambda web: web.rollout(verb)


def to_zero(web: Web) -> None:
    web.scale(0)
    web.until(lambda: not web.split(), "no pods")


def to_zero_and_back(web: Web) -> None:
    to_zero(web)
    web.scale(4)


def nothing_left_but_fields(web: Web) -> None:
    """Record and label deleted, the template put back."""
    web.patch({"metadata": {"annotations": {RECORD: None}, "labels": {LIVE: None}}}, PatchKind.MERGE)
    web.set_image("v1")


@dataclass(frozen=True)
class Case:
    """What somebody does to a held canary of v2, the phase that shows it, and whether undo needs to be told the fields."""

    done: Callable[[Web], Any]
    phase: str
    restore: Restore | None = None
    why: str = ""
    fields: Mapping[str, Any] = field(default_factory=lambda: OWN_FIELDS)


CASES = {
    "kubectl rollout undo": Case(rollout("undo"), "damaged", why="put back to the stable one"),
    "kubectl apply of the old manifest": Case(
        Web.apply, "damaged", why="put back to the stable one", fields={}
    ),
    "kubectl apply of an old manifest with more replicas": Case(
        lambda web: web.apply(replicas=6), "damaged", why="put back to the stable one", fields={}
    ),
    "kubectl apply of an old manifest that names fields of the hold": Case(
        lambda web: web.apply(**OWN_FIELDS), "damaged", why="ended the hold by putting minReadySeconds back"
    ),
    "kubectl rollout restart": Case(rollout("restart"), "foreign", why="replaced the pod template"),
    "kubectl set image": Case(lambda web: web.set_image("v3"), "foreign", why="replaced the pod template"),
    "kubectl set image of the stable version": Case(lambda web: web.set_image("v1"), "damaged", why="put back"),
    "minReadySeconds put back": Case(
        lambda web: web.patch({"spec": {"minReadySeconds": 0}}), "damaged", why="ended the hold by putting minReadySeconds back"
    ),
    "the strategy of the hold changed": Case(
        lambda web: web.patch({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}}}), "damaged",
        why="changed the strategy of the hold",
    ),
    "the record deleted": Case(lambda web: web.patch(NO_RECORD, PatchKind.MERGE), "held"),
    "the label deleted": Case(lambda web: web.kubectl("label", f"deployment/{web.name}", f"{LIVE}-"), "held"),
    "record and label deleted, template put back": Case(
        nothing_left_but_fields, "damaged", why="put back",
    ),
    "the record deleted everywhere": Case(forget_copies, "damaged", RESTORE, why="no record of its own fields is left"),
    "an unreadable record": Case(
        lambda web: web.patch({"metadata": {"annotations": {RECORD: "{}"}}}), "damaged", RESTORE,
        why="its record cannot be read: it has version None",
    ),
    "scaled to 0": Case(to_zero, "damaged", why="no stable pod is left"),
    "scaled to 0 and back": Case(to_zero_and_back, "damaged", why="no stable pod is left"),
    "paused": Case(rollout("pause"), "frozen"),
}  # fmt: skip


@pytest.mark.parametrize("case", [*CASES.values()], ids=[*CASES])
def test_undo_heals_what_somebody_did_to_a_held_canary(case: Case, new: Callable[..., Web]) -> None:
    web = new()
    web.apply(**case.fields)
    web.settle()
    before = web.spec
    web.start("v2", pods=2)
    case.done(web)
    found = web.info()
    assert (found["phase"], case.why in found["why"]) == (case.phase, True), found["why"]
    if case.restore:
        assert "Run canary_undo with restore: min_ready_seconds" in web.refused(web.undo, "damaged")
    replicas = web.spec["replicas"]
    assert web.undo(restore=case.restore).changed
    web.assert_clean({**before, "replicas": replicas}, "v1")
    assert web.spec["template"]["spec"] == before["template"]["spec"]
    assert web.undo().changed is False
    assert web.phase == "none"


def test_a_restore_that_lacks_a_field_is_refused(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start()
    forget_copies(web)
    message = web.refused(lambda: web.undo(restore=Restore(min_ready_seconds=0)), "damaged")
    assert message.startswith("restore lacks progress_deadline_seconds, max_surge, max_unavailable, and no record says")
    assert "max_surge 25%, max_unavailable 25%" in message


def test_a_label_without_hold_and_record_is_removed(new: Callable[..., Web]) -> None:
    web = new().make(2)
    before = web.spec
    web.patch({"metadata": {"labels": {LIVE: "true"}}})
    assert web.phase == "damaged"
    outcome = web.undo()
    assert (outcome.changed, outcome.message) == (True, "what was left of a release was removed")
    assert web.spec == before and web.phase == "none"


def test_a_record_of_an_earlier_release_says_nothing(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start("v2")
    web.undo()  # the ReplicaSet of v2 keeps a copy of the record
    web.rollout("undo")  # which comes back with it
    web.settle()
    assert RECORD in web.annotations and web.split() == {"v2": 2}
    assert web.phase == "none"
    assert web.start("v3").changed and web.phase == "held"
    web.undo()
    assert web.split() == {"v2": 2}


def test_kubectl_rollout_undo_in_a_later_hold_does_not_bring_an_earlier_release_back(new: Callable[..., Web]) -> None:
    """Held: v3 beside v2. kubectl puts v2 back, with the record of an earlier canary of v2 beside v1."""
    web = new().make(2)
    web.start("v2")
    web.undo()
    web.set_image("v2")
    web.settle()
    web.start("v3")
    web.rollout("undo")
    found = web.info()
    assert found["phase"] == "damaged" and found["stable"]["images"] == {"app": "lab.local/app:v2"}
    web.undo()
    assert web.split() == {"v2": 2} and web.phase == "none"


def test_after_promotions_there_and_back_the_latest_release_counts(new: Callable[..., Web]) -> None:
    """Held: v1 beside v2, which was itself released from v1. The record of that release must not turn the two around."""
    web = new().make(2)
    web.start("v2")
    web.promote()
    web.start("v1")
    web.rollout("undo")
    found = web.info()
    assert found["phase"] == "damaged" and found["stable"]["images"] == {"app": "lab.local/app:v2"}
    web.undo()
    assert web.split() == {"v2": 2} and web.phase == "none"


@pytest.mark.parametrize("step", ["promote", "undo"])
def test_kubectl_rollout_undo_while_the_pods_move_is_healed(step: str, new: Callable[..., Web]) -> None:
    slow = {"lab.coalmine/ready-after": "1000"}
    web = new().make(4, annotations=slow, **OWN_FIELDS)
    before = web.spec
    web.start("v2")
    without_waiting(web, step)
    web.until(lambda: web.get()["status"]["observedGeneration"] == web.generation, "the controller has begun")
    web.rollout("undo")
    web.undo()
    web.settle()
    web.assert_kept(before, "v1")
    assert web.phase == "none"


def without_waiting(web: Web, verb: str) -> None:
    getattr(replace(web, wait=Wait(enabled=False)), verb)()


SPECS: dict[str, dict[str, Any]] = {
    "nothing set": {},
    "everything set": {**OWN_FIELDS, "revisionHistoryLimit": 3},
    "no history": {"revisionHistoryLimit": 0},
    "counts": {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
    "only unavailable": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
    "a selector of expressions": {"selector": {"matchExpressions": [
        {"key": "app", "operator": "Exists"}, {"key": "app", "operator": "NotIn", "values": ["other"]},
        {"key": "tier", "operator": "DoesNotExist"}, {"key": "app", "operator": "In", "values": ["NAME", "x"]},
    ]}},
}  # fmt: skip


@pytest.mark.parametrize("fields", [*SPECS.values()], ids=[*SPECS])
@pytest.mark.parametrize("frozen", [False, True], ids=["held", "frozen"])
def test_undo_brings_the_whole_spec_back(fields: dict[str, Any], frozen: bool, new: Callable[..., Web]) -> None:
    web = new()
    web.make(3, **json.loads(json.dumps(fields).replace("NAME", web.name)))
    before = web.spec
    web.start("v2", pods=2)
    if frozen:
        web.pause()
    web.undo()
    assert web.spec == before
    web.assert_clean(before, "v1")


@pytest.mark.parametrize("fields", [*SPECS.values()], ids=[*SPECS])
def test_promote_changes_the_template_and_nothing_else(fields: dict[str, Any], new: Callable[..., Web]) -> None:
    web = new()
    web.make(3, **json.loads(json.dumps(fields).replace("NAME", web.name)))
    before = web.spec
    web.start("v2", pods=2)
    web.promote()
    web.assert_clean(before, "v2")


def test_a_name_of_253_characters_goes_through_a_whole_release(new: Callable[..., Web]) -> None:
    web = new("n" * 253).make(2)
    before = web.spec
    web.start("v2")
    assert web.info()["canary"]["counts"]["ready"] == 1
    web.undo()
    web.assert_clean(before, "v1")
    web.start("v3")
    web.promote()
    web.assert_clean(before, "v3")


def test_the_change_cause_of_the_stable_version_comes_back_with_it(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.kubectl("annotate", f"deployment/{web.name}", f"{CHANGE_CAUSE}=release 1")
    web.start("v2")
    assert web.annotations[CHANGE_CAUSE] == "canary of app=lab.local/app:v2"
    web.undo()
    assert web.annotations[CHANGE_CAUSE] == "release 1"
    causes = {rs["metadata"]["annotations"].get(CHANGE_CAUSE) for rs in web.replica_sets()}
    assert causes == {"release 1", "canary of app=lab.local/app:v2"}


def test_without_a_change_cause_none_appears(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start("v2")
    assert CHANGE_CAUSE not in web.annotations
    web.undo()
    assert CHANGE_CAUSE not in web.annotations


def test_a_reason_is_kept_for_who_looks_later(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start("v2")
    assert web.undo(reason="too slow").message.startswith("undone (too slow): no canary pod is left")
    last = json.loads(web.annotations["coalmine.canary/last"])
    assert (last["outcome"], last["reason"], last["by"]) == ("undone", "too slow", "tests")
    assert last["images"] == {"app": "lab.local/app:v2"}


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_stable_replica_set_that_is_gone_leaves_the_choice_to_a_manifest(
    version: str, new: Callable[..., Web]
) -> None:
    web = new().make(2, revisionHistoryLimit=0)
    before = web.spec
    web.start("v2")
    stable = web.info()["stable"]["replica_set"]
    web.kubectl("delete", "replicaset", stable)
    web.until(lambda: "v1" not in web.split(), "the stable ReplicaSet is gone")
    message = web.refused(web.undo, "no_stable")
    assert f'the stable ReplicaSet "{stable}"' in message and "then run canary_undo again to clean up" in message
    web.set_image(version)
    web.undo()
    web.settle()
    web.assert_kept(before, version)
    assert web.phase == "none"


HOSTILE = {
    "nested": "[" * 90_000,
    "a superscript": "\u00b2",
    "of a later release": '{"version":99}',
    "with a member of a later release": "later",
    "impossible": "impossible",
}


def hostile(web: Web, name: str) -> str:
    good = json.loads(web.annotations[RECORD])
    changed = {
        "later": {**good, "lease": "x"},
        "impossible": {**good, "originals": {**good["originals"], "minReadySeconds": 2**40}},
    }
    return json.dumps(changed[HOSTILE[name]]) if HOSTILE[name] in changed else HOSTILE[name]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_told_as_damaged_and_keeps_no_other_canary_from_being_told(
    name: str, new: Callable[..., Web]
) -> None:
    web, other = new(), new()
    for each in (web, other):
        each.apply(**OWN_FIELDS)
        each.settle()
        each.start("v2")
    before = web.spec
    web.patch({"metadata": {"annotations": {RECORD: hostile(web, name)}}})
    newest = web.replica_sets()[0]["metadata"]["name"]
    odd = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "\u00b2"}}}
    web.admin.patch(f"{web.apps}/replicasets/{newest}", odd, PatchKind.MERGE)
    phases = {one["name"]: one["phase"] for one in info(web.admin, InfoRequest()).extra["canaries"]}
    assert (phases[web.name], phases[other.name]) == ("damaged", "held")
    assert "Repair it with canary_undo" in web.refused(web.start, "damaged")
    assert "Repair it with canary_undo" in web.refused(web.promote, "damaged")
    assert "Run canary_undo with restore: min_ready_seconds" in web.refused(web.undo, "damaged")
    assert web.undo(restore=RESTORE).changed
    assert web.split() == {"v1": 4} and web.phase == "none"
    assert web.spec["minReadySeconds"] == 1 != before["minReadySeconds"]


def test_an_undo_does_not_fail_for_what_it_wants_to_note(new: Callable[..., Web]) -> None:
    web = new()
    web.apply(**OWN_FIELDS)
    web.settle()
    before = web.spec
    web.start("v2")
    taken = sum(len(key) + len(value) for key, value in web.annotations.items())
    web.patch({"metadata": {"annotations": {"much": "x" * (256 * 1024 - taken - 4200)}}})
    web.until(lambda: web.phase == "held", "the controller has copied the annotations")
    outcome = web.undo(reason="too slow " * 50_000)
    assert any("annotations" in warning and "the reason was" in warning for warning in outcome.warnings)
    web.assert_clean(before, "v1")


def test_a_promotion_whose_label_is_removed_before_and_after_its_first_patch_is_finished(
    new: Callable[..., Web],
) -> None:
    web = new()
    web.apply(**OWN_FIELDS)
    web.settle()
    before = web.spec
    for verb, version in (("undo", "v1"), ("promote", "v2")):
        web.start("v2")
        web.kubectl("label", f"deployment/{web.name}", f"{LIVE}-")
        without_waiting(web, verb)
        web.kubectl("label", f"deployment/{web.name}", f"{LIVE}-")
        assert web.phase in ("promoting", "undoing")
        getattr(web, verb)()
        assert web.split() == {version: 4} and web.phase == "none" and RECORD not in web.annotations
    assert {**web.spec, "template": None} == {**before, "template": None}


def test_a_pause_is_refused_while_a_promotion_is_undone(new: Callable[..., Web]) -> None:
    web = new()
    web.apply(replicas=6, **OWN_FIELDS)
    web.settle()
    web.start("v2", pods=2)
    without_waiting(web, "promote")
    without_waiting(web, "undo")
    if web.phase == "undoing":
        assert "paused it would get more pods" in web.refused(web.pause, "busy")
    web.undo()
    assert web.split() == {"v1": 6}


def test_what_may_not_be_read_of_a_lost_release_is_told_once(stage: Stage, new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start()
    forget_copies(web)
    groups = {"gateway.networking.k8s.io": ("httproutes", "grpcroutes"), "networking.k8s.io": ("ingresses",)}
    groups["networking.istio.io"] = ("virtualservices",)
    kinds = [f"{kind}.{group}" for group, several in groups.items() for kind in several]
    stage.server.forbidden["admin"] = frozenset(("list", kind) for kind in (*kinds, "services"))
    (told,) = [text for text in web.undo(restore=RESTORE).warnings if "as the lost release wrote it" in text]
    assert told.startswith("whether a HTTPRoute or Service or Ingress or VirtualService or GRPCRoute is left")


def test_an_undo_after_a_promotion_names_the_way_back_from_that(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.start()
    web.undo()
    assert web.undo().message == "no canary is held: nothing to undo"
    web.start()
    web.promote()
    undone = web.undo()
    assert (
        undone.message.endswith("the last release was promoted, which canary_rollback takes back")
        and not undone.changed
    )


@pytest.mark.parametrize(("verb", "version"), [("undo", "v2"), ("promote", "v1")])
def test_a_pod_that_somebody_took_from_its_replica_set_and_users_still_meet_is_named(
    stage: Stage, verb: str, version: str
) -> None:
    """By another hash, to look into it. Kubernetes leaves it alone for good, and so does this: nobody is to believe that it is gone."""
    web = stage.web().make(3)
    web.start()
    pod = next(pod for pod in stage.pods.pods.values() if pod.version == version)
    shown = stage.store.get("pods", pod.name)
    assert shown is not None
    labels = shown["metadata"]["labels"]
    stage.pods.is_set_apart(pod)
    apart = stage.store.get("pods", pod.name)
    assert apart is not None
    left = {**apart, "metadata": {**apart["metadata"], "labels": {**labels, "pod-template-hash": "debug"}}}
    stage.store.put("pods", left, "kubectl-label")
    web.until(lambda: sum(one.ready for one in stage.pods.pods.values()) == 4, "another has taken its place")
    told = [web.bake(), info(web.admin, InfoRequest(web.name, web.namespace)), getattr(web, verb)()]
    said = f'Pod "{pod.name}" belongs to no ReplicaSet any more, because somebody has changed its labels'
    assert [sum(text.startswith(said) for text in outcome.warnings) for outcome in told] == [1, 1, 1]
    stage.store.put("pods", apart, "kubectl-label")
    assert not info(web.admin, InfoRequest(web.name, web.namespace)).warnings
