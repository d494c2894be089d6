# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Service a version: the user's own, narrowed to one pod-template-hash. Its selector never changes, so that nothing is ever
switched under a proxy that still sends there.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..rollout.fields import Fields
from ..values import dataclass
from .exposure import Json, Unroutable

HASH_LABEL = "pod-template-hash"
# Of an EndpointSlice.
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY, DEPLOYMENT_LABEL = "app.kubernetes.io/managed-by", "coalmine.canary/deployment"
MANAGER = "coalmine.canary"
# A DNS label (RFC 1035), as the name of a Service is.
LONGEST_NAME = 63
# What says how traffic reaches the pods goes on for one version; what gives a Service an address of its own does not, nor internalTrafficPolicy: a
# canary of one pod would be there for the proxies of one node alone.
_COPIED = (
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "ipFamilies",
    "ipFamilyPolicy",
)
_PORT = ("name", "port", "targetPort", "protocol", "appProtocol")
# Annotations of whoever applied the Service or gave it an address or a name, and those by which somebody reads its pods, who would read each
# pod twice and count it so; those that tell a proxy how to send stay.
_NOT_COPIED = (
    "kubectl.kubernetes.io/", "meta.helm.sh/", "argocd.argoproj.io/", "external-dns.", "service.beta.kubernetes.io/", "metallb.",
    "cloud.google.com/neg-status", "coalmine.canary/", "dns.alpha.kubernetes.io/", "tailscale.com/", "getambassador.io/",
    "prometheus.io/", "ad.datadoghq.com/", "k8s.grafana.com/", "newrelic.io/", "co.elastic.",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """The Deployment: what is made for it goes with it."""

    name: str
    uid: str


def service_name(own: str, of_hash: str, release: str) -> str:
    """`release` tells it from the Service of the same version in another release: what a proxy still knows of that one proves
    nothing of this one."""
    rest = f"-{of_hash}-{release}"
    return f"{own[: LONGEST_NAME - len(rest)].rstrip('-')}{rest}"


def version_in(name: str) -> str:
    """The pod-template-hash in such a name; neither a hash nor a release has a dash."""
    return name.split("-")[-2]


def release_in(name: str) -> str:
    return name.rpartition("-")[2]


def check(own: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Raises Unroutable for a Service that cannot be narrowed to one version. `labels`: of the pods of both versions."""
    name, spec = own["metadata"]["name"], own.get("spec") or {}
    selector = spec.get("selector") or {}
    if spec.get("type") == "ExternalName" or not selector:
        raise Unroutable(f"Service {name} selects no pods (it has no selector, or is an ExternalName)")
    if spec.get("publishNotReadyAddresses"):
        raise Unroutable(
            f"Service {name} has publishNotReadyAddresses, so that a canary which is not Ready would get requests"
        )
    wrong = sorted(key for key, value in selector.items() if labels.get(key) != value)
    if wrong:
        raise Unroutable(
            f"Service {name} selects by the label {wrong[0]}, which the pods of both versions do not have so"
        )


def narrowed(own: Mapping[str, Any], of_hash: str, owner: Owner, release: str) -> Json:
    """The manifest of the Service of one version. No label of the user's: what selects Services by them would count pods twice. Raises
    Unroutable where the selector has gone since it was checked."""
    meta, spec = own["metadata"], own["spec"]
    if not spec.get("selector"):
        raise Unroutable(f"Service {meta['name']} selects no pods any more")
    annotations = {key: text for key, text in (meta.get("annotations") or {}).items() if not _of_somebody(key)}
    ports = [{key: port[key] for key in _PORT if port.get(key) is not None} for port in spec.get("ports") or ()]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.name, "uid": owner.uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(meta["name"], of_hash, release),
            "namespace": meta["namespace"],
            "labels": {MANAGED_BY: MANAGER, DEPLOYMENT_LABEL: _label(owner.name)},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [{**reference, "controller": False, "blockOwnerDeletion": False}],
        },
        "spec": {
            "type": "ClusterIP",
            **({"clusterIP": "None"} if spec.get("clusterIP") == "None" else {}),
            "selector": {**spec["selector"], HASH_LABEL: of_hash},
            "ports": ports,
            **{key: spec[key] for key in _COPIED if spec.get(key) is not None},
        },
    }


def _of_somebody(key: str) -> bool:
    return key.startswith(_NOT_COPIED) or ".toolkit.fluxcd.io/" in key or key.endswith(("/scrape", "_scrape"))


def _label(name: str) -> str:
    """A label holds 63 characters and ends with a letter or a digit."""
    return name[:63].rstrip("-.")


def is_ours(found: Mapping[str, Any], owner: Owner) -> bool:
    """Made for one version of this very Deployment. Somebody may take its labels away, or by hand let it select both versions, and not both."""
    meta = found.get("metadata") or {}
    made = bool(version_of(found)) or (meta.get("labels") or {}).get(MANAGED_BY) == MANAGER
    return made and any(ref.get("uid") == owner.uid for ref in meta.get("ownerReferences") or ())


def version_of(service: Mapping[str, Any]) -> str:
    """The pod-template-hash that it selects."""
    return str(((service.get("spec") or {}).get("selector") or {}).get(HASH_LABEL) or "")


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """In words, where it does not select the same pods at the same ports; empty where it serves as `wanted`. What the server filled in, and a
    port more, does not count."""
    there, asked = found.get("spec") or {}, wanted["spec"]
    has, wants = there.get("ports") or (), asked["ports"]
    alike = [{key: port[key] for key in one if key in port} for port, one in zip(has, wants, strict=False)]
    told = []
    if there.get("selector") != asked["selector"]:
        told.append(f"selects {_selected(there)} instead of {_selected(asked)}")
    if alike != wants:
        told.append(f"has {_ports(has)} instead of {_ports(wants)}")
    return ", and ".join(told)


def _selected(spec: Mapping[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items())) or "nothing"


def _ports(ports: Sequence[Mapping[str, Any]]) -> str:
    """As kubectl writes them, and where they lead to."""
    told = (
        f"{port.get('name') or ''} {port.get('port')}:{port.get('targetPort', port.get('port'))}/{port.get('protocol', 'TCP')}"
        + (f" {port['appProtocol']}" if port.get("appProtocol") else "")
        for port in ports
    )
    return f"port {', '.join(map(str.strip, told))}" if ports else "no port"


def check_ports(own: Mapping[str, Any], stable: Mapping[str, Any], canary: Mapping[str, Any]) -> None:
    """Raises Unroutable where the Service sends to a container port by a name that the stable pod template has and the canary's has not:
    the canary's endpoints would lack that port, however Ready its pods are. What neither has, a webhook may add."""
    there, left = _container_ports(stable), _container_ports(canary)
    for port in (own.get("spec") or {}).get("ports") or ():
        name, protocol = port.get("targetPort"), port.get("protocol") or "TCP"
        if isinstance(name, str) and (name, protocol) in there and (name, protocol) not in left:
            raise Unroutable(
                f'Service {own["metadata"]["name"]} sends to the container port "{name}" ({protocol}), which no container of the new pod '
                "template has, so that nobody would reach its pods"
            )


def _container_ports(template: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Names and protocols among which the controller looks for a named targetPort. Source: FindPort, k8s.io/kubernetes/pkg/api/v1/pod/util.go."""
    spec = Fields(template, "PodTemplateSpec").within("spec")
    sidecars = [one for one in spec.each("initContainers") if one.text("restartPolicy") == "Always"]
    return frozenset(
        (port.text("name"), port.text("protocol") or "TCP")
        for container in (*spec.each("containers"), *sidecars)
        for port in container.each("ports")
    )


def ready_endpoints(slices: Iterable[Mapping[str, Any]], ports: frozenset[str] = frozenset()) -> frozenset[str]:
    """Pods that take requests at all these ports, by what tells one endpoint from another; a condition that is not told counts as so. With
    two families of addresses a pod is in a slice of each, and counts where each that has any knows it. The controller writes a slice
    without a port that it does not find in the pods. Source: discovery/v1 types.go; getEndpointPorts, k8s.io/endpointslice/utils.go."""
    families: dict[str, set[str]] = {}
    for one in slices:
        found = {
            str((endpoint.get("targetRef") or {}).get("uid") or address)
            for endpoint in one.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint.get("addresses") or ()
        }
        if found and ports <= ports_of([one]):
            families.setdefault(str(one.get("addressType")), set()).update(found)
    known = [frozenset(pods) for pods in families.values()]
    return frozenset.intersection(*known) if known else frozenset()


def is_of_controller(one: Mapping[str, Any]) -> bool:
    """An EndpointSlice of the pods that a Service selects. Source: discovery/v1 well_known_labels.go, LabelManagedBy; controllerName,
    pkg/controller/endpointslice/endpointslice_controller.go."""
    return _said(one, "endpointslice.kubernetes.io/managed-by") == "endpointslice-controller.k8s.io"


def serves(one: Mapping[str, Any], service: str) -> bool:
    """An EndpointSlice of this Service. Source: discovery/v1 well_known_labels.go, LabelServiceName."""
    return _said(one, SERVICE_NAME) == service


def _said(one: Mapping[str, Any], name: str) -> str:
    return str(((one.get("metadata") or {}).get("labels") or {}).get(name) or "")


def ports_of(slices: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of the ports at which some pod of it is reached; an only port may have the empty one."""
    return frozenset(str(port.get("name") or "") for one in slices for port in one.get("ports") or ())
