# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod that a template would become, where the API server could not be asked by a dry run.

Only what every API server does is applied: defaults of requests, host ports, labels merged into selectors, LimitRanges, RuntimeClasses
and PriorityClasses. What webhooks add is learnt from a running pod; the caller states the assumption `admission_not_simulated`.
This module is private to the collection.
"""

from __future__ import annotations

import copy
from typing import Any, Iterable, Iterator, Mapping

from ..rollout.views import ReplicaSet
from .pod_request import POD_LEVEL_COUNTS, pod_limits, pod_requests
from .quantity import Amounts, amounts, written

Object = Mapping[str, Any]
# Stands for the hash that the new ReplicaSet's pods will carry; no other pod has it.
PLACEHOLDER_HASH = "coalmine-canary-not-yet"
# The container that stands for what is added to pods on their way into the cluster.
ADDED = "added-at-admission"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def pod_to_ask_for(template: Object, namespace: str, name: str, stable: ReplicaSet) -> dict[str, Any]:
    """The pod that the new ReplicaSet would create, ready for a dry run. `name` becomes its generateName.

    Policies against pods that no controller owns are common, and the new ReplicaSet does not exist yet: the stable one stands in.
    blockOwnerDeletion is left out, because some API servers ask for a right of its own to set it.
    """
    meta = template.get("metadata") or {}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": stable.name, "uid": stable.uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": namespace,
            "labels": {**(meta.get("labels") or {}), "pod-template-hash": PLACEHOLDER_HASH},
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [owner],
        },
        "spec": copy.deepcopy(dict(template.get("spec") or {})),
    }


def admitted_locally(pod: Object, limit_ranges: Iterable[Object], minor: int) -> tuple[dict[str, Any], list[str]]:
    """The pod after defaults and LimitRanges, and why the LimitRanges refuse it, if they do."""
    admitted: dict[str, Any] = copy.deepcopy(dict(pod))
    spec = admitted["spec"]
    for container in _containers(spec):
        _limits_become_requests(container)
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port["containerPort"])
    _merge_label_keys(spec, admitted["metadata"].get("labels") or {})
    limit_ranges = list(limit_ranges)
    for limit_range in limit_ranges:
        _apply_defaults(spec, limit_range)
    if minor >= POD_LEVEL_COUNTS:
        _default_pod_level(admitted, minor)
    refusals = [refusal for limit_range in limit_ranges for refusal in _refusals(admitted, limit_range, minor)]
    return admitted, refusals


def with_runtime_class(pod: Object, runtime_class: Object) -> tuple[dict[str, Any], list[str]]:
    """The pod with the overhead and the nodes of its RuntimeClass, and why the two contradict each other, if they do.

    `setOverhead` and `setScheduling`, plugin/pkg/admission/runtimeclass/admission.go.
    """
    spec = dict(pod["spec"])
    spec.setdefault("overhead", (runtime_class.get("overhead") or {}).get("podFixed") or {})
    scheduling = runtime_class.get("scheduling") or {}
    asked, imposed = spec.get("nodeSelector") or {}, scheduling.get("nodeSelector") or {}
    spec["nodeSelector"] = {**asked, **imposed}
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *(scheduling.get("tolerations") or ())]
    name = runtime_class["metadata"]["name"]
    refusals = [
        f"RuntimeClass {name} wants nodes with {key}={value}, the pod those with {key}={asked[key]}"
        for key, value in imposed.items()
        if asked.get(key, value) != value
    ]
    return {**pod, "spec": spec}, refusals


def with_priority_class(pod: Object, priority_class: Object) -> dict[str, Any]:
    """`admitPod`, plugin/pkg/admission/priority/admission.go."""
    policy = priority_class.get("preemptionPolicy") or "PreemptLowerPriority"
    ranked = {"priority": priority_class.get("value") or 0, "preemptionPolicy": policy}
    return {**pod, "spec": {**ranked, **pod["spec"]}}


def with_default_class(pod: Object, plain: Object, running: Object) -> dict[str, Any]:
    """The pod with the PriorityClass that admission gave to a running one that names none by itself (`plain`): it is the default
    of the cluster, and quotas may count pods by it."""
    given = running["spec"].get("priorityClassName")
    if not given or any(one["spec"].get("priorityClassName") for one in (pod, plain)):
        return dict(pod)
    return {**pod, "spec": {**pod["spec"], "priorityClassName": given}}


def with_what_was_added(pod: Object, plain: Object, running: Object, minor: int) -> tuple[dict[str, Any], Amounts]:
    """The pod with what the cluster has added to a running one, and how much that is: sidecars, larger requests.

    `plain` is what the running one would be by what is worked out here. One more container stands for the difference, with its
    limits, because a quota may want limits of each. Overhead is left out: it is known of both pods.
    """
    added = _difference(
        pod_requests(_bare(running), minor, running=False), pod_requests(_bare(plain), minor, running=False)
    )
    more = {name: amount for name, amount in added.items() if amount}
    if not more:
        return dict(pod), {}
    limits = _difference(pod_limits(_bare(running), minor), pod_limits(_bare(plain), minor))
    resources = {"requests": _texts(more), "limits": _texts(limits)}
    spec = {**pod["spec"], "containers": [*pod["spec"]["containers"], {"name": ADDED, "resources": resources}]}
    return {**pod, "spec": spec}, more


def _bare(pod: Object) -> Object:
    return {"spec": {**pod["spec"], "overhead": {}}}


def _difference(larger: Amounts, smaller: Amounts) -> Amounts:
    return {name: max(0, amount - smaller.get(name, 0)) for name, amount in larger.items()}


def _texts(given: Amounts) -> dict[str, str]:
    return {name: written(name, amount) for name, amount in given.items()}


def _containers(spec: Object) -> Iterator[dict[str, Any]]:
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def _limits_become_requests(container: dict[str, Any]) -> None:
    """`SetDefaults_Pod`, pkg/apis/core/v1/defaults.go."""
    resources = container.setdefault("resources", {})
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _merge_label_keys(spec: dict[str, Any], labels: Mapping[str, str]) -> None:
    """`applyMatchLabelKeysAndMismatchLabelKeys`, pkg/registry/core/pod/strategy.go."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        for term in (affinity.get(kind) or {}).get(_REQUIRED) or ():
            if term.get("labelSelector") is None:
                continue
            expressions = term["labelSelector"].setdefault("matchExpressions", [])
            for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
                keys = [key for key in term.get(field) or () if key in labels]
                expressions.extend({"key": key, "operator": operator, "values": [labels[key]]} for key in keys)


