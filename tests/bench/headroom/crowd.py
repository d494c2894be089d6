# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large cluster, said object by object in the order of an API server's list: pods of about 10 kB, nodes of about 8 kB.

Nothing is kept: the same number always gives the same object, as the JSON that the API server would write. What differs
between the pods of one workload is what differs in real ones: names, uids, addresses, times, identifiers of containers.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Object = dict[str, Any]

NAMESPACE, NAME, OWNER = "shop", "web", "0d3b1b0e-web-stable"
REPLICAS = 10
PODS_PER_WORKLOAD = 50
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
MOMENT = "2026-11-02T09:14:07Z"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class Crowd:
    """So many nodes and pods. The first pods are those of the Deployment `shop/web`."""

    nodes: int
    pods: int

    def node(self, number: int) -> bytes:
        """A node as JSON."""
        facts = {"name": f"ip-{number:06d}", "hash": _digest("node", number), "zone": ZONES[number % len(ZONES)]}
        return (_node_text() % facts).encode()

    def pod(self, number: int) -> bytes:
        """A pod as JSON, running on a node."""
        workload = number // PODS_PER_WORKLOAD
        text, name, namespace = _workload(workload if number >= REPLICAS else -1)
        digest = _digest("pod", number)
        facts = {
            "name": f"{name}-{digest[:5]}",
            "namespace": namespace,
            "node": f"ip-{_node_of(number, self.nodes):06d}",
            "hash": digest,
            "token": digest[5:10],
            "uid": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}",
            "ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "version": 900_000_000 + 37 * number,
        }
        return (text % facts).encode()


def deployment() -> Object:
    """The Deployment whose canary is asked about."""
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": NAME}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": _template(),
    }
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    status = {"observedGeneration": 1, **dict.fromkeys(counts, REPLICAS)}
    annotations = {"deployment.kubernetes.io/revision": "1"}
    meta = {"name": NAME, "namespace": NAMESPACE, "uid": "dep", "generation": 1, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec, "status": status}


def replica_set() -> Object:
    """Its only ReplicaSet."""
    template = _template()
    labels = {**template["metadata"]["labels"], "pod-template-hash": "stable"}
    template["metadata"]["labels"] = labels
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, "uid": "dep", "controller": True}
    meta = {
        "name": f"{NAME}-stable",
        "namespace": NAMESPACE,
        "uid": OWNER,
        "generation": 1,
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [owner],
    }
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    status = {"observedGeneration": 1, **dict.fromkeys(counts, REPLICAS)}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec, "status": status}


def _template() -> Object:
    container = {
        "name": "app",
        "image": "registry.example/shop/web:1",
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
    }
    spec = {"containers": [container], "restartPolicy": "Always", "schedulerName": "default-scheduler"}
    return {"metadata": {"labels": {"app": NAME}}, "spec": spec}


