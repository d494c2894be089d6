# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random small clusters that use every feature which decides where pods go, each made from one seed.

Everything is an API object as a user would write it; what only a kubelet or a controller writes (status) stands beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

NAMESPACES = {
    "truth-a": {"team": "red", "stage": "prod"},
    "truth-b": {"team": "blue", "stage": "prod"},
    "truth-c": {"team": "red"},
}
HOME = "truth-a"
PRIORITIES = {"low": 10, "mid": 100, "high": 1000}
OVERHEADS = {"thin": {"cpu": "50m", "memory": "16Mi"}, "fat": {"cpu": "250m", "memory": "100.5Mi"}}
APPS = ("web", "db", "cache")
ZONE = "topology.kubernetes.io/zone"
HOSTNAME = "kubernetes.io/hostname"
GPU = "example.com/gpu"

Object = dict[str, Any]


@dataclass
class Existing:
    """A pod that is there before: `status` is written afterwards, `leaving` pods are deleted but held by a finalizer."""

    pod: Object
    status: Object | None = None
    leaving: bool = False


@dataclass
class Cluster:
    """One case. `copies` of `pod` are to be placed."""

    seed: int
    nodes: list[Object]
    existing: list[Existing]
    volumes: list[Object]
    claims: list[Object]
    limit_ranges: list[Object]
    quotas: list[Object]
    pod: Object
    copies: int
    features: set[str] = field(default_factory=set)


