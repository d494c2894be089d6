# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Service a version: made for a release, waited for, and deleted at its end. This module is private to the collection."""

from __future__ import annotations

from contextlib import suppress
from typing import Sequence

from ...cluster.errors import ApiError
from ...rollout.fields import Malformed
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import Json, Unroutable
from ...traffic.services import difference, is_ours, narrowed, ports_of, ready_endpoints
from ...wording import count_of
from ..call.guarded import at_any_time, guarded
from .lagging import OF_THE_SERVER, until
from .proving import NotProgrammed
from .routes import Now, Routes

# No server carries a write out later. Source: kube-apiserver, --request-timeout, a minute unless it is told otherwise.
CARRIED_OUT_SECONDS = 60.0


def ensure(routes: Routes, of_hash: str, *, dry_run: bool = False) -> str:
    """The Service of this version is there; its name. Raises Refusal."""
    account, network = routes.account, routes.network
    wanted = _wanted(routes, of_hash)
    name = str(wanted["metadata"]["name"])

    def decide(found: Json | None) -> Json | None:
        if found is None:
            return wanted
        _check(routes, found, wanted)
        return None

    def send(_found: Json | None, manifest: Json) -> Json | None:
        network.create(manifest, dry_run=dry_run)
        return manifest

    permitted = at_any_time if dry_run else routes.mine
    there = network.service(name)
    try:
        sent = guarded(there, decide, send, lambda: network.service(name), _busy(name), permitted=permitted)
    except Refusal as refused:
        if refused.may_have_written and not dry_run:
            routes.report(f'waiting until no server makes Service "{name}" any more, of which no answer tells')
            account.site.clock.sleep(CARRIED_OUT_SECONDS)
            with suppress(ApiError, Malformed):
                _take_away(routes, name)
        raise
    account.changed = account.changed or sent.change is not None
    return name


def _take_away(routes: Routes, name: str) -> None:
    """It may have been made after another run had looked what there was to delete, and had ended the release. While it has not, it finds it. No
    Lease is needed for a name that no other release has. Up to three requests."""
    found = routes.network.service(name) if routes.account.site.has_ended(int(routes.release)) else None
    if found is not None and is_ours(found, routes.owner):
        routes.network.delete(found)


def check_as_made(routes: Routes, of_hash: str) -> None:
    """Raises Refusal where `ensure` would. Two requests."""
    wanted = _wanted(routes, of_hash)
    found = routes.network.service(str(wanted["metadata"]["name"]))
    if found is not None:
        _check(routes, found, wanted)


def _wanted(routes: Routes, of_hash: str) -> Json:
    own = routes.network.service(routes.traffic.service)
    if own is None:
        raise Refusal(
            Code.SERVICE,
            f'there is no Service "{routes.traffic.service}"',
            "Apply its manifest again, then run this again",
        )
    try:
        return narrowed(own, of_hash, routes.owner, routes.release)
    except Unroutable as error:
        raise Refusal(Code.SERVICE, str(error), "Give it its selector again, then run this again") from error


def _check(routes: Routes, found: Json, wanted: Json) -> None:
    name = str(wanted["metadata"]["name"])
    if not is_ours(found, routes.owner):
        raise Refusal(
            Code.SERVICE,
            f'Service "{name}" is there already, and is not the one that this release needs',
            "Look whose it is; if nobody needs it, delete it, then run this again",
        )
    if differs := difference(found, wanted):
        raise _changed(routes, name, differs)


def _changed(routes: Routes, name: str, differs: str) -> Refusal:
    """Users may be on it: whoever deleted it would fail them."""
    own = routes.traffic.service
    ways = "" if routes.router.switches else "promote by pods, or "
    return Refusal(
        Code.SERVICE,
        f'Service "{name}" of this release {differs}: it or Service "{own}" was changed since the release began',
        f"Put back what was changed, then run this again; or {ways}take the release back with canary_undo",
    )


def keep_stable(routes: Routes, found: Sequence[Now]) -> None:
    """The Service of the stable version is there where users are sent to it. Somebody may have deleted it, which they notice at once, so that
    whoever goes on makes it anew before anything else. A request, where they are. Raises Refusal."""
    if routes.router.switches or not any(routes.router.sends_to(one.route, routes.stable) for one in found):
        return
    if routes.network.service(routes.stable) is None:
        routes.account.warn(f'Service "{routes.stable}", to which users are sent, was deleted: it is made anew')
        ensure(routes, routes.stable_hash)


def await_endpoints(routes: Routes, service: str, pods: int) -> None:
    """A proxy is told of so many pods: a share for fewer would be more than a pod is to get. They are reached at each port at which stable
    pods are. Raises NotProgrammed."""
    clock, seconds = routes.account.site.clock, routes.traffic.seconds
    beside = [routes.stable] if service != routes.stable else []
    ready, lacks = 0, frozenset[str]()

    def are_there() -> bool:
        nonlocal ready, lacks
        its, *stable = routes.network.slices(service, *beside)
        ports = frozenset[str]().union(*map(ports_of, stable))
        ready, lacks = len(ready_endpoints(its, ports)), ports - ports_of(its)
        return ready >= pods

    if not until(clock, clock.monotonic() + seconds, are_there, OF_THE_SERVER):
        lacking = ", ".join(sorted(lacks))
        why = f", and none for its port {lacking}, at which stable pods are reached" if lacking else ""
        raise NotProgrammed(
            f'Service "{service}" has {count_of(ready, "Ready endpoint")} of {pods} after {seconds} s{why}'
        )


def delete_all(routes: Routes, services: Sequence[Json]) -> None:
    """Raises Refusal where a route still names one of them, and nothing is deleted then."""
    while services:
        _check_unused(routes, services)
        for service in services:
            _delete(routes, service)
        # A list that was older than one of them did not show it.
        services = routes.network.of(routes.owner)


def _check_unused(routes: Routes, services: Sequence[Json]) -> None:
    ours = [str(service["metadata"]["name"]) for service in services]
    for one in routes.look():
        if any(routes.router.sends_to(one.route, name) for name in ours):
            raise routes.contested(one.route)


def _delete(routes: Routes, service: Json) -> None:
    account, network = routes.account, routes.network
    name = str(service["metadata"]["name"])
    by_us = True  # which holds where the answer is lost, too

    def send(_found: Json | None, there: Json) -> Json | None:
        nonlocal by_us
        by_us = network.delete(there)
        return None

    present: Json | None = service
    guarded(present, lambda found: found, send, lambda: network.service(name), _busy(name), permitted=routes.mine)
    account.changed = account.changed or by_us


def _busy(service: str) -> Refusal:
    what = f'Service "{service}" kept changing while it was to be made or deleted'
    return Refusal(Code.BUSY, what, "Find out who writes to it, then run this again")
