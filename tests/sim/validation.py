# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaulting and validation of the fields that verbs touch, and what the server leaves out of what it stores.

Sources: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation, pkg/apis/autoscaling/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import scaled

from . import gateway_api
from .objects import Json

_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Fault:
    field: str
    message: str


def defaulted(kind: str, obj: Json) -> Json:
    """As it is stored: with defaults, and without what is left out when it is empty (omitempty)."""
    empty = ("annotations", "labels")
    meta = {key: value for key, value in obj["metadata"].items() if value or key not in empty}
    obj = {**obj, "metadata": meta}
    if kind == "deployments":
        return {**obj, "spec": _deployment_spec(obj["spec"])}
    if kind == "replicasets":
        return {**obj, "spec": {**obj["spec"], "template": _template(obj["spec"]["template"])}}
    if kind == "horizontalpodautoscalers":
        spec = obj["spec"]
        return {**obj, "spec": {**spec, "minReplicas": 1 if spec.get("minReplicas") is None else spec["minReplicas"]}}
    if kind == "httproutes":
        rules = [_rule(rule) if isinstance(rule, dict) else rule for rule in obj["spec"]["rules"]]
        return {**obj, "spec": {**obj["spec"], "rules": rules}}
    if kind == "grpcroutes":
        weighed = [
            {**rule, "backendRefs": [{"weight": 1, **ref} for ref in rule.get("backendRefs") or ()]}
            for rule in obj["spec"]["rules"]
        ]
        return {**obj, "spec": {**obj["spec"], "rules": weighed}}
    if kind == "pods":
        containers = [_requesting(container) for container in obj["spec"]["containers"]]
        return {**obj, "spec": {**obj["spec"], "containers": containers}}
    return obj


def _rule(rule: Json) -> Json:
    """The defaults of Gateway API (apis/v1/httproute_types.go)."""
    return {
        **rule,
        **{
            name: [fill(item) if isinstance(item, dict) else item for item in rule[name]]
            for name, fill in (("backendRefs", lambda ref: {"weight": 1, **ref}), ("matches", _match))
            if isinstance(rule.get(name), list)
        },
    }


def _match(match: Json) -> Json:
    path, headers = match.get("path") or {}, match.get("headers")
    if isinstance(path, dict):
        match = {**match, "path": {"type": "PathPrefix", "value": "/", **path}}
    if isinstance(headers, list):
        typed = [{"type": "Exact", **one} if isinstance(one, dict) else one for one in headers]
        match = {**match, "headers": typed}
    return match


def _requesting(container: Json) -> Json:
    """What has a limit and no request asks for the limit: SetDefaults_Pod in pkg/apis/core/v1/defaults.go."""
    resources = container.get("resources") or {}
    if not resources.get("limits"):
        return container
    return {
        **container,
        "resources": {**resources, "requests": {**resources["limits"], **resources.get("requests", {})}},
    }


def _deployment_spec(spec: Json) -> Json:
    filled = {
        "replicas": 1,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        **{key: value for key, value in spec.items() if value is not None},
        "strategy": _strategy(spec.get("strategy") or {}),
        "template": _template(spec["template"]),
    }
    # Both are written with omitempty: zero is not there when it is read.
    return {key: value for key, value in filled.items() if value or key not in ("minReadySeconds", "paused")}


def _strategy(strategy: Json) -> Json:
    kind = strategy.get("type") or "RollingUpdate"
    if kind != "RollingUpdate":
        return {**strategy, "type": kind}
    rolling = {key: value for key, value in (strategy.get("rollingUpdate") or {}).items() if value is not None}
    return {"type": kind, "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%", **rolling}}


def _template(template: Json) -> Json:
    spec = template["spec"]
    return template if "restartPolicy" in spec else {**template, "spec": {**spec, "restartPolicy": "Always"}}


def faults(kind: str, obj: Json) -> list[Fault]:
    if kind == "deployments":
        template = obj["spec"]["template"].get("metadata") or {}
        return [
            *_of_annotations("metadata", obj["metadata"]),
            *_of_deployment(obj["spec"]),
            *_of_annotations("spec.template", template),
        ]
    if kind == "httproutes":
        return [Fault(path, f"Invalid value: {told}") for path, told in gateway_api.wrong(obj["spec"])]
    if kind in _SHAPES:
        return list(_of_shape("spec", obj["spec"], _SHAPES[kind]))
    return list(_of_autoscaler(obj["spec"])) if kind == "horizontalpodautoscalers" else []


