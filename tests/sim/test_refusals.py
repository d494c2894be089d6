# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a verb refuses before it writes: the message says what is wrong and what to do, and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    Forbidden,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.situations import WHOEVER, Right, Web

NEVER_READY = {"lab.coalmine/never-ready": "true"}
SOON = Wait(timeout=1.0)
NO_WAIT = Wait(enabled=False)


def of(verb: str, *arguments: Any, **options: Any) -> Callable[[Web], Any]:
    return lambda web: getattr(web, verb)(*arguments, **options)


@dataclass(frozen=True)
class Case:
    """A Deployment in some state, a call, and how its message reads (a regular expression; NAME is the Deployment)."""

    made: Callable[[Web], Any]
    call: Callable[[Web], Any]
    code: str
    message: str


def four(web: Web) -> Web:
    return web.make(4)


def held(web: Web, **options: Any) -> Web:
    four(web).start(**options)
    return web


def frozen(web: Web) -> None:
    held(web).pause()


def two_versions(web: Web) -> Web:
    """An ordinary rollout whose new pods never get Ready."""
    web.make(4).patch({"spec": {"template": {"metadata": {"annotations": NEVER_READY}}}})
    web.until(lambda: len([rs for rs in web.replica_sets() if rs["spec"]["replicas"]]) == 2, "a rollout is under way")
    return web


