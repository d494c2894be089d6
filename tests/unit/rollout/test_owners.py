# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tool would put its own manifest back while a canary is held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.owners import last_writer, owners, refuse
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Deployment

from .objects import ordinary

SPEC: dict[str, Any] = {"fieldsV1": {"f:spec": {"f:template": {}, "f:strategy": {}, "f:replicas": {}}}}


def foreign_owners(deployment: Deployment) -> tuple[str, ...]:
    return tuple(owner.warning(deployment) for owner in owners(deployment))


def entry(manager: str, operation: str = "Update", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, **SPEC, **more}


MANAGERS = {
    "kubectl apply": (entry("kubectl-client-side-apply"), "kubectl apply manages"),
    "kubectl apply --server-side": (entry("kubectl", "Apply"), "kubectl apply --server-side manages"),
    "kubectl scale": (entry("kubectl", subresource="scale"), ""),
    "kubectl expose": (entry("kubectl"), ""),
    "kubectl set": (entry("kubectl-set"), ""),
    "the controller": (entry("kube-controller-manager", subresource="status"), ""),
    "ourselves": (entry("coalmine.canary"), ""),
    "Helm": (entry("helm"), "Helm manages"),
    "Flux": (entry("kustomize-controller", "Apply"), "Flux manages"),
    "Argo CD": (entry("argocd-controller"), "Argo CD manages"),
    "somebody's own applier": (entry("release-bot", "Apply"), '"release-bot" manages'),
    "somebody's own patcher": (entry("release-bot"), ""),
}


@pytest.mark.parametrize(("managed", "begins"), [*MANAGERS.values()], ids=[*MANAGERS])
def test_a_manager_is_an_owner_when_it_comes_back_with_its_manifest(managed: dict[str, Any], begins: str) -> None:
    found = foreign_owners(replace(ordinary(), managed_fields=(managed,)))
    if not begins:
        assert found == ()
        return
    assert len(found) == 1 and found[0].startswith(f'{begins} Deployment "web" (template, strategy) and ')


def test_who_reconciles_and_who_has_to_be_run_is_told_apart() -> None:
    argo, helm = (
        foreign_owners(replace(ordinary(), managed_fields=(entry(m),)))[0] for m in ("argocd-controller", "helm")
    )
    assert "will put its manifest back during the release" in argo
    assert "ends the canary if it is run during the release" in helm


@pytest.mark.parametrize(
    ("marks", "tool"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "Helm"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
        ({"annotations": {"configsync.gke.io/resource-id": "apps_deployment_shop_web"}}, "Config Sync"),
        ({"annotations": {"objectset.rio.cattle.io/id": "default-shop"}}, "Rancher Fleet"),
        ({"labels": {"kapp.k14s.io/app": "1732"}}, "kapp"),
    ],
)
def test_a_mark_is_enough(marks: dict[str, Any], tool: str) -> None:
    assert [text.split(" manages")[0] for text in foreign_owners(ordinary(**marks))] == [tool]


def test_a_controller_that_owns_the_deployment_puts_its_own_back() -> None:
    (told,) = foreign_owners(replace(ordinary(), controller='Shop "blue"'))
    assert told.startswith('Shop "blue" manages Deployment "web" and will put its manifest back')


def test_an_applier_of_other_fields_alone_is_no_owner() -> None:
    labels = {"manager": "release-bot", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
    assert foreign_owners(replace(ordinary(), managed_fields=(labels,))) == ()


def test_one_tool_is_told_once_with_all_its_fields() -> None:
    paused = {"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:paused": {}, "f:template": {}}}}
    managed = (entry("argocd-controller"), paused)
    found = foreign_owners(replace(ordinary(labels={"argocd.argoproj.io/instance": "x"}), managed_fields=managed))
    assert len(found) == 1 and "(template, strategy, paused)" in found[0]


REFUSED = {
    "Argo CD": (entry("argocd-controller"), 'managed by Argo CD (seen by the field manager "argocd-controller")'),
    "Helm": (entry("helm"), 'managed by Helm (seen by the field manager "helm")'),
    "somebody's own applier": (entry("release-bot", "Apply"), 'managed by "release-bot" (seen by the field manager'),
    "a command": (entry("kubectl-client-side-apply"), ""),
    "a command on the server's side": (entry("kubectl", "Apply"), ""),
    "nobody": (entry("coalmine.canary"), ""),
}


@pytest.mark.parametrize(("managed", "why"), [*REFUSED.values()], ids=[*REFUSED])
def test_a_tool_that_somebody_can_suspend_is_refused_and_a_command_is_not(managed: dict[str, Any], why: str) -> None:
    deployment = replace(ordinary(), managed_fields=(managed,))
    if not why:
        refuse(deployment, owners(deployment))
        return
    with pytest.raises(Refusal, match="owner_check=warn or ignore") as refused:
        refuse(deployment, owners(deployment))
    assert refused.value.code.value == "owned" and why in refused.value.what


def test_a_refusal_names_every_sign_of_every_tool() -> None:
    marks = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "shop"}}
    deployment = replace(ordinary(**marks), managed_fields=(entry("helm-controller"),))
    with pytest.raises(Refusal) as refused:
        refuse(deployment, owners(deployment))
    assert (
        'Flux (seen by the field manager "helm-controller") and Helm (seen by the annotation meta.helm.sh/release-name, '
        "the label app.kubernetes.io/managed-by)"
    ) in refused.value.what


