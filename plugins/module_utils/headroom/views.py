# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen views of API objects: of each only what decides where pods go.

Every `..._view` function takes one object as the API server writes it (parsed JSON).
This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Protocol, Sequence

from ..values import dataclass
from . import selectors as sel
from .pod_request import RESIZE_PENDING, is_resize_infeasible, is_sidecar, pod_requests
from .quantity import Amounts, amounts, scheduler_units

Object = Mapping[str, Any]
HOSTNAME = "kubernetes.io/hostname"
ANY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the node that a pod takes for itself."""

    address: str
    protocol: str
    number: int

    def conflicts(self, other: Port) -> bool:
        """Source: `HostPortInfo.CheckConflict`, kube-scheduler framework/types.go."""
        if (self.protocol, self.number) != (other.protocol, other.number):
            return False
        return ANY_ADDRESS in (self.address, other.address) or self.address == other.address


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk named in the pod itself; `identities` overlap when two mean the same disk."""

    kind: str
    identities: frozenset[str]
    read_only: bool

    def conflicts(self, other: Disk) -> bool:
        """Source: `isVolumeConflict`, plugins/volumerestrictions; EBS refuses two readers too."""
        if self.kind != other.kind or not self.identities & other.identities:
            return False
        return self.kind == "awsElasticBlockStore" or not (self.read_only and other.read_only)


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One required term of inter-pod affinity or anti-affinity."""

    namespaces: frozenset[str]
    namespace_selector: sel.Selector
    selector: sel.Selector
    key: str

    def matches(self, namespace: str, labels: sel.Labels, namespace_labels: sel.Labels) -> bool:
        """Source: `AffinityTerm.Matches`, kube-scheduler framework/types.go."""
        in_scope = namespace in self.namespaces or self.namespace_selector.selects(namespace_labels)
        return in_scope and self.selector.selects(labels)


@dataclass(frozen=True, slots=True)
class Spread:
    """One topology spread constraint that forbids (`whenUnsatisfiable: DoNotSchedule`)."""

    key: str
    max_skew: int
    min_domains: int
    selector: sel.Selector
    honor_affinity: bool
    honor_taints: bool


@dataclass(frozen=True, slots=True)
class PodKind:
    """What pods of one workload have in common: as others feel them, wherever they are. `request` is in the scheduler's units."""

    namespace: str
    labels: sel.Labels
    priority: int
    request: Amounts
    ports: tuple[Port, ...]
    anti_affinity: tuple[AffinityTerm, ...]
    claims: tuple[str, ...]
    disks: tuple[Disk, ...]
    owner: str
    owner_kind: str


class Pod(NamedTuple):
    """A pod that exists. `node` is empty while it is pending. One is made for each of 150,000: a tuple is made fastest."""

    kind: PodKind
    node: str
    nominated: str
    terminating: bool
    started: str

    @property
    def namespace(self) -> str:
        return self.kind.namespace

    @property
    def labels(self) -> sel.Labels:
        return self.kind.labels

    @property
    def priority(self) -> int:
        return self.kind.priority

    @property
    def request(self) -> Amounts:
        return self.kind.request

    @property
    def ports(self) -> tuple[Port, ...]:
        return self.kind.ports

    @property
    def anti_affinity(self) -> tuple[AffinityTerm, ...]:
        return self.kind.anti_affinity

    @property
    def claims(self) -> tuple[str, ...]:
        return self.kind.claims

    @property
    def disks(self) -> tuple[Disk, ...]:
        return self.kind.disks

    @property
    def owner(self) -> str:
        return self.kind.owner


@dataclass(frozen=True)
class Incoming:
    """The pod to be placed, with all its wishes. `request` is in the scheduler's units."""

    namespace: str
    labels: sel.Labels
    request: Amounts
    priority: int
    may_preempt: bool
    ports: tuple[Port, ...]
    tolerations: tuple[sel.Toleration, ...]
    node_selector: Mapping[str, str]
    node_terms: tuple[sel.NodeTerm, ...] | None
    affinity: tuple[AffinityTerm, ...]
    anti_affinity: tuple[AffinityTerm, ...]
    spreads: tuple[Spread, ...]
    claims: tuple[str, ...]
    ephemeral_claims: bool
    inline_csi_drivers: frozenset[str]
    disks: tuple[Disk, ...]
    features: frozenset[str]
    node_name: str
    scheduler: str
    gates: tuple[str, ...]
    resource_claims: bool

    def wants_node(self, node: Node) -> bool:
        """Node selector and required node affinity (`RequiredNodeAffinity.Match`)."""
        if any(node.labels.get(key) != value for key, value in self.node_selector.items()):
            return False
        return self.node_terms is None or any(term.matches(node.labels, node.name) for term in self.node_terms)


@dataclass(frozen=True)
class Node:
    """`allocatable` in the scheduler's units; `pods` is how many pods it takes."""

    name: str
    labels: sel.Labels
    taints: tuple[sel.Taint, ...]
    unschedulable: bool
    allocatable: Amounts
    pods: int
    features: frozenset[str]
    ready: bool


