# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes and the Service that a release is to use. This module is private to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ...cluster.errors import Forbidden, NotFound
from ...rollout.phase import Situation
from ...rollout.record import RouteRef, Traffic
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import Json, Unroutable
from ...traffic.kinds import KINDS
from ...traffic.route import Route
from ...traffic.routers import Policy
from ...traffic.selector import owners
from ...traffic.services import HASH_LABEL, check, check_ports
from ..call.ending import Account
from ..call.orders import TrafficRequest
from ..call.outcome import Report
from .forgotten import recovered
from .network import Network
from .reclaiming import check_free, left_on, reclaimed

_ALONE = "Give traffic.service a Service of this Deployment alone"
# What a Service may say that a switch does not bear without its clients' notice.
_BY_NODE = "so that what comes to a node without a pod of the version that users are switched to is dropped"
_SWITCHED = (
    (
        "clusterIP",
        "None",
        "is headless: its clients have addresses of pods from DNS, and stay with the version that they had for as long as they keep those, also when "
        "its pods have gone",
    ),
    ("internalTrafficPolicy", "Local", f"has internalTrafficPolicy Local, {_BY_NODE}"),
    (
        "externalTrafficPolicy",
        "Local",
        f"has externalTrafficPolicy Local, {_BY_NODE} until its load balancer has noticed",
    ),
)
# Annotations of Cilium's mesh of clusters: pods of others are behind such a Service, and in no EndpointSlice of it.
_GLOBAL = ("service.cilium.io/global", "io.cilium/global-service")


def choose(
    account: Account, wanted: TrafficRequest, situation: Situation, template: Mapping[str, Any], report: Report
) -> Traffic:
    """The routes and the Service that a release is to use. Raises Refusal. `template`: of the new pods.

    Reads the routes of the namespace, each Service that they name, and the pods of the one that is taken.
    """
    site = account.site
    network = Network(site.api, site.target.namespace, wanted.kind, site.version)
    kind, named = network.router.kind, network.router.named
    stable = situation.stable
    templates = [template, template if stable is None else stable.template]
    if network.router.switches:
        return _to_switch(account, network, wanted, templates, situation, report)
    routes, uid = _named(network, wanted), situation.deployment.uid
    if recovered(account, network, routes, report):
        routes = _named(network, wanted)
    versions = [labels_of(one) for one in templates]
    own = _service(network, wanted.service) if wanted.service else _only_service(network, routes, versions[1])
    check_service(network, own, versions, situation)
    _check_ports(own, templates)
    service = str(own["metadata"]["name"])
    routes = [reclaimed(account, network, route, service) for route in routes]
    spelt = next((route for route in routes if network.router.spells_out(route, service)), None)
    if spelt is not None:
        raise Refusal(
            Code.NO_ROUTE,
            f'{kind} "{spelt.name}" names Service "{service}" with its namespace, and such a backend is not rewritten, so that its '
            "users would get the canary by its pods",
            "Leave the namespace out there: it is the route's own",
        )
    taken = [route for route in routes if service in named(route)]
    if not taken:
        raise Refusal(
            Code.NO_ROUTE,
            f'no {kind}{_among(wanted)} in namespace "{account.site.target.namespace}" has a rule that sends to Service "{service}"',
            f"Name routes in traffic.routes whose backends name that Service, without a namespace{_elsewhere(network)}",
        )
    if not wanted.routes:
        _check_classes(network, taken, service)
    for route in taken:
        check_free(route, uid)
    try:
        network.router.check_service(own, taken)
    except Unroutable as error:
        raise Refusal(Code.SERVICE, str(error), "Use gateway_api, or another Service") from error
    _tell_policies(account, network, own, taken)
    _tell_address(account, network, own)
    _tell_global(account, own)
    _tell_copies(account, network, routes, service)
    refs = tuple(RouteRef(route.name, route.uid) for route in taken)
    return _traffic(wanted, service, refs)


def _elsewhere(network: Network) -> str:
    """The end of a remedy: nobody sees here what the Service gets from elsewhere."""
    if not network.router.crosses:
        return ""
    return f". A {network.router.kind} of another namespace is not read: let one of this namespace have the rules that send here"


def _check_classes(network: Network, taken: Sequence[Route], service: str) -> None:
    """One kind of controller is written for. Whose a class is, only whoever names the routes knows. Raises Refusal."""
    classes = {route.name: network.router.class_of(route) for route in taken}
    if len(set(classes.values())) > 1:
        told = ", ".join(f'"{name}" ({one})' for name, one in classes.items())
        raise Refusal(
            Code.NO_ROUTE,
            f'{network.router.kind} objects of several classes send to Service "{service}": {told}. A controller that does not know what is '
            "written for another one would give their users the canary in another share, or by its pods",
            "Name those of one controller in traffic.routes, whose classes are then all taken for its own",
        )


