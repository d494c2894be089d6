# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where users of a route come in: the listeners of a Gateway that it is attached to.

Source: ParentReference and AllowedRoutes, sigs.k8s.io/gateway-api/apis/v1/shared_types.go and gateway_types.go. This module is private to
the collection.
"""

from __future__ import annotations

from typing import Iterator

from ..rollout.fields import Fields
from ..values import dataclass
from .route import Parent, Route

_PROTOCOLS = {"HTTP": False, "HTTPS": True}


@dataclass(frozen=True)
class Way:
    """By one listener. `host`: whose requests these are; empty where neither the listener nor the route names one."""

    port: int
    host: str
    tls: bool


def ways(gateway: Fields, route: Route, parent: Parent) -> list[Way]:
    """One for each listener. Of one that takes routes of namespaces with certain labels nobody here knows these, so it counts. Raises
    Malformed."""
    found = dict.fromkeys(way for one in gateway.within("spec").each("listeners") for way in _way(one, route, parent))
    return list(found)


def _way(listener: Fields, route: Route, parent: Parent) -> Iterator[Way]:
    protocol, port = listener.text("protocol"), listener.count("port")
    named = parent.section in ("", listener.text("name")) and parent.port in (None, port)
    if protocol not in _PROTOCOLS or not named or not _takes(listener, route, parent):
        return
    hosts = [_both(listener.text("hostname"), host) for host in route.hostnames or ("",)]
    host = next((host for host in hosts if host is not None), None)
    if host is not None:
        yield Way(port or 0, host, _PROTOCOLS[protocol])


def _takes(listener: Fields, route: Route, parent: Parent) -> bool:
    allowed = listener.within("allowedRoutes")
    whose = allowed.within("namespaces").text("from") or "Same"
    kinds = [kind.text("kind") for kind in allowed.each("kinds")]
    here = whose != "None" and (whose != "Same" or route.namespace == parent.namespace)
    return here and (not kinds or route.kind in kinds)


def _both(listener: str, route: str) -> str | None:
    """The host that both take, the narrower of the two; None where they take none together."""
    if not listener or not route or listener == route:
        return listener or route
    for wide, narrow in ((listener, route), (route, listener)):
        if wide.startswith("*.") and narrow.endswith(wide[1:]):
            return narrow
    return None