def _apply_defaults(spec: dict[str, Any], limit_range: Object) -> None:
    """`mergePodResourceRequirements`, plugin/pkg/admission/limitranger/admission.go."""
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        for container in _containers(spec):
            resources = container.setdefault("resources", {})
            resources["limits"] = {**(limit.get("default") or {}), **(resources.get("limits") or {})}
            resources["requests"] = {**(limit.get("defaultRequest") or {}), **(resources.get("requests") or {})}


def _default_pod_level(pod: dict[str, Any], minor: int) -> None:
    """`defaultPodRequests`: a pod-level limit without any request of that resource becomes the request."""
    resources = pod["spec"].get("resources") or {}
    if not resources.get("limits"):
        return
    requests = dict(resources.get("requests") or {})
    by_containers = pod_requests({"spec": {**pod["spec"], "resources": {}, "overhead": {}}}, minor, running=False)
    for name, amount in by_containers.items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, written(name, amount))
    for name, limit in resources["limits"].items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, limit)
    resources["requests"] = requests


def _refusals(pod: Object, limit_range: Object, minor: int) -> Iterator[str]:
    name = limit_range["metadata"]["name"]
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container":
            for container in _containers(pod["spec"]):
                resources = container.get("resources") or {}
                who = f"container {container['name']}"
                yield from _violations(
                    name, who, limit, amounts(resources.get("requests")), amounts(resources.get("limits"))
                )
        elif limit.get("type") == "Pod":
            yield from _violations(
                name, "the pod", limit, pod_requests(pod, minor, running=False), pod_limits(pod, minor)
            )


def _violations(name: str, who: str, limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    """`minConstraint`, `maxConstraint`, `limitRequestRatioConstraint`."""
    for resource, least in amounts(limit.get("min")).items():
        if resource not in requests or requests[resource] < least or limits.get(resource, least) < least:
            yield f"LimitRange {name}: {who} must ask for at least {written(resource, least)} of {resource}"
    for resource, most in amounts(limit.get("max")).items():
        if resource not in limits or limits[resource] > most or requests.get(resource, 0) > most:
            yield f"LimitRange {name}: {who} must be limited to at most {written(resource, most)} of {resource}"
    for resource, ratio in amounts(limit.get("maxLimitRequestRatio")).items():
        request, bound = requests.get(resource, 0), limits.get(resource, 0)
        if not request or not bound or bound * 1000 > ratio * request:
            yield f"LimitRange {name}: {who} may limit {resource} to at most {ratio / 1000:g} times its request"