def _digest(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def _node_of(number: int, nodes: int) -> int:
    """Spread without a pattern, so that neighbours in the list are on different nodes."""
    return (number * 2_654_435_761 >> 4) % nodes


@lru_cache(maxsize=2)
def _workload(number: int) -> tuple[str, str, str]:
    """The text of a workload's pods with places for what differs, the beginning of their names, and their namespace."""
    chance = random.Random(number)
    namespace = NAMESPACE if number < 0 else f"team-{number // 20:04d}"
    app = NAME if number < 0 else f"{chance.choice(('checkout', 'search', 'billing', 'gateway'))}-{number:05d}"
    template_hash = "stable" if number < 0 else _digest("workload", number)[:10]
    raw = _pod(app, template_hash, OWNER if number < 0 else f"owner-{number}", chance, plain=number < 0)
    return _as_text(raw), f"{app}-{template_hash}", namespace


def _as_text(raw: Object) -> str:
    text = json.dumps(raw, separators=(",", ":"))
    assert "%" not in text.replace("%(", "")
    return text


def _pod(app: str, template_hash: str, owner: str, chance: random.Random, *, plain: bool) -> Object:
    labels = {
        "app": app,
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-prod",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": template_hash,
        "team": "payments",
        "tier": chance.choice(("front", "back")),
    }
    spec = _spec(app, labels, chance, plain=plain)
    is_daemon = not plain and chance.random() < 0.15
    reference = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet" if is_daemon else "ReplicaSet",
        "name": f"{app}-{template_hash}",
        "uid": owner,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    meta = {
        "name": "%(name)s",
        "generateName": f"{app}-{template_hash}-",
        "namespace": "%(namespace)s",
        "uid": "%(uid)s",
        "resourceVersion": "%(version)d",
        "generation": 1,
        "creationTimestamp": MOMENT,
        "labels": labels,
        "annotations": _annotations(app),
        "ownerReferences": [reference],
        "managedFields": [
            _managed("kube-controller-manager", _fields_of(spec, labels)),
            _managed("kubelet", _STATUS_FIELDS, "status"),
        ],
    }
    return {"metadata": meta, "spec": spec, "status": _status(spec)}


def _spec(app: str, labels: Object, chance: random.Random, *, plain: bool) -> Object:
    count = 1 if plain else chance.choice((1, 1, 1, 2))
    spec: Object = {
        "volumes": _volumes(app, chance),
        "containers": [_container(app, number, chance) for number in range(count)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "serviceAccountName": app,
        "serviceAccount": app,
        "nodeName": "%(node)s",
        "securityContext": {"runAsNonRoot": True, "fsGroup": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": app}},
            }
        ],
    }
    if plain:
        return spec
    if chance.random() < 0.3:
        spec["initContainers"] = [_container(app, 10 + number, chance) for number in range(1)]
        if chance.random() < 0.5:
            spec["initContainers"][-1]["restartPolicy"] = "Always"
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
    kind = chance.random()
    if kind < 0.05:
        spec["affinity"] = {"podAntiAffinity": {_REQUIRED: [term]}}
    elif kind < 0.5:
        spec["affinity"] = {"podAntiAffinity": {_PREFERRED: [{"weight": 100, "podAffinityTerm": term}]}}
    return spec


def _container(app: str, number: int, chance: random.Random) -> Object:
    resources = {
        "requests": {"cpu": chance.choice(("20m", "50m", "100m")), "memory": chance.choice(("64Mi", "128Mi", "256Mi"))},
        "limits": {"memory": "512Mi"},
    }
    probe = {
        "httpGet": {"path": "/healthz/ready", "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": 10,
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    env: list[Object] = [
        {"name": f"{app.upper().replace('-', '_')}_SETTING_{index}", "value": f"https://{app}-{index}.svc.example:8443"}
        for index in range(5)
    ]
    env.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}})
    mounts = [
        {"name": "config", "readOnly": True, "mountPath": "/etc/app"},
        {"name": "tmp", "mountPath": "/tmp"},
        {
            "name": "kube-api-access-%(token)s",
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        },
    ]
    return {
        "name": "app" if not number else f"helper-{number}",
        "image": f"registry.example/{app}/part-{number}:2026.11.{number}",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": env,
        "resources": resources,
        "volumeMounts": mounts,
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
        },
    }


def _volumes(app: str, chance: random.Random) -> list[Object]:
    access: Object = {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
    }
    found: list[Object] = [
        {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "kube-api-access-%(token)s", "projected": access},
    ]
    if chance.random() < 0.05:
        found.append({"name": "data", "persistentVolumeClaim": {"claimName": f"data-{app}"}})
    return found


def _annotations(app: str) -> Object:
    return {
        "checksum/config": hashlib.sha256(app.encode()).hexdigest(),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics",
        "kubectl.kubernetes.io/restartedAt": MOMENT,
    }


def _managed(manager: str, fields: Object, subresource: str = "") -> Object:
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": MOMENT,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**entry, "subresource": subresource} if subresource else entry


def _fields_of(spec: Object, labels: Object) -> Object:
    """What a server notes about who set what: the shape of the object once more, with empty leaves."""
    containers = {
        f'k:{{"name":"{one["name"]}"}}': {".": {}, **{f"f:{field}": _leaves(value) for field, value in one.items()}}
        for one in spec["containers"]
    }
    return {
        "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, **{f"f:{key}": {} for key in labels}}},
        "f:spec": {"f:containers": containers, **{f"f:{key}": {} for key in spec if key != "containers"}},
    }


