# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DestinationRule of Istio, which says how a host is reached, by whatever route: a VirtualService, or one of the Gateway API.

Source: DestinationRule and ClientTLSSettings, networking/v1alpha3/destination_rule.proto, istio.io/api. This module is private to the
collection.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..rollout.fields import Fields
from .route import Route


def service_of(host: str, namespace: str) -> str:
    """The Service of this namespace that a host is; empty for any other host. Kubernetes, DNS for Services and Pods."""
    name, *rest = host.split(".")
    here = not rest or (rest[0] == namespace and (len(rest) == 1 or rest[1] == "svc"))
    return name if here else ""


def governs(item: Mapping[str, Any], own: Mapping[str, Any], _routes: Sequence[Route]) -> bool:
    """A DestinationRule that says how this very Service is reached. Subsets alone say nothing of that."""
    found = Fields(item, "DestinationRule")
    spec, namespace = found.within("spec"), found.within("metadata").text("namespace")
    return (
        bool(spec.within("trafficPolicy").raw) and service_of(spec.text("host"), namespace) == own["metadata"]["name"]
    )


def is_fatal(item: Mapping[str, Any]) -> bool:
    """A DestinationRule by which the Service is reached by TLS that its pods themselves speak, so that nobody reaches them otherwise. A mesh's
    own (ISTIO_MUTUAL) is there without it. Also one of a port."""
    policy = Fields(item, "DestinationRule").within("spec").within("trafficPolicy")
    modes = [one.within("tls").text("mode") for one in (policy, *policy.each("portLevelSettings"))]
    return any(mode in ("SIMPLE", "MUTUAL") for mode in modes)
