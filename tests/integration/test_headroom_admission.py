# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What admission makes of a pod is counted: policies, sidecars, limits, runtime and priority classes of a real API server."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from tests.cluster.api import ApiError
from tests.integration.shops import NEW, Object, Shop, asking
from tests.integration.situations import SINCE_POLICIES

POLICIES = pytest.mark.since(*SINCE_POLICIES)
ADMISSION = "admissionregistration.k8s.io/v1"
NAKED_PODS = "only controllers make pods here"


def test_a_limit_range_that_refuses_the_pod_is_quoted(shop: Shop) -> None:
    shop.deploy()
    limits = {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "1"}}]}
    shop.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr"}, "spec": limits})

    def is_refused() -> bool:
        return bool(shop.ask(template=asking("1200m"))["verdict"] == "refused")

    shop.wait_for(is_refused)
    assert any("cpu" in text for text in shop.ask(template=asking("1200m"))["refusals"])


def forbid_naked_pods(shop: Shop) -> None:
    """The API server's own policy engine refuses pods without a controller, as the policies of Kyverno and Gatekeeper do."""
    owned = "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(one, one.controller)"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}}
    policy: Object = {
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
        "validations": [{"expression": owned, "message": NAKED_PODS}],
    }
    name = {"metadata": {"name": shop.namespace}}
    binding = {"policyName": shop.namespace, "validationActions": ["Deny"]}
    shop.apply(
        {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", **name, "spec": policy},
        {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicyBinding", **name, "spec": binding},
    )
    naked = {"metadata": {"name": "naked"}, "spec": {"containers": [{"name": "app", "image": "none.invalid/app:1"}]}}

    def is_enforced() -> bool:
        try:
            shop.lab.api.request("POST", f"/api/v1/namespaces/{shop.namespace}/pods?dryRun=All", naked)
        except ApiError as refused:
            return NAKED_PODS in str(refused)
        return False

    shop.wait_for(is_enforced)


def test_a_policy_against_pods_without_a_controller_lets_the_dry_run_pass_with_the_shipped_rights(shop: Shop) -> None:
    shop.deploy()
    forbid_naked_pods(shop)
    asked = shop.ask_until(lambda it: it["pod_request"]["source"] == "dry_run" or it["refusals"], shop.account())
    assert (asked["pod_request"]["source"], asked["refusals"]) == ("dry_run", [])


def inject_sidecars(shop: Shop, cpu: str) -> None:
    """The API server adds a container to every pod of this namespace, as the webhook of a service mesh does."""
    resources = f'{{"requests": {{"cpu": "{cpu}"}}}}'
    value = f'{{"name": dyn("sidecar"), "image": dyn("none.invalid/sidecar:1"), "resources": dyn({resources})}}'
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {value}}}]'
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}}
    policy: Object = {
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
    }
    name = {"metadata": {"name": shop.namespace}}
    shop.apply(
        {"apiVersion": ADMISSION, "kind": "MutatingAdmissionPolicy", **name, "spec": policy},
        {
            "apiVersion": ADMISSION,
            "kind": "MutatingAdmissionPolicyBinding",
            **name,
            "spec": {"policyName": shop.namespace},
        },
    )
    plain = {"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "app", "image": "none.invalid/app:1"}]}}

    def is_injected() -> bool:
        made = shop.lab.api.request("POST", f"/api/v1/namespaces/{shop.namespace}/pods?dryRun=All", plain)
        return len(made["spec"]["containers"]) == 2

    shop.wait_for(is_injected)


@POLICIES
def test_a_sidecar_is_counted_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    inject_sidecars(shop, cpu="400m")
    shop.deploy()
    account = shop.account(("pods", "create"))
    for template, cpu in ((NEW, "900m"), (asking("1500m"), "1900m"), (asking("300m"), "700m")):
        assert shop.ask(template=template)["pod_request"]["cpu"] == cpu
        found = shop.ask_until(lambda it: it["unknown"] == [], account, template=template)
        assert (found["pod_request"]["cpu"], found["pod_request"]["source"]) == (cpu, "template")
        assert "admission_adds_as_to_a_running_pod: 400m of cpu" in found["assumptions"]


@POLICIES
def test_a_sidecar_is_counted_also_where_a_full_quota_stops_the_dry_run(shop: Shop) -> None:
    inject_sidecars(shop, cpu="400m")
    shop.deploy()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    shop.apply(quota)
    shop.wait_for(lambda: shop.ask()["pod_request"]["source"] == "template")
    found = shop.ask()
    assert (found["verdict"], found["pod_request"]["cpu"]) == ("quota_exceeded", "900m")


def test_a_runtime_class_says_where_pods_go_also_where_the_dry_run_is_not_allowed(shop: Shop) -> None:
    shop.deploy()
    account = shop.account(("pods", "create"))
    runtime: Object = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandboxed"}}
    scheduling = {"nodeSelector": {"sandbox": "yes"}}
    sandboxed = NewTemplate(images=NEW.images, patch={"spec": {"runtimeClassName": "sandboxed"}})
    missing = shop.ask_until(lambda it: it["verdict"] != "unknown", account, template=sandboxed)
    assert (missing["verdict"], missing["refusals"]) == (
        "refused",
        ["RuntimeClass sandboxed, which the pod names, is not there"],
    )
    shop.apply({**runtime, "handler": "sandbox", "scheduling": scheduling, "overhead": {"podFixed": {"cpu": "100m"}}})

    def answers() -> list[Object]:
        return [shop.ask(kubeconfig, template=sandboxed) for kubeconfig in (None, account)]

    # The API server's admission learns of a new class a moment after it is made.
    shop.wait_for(lambda: all(one["verdict"] != "refused" for one in answers()))
    elsewhere = answers()
    with shop.labelled(sandbox="yes"):
        here = answers()
    shop.lab.kubectl("delete", "runtimeclass", "sandboxed")
    assert [one["verdict"] for one in elsewhere] == ["cannot_fit", "cannot_fit"]
    assert [one["verdict"] for one in here] == ["fits", "fits"]
    assert [one["pod_request"]["cpu"] for one in here] == ["600m", "600m"]
    assert [one["pod_request"]["source"] for one in here] == ["dry_run", "template"]


def test_a_priority_class_that_is_not_there_is_a_refusal(shop: Shop) -> None:
    shop.deploy()
    urgent = NewTemplate(images=NEW.images, patch={"spec": {"priorityClassName": "urgent"}})
    account = shop.account(("pods", "create"))
    found = shop.ask_until(lambda it: it["verdict"] != "unknown", account, template=urgent)
    assert (found["verdict"], found["refusals"]) == (
        "refused",
        ["PriorityClass urgent, which the pod names, is not there"],
    )
