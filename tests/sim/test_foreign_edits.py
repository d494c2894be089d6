# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody edits the Deployment between what a verb read and what it writes: never a wrong split, and nothing is lost.

The edit happens right before the verb's patch arrives.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER, RECORD, Record
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.sim import refusals
from tests.sim.objects import Json
from tests.sim.stage import Stage
from tests.situations import MIRROR, Policy, Web, image

PATCHES = r"^PATCH /apis/apps/v1/namespaces/[^/]+/deployments/(?!.*dryRun)"
NEVER_READY = {"lab.coalmine/never-ready": "true"}


def test_a_policy_that_changes_the_stable_template_on_its_way_back_does_not_stop_the_undo(
    new: Callable[..., Web],
) -> None:
    web = new().make(3)
    before = web.spec
    web.start()
    with web.world.admission(web, Policy.MARKS):
        undone = web.undo()
    assert any("changed the stable pod template on its way back" in warning for warning in undone.warnings)
    web.assert_clean(before, "v1")
    assert not web.undo().changed


def test_a_rollback_ends_at_what_a_policy_makes_of_the_template(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start()
    web.promote()
    with web.world.admission(web, Policy.MARKS):
        done = web.rollback(image("v1"))
        assert any("changes the pod template of" in warning for warning in done.warnings)
        web.settle()
        assert web.split() == {"v1": 2} and len(web.replica_sets()) == 3
        # Of the two that no policy has changed, the one of v1: the order of their names is chance.
        untouched = [rs for rs in web.replica_sets() if "policy" not in json.dumps(rs["spec"]["template"]["metadata"])]
        first = next(rs for rs in untouched if image("v1") in json.dumps(rs["spec"]["template"]["spec"]))
        with web.unchanged():
            assert not web.rollback(first["metadata"]["name"]).changed


@pytest.mark.parametrize("policy", Policy)
def test_a_rollback_to_what_a_policy_makes_of_the_version_before_is_gone_on_with_and_changes_nothing_twice(
    policy: Policy, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    web.start()
    web.promote()
    with web.world.admission(web, policy):
        assert replace(web, wait=replace(web.wait, enabled=False)).rollback("").changed
        again = web.rollback("")
        assert not again.changed and again.message.startswith("returned to what admission makes of web-")
        assert web.split() == {"v1": 3}
        with web.unchanged():
            assert web.rollback("").message.startswith("already at what admission makes of web-")
    with web.unchanged():
        web.refused(lambda: web.rollback(""), "no_such_replica_set")


def by_definition(web: Web) -> NewTemplate:
    manifest = web.manifest(3)
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image("v2")
    return NewTemplate(definition=manifest)


def test_a_manifest_that_mends_what_a_policy_denies_by_now_begins_and_says_that_nothing_leads_back() -> None:
    stage = Stage()
    web = stage.web().make(4)

    def denies(kind: str, before: Json | None, after: Json) -> Json:
        if kind == "deployments" and image("v1") in json.dumps(after["spec"]["template"]):
            raise refusals.denied("policy.example.org", "this image has a known hole")
        return after

    stage.server.admission.append(denies)
    started = web.start(template=by_definition(web))
    assert web.split() == {"v1": 4, "v2": 1}
    assert any("could not bring it back" in one and "known hole" in one for one in started.warnings), started.warnings


ASKED: dict[str, Callable[[Web], NewTemplate]] = {
    "images": lambda web: NewTemplate(images={"app": image("v2")}),
    "a patch": lambda web: NewTemplate(patch={"spec": {"containers": [{"name": "app", "image": image("v2")}]}}),
    "a manifest": by_definition,
}


@pytest.mark.parametrize("how", ASKED)
def test_a_release_whose_images_a_policy_rewrites_is_the_same_release_the_second_time(
    how: str, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    asked = ASKED[how](web)
    with web.world.admission(web, Policy.REWRITES_IMAGES):
        started = web.start(template=asked)
        assert how == "a manifest" or any("(spec.containers[app].image)" in text for text in started.warnings)
        record = Record.decode(web.annotations[RECORD])
        assert record.asked == record.canary == digest(web.spec["template"])
        with web.unchanged():
            assert not web.start(template=asked).changed
        web.promote()
        assert web.spec["template"]["spec"]["containers"][0]["image"] == f"mirror.test/{image('v2')}"
        with web.unchanged():
            web.refused(lambda: web.start(template=asked), "same_template")


def test_a_policy_that_would_come_with_the_promotion_lets_no_pod_go(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.start(pods=2)
    with web.world.admission(web, Policy.REWRITES_IMAGES), web.unchanged():
        with pytest.raises(
            VerbFailure, match=r"would change the pod template .* \(spec.containers\[app\].image\)"
        ) as raised:
            web.promote()
        assert (raised.value.code, raised.value.changed) == ("admission", False)
        assert "The canary stays held" in raised.value.message
    web.promote()
    assert web.split() == {"v2": 4} and web.phase == "none"


def begins(policy: Policy, until: ExitStack) -> Callable[[Web], Any]:
    return lambda web: until.enter_context(web.world.admission(web, policy))


def test_a_policy_that_comes_with_the_promotion_itself_is_stopped_at_once(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.start(pods=2)
    with ExitStack() as over:
        just_before(web, begins(Policy.REWRITES_IMAGES, over))
        with pytest.raises(VerbFailure, match="and the Deployment was paused at once") as raised:
            web.promote()
        assert (raised.value.code, raised.value.changed, raised.value.after["paused"]) == ("foreign", True, True)
    web.admin.clock.sleep(300)
    assert web.phase == "foreign" and web.split()["v1"] >= 3
    # As many as the strategy lets come at once, before the controller has seen the stop.
    assert sum(MIRROR in json.dumps(pod["spec"]) for pod in web.pods()) <= 1
    web.refused(web.resume, "foreign")
    web.undo()
    assert web.split() == {"v1": 4} and not web.spec.get("paused")


@pytest.mark.parametrize("how", ASKED)
def test_what_a_policy_would_make_of_a_canary_by_now_is_no_other_release(how: str, new: Callable[..., Web]) -> None:
    web = new().make(4)
    asked = ASKED[how](web)
    web.start(template=asked, pods=2)
    with web.world.admission(web, Policy.MARKS), web.unchanged():
        assert not web.start(template=asked, pods=2).changed
        web.refused(lambda: web.start(template=asked, pods=3), "admission")


@pytest.mark.parametrize("how", ASKED)
@pytest.mark.parametrize("policy", Policy)
def test_what_a_policy_would_make_of_the_stable_version_by_now_is_no_release(
    policy: Policy, how: str, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    asked = ASKED[how](web)
    web.start(template=asked)
    web.promote()
    with web.world.admission(web, policy), web.unchanged():
        web.refused(lambda: web.start(template=asked), "same_template")


def test_a_manifest_says_what_a_policy_would_change_in_the_stable_version(new: Callable[..., Web]) -> None:
    web = new().make(3)
    with web.world.admission(web, Policy.MARKS):
        told = web.start(template=by_definition(web)).warnings
    assert any("(metadata.annotations)" in text for text in told)


def promoting(web: Web) -> Web:
    web.make(4)
    web.start(pods=2)
    replace(web, wait=Wait(enabled=False)).promote()
    return web


def test_a_policy_that_would_come_with_the_clean_up_leaves_it_for_later(new: Callable[..., Web]) -> None:
    web = promoting(new())
    with web.world.admission(web, Policy.REWRITES_IMAGES):
        with pytest.raises(VerbFailure, match="would change the pod template") as raised:
            web.promote()
        assert raised.value.code == "admission"
    web.promote()
    assert web.split() == {"v2": 4} and len(web.replica_sets()) == 2 and web.phase == "none"


def grown(web: Web) -> Outcome:
    return web.start(pods=3)


@pytest.mark.parametrize("verb", [Web.pause, grown])
def test_a_policy_that_comes_while_a_canary_is_held_makes_no_other_one_of_it(
    verb: Callable[[Web], Outcome], new: Callable[..., Web]
) -> None:
    web = new().make(4)
    web.start(pods=2)
    with ExitStack() as over:
        just_before(web, begins(Policy.REWRITES_IMAGES, over))
        with pytest.raises(VerbFailure, match="changed the pod template") as raised:
            verb(web)
        assert (raised.value.code, raised.value.changed, web.phase) == ("foreign", True, "foreign")
        assert web.spec["paused"] and not any(MIRROR in json.dumps(pod["spec"]) for pod in web.pods())
    if verb is Web.pause:
        web.refused(web.resume, "foreign")
    web.undo()
    assert web.split() == {"v1": 4}


def test_a_policy_that_would_come_with_a_resume_leaves_a_promotion_paused(new: Callable[..., Web]) -> None:
    web = promoting(new())
    web.pause()
    with web.world.admission(web, Policy.REWRITES_IMAGES), web.unchanged():
        with pytest.raises(VerbFailure, match="It stays paused") as raised:
            web.resume()
        assert raised.value.code == "admission"
    web.resume()
    web.promote()
    assert web.split() == {"v2": 4}


def test_a_policy_that_comes_with_the_stop_of_a_promotion_does_not_stop_its_undo(new: Callable[..., Web]) -> None:
    web = promoting(new())
    with ExitStack() as over:
        just_before(web, begins(Policy.MARKS, over))
        undone = web.undo()
    assert web.split() == {"v1": 4} and web.phase == "none"
    assert any("changed the pod template" in text for text in undone.warnings)


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return new().make(4)


Edit = Callable[[Web], Any]


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}


HARMLESS: dict[str, Edit] = {
    "a label": lambda web: web.patch({"metadata": {"labels": {"team": "shop"}}}),
    "an annotation": lambda web: web.patch({"metadata": {"annotations": {"team": "shop"}}}),
}
SCALE: Edit = lambda web: web.patch({"spec": {"replicas": 6}})  # noqa: E731  # a row like those above
IMAGE: Edit = lambda web: web.patch(container(image=image("v7")))  # noqa: E731


def nothing() -> None: ...


def just_before(web: Web, edit: Edit, patch: int = 1) -> None:
    """The edit happens right before the verb's patch of that number arrives. Whoever edits goes another way."""
    somebody = replace(web)
    web.api = web.world.right_before(web, [nothing] * (patch - 1) + [lambda: edit(somebody)])


def kept(web: Web) -> bool:
    meta = web.get()["metadata"]
    return "shop" in ((meta.get("labels") or {}).get("team"), meta["annotations"].get("team"))


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("patch", [1, 2])
def test_marks_of_others_survive_each_patch_of_a_release(name: str, patch: int, web: Web) -> None:
    just_before(web, HARMLESS[name], patch)
    web.start(pods=2)
    assert kept(web) and web.split() == {"v1": 3, "v2": 2} and web.phase == "held"
    before = web.spec["replicas"]
    web.patch({"metadata": {"labels": {"team": None}, "annotations": {"team": None}}})
    just_before(web, HARMLESS[name], patch)
    (web.promote if name == "a label" else web.undo)()
    assert kept(web) and web.phase == "none"
    assert web.split() == {"v2" if name == "a label" else "v1": before}


def test_a_start_holds_the_split_of_the_size_that_it_finds(web: Web) -> None:
    just_before(web, SCALE)
    web.start(pods=2)
    web.until(lambda: web.split() == {"v1": 5, "v2": 2}, "held beside all stable pods")
    record = Record.decode(web.annotations[RECORD])
    assert (record.replicas, web.phase) == (6, "held")


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize(("verb", "version"), [("promote", "v2"), ("undo", "v1")])
def test_an_ending_ends_at_the_size_that_it_finds(verb: str, version: str, patch: int, web: Web) -> None:
    before = web.spec
    web.start(pods=2)
    just_before(web, SCALE, patch)
    getattr(web, verb)()
    web.settle()
    web.assert_clean({**before, "replicas": 6}, version)


def test_a_start_does_not_overwrite_a_template_that_came_in_between(web: Web) -> None:
    just_before(web, IMAGE)
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code in ("rollout_in_progress", "busy") and not raised.value.changed
    web.settle()
    assert web.split() == {"v7": 4} and RECORD not in web.annotations


def test_a_step_does_not_go_on_with_a_template_of_somebody_else(web: Web) -> None:
    just_before(web, IMAGE, 2)
    with pytest.raises(VerbFailure, match="replaced the pod template") as raised:
        web.start(pods=3)
    assert raised.value.changed and web.phase == "foreign"
    web.until(lambda: web.split() == {"v1": 4, "v7": 1}, "the other canary stands at the size of the first step")
    web.undo()
    assert web.split() == {"v1": 4}


def test_a_promotion_does_not_promote_what_nobody_looked_at(web: Web) -> None:
    web.start()
    just_before(web, IMAGE)
    with pytest.raises(VerbFailure, match="its pods would not be the ones that were looked at") as raised:
        web.promote()
    assert (raised.value.code, raised.value.changed) == ("foreign", False)
    web.undo()
    assert web.split() == {"v1": 4}


def test_an_undo_brings_the_stable_version_back_whatever_came_in_between(web: Web) -> None:
    before = web.spec
    web.start()
    just_before(web, IMAGE)
    web.undo()
    web.assert_clean(before, "v1")


def test_a_pause_that_came_in_between_freezes_what_there_is(web: Web) -> None:
    just_before(web, lambda web: web.patch({"spec": {"paused": True}}))
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code == "paused" and web.split() == {"v1": 4}


def test_who_is_never_let_through_says_who_to_look_for(web: Web) -> None:
    ticks = count()

    def restless() -> None:
        web.patch({"metadata": {"annotations": {"tick": str(next(ticks))}}})

    web.api = web.world.right_before(web, [restless] * 50)
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code == "busy" and not raised.value.changed
    assert raised.value.message == (
        f'Deployment "{web.name}" was changed by somebody else 5 times while this was decided. Find out who keeps writing to '
        "it (kubectl get deployment --show-managed-fields), then run this again."
    )


# Tools that come back with their own manifest.

FROM_A_MANIFEST = {"from": "a manifest"}
OWNERS: dict[str, tuple[Edit, str]] = {
    "kubectl apply": (
        lambda web: web.apply(annotations=FROM_A_MANIFEST),
        'kubectl apply manages Deployment "NAME" (template) and ends the canary if it is run during the release: let it ignore '
        "these fields, or suspend it until the release has ended",
    ),
    "kubectl apply --server-side": (
        lambda web: web.apply("--server-side", "--force-conflicts", annotations=FROM_A_MANIFEST),
        'kubectl apply --server-side manages Deployment "NAME" (template) and ends the canary',
    ),
    "Argo CD": (
        lambda web: web.patch({"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}}),
        'Argo CD manages Deployment "NAME" and will put its manifest back during the release',
    ),
    "Argo CD, by its writes": (
        lambda web: web.apply("--server-side", "--force-conflicts", "--field-manager=argocd-controller", annotations=FROM_A_MANIFEST),
        'Argo CD manages Deployment "NAME" (template) and will put its manifest back',
    ),
    "Flux": (
        lambda web: web.patch({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}}),
        'Flux manages Deployment "NAME" and will put its manifest back',
    ),
    "Helm": (
        lambda web: web.patch({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}),
        'Helm manages Deployment "NAME" and ends the canary if it is run',
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", OWNERS)
def test_a_tool_that_manages_the_deployment_is_told_before_the_start(tool: str, new: Callable[..., Web]) -> None:
    web = new().make(4)
    edit, warning = OWNERS[tool]
    edit(web)
    web.settle()
    found = web.start(check=True).warnings
    assert [text for text in found if warning.replace("NAME", web.name) in text], found


def test_hands_that_do_not_come_back_are_no_owners(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.scale(3)
    web.set_image("v0")
    web.settle()
    web.until(lambda: not web.get()["status"].get("terminatingReplicas"), "no pod is ending, which would be told")
    assert web.start(check=True).warnings == ()


def of_another(verb: str, **request: Any) -> Edit:
    """The verb, asked by somebody else, who takes the Deployment over and may be refused all the same."""

    def ask(web: Web) -> None:
        with suppress(VerbFailure):
            getattr(replace(web, takeover=True), verb)(**request)

    return ask


BEFORE_THE_FIRST_PATCH: dict[str, tuple[Edit, str]] = {
    "a start of another template": (of_another("start", version="v3", autoscaler=AutoscalerPolicy.PIN), "v3"),
    "a start of the same template": (of_another("start", version="v2", autoscaler=AutoscalerPolicy.PIN), "v2"),
    "a start that is refused": (of_another("start", version="v3"), "v2"),
    "an undo": (of_another("undo"), "v2"),
    "a promotion": (of_another("promote"), "v2"),
}


@pytest.mark.parametrize(("edit", "held"), [*BEFORE_THE_FIRST_PATCH.values()], ids=[*BEFORE_THE_FIRST_PATCH])
def test_an_autoscaler_stays_pinned_for_the_release_that_begins_whoever_comes_between(
    edit: Edit, held: str, web: Web
) -> None:
    web.autoscaler(2, 9)
    just_before(web, edit)
    with suppress(VerbFailure):
        web.start("v2", autoscaler=AutoscalerPolicy.PIN)
    assert web.phase == "held" and web.split() == {"v1": 4, held: 1}
    assert web.bounds() == (4, 4)
    web.undo()
    assert web.bounds() == (2, 9) and web.split() == {"v1": 4}


def test_an_autoscaler_that_was_given_back_while_the_release_began_is_pinned_again(web: Web) -> None:
    """As by a run that does not know whose it is."""
    web.autoscaler(2, 9)

    def let_go(_web: Web) -> None:
        path = f"{web.autoscalers}/{web.name}-hpa"
        note = {"metadata": {"annotations": {AUTOSCALER: None}}}
        web.admin.patch(path, {**note, "spec": {"minReplicas": 2, "maxReplicas": 9}}, PatchKind.MERGE)

    just_before(web, let_go)
    started = web.start("v2", autoscaler=AutoscalerPolicy.PIN)
    assert web.bounds() == (4, 4)
    assert any("while the release began: it was pinned again" in warning for warning in started.warnings)
    web.undo()
    assert web.bounds() == (2, 9)