def node_view(raw: Object) -> Node:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    allocatable = amounts(status.get("allocatable"))
    pods = allocatable.pop("pods", 0)
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ())
    return Node(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels") or {},
        taints=sel.taints(spec.get("taints")),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=scheduler_units(allocatable),
        pods=-(-pods // 1000),
        features=frozenset(status.get("declaredFeatures") or ()),
        ready=ready,
    )


class NodeViews:
    """Views of the nodes of a list, one after another. Most nodes have the same labels and sizes in the same words, which are kept once."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._sizes: dict[frozenset[tuple[str, int]], Amounts] = {}

    def view(self, raw: Object) -> Node:
        """The same as `node_view`."""
        one, once = node_view(raw), self._words.setdefault
        return replace(
            one,
            labels={once(key, key): once(value, value) for key, value in one.labels.items()},
            allocatable=self._sizes.setdefault(frozenset(one.allocatable.items()), one.allocatable),
        )


_OVER = ("Succeeded", "Failed")


def is_over(raw: Object) -> bool:
    """Finished pods hold nothing (the scheduler's informer leaves them out)."""
    return (raw.get("status") or {}).get("phase") in _OVER


def pod_view(raw: Object, minor: int) -> Pod:
    """A pod of the cluster; see `is_over` for those that do not count."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    return Pod(
        kind=_kind(raw, minor),
        node=spec.get("nodeName") or "",
        nominated=status.get("nominatedNodeName") or "",
        terminating=bool(raw["metadata"].get("deletionTimestamp")),
        started=status.get("startTime") or "",
    )


def _kind(raw: Object, minor: int) -> PodKind:
    meta, spec = raw["metadata"], raw.get("spec") or {}
    owner: Object = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), {})
    anti = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    volumes = spec.get("volumes") or ()
    return PodKind(
        namespace=meta["namespace"],
        labels=meta.get("labels") or {},
        priority=spec.get("priority") or 0,
        request=scheduler_units(pod_requests(raw, minor, running=True)),
        ports=_ports(spec),
        anti_affinity=_terms(anti, meta["namespace"]) if anti else (),
        claims=_claims(volumes) if volumes else (),
        disks=_disks(volumes) if volumes else (),
        owner=owner.get("uid") or "",
        owner_kind=owner.get("kind") or "",
    )


# All that a kind is worked out from, and all else that is looked at of every pod.
_OF_A_KIND = (
    "metadata.namespace",
    "metadata.labels",
    "metadata.ownerReferences",
    "spec.containers",
    "spec.initContainers",
    "spec.volumes",
    "spec.affinity",
    "spec.priority",
    "spec.overhead",
    "spec.resources",
    "status.containerStatuses",
    "status.initContainerStatuses",
    "status.resources",
    "status.allocatedResources",
)
_OF_ITS_OWN = (
    "spec.nodeName",
    "status.nominatedNodeName",
    "metadata.deletionTimestamp",
    "status.startTime",
    "status.phase",
    "status.conditions",
)


class Glances(Protocol):
    """How to look at many objects quickly; see cluster/lists.py."""

    @property
    def fields(self) -> Callable[[Sequence[str]], Callable[[Object], tuple[Any, ...]]]:
        """Takes the values at some paths."""

    @property
    def mentions(self) -> Callable[[str], Callable[[Any], bool]]:
        """Whether a word may be in a value."""


class PodViews:
    """Views of the pods of a list, one after another.

    Neighbours in a list are mostly pods of one owner, alike but for their node. Where all fields that a kind is worked out from are
    equal, the neighbour's kind is used again, which takes a fraction of the time, and saves memory.
    """

    def __init__(self, minor: int, glances: Glances) -> None:
        self._minor = minor
        self._of_a_kind, self._of_its_own = glances.fields(_OF_A_KIND), glances.fields(_OF_ITS_OWN)
        self._mentions_resize = glances.mentions(RESIZE_PENDING)
        self._seen: tuple[Any, ...] = ()
        self._last: PodKind | None = None

    def view(self, raw: Object) -> Pod | None:
        """The same as `pod_view`; None for a pod that is over."""
        try:
            alike = self._of_a_kind(raw)
            node, nominated, ending, started, phase, conditions = self._of_its_own(raw)
        except AttributeError:  # without a spec or a status there is nothing to take out of it
            return None if is_over(raw) else pod_view(raw, self._minor)
        if phase in _OVER:
            return None
        seen = (alike, self._mentions_resize(conditions) and is_resize_infeasible(raw))
        kind = self._last
        if kind is None or seen != self._seen:
            self._seen = seen
            self._last = kind = _kind(raw, self._minor)
        return Pod(kind, node or "", nominated or "", bool(ending), started or "")

    def forget(self) -> None:
        """The next pod is not compared with the last one, which may hold the memory of its whole page."""
        self._seen, self._last = (), None


def incoming_view(raw: Object, minor: int) -> Incoming:
    """The pod as admission would make it (from a dry run), or as the template says it."""
    meta, spec = raw["metadata"], raw.get("spec") or {}
    labels, namespace = meta.get("labels") or {}, meta["namespace"]
    affinity = spec.get("affinity") or {}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    volumes = spec.get("volumes") or ()
    return Incoming(
        namespace=namespace,
        labels=labels,
        request=scheduler_units(pod_requests(raw, minor, running=False)),
        priority=spec.get("priority") or 0,
        may_preempt=spec.get("preemptionPolicy") != "Never",
        ports=_ports(spec),
        tolerations=sel.tolerations(spec.get("tolerations")),
        node_selector=spec.get("nodeSelector") or {},
        node_terms=sel.node_terms((affinity.get("nodeAffinity") or {}).get(required)),
        affinity=_terms((affinity.get("podAffinity") or {}).get(required), namespace),
        anti_affinity=_terms((affinity.get("podAntiAffinity") or {}).get(required), namespace),
        spreads=_spreads(spec.get("topologySpreadConstraints"), labels),
        claims=_claims(volumes),
        ephemeral_claims=any("ephemeral" in volume for volume in volumes),
        inline_csi_drivers=frozenset(volume["csi"]["driver"] for volume in volumes if volume.get("csi")),
        disks=_disks(volumes),
        features=_features(spec, minor),
        node_name=spec.get("nodeName") or "",
        scheduler=spec.get("schedulerName") or "default-scheduler",
        gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        resource_claims=bool(spec.get("resourceClaims")),
    )


def _ports(spec: Object) -> tuple[Port, ...]:
    """Host ports of containers and sidecars (`GetHostPorts`, pkg/scheduler/util)."""
    lasting = (*(c for c in spec.get("initContainers") or () if is_sidecar(c)), *(spec.get("containers") or ()))
    return tuple(
        Port(port.get("hostIP") or ANY_ADDRESS, port.get("protocol") or "TCP", port["hostPort"])
        for container in lasting
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _terms(raw: Iterable[Object] | None, namespace: str) -> tuple[AffinityTerm, ...]:
    return tuple(
        AffinityTerm(
            namespaces=frozenset(
                term.get("namespaces") or ((namespace,) if term.get("namespaceSelector") is None else ()),
            ),
            namespace_selector=sel.label_selector(term.get("namespaceSelector")),
            selector=sel.label_selector(term.get("labelSelector")),
            key=term["topologyKey"],
        )
        for term in raw or ()
    )


def _spreads(raw: Iterable[Object] | None, labels: sel.Labels) -> tuple[Spread, ...]:
    """Only those that forbid. `matchLabelKeys` narrow the selector to pods like this one (`mergeLabelSetWithSelector`)."""
    return tuple(
        Spread(
            key=one["topologyKey"],
            max_skew=one["maxSkew"],
            min_domains=one.get("minDomains") or 1,
            selector=sel.label_selector(one.get("labelSelector")).narrowed(
                sel.Requirement(key, "In", frozenset((labels[key],)))
                for key in one.get("matchLabelKeys") or ()
                if key in labels
            ),
            honor_affinity=one.get("nodeAffinityPolicy", "Honor") == "Honor",
            honor_taints=one.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )
        for one in raw or ()
        if one.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
    )


def _claims(volumes: Iterable[Object]) -> tuple[str, ...]:
    return tuple(
        volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")
    )


def _disks(volumes: Iterable[Object]) -> tuple[Disk, ...]:
    found = []
    for volume in volumes:
        if gce := volume.get("gcePersistentDisk"):
            found.append(Disk("gcePersistentDisk", frozenset((gce["pdName"],)), bool(gce.get("readOnly"))))
        if ebs := volume.get("awsElasticBlockStore"):
            found.append(Disk("awsElasticBlockStore", frozenset((ebs["volumeID"],)), bool(ebs.get("readOnly"))))
        if iscsi := volume.get("iscsi"):
            found.append(Disk("iscsi", frozenset((iscsi["iqn"],)), bool(iscsi.get("readOnly"))))
        if rbd := volume.get("rbd"):
            image = f"{rbd.get('pool', 'rbd')}/{rbd['image']}"
            found.append(Disk("rbd", frozenset(f"{one}/{image}" for one in rbd["monitors"]), bool(rbd.get("readOnly"))))
    return tuple(found)


def _features(spec: Object, minor: int) -> frozenset[str]:
    """Node features that the spec asks for (k8s.io/component-helpers nodedeclaredfeatures, filtered on since 1.36)."""
    if minor < 36:
        return frozenset()
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    rules = (rule for container in containers for rule in container.get("restartPolicyRules") or ())
    mounts = (mount for container in containers for mount in container.get("volumeMounts") or ())
    asked = {
        "RestartAllContainersOnContainerExits": any(rule.get("action") == "RestartAllContainers" for rule in rules),
        "UserNamespacesHostNetworkSupport": bool(spec.get("hostNetwork")) and spec.get("hostUsers") is False,
        "VolumeBindMountOptions": any(mount.get("bindMountOptions") for mount in mounts),
    }
    return frozenset(name for name, is_asked in asked.items() if is_asked)
