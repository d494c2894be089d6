# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of pod templates, and whether Kubernetes takes the two for the same."""

from __future__ import annotations

from typing import Any

from .objects import template

Json = dict[str, Any]
Pair = tuple[Json, Json, bool]


def memory(amount: Any) -> Json:
    return template("v1", resources={"limits": {"memory": amount}})


def in_pod(**spec: Any) -> Json:
    shown = template("v1")
    shown["spec"].update(spec)
    return shown


def volume(**source: Any) -> Json:
    return in_pod(volumes=[{"name": "v", **source}])


def claim(storage: Any) -> Json:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    return volume(ephemeral={"volumeClaimTemplate": {"metadata": {}, "spec": asked}})


def divided(**divisor: Any) -> Json:
    source = {"resourceFieldRef": {"resource": "limits.cpu", **divisor}}
    return template("v1", env=[{"name": "CPUS", "valueFrom": source}])


def told(**divisor: Any) -> Json:
    item = {"path": "cpus", "resourceFieldRef": {"containerName": "app", "resource": "limits.cpu", **divisor}}
    return volume(downwardAPI={"items": [item]})


def marked(**metadata: Any) -> Json:
    return {**template("v1"), "metadata": {"labels": {"app": "web"}, **metadata}}


def spread(selector: Any) -> Json:
    rule = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", **selector}
    return in_pod(topologySpreadConstraints=[rule])


def probe(port: Any) -> Json:
    return template("v1", readinessProbe={"httpGet": {"port": port}})


PAIRS: dict[str, Pair] = {
    # amounts: by value
    "memory, binary and plain": (memory("1Gi"), memory("1073741824"), True),
    "memory, a thousand": (memory("1k"), memory("1e3"), True),
    "memory, one byte more": (memory("1Gi"), memory("1073741825"), False),
    "an amount without quotes": (memory("2"), memory(2), True),
    "an amount rounded up to billionths": (memory("0.1n"), memory("1n"), True),
    "a binary amount at its cap": (memory("8Ei"), memory("9Ei"), True),
    "half a core": (in_pod(initContainers=[{"name": "i", "resources": {"requests": {"cpu": "0.5"}}}]),
                    in_pod(initContainers=[{"name": "i", "resources": {"requests": {"cpu": "500m"}}}]), True),
    "the pod's own resources": (in_pod(resources={"limits": {"cpu": "1"}}), in_pod(resources={"limits": {"cpu": "1000m"}}), True),
    "another resource": (memory("1"), template("v1", resources={"limits": {"cpu": "1"}}), False),
    "no amount and zero": (template("v1", resources={"limits": {}}), memory("0"), False),
    "overhead": (in_pod(overhead={"cpu": "0.25"}), in_pod(overhead={"cpu": "250m"}), True),
    "sizeLimit": (volume(emptyDir={"sizeLimit": "1Gi"}), volume(emptyDir={"sizeLimit": "1024Mi"}), True),
    "no sizeLimit and one of zero": (volume(emptyDir={}), volume(emptyDir={"sizeLimit": "0"}), False),
    "storage of an ephemeral volume": (claim("1Gi"), claim("1024Mi"), True),
    "divisor": (divided(divisor="1"), divided(divisor="1000m"), True),
    "no divisor and one of zero": (divided(divisor="0"), divided(), True),
    "divisor in a volume": (told(divisor="1"), told(divisor="1e0"), True),
    # what only looks like an amount
    "an environment value": (template("v1", env=[{"name": "SIZE", "value": "1Gi"}]),
                             template("v1", env=[{"name": "SIZE", "value": "1024Mi"}]), False),
    "an argument": (template("v1", args=["1Gi"]), template("v1", args=["1024Mi"]), False),
    "an annotation called sizeLimit": (marked(annotations={"sizeLimit": "1"}), marked(annotations={"sizeLimit": "1.0"}), False),
    "a label called overhead": (marked(labels={"overhead": "1"}), marked(labels={"overhead": "1.0"}), False),
    "a node label called limits": (in_pod(nodeSelector={"limits": "1"}), in_pod(nodeSelector={"limits": "1.0"}), False),
    # empty and absent
    "null": (template("v1"), template("v1", env=None), True),
    "an empty list": (template("v1"), template("v1", env=[], args=[]), True),
    "an empty map": (template("v1"), marked(annotations={}), True),
    "an empty map of node labels": (in_pod(nodeSelector={}), template("v1"), True),
    "no resources": (template("v1", resources={}), template("v1"), True),
    "no limits": (template("v1", resources={"limits": {}, "requests": {}}), template("v1"), True),
    "no resources of the pod, which is a pointer": (in_pod(resources={}), template("v1"), False),
    "an empty security context, which is a pointer": (template("v1", securityContext={}), template("v1"), False),
    "an emptyDir and a volume of no kind": (volume(emptyDir={}), volume(), False),
    "a selector of everything and none": (spread({"labelSelector": {}}), spread({}), False),
    "a selector with an empty map": (spread({"labelSelector": {"matchLabels": {}}}), spread({"labelSelector": {}}), True),
    "an empty environment value of a name": (marked(annotations={"a": ""}), template("v1"), False),
    "a time that is not set": (marked(creationTimestamp=None), template("v1"), True),
    # the rest
    "the hash that a ReplicaSet adds": (marked(labels={"app": "web", "pod-template-hash": "abc"}), template("v1"), True),
    "only the hash as a label": (marked(labels={"pod-template-hash": "abc"}), marked(labels={}), True),
    "a port by number and by name": (probe(80), probe("80"), False),
    "false of a pointer and absent": (in_pod(enableServiceLinks=False), template("v1"), False),
    "another order": (template("v1", args=["a", "b"]), template("v1", args=["b", "a"]), False),
}  # fmt: skip