def promoted_by_halves(web: Web) -> None:
    held(web, annotations={"lab.coalmine/ready-after": "0"})
    web.patch({"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}})


def promoting(web: Web) -> None:
    """Its new pods count only after some minutes."""
    four(web).patch({"spec": {"minReadySeconds": 500}})
    web.start()
    replace(web, wait=NO_WAIT).promote()


def undoing(web: Web) -> None:
    """One of the stable pods has lost its readiness for good, and an undo waits for it."""
    stable = four(web).pods()[0]["metadata"]["name"]
    web.start()
    lost = {"metadata": {"annotations": {"lab.coalmine/unready-after": "0"}}}
    web.admin.patch(f"/api/v1/namespaces/{web.namespace}/pods/{stable}", lost, PatchKind.MERGE)
    web.until(lambda: web.get()["status"].get("readyReplicas") == 4, "a stable pod has lost its readiness")
    replace(web, wait=NO_WAIT).undo()


def unreadable(text: str) -> Callable[[Web], Any]:
    def make(web: Web) -> None:
        held(web)
        web.patch({"metadata": {"annotations": {RECORD: text}}})

    return make


def started_twice_with_one_image(web: Web) -> None:
    four(web).start("v2")
    web.undo()
    web.start("v2", annotations={"second": "try"})
    web.undo()


START = {
    "the template does not differ": Case(
        four, of("start", "v1"), "same_template",
        r"already runs this pod template \(NAME-\S+\)\. Give another image or another template; to restart its pods by a "
        r"canary, give the annotation kubectl\.kubernetes\.io/restartedAt another value\.",
    ),
    "several active ReplicaSets": Case(
        two_versions, of("start"), "rollout_in_progress",
        r"is in the middle of a rollout: NAME-\S+ \(\d pods\), NAME-\S+ \(\d pods\)\. "
        r"canary_info shows whether that is somebody's release\. Try again when it is over\.",
    ),
    "a manifest of a wrong shape": Case(
        four, of("start", template=NewTemplate(definition={"kind": "Deployment", "spec": {"template": {"metadata": ["x"]}}})),
        "invalid", r"definition has a spec\.template\.metadata that is not a mapping",
    ),
    "no replicas": Case(
        lambda web: web.make(0), of("start"), "scaled_to_zero",
        r"has 0 replicas\. Scale it up first: a canary needs stable pods\.",
    ),
    "the strategy Recreate": Case(
        lambda web: web.make(1).patch({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}), of("start"), "recreate",
        r"has the strategy Recreate, .* set the strategy to RollingUpdate",
    ),
    "paused by somebody": Case(
        lambda web: four(web).patch({"spec": {"paused": True}}), of("start"), "paused",
        r"is paused, and not by a release of ours\. Find out who paused it and why, then resume it with canary_resume",
    ),
    "a number where only text is taken": Case(
        four, of("start", patch={"spec": {"containers": [{"name": "app", "env": [{"name": "PORT", "value": 8080}]}]}}), "invalid",
        r"pod_template_patch cannot be used: spec\.containers\[app\]\.env\[PORT\]\.value is a number, and Kubernetes takes only "
        r"text there: put it in quotes\.",
    ),
    "an unknown container": Case(
        four, of("start", template=NewTemplate(images={"wep": "x:1"})), "unknown_container",
        r'the pod template has no container "wep"; it has: app\. Name one of them; to add a container use '
        r"pod_template_patch\.",
    ),
    "no stable pod would be left": Case(
        four, of("start", pods=4, surge=0), "impossible_size",
        r"4 canary pods of 4 replicas with surge 0 would leave no stable pod to come back to\. "
        r"Ask for 3 or fewer, or allow a larger surge",
    ),
    "more canary pods than replicas": Case(
        four, of("start", pods=5), "impossible_size", r"5 canary pods cannot be held beside 4 replicas: .*Ask for 4 or fewer"
    ),
    "one replica and no surge": Case(
        lambda web: web.make(1), of("start", surge=0), "impossible_size", r"leave no stable pod.*Allow surge 1 or more"
    ),
    "no room at all": Case(
        four, of("start", surge=0, max_unavailable=0), "impossible_size",
        r"with surge 0 and max_unavailable 0 there is no room for a canary pod: allow surge 1 .* or max_unavailable 1",
    ),
    "a size that needs steps, without waiting": Case(
        four, lambda web: replace(web, wait=NO_WAIT).start(pods=3), "needs_steps",
        r"3 canary pods need several steps, .* and wait is false\. Set wait to true, or ask for at most 1 canary pod, "
        r"or allow a surge of 3\.",
    ),
    "stable pods that do not get Ready": Case(
        lambda web: web.make(2, settled=False, annotations=NEVER_READY),
        lambda web: replace(web, wait=SOON).start(), "not_ready",
        r'Deployment "NAME" cannot begin a canary: 0 of 2 stable pods are Ready\. (Pod NAME-\S+ is \w+ \(\w+\)\. ){2}'
        r"A canary is compared with a healthy stable version: look at its pods, or give it more time with wait_timeout\.",
    ),
    "stable pods that are not Ready, without waiting": Case(
        lambda web: web.make(2, settled=False, annotations=NEVER_READY),
        lambda web: replace(web, wait=NO_WAIT).start(), "not_ready", r"cannot begin a canary: ",
    ),
    "an autoscaler": Case(
        lambda web: four(web).autoscaler(), of("start"), "autoscaler",
        r'HorizontalPodAutoscaler "NAME-hpa" scales Deployment "NAME"\. .*Choose autoscaler=pin .* or autoscaler=ignore',
    ),
    "a smaller size": Case(
        lambda web: held(web, pods=2), of("start", pods=1), "smaller",
        r"holds 2 canary pods, and 1 were asked for: a hold can only grow\. Undo it with canary_undo and start a "
        r"smaller one\.",
    ),
    "another template": Case(
        held, of("start", "v3"), "another_template",
        r"already holds a canary of another pod template, started \d{4}-\S+Z by tests, "
        r"which differs in spec\.containers\[app\]\.image\. "
        r"Wait until whoever started it has ended it\. If that is for you to do, promote it with canary_promote or take it back ",
    ),
    "frozen": Case(
        frozen, of("start"), "frozen",
        r"is frozen: somebody paused it for a reason\. Ask who, then let it go on with canary_resume, or take it back with "
        r"canary_undo\.",
    ),
    "somebody else's template": Case(
        promoted_by_halves, of("start"), "foreign",
        r"was changed by somebody else while a canary was held \(" + WHOEVER + r" replaced the pod template(?: at \S+)?\)\. "
        r"Bring the stable version back with canary_undo, then start again\.",
    ),
    "a promotion under way": Case(
        promoting, of("start", "v3"), "busy",
        r'"NAME" in namespace "\S+" is being promoted\. Finish that with canary_promote, or take it back with canary_undo\.',
    ),
    "an undo under way": Case(
        undoing, of("start"), "busy",
        r'"NAME" in namespace "\S+" is being taken back\. Finish that with canary_undo\.',
    ),
    "a record that is no JSON": Case(
        unreadable("{"), of("start"), "damaged",
        r"is left with parts of a hold \(its record cannot be read: it is not JSON .*\)\. Repair it with canary_undo",
    ),
    "a record of a later version": Case(
        unreadable('{"version": 99}'), of("start"), "damaged",
        r"it has version 99, and this release of coalmine\.canary reads version \d: use the release that wrote it, or a "
        r"later one\)\. Repair it with canary_undo",
    ),
    "a manifest of another Deployment": Case(
        four,
        of("start", template=NewTemplate(definition={"kind": "Deployment", "metadata": {"name": "other"}})), "invalid",
        r'definition has name "other", and this release is of "NAME"\. Give the manifest of the Deployment itself',
    ),
    "a manifest that is no Deployment": Case(
        four, of("start", template=NewTemplate(definition={"kind": "Pod"})), "invalid",
        r"definition is a Pod, not a Deployment\. Give its manifest\.",
    ),
    "a manifest without a template": Case(
        four, of("start", template=NewTemplate(definition={"kind": "Deployment"})), "invalid",
        r"definition has no spec\.template\. Give the whole manifest of the Deployment\.",
    ),
}  # fmt: skip
OTHERS = {
    "promote: somebody else's template": Case(
        promoted_by_halves, of("promote"), "foreign",
        r'"NAME" cannot be promoted: ' + WHOEVER + r' replaced the pod template(?: at \S+)?, so its pods would not be the ones that were '
        r"looked at\. Bring the stable version back with canary_undo, then start again\.",
    ),
    "promote: no canary pod is Ready": Case(
        lambda web: replace(four(web), wait=NO_WAIT).start(annotations=NEVER_READY), of("promote"), "no_canary_ready",
        r'no canary pod of Deployment "NAME" is Ready\. Look at its pods with canary_info, give it more time with '
        r"canary_start, or take it back with canary_undo\.",
    ),
    "promote: while it is taken back": Case(
        undoing, of("promote"), "busy",
        r'"NAME" cannot be promoted: it is being taken back\. Finish that with canary_undo\.',
    ),
    "promote: a record that cannot be read": Case(
        unreadable("{"), of("promote"), "damaged",
        r"cannot be promoted: its record cannot be read: .*\. Repair it with canary_undo\.",
    ),
    "promote: an ordinary rollout that is paused": Case(
        lambda web: two_versions(web).patch({"spec": {"paused": True}}), of("promote"), "paused",
        r'the rollout of Deployment "NAME" is paused\. Let it go on with canary_resume\.',
    ),
    "pause: a damaged hold": Case(
        unreadable("{"), of("pause"), "damaged",
        r"is left with parts of a hold \(.*\): pausing or resuming it could take pods away\. Repair it with canary_undo\.",
    ),
    "undo: a record that cannot be read": Case(
        unreadable("{"), of("undo"), "damaged",
        r"is left with parts of a hold, and its record cannot be read: .*Run canary_undo with restore: min_ready_seconds, "
        rf"progress_deadline_seconds, max_surge and max_unavailable .*\(the annotation {RECORD} may still show them to you\)",
    ),
    "rollback: no such ReplicaSet": Case(
        four, of("rollback", "v9"), "no_such_replica_set",
        r'"v9" names no ReplicaSet of Deployment "NAME"; it has: \S+ \(revision 1, lab\.local/app:v1\)\. '
        r"Name one of them by its hash; older ones are kept as far as spec\.revisionHistoryLimit says\.",
    ),
    "rollback: an image of several ReplicaSets": Case(
        started_twice_with_one_image, of("rollback", "lab.local/app:v2"), "no_such_replica_set",
        r'"lab\.local/app:v2" is the image of 2 ReplicaSets',
    ),
    "rollback: a canary is held": Case(
        held, of("rollback", "lab.local/app:v2"), "busy",
        r'a release of Deployment "NAME" is live \(held\)\. End it first: canary_undo takes the canary back, '
        r"canary_promote finishes it\.",
    ),
    "rollback: a paused Deployment": Case(
        lambda web: (held(web), web.undo(), web.patch({"spec": {"paused": True}})),
        of("rollback", "lab.local/app:v2"), "paused",
        r'Deployment "NAME" is paused\. Let it go on with canary_resume first\.',
    ),
    "rollback: a rollout is under way": Case(
        lambda web: (held(web), web.undo(), web.patch({"spec": {"template": {"metadata": {"annotations": NEVER_READY}}}}),
                     web.until(lambda: len(web.split()) and len(web.replica_sets()) == 3, "a third ReplicaSet")),
        of("rollback", "lab.local/app:v2"), "rollout_in_progress",
        r'Deployment "NAME" is in the middle of a rollout\. canary_info shows whether that is somebody.s release\. Try again when it is over',
    ),
}  # fmt: skip


def test_a_pin_that_nobody_has_seen_is_no_pin(new: Callable[..., Web]) -> None:
    web = four(new())
    name = web.autoscaler()
    hasty = replace(web, wait=Wait(timeout=0.0))
    message = hasty.refused(lambda: hasty.start(autoscaler=AutoscalerPolicy.PIN), "autoscaler")
    assert message == (
        f'the controller of HorizontalPodAutoscaler "{name}" has not seen that it was pinned. '
        "Check that kube-controller-manager runs, then run this again."
    )
    assert (web.bounds(), web.phase) == ((2, 9), "none")


@pytest.mark.parametrize("case", [*START.values(), *OTHERS.values()], ids=[*START, *OTHERS])
def test_a_refusal_says_what_is_wrong_and_what_to_do_and_changes_nothing(case: Case, new: Callable[..., Web]) -> None:
    web = new()
    case.made(web)
    message = web.refused(lambda: case.call(web), case.code)
    assert re.search(case.message.replace("NAME", web.name), message), message


CHECKED = (
    "the template does not differ",
    "an unknown container",
    "no stable pod would be left",
    "a size that needs steps, without waiting",
    "an autoscaler",
    "a smaller size",
    "somebody else's template",
)


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_refuses_the_same(name: str, new: Callable[..., Web]) -> None:
    web, case = new(), START[name]
    case.made(web)
    message = web.refused(lambda: case.call(replace(web, checking=True)), case.code)
    assert re.search(case.message.replace("NAME", web.name), message), message


def test_check_mode_says_what_a_start_would_wait_for(new: Callable[..., Web]) -> None:
    web = new().make(2, settled=False, annotations=NEVER_READY)
    web.until(lambda: len(web.pods()) == 2, "pods")
    with web.unchanged():
        outcome = web.start(check=True)
    assert "canary_start would wait first: 0 of 2 stable pods are Ready" in outcome.warnings


@pytest.mark.parametrize("verb", ["start", "promote", "undo", "pause", "resume"])
def test_names_that_look_alike_are_listed_when_there_is_no_such_deployment(verb: str, new: Callable[..., Web]) -> None:
    web = new("shop-frontend").make(1)
    message = web.refused(getattr(replace(web, name="shop-fronted"), verb), "not_found")
    assert message == (
        f'there is no Deployment "shop-fronted" in namespace "{web.namespace}". Did you mean shop-frontend?'
    )


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_another_kind_of_that_name_is_told(kind: str, new: Callable[..., Web]) -> None:
    web = new()
    manifest = {**web.manifest(), "kind": kind}
    manifest["spec"] = {key: manifest["spec"][key] for key in ("selector", "template")}
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"no": "node"}
    web.admin.create(f"{web.apps}/{kind.lower()}s", manifest)
    with pytest.raises(VerbFailure) as refused:
        web.start()
    assert refused.value.code == "not_found"
    assert str(refused.value) == (
        f'"{web.name}" in namespace "{web.namespace}" is a {kind}, not a Deployment. '
        "Only Deployments are released: give the name of one."
    )


def test_a_share_that_is_more_than_twice_what_was_asked_for_is_told(new: Callable[..., Web]) -> None:
    web = new().make(1)
    for check in (True, False):
        told = [
            text for text in web.start(pods=None, weight=5, check=check).warnings if "weight 5 was asked for" in text
        ]
        assert told and "the canary is 50.0 % of all pods" in told[0]
    assert not [text for text in new().make(1).start(pods=None, weight=25).warnings if "was asked for" in text]


def test_without_names_that_look_alike_the_places_to_look_are_named(new: Callable[..., Web]) -> None:
    web = new().make(1)
    message = web.refused(lambda: replace(web, name="q").undo(), "not_found")
    assert message.endswith("Check the name, the namespace and the cluster (context).")


# The rights of a start with everything that it can ask for, one a row: (API group, resource, verb).
RIGHTS = [
    ("apps", "deployments", "get"),
    ("apps", "deployments", "patch"),
    ("apps", "replicasets", "list"),
    ("apps", "replicasets", "patch"),
    ("autoscaling", "horizontalpodautoscalers", "list"),
    ("autoscaling", "horizontalpodautoscalers", "patch"),
    ("", "pods", "watch"),
]
ALL_RIGHTS = [
    *RIGHTS,
    ("", "pods", "list"),
    ("apps", "deployments", "watch"),
    ("autoscaling", "horizontalpodautoscalers", "get"),
]


@pytest.mark.parametrize("missing", RIGHTS, ids=lambda right: f"{right[2]} {right[1]}")
def test_a_missing_right_is_named_by_verb_and_resource(missing: Right, new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.autoscaler()
    web.api = web.world.account(web, [right for right in ALL_RIGHTS if right != missing])
    group, resource, verb = missing
    named = f"{resource}.{group}" if group else resource
    # The last of a start's requests may come after its patch; what it did then stays, and it says so.
    with pytest.raises((Forbidden, VerbFailure)) as raised:
        web.start(patch={"metadata": {"annotations": {"a": "b"}}}, autoscaler=AutoscalerPolicy.PIN)
    assert f"Missing right: {verb} {named} in namespace {web.namespace}" in str(raised.value)
    assert isinstance(raised.value, Forbidden) or "already changed by this call" in str(raised.value)


def test_the_rights_of_the_table_suffice(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.autoscaler()
    web.api = web.world.account(web, ALL_RIGHTS)
    assert web.start(patch={"metadata": {"annotations": {"a": "b"}}}, autoscaler=AutoscalerPolicy.PIN).changed
    assert web.undo().changed


def test_who_may_not_list_deployments_is_still_told_that_there_is_none(new: Callable[..., Web]) -> None:
    web = new().make(1)
    web.api = web.world.account(web, ALL_RIGHTS)
    other = replace(web, name="nothing-like-it")
    other.api = web.api
    message = web.refused(other.start, "not_found")
    assert "Check the name, the namespace and the cluster (context)." in message