RECONCILE, SSA = "kustomize.toolkit.fluxcd.io/reconcile", "kustomize.toolkit.fluxcd.io/ssa"
# Each mark and value, who wrote it there, and whether Flux leaves the object alone by it.
LEFT = {
    "disabled by hand": (RECONCILE, "disabled", "kubectl-annotate", True),
    "disabled in the manifest": (RECONCILE, "disabled", "kustomize-controller", True),
    "in capital letters": (RECONCILE, "Disabled", "kubectl-annotate", True),
    "enabled": (RECONCILE, "enabled", "kubectl-annotate", False),
    "ignored by hand": (SSA, "Ignore", "kubectl-annotate", True),
    "made once, by the manifest": (SSA, "IfNotPresent", "kustomize-controller", True),
    "made once, which Flux does not read in the cluster": (SSA, "IfNotPresent", "kubectl-annotate", False),
    "merged": (SSA, "Merge", "kustomize-controller", False),
    "overridden": (SSA, "Override", "kustomize-controller", False),
}


@pytest.mark.parametrize(("mark", "value", "writer", "left"), [*LEFT.values()], ids=[*LEFT])
@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_what_flux_is_told_to_leave_is_not_its_own(mark: str, value: str, writer: str, left: bool, where: str) -> None:
    marks = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}
    marks[where] = {**marks.get(where, {}), mark: value}
    wrote = {"f:metadata": {f"f:{where}": {f"f:{mark}": {}}}}
    entries = (entry("kustomize-controller", "Apply"), {"manager": writer, "operation": "Update", "fieldsV1": wrote})
    deployment = replace(ordinary(**marks), managed_fields=entries)
    assert [owner.tool for owner in owners(deployment)] == ([] if left else ["Flux"])


def test_what_the_kustomize_controller_leaves_may_still_be_a_helm_release_of_flux() -> None:
    marks = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    deployment = replace(ordinary(annotations=marks), managed_fields=(entry("helm-controller"),))
    assert [owner.tool for owner in owners(deployment)] == ["Flux"]


# Who wrote, as managedFields says it.

OURS = entry("coalmine.canary", time="2026-01-01T00:00:05Z")
WRITERS = {
    "kubectl set image": (entry("kubectl-set"), "kubectl set"),
    "kubectl edit": (entry("kubectl-edit"), "kubectl edit"),
    "kubectl rollout restart": (entry("kubectl-rollout"), "kubectl rollout"),
    "kubectl rollout undo": (entry("kubectl"), "kubectl"),
    "kubectl apply": (entry("kubectl-client-side-apply"), "kubectl apply"),
    "server-side apply": (entry("kubectl", "Apply"), "kubectl apply --server-side"),
    "Helm": (entry("helm"), "Helm"),
    "Flux, a kustomization": (entry("kustomize-controller", "Apply"), "Flux"),
    "Flux, a Helm release": (entry("helm-controller"), "Flux"),
    "Argo CD": (entry("argocd-controller", "Apply"), "Argo CD"),
    "Terraform": (entry("Terraform", "Apply"), "Terraform"),
    "Terraform, by its program": (entry("HashiCorp"), "Terraform"),
    "Pulumi": (entry("pulumi-kubernetes", "Apply"), "Pulumi"),
    "helmfile": (entry("helmfile"), "Helm"),
    "Argo CD, at its own page": (entry("argocd-server"), "Argo CD"),
    "a client in Python": (entry("OpenAPI-Generator"), "kubernetes.core or another client in Python"),
    "a controller": (entry("kube-controller-manager"), "a controller of Kubernetes"),
    **{
        f"a person with {program}": (entry(manager), f"a person with {program}")
        for manager, program in {
            "k9s": "k9s",
            "Lens": "Lens",
            "OpenLens": "Lens",
            "freelens": "Freelens",
            "headlamp": "Headlamp",
            "dashboard": "Kubernetes Dashboard",
            "rancher": "Rancher",
            "Mozilla": "a browser",
            "curl": "curl",
        }.items()
    },
    "a client that nobody knows": (entry("release-bot"), '"release-bot"'),
}


@pytest.mark.parametrize(("managed", "who"), [*WRITERS.values()], ids=[*WRITERS])
def test_who_took_a_field_from_us_is_named_with_the_time(managed: dict[str, Any], who: str) -> None:
    first = entry("kubectl-create", time="2026-01-01T00:00:01Z")
    entries = (first, OURS, {**managed, "time": "2026-01-01T00:00:09Z"})
    for told in (entries, entries[::-1], (first, entries[2])):
        assert last_writer(replace(ordinary(), managed_fields=told), OURS["time"]) == (who, "2026-01-01T00:00:09Z")


NOBODY = {
    "nobody after us": (entry("kubectl-set", time="2026-01-01T00:00:04Z"), OURS),
    "within the same second": (entry("kubectl-set", time=OURS["time"]), OURS),
    "a status": (entry("kube-controller-manager", subresource="status", time="2026-01-01T00:00:09Z"), OURS),
    "other fields": ({**entry("kubectl-label", time="2026-01-01T00:00:09Z"), "fieldsV1": {"f:metadata": {}}}, OURS),
    "no times at all": (entry("kubectl-set"),),
    "an apply of what was there, which has no time": (OURS, entry("ci", "Apply", time="")),
}


@pytest.mark.parametrize("entries", NOBODY.values(), ids=[*NOBODY])
def test_who_cannot_be_known_is_not_named(entries: tuple[dict[str, Any], ...]) -> None:
    assert last_writer(replace(ordinary(), managed_fields=entries), "") == ("", "")