def _tell_policies(account: Account, network: Network, own: Json, taken: Sequence[Route]) -> None:
    """What says how the user's Service is reached does not hold for the Services of the two versions. Raises Refusal where every request would
    fail for that."""
    for policy in network.router.policies:
        if policy.counts(taken):
            _tell_policy(account, network, policy, own, taken)


def _tell_policy(account: Account, network: Network, policy: Policy, own: Json, taken: Sequence[Route]) -> None:
    service = own["metadata"]["name"]
    try:
        found = network.policies(policy, own, taken)
    except Forbidden as error:
        account.warn(f'whether a {policy.kind} says how Service "{service}" is reached is not known: {error}')
        return
    remedy = policy.remedy.format(account.site.target.namespace)
    for name, is_fatal in found.items():
        what = f'{policy.kind} "{name}" says how Service "{service}" is reached, and holds for neither Service of the two versions'
        if is_fatal:
            why = "whose pods speak TLS, so that every request would fail"
            raise Refusal(Code.TRAFFIC_POLICY, f"{what}, {why}", remedy)
        account.warn(f"{what}: {remedy[0].lower()}{remedy[1:]}")


def _tell_address(account: Account, network: Network, own: Json) -> None:
    """Whoever comes by it passes the routes by."""
    name, spec = own["metadata"]["name"], own["spec"]
    if spec.get("type") == "LoadBalancer" or spec.get("externalIPs"):
        account.warn(
            f'Service "{name}" has an address of its own, and whoever comes by that gets both versions by their pods: a share is one of the '
            f"requests through {network.router.kind} alone"
        )


def _tell_copies(account: Account, network: Network, routes: Sequence[Route], service: str) -> None:
    """Those that its owner has made of requests: no share is of them."""
    for route in routes:
        if network.router.copies_to(route, service):
            account.warn(
                f'{route.kind} "{route.name}" copies requests to Service "{service}", and copies go to the pods of both versions, also where the canary gets '
                "nobody"
            )


def _tell_global(account: Account, own: Json) -> None:
    """Pods elsewhere are of neither version."""
    meta = own["metadata"]
    if any((meta.get("annotations") or {}).get(one) == "true" for one in _GLOBAL):
        account.warn(
            f'Service "{meta["name"]}" is one of several clusters, and its pods in the others are of neither version: a share is one of the pods of this '
            "cluster alone"
        )


def _traffic(wanted: TrafficRequest, service: str, refs: tuple[RouteRef, ...]) -> Traffic:
    seconds = KINDS[wanted.kind].seconds if wanted.seconds is None else wanted.seconds
    asked = (seconds, wanted.proof, wanted.url, wanted.address, wanted.verify, wanted.kind)
    return Traffic(service, refs, True, *asked)


def _to_switch(
    account: Account,
    network: Network,
    wanted: TrafficRequest,
    templates: Sequence[Mapping[str, Any]],
    situation: Situation,
    report: Report,
) -> Traffic:
    """The Service whose selector is switched. Raises Refusal."""
    found, uid = network.routes(), situation.deployment.uid
    if recovered(account, network, found, report):
        found = network.routes()
    versions = [labels_of(one) for one in templates]
    # What a release that is over, or another Deployment's, has pinned of the selector is not the owner's.
    selectors = {route.name: owners(route) if left_on(route) is not None else route.rules[0] for route in found}
    fitting = [
        name
        for name, selector in selectors.items()
        if selector and all(versions[1].get(key) == value for key, value in selector.items())
    ]
    if not wanted.service and len(fitting) != 1:
        several = (
            f"several Services select its pods: {', '.join(fitting)}" if fitting else "no Service selects its pods"
        )
        raise Refusal(Code.SERVICE, several, "Give traffic.service")
    service = wanted.service or fitting[0]
    own = _service(network, service)
    own = {**own, "spec": {**own["spec"], "selector": selectors.get(service, {})}}
    check_service(network, own, versions, situation)
    _check_ports(own, templates)
    route = next(route for route in found if route.name == service)
    check_free(reclaimed(account, network, route, service), uid)
    for field, value, what in _SWITCHED:
        if own["spec"].get(field) == value:
            account.warn(f'Service "{service}" {what}')
    _tell_global(account, own)
    return _traffic(wanted, service, (RouteRef(service, route.uid),))