def _leaves(value: Any) -> Object:
    if isinstance(value, dict):
        return {".": {}, **{f"f:{key}": _leaves(inner) for key, inner in value.items()}}
    if isinstance(value, list) and value and isinstance(value[0], dict) and "name" in value[0]:
        return {".": {}, **{f'k:{{"name":"{one["name"]}"}}': {".": {}, "f:name": {}, "f:value": {}} for one in value}}
    return {}


_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_STATUS_FIELDS: Object = {
    "f:status": {
        "f:conditions": {
            f'k:{{"type":"{kind}"}}': {
                ".": {},
                "f:lastProbeTime": {},
                "f:lastTransitionTime": {},
                "f:observedGeneration": {},
                "f:status": {},
                "f:type": {},
            }
            for kind in _CONDITIONS
        },
        "f:containerStatuses": {},
        "f:hostIP": {},
        "f:hostIPs": {},
        "f:phase": {},
        "f:podIP": {},
        "f:podIPs": {},
        "f:startTime": {},
    }
}


def _status(spec: Object) -> Object:
    conditions = [
        {
            "type": kind,
            "observedGeneration": 1,
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": "2026-11-02T09:14:21Z",
        }
        for kind in _CONDITIONS
    ]
    status = {
        "observedGeneration": 1,
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "%(ip)s",
        "hostIPs": [{"ip": "%(ip)s"}],
        "podIP": "%(ip)s",
        "podIPs": [{"ip": "%(ip)s"}],
        "startTime": MOMENT,
        "containerStatuses": [_container_status(one) for one in spec["containers"]],
        "qosClass": "Burstable",
    }
    if "initContainers" in spec:
        status["initContainerStatuses"] = [_container_status(one) for one in spec["initContainers"]]
    return status


def _container_status(container: Object) -> Object:
    return {
        "name": container["name"],
        "state": {"running": {"startedAt": "2026-11-02T09:14:12Z"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": container["image"],
        "imageID": f"registry.example/part@sha256:{hashlib.sha256(container['image'].encode()).hexdigest()}",
        "containerID": "containerd://%(hash)s",
        "started": True,
        "allocatedResources": container["resources"]["requests"],
        "resources": container["resources"],
        "volumeMounts": container["volumeMounts"],
        "user": {"linux": {"uid": 1000, "gid": 2000, "supplementalGroups": [2000]}},
    }


@lru_cache(maxsize=1)
def _node_text() -> str:
    allocatable = {
        "cpu": "7910m",
        "memory": "31129132Ki",
        "ephemeral-storage": "95491281146",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": "58",
    }
    kinds = (("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"), ("Ready", "True"))
    conditions = [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": MOMENT,
            "lastTransitionTime": MOMENT,
            "reason": f"Kubelet{kind}",
            "message": "kubelet says so",
        }
        for kind, status in kinds
    ]
    images = [
        {
            "names": [
                f"registry.example/image-{number}@sha256:{hashlib.sha256(str(number).encode()).hexdigest()}",
                f"registry.example/image-{number}:1.{number}",
            ],
            "sizeBytes": 100_000_000 + number,
        }
        for number in range(40)
    ]
    meta = {
        "name": "%(name)s",
        "uid": "%(hash)s",
        "resourceVersion": "1",
        "creationTimestamp": MOMENT,
        "labels": {
            "kubernetes.io/hostname": "%(name)s",
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": "m6i.2xlarge",
            "topology.kubernetes.io/zone": "%(zone)s",
            "topology.kubernetes.io/region": "eu-central-1",
            "karpenter.sh/nodepool": "default",
            "karpenter.sh/capacity-type": "on-demand",
        },
    }
    status = {"capacity": allocatable, "allocatable": allocatable, "conditions": conditions, "images": images}
    return _as_text({"metadata": meta, "spec": {"providerID": "aws:///%(zone)s/%(name)s"}, "status": status})
