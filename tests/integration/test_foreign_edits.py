# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody edits the Deployment between what a verb read and what it writes: never a wrong split, and nothing is lost.

The edit happens in a proxy before the real server, right before the verb's patch is passed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER, RECORD, Record
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import digest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import AutoscalerPolicy, NewTemplate
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.faults.proxy import FaultProxy, Passage, fault_proxy, pass_on
from tests.integration.access import read_access, service_account_token
from tests.integration.situations import Web, image, until, webs

PATCHES = r"^PATCH /apis/apps/v1/namespaces/[^/]+/deployments/(?!.*dryRun)"
NEVER_READY = {"lab.coalmine/never-ready": "true"}


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


MARKS = 'metadata: Object.spec.template.metadata{annotations: {"policy": "was-here"}}'
# As mirrors of registries are put into force.
REWRITES_IMAGES = (
    "spec: Object.spec.template.spec{containers: object.spec.template.spec.containers.map(c, "
    "Object.spec.template.spec.containers{name: c.name, "
    'image: c.image.startsWith("mirror.test/") ? c.image : "mirror.test/" + c.image})}'
)


@contextmanager
def mutating_policy(lab: Lab | ForeignCluster, web: Web, change: str) -> Iterator[None]:
    """A policy in force that changes the pod template of every Deployment of this namespace."""
    kinds, name = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolic", f"{web.namespace}.{web.name}"
    rule = {
        "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"],
    }  # fmt: skip
    expression = f"Object{{spec: Object.spec{{template: Object.spec.template{{{change}}}}}}}"
    policy = {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule]},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        },
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": web.namespace}}}
    try:
        web.admin.create(f"{kinds}ies", policy)
        web.admin.create(
            f"{kinds}ybindings", {"metadata": {"name": name}, "spec": {"policyName": name, "matchResources": here}}
        )
        until(lambda: changes(web), "the policy is in force")
        yield
    finally:
        lab.kubectl("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", name, "--ignore-not-found")
        until(lambda: not changes(web), "the policy is out of force")


def changes(web: Web) -> bool:
    """Whether admission changes a pod template now."""
    fresh = {**web.manifest(1), "metadata": {"name": f"{web.name}-tried"}}
    tried = json.dumps(web.admin.create(f"{web.apps}/deployments", fresh, dry_run=True)["spec"]["template"])
    return "was-here" in tried or "mirror.test" in tried


def test_a_policy_that_changes_the_stable_template_on_its_way_back_does_not_stop_the_undo(
    lab: Lab | ForeignCluster, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    before = web.spec
    web.start()
    with mutating_policy(lab, web, MARKS):
        undone = web.undo()
    assert any("changed the stable pod template on its way back" in warning for warning in undone.warnings)
    web.assert_clean(before, "v1")
    assert not web.undo().changed


def test_a_rollback_ends_at_what_a_policy_makes_of_the_template(
    lab: Lab | ForeignCluster, new: Callable[..., Web]
) -> None:
    web = new().make(2)
    web.start()
    web.promote()
    with mutating_policy(lab, web, MARKS):
        done = web.rollback(image("v1"))
        assert any("changes the pod template of" in warning for warning in done.warnings)
        web.settle()
        assert web.split() == {"v1": 2} and len(web.replica_sets()) == 3
        # Of the two that no policy has changed, the one of v1: the order of their names is chance.
        untouched = [rs for rs in web.replica_sets() if "policy" not in json.dumps(rs["spec"]["template"]["metadata"])]
        first = next(rs for rs in untouched if image("v1") in json.dumps(rs["spec"]["template"]["spec"]))
        with web.unchanged():
            assert not web.rollback(first["metadata"]["name"]).changed


def by_definition(web: Web) -> NewTemplate:
    manifest = web.manifest(3)
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image("v2")
    return NewTemplate(definition=manifest)


ASKED: dict[str, Callable[[Web], NewTemplate]] = {
    "images": lambda web: NewTemplate(images={"app": image("v2")}),
    "a patch": lambda web: NewTemplate(patch={"spec": {"containers": [{"name": "app", "image": image("v2")}]}}),
    "a manifest": by_definition,
}


@pytest.mark.parametrize("how", ASKED)
def test_a_release_whose_images_a_policy_rewrites_is_the_same_release_the_second_time(
    lab: Lab | ForeignCluster, new: Callable[..., Web], how: str
) -> None:
    web = new().make(3)
    asked = ASKED[how](web)
    with mutating_policy(lab, web, REWRITES_IMAGES):
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


def sized(memory: str, cpu: str) -> dict[str, Any]:
    app = {"name": "app", "resources": {"limits": {"memory": memory, "cpu": cpu}}}
    return {"spec": {"containers": [app], "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": memory}}]}}