class Maker:
    """Draws one cluster; `features` collects what it turned out to use."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.features: set[str] = set()
        self.zones = [f"z{number}" for number in range(self.chance.randint(1, 3))]

    def maybe(self, probability: float, feature: str = "") -> bool:
        happens = self.chance.random() < probability
        if happens and feature:
            self.features.add(feature)
        return happens

    def pick(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def cluster(self) -> Cluster:
        nodes = [self.node(number) for number in range(self.chance.randint(1, 6))]
        volumes, claims = self.storage()
        existing = [self.existing_pod(number, nodes, claims) for number in range(self.chance.randint(0, 10))]
        if self.maybe(0.05, "nominated"):
            existing.append(self.promised_pod(nodes))
        pod = self.incoming(nodes, claims)
        return Cluster(
            seed=self.seed,
            nodes=nodes,
            existing=existing,
            volumes=volumes,
            claims=claims,
            limit_ranges=[self.limit_range()] if self.maybe(0.1, "limit_range") else [],
            quotas=[self.quota(number) for number in range(self.pick(1, 1, 2))] if self.maybe(0.15, "quota") else [],
            pod=pod,
            copies=self.chance.randint(1, 5),
            features=self.features,
        )

    # nodes

    def node(self, number: int) -> Object:
        name = f"n{self.seed}-{number}"
        labels = {"disk": self.pick("ssd", "hdd"), "generation": str(self.chance.randint(1, 4))}
        if not self.maybe(0.06, "no_hostname_label"):
            labels[HOSTNAME] = name
        if not self.maybe(0.1, "no_zone_label"):
            labels[ZONE] = self.pick(*self.zones)
        allocatable = {
            "cpu": self.pick("1", "2", "3930m", "4", "6"),
            "memory": self.pick("1Gi", "4Gi", "3145727Ki", "6e9"),
            "ephemeral-storage": "10Gi",
            "pods": self.pick("3", "5", "110", "110"),
        }
        if self.maybe(0.25):
            allocatable[GPU] = self.pick("1", "2", "4")
        if self.maybe(0.15):
            allocatable["hugepages-2Mi"] = "64Mi"
        spec: Object = {"taints": self.taints()}
        if self.maybe(0.12, "cordon"):
            spec["unschedulable"] = True
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {
                "allocatable": allocatable,
                "capacity": allocatable,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Fake", "message": ""}],
            },
        }

    def taints(self) -> list[Object]:
        if not self.maybe(0.2, "taint"):
            return []
        effect = self.pick("NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule")
        return [{"key": self.pick("dedicated", "spot"), "value": self.pick("x", "y", ""), "effect": effect}]

    # containers and requests

    def amounts(self, big: float = 1.0) -> Object:
        amounts = {}
        if self.maybe(0.85):
            amounts["cpu"] = self.pick("100m", "250m", "0.3", "100.5m", "500m", f"{int(700 * big)}m")
        if self.maybe(0.85):
            amounts["memory"] = self.pick("64Mi", "128.5Mi", "100M", "1500.5", "300Mi", f"{int(600 * big)}Mi")
        if self.maybe(0.08):
            amounts["ephemeral-storage"] = self.pick("1Gi", "4Gi")
        return amounts

    def container(self, name: str) -> Object:
        resources: Object = {}
        requests = self.amounts()
        if requests:
            resources["requests"] = requests
        if self.maybe(0.06, "extended"):
            resources.setdefault("requests", {})[GPU] = resources.setdefault("limits", {})[GPU] = "1"
        if self.maybe(0.04, "hugepages"):
            resources.setdefault("requests", {})["hugepages-2Mi"] = resources.setdefault("limits", {})[
                "hugepages-2Mi"
            ] = "20Mi"
            resources["requests"].setdefault("cpu", "100m")
        if self.maybe(0.1, "limits_only"):
            resources.setdefault("limits", {})["cpu"] = "800m"
        return {"name": name, "image": "none.invalid/app:1", "resources": resources}

    def pod_spec(self) -> Object:
        spec: Object = {"containers": [self.container(f"c{number}") for number in range(self.pick(1, 1, 1, 2))]}
        if self.maybe(0.25, "init_container"):
            spec["initContainers"] = [self.container(f"i{number}") for number in range(self.pick(1, 2, 3))]
            for container in spec["initContainers"]:
                if self.maybe(0.5, "sidecar"):
                    container["restartPolicy"] = "Always"
        if self.maybe(0.1, "pod_level"):
            self._pod_level(spec)
        if self.maybe(0.1, "overhead"):
            spec["runtimeClassName"] = self.pick(*OVERHEADS)
        if self.maybe(0.1, "host_port"):
            port = {"containerPort": 80, "hostPort": self.pick(8080, 8081), "protocol": self.pick("TCP", "TCP", "UDP")}
            if self.maybe(0.4):
                port["hostIP"] = self.pick("10.0.0.1", "10.0.0.2", "0.0.0.0")
            spec["containers"][0]["ports"] = [port]
        if self.maybe(0.07, "disk"):
            spec["volumes"] = [{"name": "disk", **self.disk()}]
        spec["terminationGracePeriodSeconds"] = 0
        return spec

    def disk(self) -> Object:
        """A disk named in the pod itself, of the kinds that two pods may not share."""
        read_only = self.maybe(0.5)
        return self.pick(
            {"gcePersistentDisk": {"pdName": self.pick("one", "two"), "readOnly": read_only}},
            {"awsElasticBlockStore": {"volumeID": self.pick("one", "two"), "readOnly": read_only}},
            {
                "iscsi": {
                    "iqn": self.pick("iqn.2026-01.invalid.truth:one", "iqn.2026-01.invalid.truth:two"),
                    "targetPortal": "10.0.0.9",
                    "lun": 0,
                    "readOnly": read_only,
                }
            },
            {
                "rbd": {
                    "monitors": [self.pick("m1", "m2"), "m3"],
                    "image": self.pick("one", "two"),
                    "readOnly": read_only,
                }
            },
        )

    def _pod_level(self, spec: Object) -> None:
        """Pod-level requests may not be below those of the containers: generous ones, for containers without huge pages."""
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            for side in container["resources"].values():
                side.pop("hugepages-2Mi", None)
            container["resources"].pop("limits", None)
            container["resources"].get("requests", {}).pop(GPU, None)
        spec["resources"] = {"requests": {"cpu": self.pick("2100m", "1500m", "2500m"), "memory": "1800Mi"}}
        if self.maybe(0.3):
            spec["resources"] = {"limits": {"cpu": "2600m"}}
        spec["containers"] = spec["containers"][:1]
        spec["containers"][0]["resources"] = self.pick({}, {"requests": {"cpu": "200m"}})
        spec["initContainers"] = spec.get("initContainers", [])[:1]
        for container in spec["initContainers"]:
            container["resources"] = {}

    # labels and affinity

    def labels(self) -> dict[str, str]:
        labels = {"app": self.pick(*APPS)}
        if self.maybe(0.5):
            labels["tier"] = self.pick("front", "back")
        return labels

    def selector(self) -> Object | None:
        kind = self.chance.random()
        if kind < 0.6:
            return {"matchLabels": {"app": self.pick(*APPS)}}
        if kind < 0.75:
            return {
                "matchExpressions": [
                    {"key": "app", "operator": self.pick("In", "NotIn"), "values": [self.pick(*APPS), "db"]}
                ]
            }
        if kind < 0.85:
            return {"matchExpressions": [{"key": "tier", "operator": self.pick("Exists", "DoesNotExist")}]}
        return {} if kind < 0.95 else None

    def affinity_term(self) -> Object:
        term: Object = {"topologyKey": self.pick(ZONE, HOSTNAME, "disk"), "labelSelector": self.selector()}
        if term["labelSelector"] is None:
            del term["labelSelector"]
        kind = self.chance.random()
        if kind < 0.15:
            self.features.add("namespaces")
            term["namespaces"] = [self.pick(*NAMESPACES)]
        elif kind < 0.4:
            self.features.add("namespace_selector")
            term["namespaceSelector"] = self.pick(
                {}, {"matchLabels": {"team": "red"}}, {"matchLabels": {"stage": "prod"}}
            )
        if "labelSelector" in term and self.maybe(0.15, "affinity_label_keys"):
            term[self.pick("matchLabelKeys", "mismatchLabelKeys")] = ["pod-template-hash"]
        return term

    def spread(self) -> Object:
        spread: Object = {
            "topologyKey": self.pick(ZONE, ZONE, HOSTNAME, "disk"),
            "maxSkew": self.pick(1, 1, 2),
            "whenUnsatisfiable": self.pick("DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"),
            "labelSelector": self.selector() or {"matchLabels": {"app": "web"}},
        }
        if spread["whenUnsatisfiable"] == "DoNotSchedule" and self.maybe(0.3, "min_domains"):
            spread["minDomains"] = self.pick(1, 2, 3)
        if self.maybe(0.25, "match_label_keys"):
            spread["matchLabelKeys"] = ["pod-template-hash"]
        if self.maybe(0.25, "inclusion_policy"):
            spread["nodeAffinityPolicy"] = self.pick("Honor", "Ignore")
            spread["nodeTaintsPolicy"] = self.pick("Honor", "Ignore")
        return spread

    def spreads(self) -> list[Object]:
        """At most one constraint for each pair of key and whenUnsatisfiable: the API refuses more."""
        found = {}
        for _ in range(self.pick(1, 1, 2)):
            one = self.spread()
            found[one["topologyKey"], one["whenUnsatisfiable"]] = one
        return list(found.values())

    # storage

    def storage(self) -> tuple[list[Object], list[Object]]:
        if not self.maybe(0.15):
            return [], []
        volumes, claims = [], []
        for number in range(2):
            name = f"v{self.seed}-{number}"
            zone = self.pick(*self.zones)
            modes = self.pick(["ReadWriteMany"], ["ReadWriteOncePod"])
            size = {"storage": "1Gi"}
            spec: Object = {
                "capacity": size,
                "accessModes": modes,
                "hostPath": {"path": "/nowhere"},
                "storageClassName": "",
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": HOME, "name": name},
            }
            labels = {ZONE: "__".join({zone, self.pick(*self.zones)})} if self.maybe(0.5, "volume_zone") else {}
            if self.maybe(0.5, "volume_affinity"):
                where = {"key": ZONE, "operator": "In", "values": [zone]}
                spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}}
            volumes.append(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": name, "labels": labels},
                    "spec": spec,
                }
            )
            meta = {"name": name, "namespace": HOME, "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
            wish = {"accessModes": modes, "resources": {"requests": size}, "volumeName": name, "storageClassName": ""}
            claims.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wish})
        return volumes, claims

    def mount(self, pod: Object, claims: list[Object], probability: float) -> None:
        if claims and pod["metadata"]["namespace"] == HOME and self.maybe(probability, "claim"):
            name = self.pick(*claims)["metadata"]["name"]
            pod["spec"].setdefault("volumes", []).append({"name": "data", "persistentVolumeClaim": {"claimName": name}})

    # pods

    def existing_pod(self, number: int, nodes: list[Object], claims: list[Object]) -> Existing:
        meta = {
            "name": f"old{self.seed}-{number}",
            "namespace": self.pick(*NAMESPACES, HOME),
            "labels": self.labels(),
        }
        if self.maybe(0.4):
            meta["labels"]["pod-template-hash"] = self.pick("aaa", "bbb")
        pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": self.pod_spec()}
        pod["spec"]["nodeName"] = self.pick(*nodes)["metadata"]["name"]
        pod["spec"]["priorityClassName"] = self.pick("low", "mid", "high")
        if self.maybe(0.12, "others_anti_affinity"):
            self._affinity(pod, "podAntiAffinity", 1)
        self.mount(pod, claims, 0.2)
        existing = Existing(pod)
        if self.maybe(0.1, "terminating"):
            existing.leaving = True
            meta["finalizers"] = ["truth.invalid/held"]
        if self.maybe(0.08, "finished"):
            existing.status = {"phase": self.pick("Succeeded", "Failed")}
        elif self.maybe(0.15, "resize"):
            existing.status = self.resize_status(pod)
        return existing

    def resize_status(self, pod: Object) -> Object:
        statuses: dict[str, list[Object]] = {"containerStatuses": [], "initContainerStatuses": []}
        for field_name, containers in (
            ("containerStatuses", pod["spec"]["containers"]),
            ("initContainerStatuses", pod["spec"].get("initContainers", [])),
        ):
            for container in containers:
                statuses[field_name].append(self._container_status(container["name"]))
        status: Object = {"phase": "Running", **statuses}
        if self.maybe(0.3, "resize_infeasible"):
            reason = self.pick("Infeasible", "Deferred")
            status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": reason, "message": ""}]
        if "resources" in pod["spec"] and self.maybe(0.5, "pod_level_resize"):
            status["allocatedResources"] = {"cpu": self.pick("1", "2"), "memory": "1Gi"}
            status["resources"] = {"requests": {"cpu": self.pick("1", "3"), "memory": "1Gi"}}
        return status

    def _container_status(self, name: str) -> Object:
        status: Object = {
            "name": name,
            "image": "x",
            "imageID": "x",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        if self.maybe(0.7):
            status["allocatedResources"] = self.amounts()
        if self.maybe(0.7):
            status["resources"] = {"requests": self.amounts()}
        return status

    def promised_pod(self, nodes: list[Object]) -> Existing:
        """A pod that waits for room on a node, which is kept for it."""
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"promised{self.seed}", "namespace": self.pick(*NAMESPACES), "labels": self.labels()},
            "spec": self.pod_spec(),
        }
        pod["spec"]["nodeSelector"] = {"never": "there"}
        pod["spec"]["priorityClassName"] = self.pick("mid-polite", "high-polite")
        return Existing(pod, status={"nominatedNodeName": self.pick(*nodes)["metadata"]["name"]})

    def incoming(self, nodes: list[Object], claims: list[Object]) -> Object:
        labels = {"app": "web", "pod-template-hash": "newhash", **({"tier": "front"} if self.maybe(0.5) else {})}
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": f"new{self.seed}-", "namespace": HOME, "labels": labels},
            "spec": self.pod_spec(),
        }
        spec = pod["spec"]
        preempts = self.maybe(0.15, "preemption")
        spec["priorityClassName"] = self.pick("mid", "high") if preempts else self.pick("mid-polite", "high-polite")
        if self.maybe(0.35, "toleration"):
            spec["tolerations"] = [self.toleration() for _ in range(self.pick(1, 2))]
        if self.maybe(0.12, "node_selector"):
            spec["nodeSelector"] = {"disk": self.pick("ssd", "hdd")}
        if self.maybe(0.15, "node_affinity"):
            self._node_affinity(pod, nodes)
        if self.maybe(0.12, "affinity"):
            self._affinity(pod, "podAffinity", self.pick(1, 1, 2))
        if self.maybe(0.15, "anti_affinity"):
            self._affinity(pod, "podAntiAffinity", self.pick(1, 1, 2))
        if self.maybe(0.3, "spread"):
            spec["topologySpreadConstraints"] = self.spreads()
        self.mount(pod, claims, 0.8)
        return pod

    def toleration(self) -> Object:
        kind = self.chance.random()
        if kind < 0.2:
            return {"operator": "Exists"}
        if kind < 0.35:
            return {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
        key = self.pick("dedicated", "spot")
        if kind < 0.6:
            return {"key": key, "operator": "Exists", **({"effect": "NoSchedule"} if self.maybe(0.5) else {})}
        return {
            "key": key,
            "operator": "Equal",
            "value": self.pick("x", "y"),
            "effect": self.pick("NoSchedule", "NoExecute"),
        }

    def _node_affinity(self, pod: Object, nodes: list[Object]) -> None:
        terms = []
        for _ in range(self.pick(1, 2)):
            kind = self.chance.random()
            if kind < 0.3:
                expression = {"key": "generation", "operator": self.pick("Gt", "Lt"), "values": ["2"]}
            elif kind < 0.5:
                expression = {"key": ZONE, "operator": self.pick("Exists", "DoesNotExist")}
            elif kind < 0.8:
                expression = {"key": ZONE, "operator": self.pick("In", "NotIn"), "values": [self.pick(*self.zones)]}
            else:
                name = self.pick(*nodes)["metadata"]["name"]
                operator = self.pick("In", "NotIn")
                terms.append({"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]})
                continue
            terms.append({"matchExpressions": [expression]})
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        pod["spec"].setdefault("affinity", {})["nodeAffinity"] = required

    def _affinity(self, pod: Object, kind: str, count: int) -> None:
        terms = [self.affinity_term() for _ in range(count)]
        pod["spec"].setdefault("affinity", {})[kind] = {"requiredDuringSchedulingIgnoredDuringExecution": terms}

    # policies

    def limit_range(self) -> Object:
        limit: Object = {"type": "Container", "defaultRequest": {"cpu": "150m", "memory": "96Mi"}}
        if self.maybe(0.4):
            limit["default"] = {"cpu": "2", "memory": "1Gi"}
        if self.maybe(0.3):
            limit["min"] = {"cpu": "110m"}
        if self.maybe(0.2):
            limit = {"type": "Pod", "max": {"memory": "1Gi"}}
        return {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": f"lr{self.seed}", "namespace": HOME},
            "spec": {"limits": [limit]},
        }

    def quota(self, number: int) -> Object:
        hard: Object = {}
        if self.maybe(0.5):
            hard["pods"] = str(self.chance.randint(1, 8))
        if self.maybe(0.5):
            hard["requests.cpu"] = self.pick("1", "2.5", "3001m")
        if self.maybe(0.3):
            hard["limits.memory"] = "2Gi"
        if self.maybe(0.3):
            hard["memory"] = self.pick("1Gi", "1500M")
        if self.maybe(0.1):
            hard[f"requests.{GPU}"] = "2"
        hard.setdefault("count/pods", "9")
        spec: Object = {"hard": hard}
        kind = self.chance.random()
        if kind < 0.2:
            self.features.add("quota_scope")
            spec["scopes"] = [self.pick("NotTerminating", "NotBestEffort", "Terminating", "BestEffort")]
            if spec["scopes"] == ["BestEffort"]:
                spec["hard"] = {"pods": "2"}
        elif kind < 0.45:
            self.features.add("quota_scope")
            operator = self.pick("In", "NotIn", "Exists")
            rule: Object = {"scopeName": "PriorityClass", "operator": operator}
            if operator != "Exists":
                rule["values"] = [self.pick("high", "high-polite", "mid-polite")]
            spec["scopeSelector"] = {"matchExpressions": [rule]}
        used = {
            name: self.pick("0", "1", "500m") if name not in ("pods", "count/pods") else self.pick("0", "1", "3")
            for name in spec["hard"]
        }
        return {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": f"quota{self.seed}-{number}", "namespace": HOME},
            "spec": spec,
            "status": {"hard": spec["hard"], "used": used},
        }


def make_cluster(seed: int) -> Cluster:
    """The cluster of this seed, always the same."""
    return Maker(seed).cluster()