# What the definitions of Istio, and the types of Kubernetes, let through of what verbs write: a list has items of one shape, "*" is any
# member, and "!" behind a name says that it has to be there. Members that are not named are anybody's.
_SHAPES: dict[str, Any] = {
    "services": {"selector": {"*": str}, "ports!": [{"port!": int, "name": str, "protocol": str}]},
    "grpcroutes": {
        "rules": [
            {
                "matches": [{"method": {"*": str}, "headers": [{"name!": str}]}],
                "backendRefs": [{"name!": str, "weight": int}],
            }
        ]
    },
    "virtualservices": {
        "http": [
            {
                "match": [{"headers": {"*": {"*": str}}}],
                "route": [
                    {
                        "destination!": {"host!": str},
                        "weight": int,
                        "headers": {"response": {"add": {"*": str}, "set": {"*": str}, "remove": [str]}},
                    }
                ],
            }
        ]
    },
    "ingresses": {
        "rules": [{"http": {"paths": [{"path": str, "pathType!": str, "backend!": {"service": {"name!": str}}}]}}]
    },
}


def _of_shape(path: str, value: Any, shape: Any) -> Iterator[Fault]:
    kind: type[Any] = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, kind) or isinstance(value, bool):
        yield _invalid(path, value, f"must be of type {kind.__name__}")
    elif isinstance(shape, list):
        for number, item in enumerate(value):
            yield from _of_shape(f"{path}[{number}]", item, shape[0])
    elif isinstance(shape, dict):
        for name in (one[:-1] for one in shape if one.endswith("!")):
            if name not in value:
                yield Fault(f"{path}.{name}", "Required value")
        for name, member in value.items():
            if wanted := shape.get(name, shape.get(f"{name}!", shape.get("*"))):
                yield from _of_shape(f"{path}.{name}", member, wanted)


# TotalAnnotationSizeLimitB in k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
MOST_ANNOTATIONS = 256 * 1024


def _of_annotations(path: str, meta: Json) -> Iterator[Fault]:
    annotations = meta.get("annotations") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > MOST_ANNOTATIONS:
        yield Fault(f"{path}.annotations", f"Too long: may not be more than {MOST_ANNOTATIONS} bytes")


def _of_deployment(spec: Json) -> Iterator[Fault]:
    if spec["replicas"] < 0:
        yield _invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    wanted = spec["selector"].get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        yield _invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    for position, container in enumerate(spec["template"]["spec"]["containers"]):
        if not container.get("image"):
            yield Fault(f"spec.template.spec.containers[{position}].image", "Required value")
    yield from _of_strategy(spec["strategy"])
    minimum, deadline = spec.get("minReadySeconds", 0), spec["progressDeadlineSeconds"]
    if not 0 <= minimum <= _LARGEST_INT32:
        yield _invalid("spec.minReadySeconds", minimum, "must be greater than or equal to 0")
    if deadline <= minimum:
        yield _invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _of_strategy(strategy: Json) -> Iterator[Fault]:
    rolling: Json = strategy.get("rollingUpdate") or {}
    if strategy["type"] == "Recreate":
        if rolling:
            yield Fault(
                "spec.strategy.rollingUpdate",
                "Forbidden: may not be specified when strategy `type` is 'Recreate'",
            )
        return
    surge, unavailable = rolling["maxSurge"], rolling["maxUnavailable"]
    for name, value in (("maxSurge", surge), ("maxUnavailable", unavailable)):
        if isinstance(value, int) and value < 0:
            yield _invalid(f"spec.strategy.rollingUpdate.{name}", value, "must be greater than or equal to 0")
    if scaled(unavailable, 100, round_up=False) > 100 and isinstance(unavailable, str):
        yield _invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, "must not be greater than 100%")
    if surge in (0, "0%") and unavailable in (0, "0%"):
        yield _invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")


def _of_autoscaler(spec: Json) -> Iterator[Fault]:
    minimum, maximum = spec["minReplicas"], spec["maxReplicas"]
    counts_more = any(metric["type"] in ("External", "Object") for metric in spec.get("metrics") or ())
    if minimum < (0 if counts_more else 1):  # with the feature gate HPAScaleToZero
        yield _invalid("spec.minReplicas", minimum, "must be greater than or equal to 1")
    if maximum < minimum:
        yield _invalid("spec.maxReplicas", maximum, "must be greater than or equal to `minReplicas`")


def _invalid(field: str, value: Any, why: str) -> Fault:
    shown = f'"{value}"' if isinstance(value, str) else value
    return Fault(field, f"Invalid value: {shown}: {why}")