def test_amounts_that_are_only_written_otherwise_are_no_other_template(new: Callable[..., Web]) -> None:
    live, otherwise = sized("1Gi", "500m"), sized("1073741824", "0.5")
    web = new().make(2)
    web.patch({"spec": {"template": live}})
    web.settle()
    with web.unchanged():
        web.refused(lambda: web.start(template=NewTemplate(patch=otherwise)), "same_template")
    web.patch({"spec": {"template": otherwise}})  # which rolls nothing out
    web.settle()
    assert len(web.replica_sets()) == 2
    web.start("v2")
    assert web.split() == {"v1": 2, "v2": 1}
    with web.unchanged():
        assert not web.start("v2").changed
        assert not web.start(template=NewTemplate(images={"app": image("v2")}, patch=live)).changed
    web.undo()
    assert web.split() == {"v1": 2} and len(web.replica_sets()) == 3


@pytest.fixture(scope="module")
def proxy(lab: Lab | ForeignCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    access = read_access(lab.kubeconfig, tmp_path_factory.mktemp("access"))
    with fault_proxy(access.server, access.ca, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def web(new: Callable[..., Web], proxy: FaultProxy) -> Web:
    """4 replicas; its verbs go through the proxy."""
    web = new().make(4)
    token = service_account_token(web.admin, web.namespace, web.name)
    web.api = connect(Connection(host=proxy.host, api_key=token, ca_cert=str(proxy.authority)))
    proxy.forget()
    return web


Edit = Callable[[Web], Any]


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}


HARMLESS: dict[str, Edit] = {
    "a label": lambda web: web.patch({"metadata": {"labels": {"team": "shop"}}}),
    "an annotation": lambda web: web.patch({"metadata": {"annotations": {"team": "shop"}}}),
}
SCALE: Edit = lambda web: web.patch({"spec": {"replicas": 6}})  # noqa: E731  # a row like those above
IMAGE: Edit = lambda web: web.patch(container(image=image("v7")))  # noqa: E731


def just_before(web: Web, proxy: FaultProxy, edit: Edit, patch: int = 1) -> None:
    """The edit happens right before the verb's patch of that number arrives."""

    def edit_first(passage: Passage) -> None:
        edit(web)
        pass_on(passage)

    proxy.forget()
    proxy.go_wrong(PATCHES, *[pass_on] * (patch - 1), edit_first)


def kept(web: Web) -> bool:
    meta = web.get()["metadata"]
    return "shop" in ((meta.get("labels") or {}).get("team"), meta["annotations"].get("team"))


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("patch", [1, 2])
def test_marks_of_others_survive_each_patch_of_a_release(name: str, patch: int, web: Web, proxy: FaultProxy) -> None:
    just_before(web, proxy, HARMLESS[name], patch)
    web.start(pods=2)
    assert kept(web) and web.split() == {"v1": 3, "v2": 2} and web.phase == "held"
    before = web.spec["replicas"]
    web.patch({"metadata": {"labels": {"team": None}, "annotations": {"team": None}}})
    just_before(web, proxy, HARMLESS[name], patch)
    (web.promote if name == "a label" else web.undo)()
    assert kept(web) and web.phase == "none"
    assert web.split() == {"v2" if name == "a label" else "v1": before}


def test_a_start_holds_the_split_of_the_size_that_it_finds(web: Web, proxy: FaultProxy) -> None:
    just_before(web, proxy, SCALE)
    web.start(pods=2)
    until(lambda: web.split() == {"v1": 5, "v2": 2}, "held beside all stable pods")
    record = Record.decode(web.annotations[RECORD])
    assert (record.replicas, web.phase) == (6, "held")


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize(("verb", "version"), [("promote", "v2"), ("undo", "v1")])
def test_an_ending_ends_at_the_size_that_it_finds(
    verb: str, version: str, patch: int, web: Web, proxy: FaultProxy
) -> None:
    before = web.spec
    web.start(pods=2)
    just_before(web, proxy, SCALE, patch)
    getattr(web, verb)()
    web.settle()
    web.assert_clean({**before, "replicas": 6}, version)


def test_a_start_does_not_overwrite_a_template_that_came_in_between(web: Web, proxy: FaultProxy) -> None:
    just_before(web, proxy, IMAGE)
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code in ("rollout_in_progress", "busy") and not raised.value.changed
    web.settle()
    assert web.split() == {"v7": 4} and RECORD not in web.annotations


def test_a_step_does_not_go_on_with_a_template_of_somebody_else(web: Web, proxy: FaultProxy) -> None:
    just_before(web, proxy, IMAGE, 2)
    with pytest.raises(VerbFailure, match="somebody replaced the pod template") as raised:
        web.start(pods=3)
    assert raised.value.changed and web.phase == "foreign"
    until(lambda: web.split() == {"v1": 4, "v7": 1}, "the other canary stands at the size of the first step")
    web.undo()
    assert web.split() == {"v1": 4}


def test_a_promotion_does_not_promote_what_nobody_looked_at(web: Web, proxy: FaultProxy) -> None:
    web.start()
    just_before(web, proxy, IMAGE)
    with pytest.raises(VerbFailure, match="its pods would not be the ones that were looked at") as raised:
        web.promote()
    assert (raised.value.code, raised.value.changed) == ("foreign", False)
    web.undo()
    assert web.split() == {"v1": 4}


def test_an_undo_brings_the_stable_version_back_whatever_came_in_between(web: Web, proxy: FaultProxy) -> None:
    before = web.spec
    web.start()
    just_before(web, proxy, IMAGE)
    web.undo()
    web.assert_clean(before, "v1")


def test_a_pause_that_came_in_between_freezes_what_there_is(web: Web, proxy: FaultProxy) -> None:
    just_before(web, proxy, lambda web: web.patch({"spec": {"paused": True}}))
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code == "paused" and web.split() == {"v1": 4}


def test_who_is_never_let_through_says_who_to_look_for(web: Web, proxy: FaultProxy) -> None:
    def restless(passage: Passage) -> None:
        web.patch({"metadata": {"annotations": {"tick": str(len(proxy.seen))}}})
        pass_on(passage)

    proxy.go_wrong(PATCHES, *[restless] * 50)
    with pytest.raises(VerbFailure) as raised:
        web.start()
    assert raised.value.code == "busy" and not raised.value.changed
    assert raised.value.message == (
        f'Deployment "{web.name}" was changed by somebody else 5 times while this was decided. Find out who keeps writing to '
        "it (kubectl get deployment --show-managed-fields), then run this again."
    )


# Tools that come back with their own manifest.

OWNERS: dict[str, tuple[Edit, str]] = {
    "kubectl apply": (
        lambda web: web.kubectl("apply", "-f", "-", input=manifest(web)),
        'kubectl apply manages Deployment "NAME" (template) and ends the canary if it is run during the release: let it ignore '
        "these fields, or suspend it until the release has ended",
    ),
    "kubectl apply --server-side": (
        lambda web: web.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=manifest(web)),
        'kubectl apply --server-side manages Deployment "NAME" (template) and ends the canary',
    ),
    "Argo CD": (
        lambda web: web.patch({"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}}),
        'Argo CD manages Deployment "NAME" and will put its manifest back during the release',
    ),
    "Argo CD, by its writes": (
        lambda web: web.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-",
                                input=manifest(web)),
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


def manifest(web: Web) -> str:
    return json.dumps(web.manifest(4, annotations={"from": "a manifest"}))


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
    web.kubectl("set", "image", f"deployment/{web.name}", "app=lab.local/app:v0")
    web.settle()
    until(lambda: not web.get()["status"].get("terminatingReplicas"), "no pod is ending, which would be told")
    assert web.start(check=True).warnings == ()


def of_another(verb: str, **request: Any) -> Edit:
    """The verb, asked by somebody else, who may be refused."""

    def ask(web: Web) -> None:
        other = replace(web)  # whose requests do not go through the proxy
        with suppress(VerbFailure):
            getattr(other, verb)(**request)

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
    edit: Edit, held: str, web: Web, proxy: FaultProxy
) -> None:
    web.autoscaler(2, 9)
    just_before(web, proxy, edit)
    with suppress(VerbFailure):
        web.start("v2", autoscaler=AutoscalerPolicy.PIN)
    assert web.phase == "held" and web.split() == {"v1": 4, held: 1}
    assert web.bounds() == (4, 4)
    web.undo()
    assert web.bounds() == (2, 9) and web.split() == {"v1": 4}


def test_an_autoscaler_that_was_given_back_while_the_release_began_is_pinned_again(web: Web, proxy: FaultProxy) -> None:
    """As by a run that does not know whose it is."""
    web.autoscaler(2, 9)

    def let_go(_web: Web) -> None:
        path = f"{web.autoscalers}/{web.name}-hpa"
        note = {"metadata": {"annotations": {AUTOSCALER: None}}}
        web.admin.patch(path, {**note, "spec": {"minReplicas": 2, "maxReplicas": 9}}, PatchKind.MERGE)

    just_before(web, proxy, let_go)
    started = web.start("v2", autoscaler=AutoscalerPolicy.PIN)
    assert web.bounds() == (4, 4)
    assert any("while the release began: it was pinned again" in warning for warning in started.warnings)
    web.undo()
    assert web.bounds() == (2, 9)