def check_same(asked: TrafficRequest, traffic: Traffic) -> None:
    """Raises Refusal for other routes than those that the release has, or another Service."""
    routes = [one.name for one in traffic.routes]
    if asked.kind != traffic.kind:
        what = f"this release has traffic of the kind {traffic.kind}, and {asked.kind} was asked for"
        raise Refusal(Code.INVALID, what, "Take the canary back with canary_undo and start it anew")
    if (asked.service and asked.service != traffic.service) or (
        asked.routes and sorted(asked.routes) != sorted(routes)
    ):
        raise Refusal(
            Code.INVALID,
            f'this release sends through {", ".join(routes)} to Service "{traffic.service}", and other routes or another Service were asked for',
            "Leave out traffic.service and traffic.routes, or take the canary back with canary_undo and start it anew",
        )


def _among(wanted: TrafficRequest) -> str:
    return f" among {', '.join(wanted.routes)}" if wanted.routes else ""


def _named(network: Network, wanted: TrafficRequest) -> list[Route]:
    try:
        if not wanted.routes:
            return network.routes()
        return [network.route(name) for name in wanted.routes]
    except NotFound as error:
        # Otherwise the server has no such API: it says so of a kind, and not of an object.
        if any(f'"{name}"' in error.message for name in wanted.routes):
            raise Refusal(Code.NO_ROUTE, error.message, "Check the names in traffic.routes") from error
        _root, _apis, group, version, *_rest = network.router.collection.split("/")
        what = f"the cluster has no {network.router.kind} of {group}/{version}"
        raise Refusal(Code.NO_ROUTE, what, "Install what brings it, or give traffic another kind") from error


def _only_service(network: Network, routes: Sequence[Route], labels: Mapping[str, str]) -> Json:
    """Also where a release that is over has left its own Services in its place."""
    left = (kept.versions.own for route in routes if (kept := left_on(route)) is not None)
    named = frozenset(left).union(*map(network.router.named, routes))
    fitting: list[Json] = []
    for name in sorted(named):
        found = network.service(name)
        selector = ((found or {}).get("spec") or {}).get("selector") or {}
        if found and selector and all(labels.get(key) == value for key, value in selector.items()):
            fitting.append(found)
    if len(fitting) == 1:
        return fitting[0]
    several = (
        f"several Services that select its pods: {', '.join(one['metadata']['name'] for one in fitting)}"
        if fitting
        else "no Service that selects its pods"
    )
    raise Refusal(
        Code.NO_ROUTE,
        f"the {network.router.kind} objects name {several}",
        f"Give traffic.service, and traffic.routes where there are others{_elsewhere(network)}",
    )


def _service(network: Network, name: str) -> Json:
    found = network.service(name)
    if found is None:
        what = f'there is no Service "{name}"'
        raise Refusal(Code.SERVICE, what, "Give traffic.service the Service that the routes name")
    return found


def labels_of(template: Mapping[str, Any]) -> Mapping[str, str]:
    """Without that of one version: a Service by which it is selected was made for a release."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    return {key: text for key, text in labels.items() if key != HASH_LABEL}


def _check_ports(own: Json, templates: Sequence[Mapping[str, Any]]) -> None:
    """`templates`: of the new pods, and of stable ones."""
    new, stable = templates
    try:
        check_ports(own, stable, new)
    except Unroutable as error:
        remedy = "Give a container of the new version a port of this name, or the Service a targetPort that both versions have"
        raise Refusal(Code.SERVICE, str(error), remedy) from error


def check_service(network: Network, own: Json, versions: Sequence[Mapping[str, str]], situation: Situation) -> None:
    """It selects pods of this Deployment alone, and of both versions."""
    try:
        for labels in versions:
            check(own, labels)
    except Unroutable as error:
        raise Refusal(Code.SERVICE, str(error), _ALONE) from error
    check_alone(network, own, situation)


def check_alone(network: Network, own: Json, situation: Situation) -> None:
    """No pod of anybody else gets requests by it, or will, and nothing that is no pod here. Raises Refusal."""
    name, ours = own["metadata"]["name"], {rs.uid for rs in situation.picture.replica_sets}
    selected = network.pods(own["spec"]["selector"])
    strangers = [pod.name for pod in selected if pod.owner_uid not in ours and pod.may_serve]
    if strangers:
        what = f'Service "{name}" also selects pods of another owner, such as {strangers[0]}, which would get no requests any more'
        raise Refusal(Code.SERVICE, what, _ALONE)
    added = network.added(name) - {pod.uid for pod in selected}
    if added:
        what = f'Service "{name}" also has endpoints by an EndpointSlice of somebody else, such as {min(added)}, which would get no requests any more'
        raise Refusal(Code.SERVICE, what, _ALONE)
