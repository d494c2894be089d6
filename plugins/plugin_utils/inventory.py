# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against an inventory, or a limit, of which playbooks/fleet.yml makes its releases. It is private to the collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SERVICES, CLUSTERS = "canary_services", "canary_clusters"
# As playbooks/fleet.yml reads them of any host.
OF_THE_FLEET = tuple(
    f"canary_{name}"
    for name in (
        "defaults",
        "waves",
        "together",
        "max_failures",
        "between",
        "at_once",
        "when_crowded",
        "run",
        "display",
    )
)


def objection(variables: Mapping[str, Any]) -> str:
    """Of the variables of a task of that playbook. Empty: nothing does, or the releases are listed (canary_releases) and not made.

    A service says by `canary_clusters` where it is released: [] nowhere, not given in every cluster.
    """
    if "canary_releases" in variables:
        return ""
    groups, hostvars = variables["groups"], variables["hostvars"]
    wanted = {service: hostvars[service].get(CLUSTERS, []) for service in groups.get(SERVICES, ())}
    unsaid = sorted(service for service, clusters in wanted.items() if clusters is None or clusters == "")
    unknown = sorted(set(_flat(wanted.values())).difference(groups.get(CLUSTERS, ())))
    unread = _unread(variables)
    differs = _said_in_several_ways(groups, hostvars)
    if unsaid:
        return f"{CLUSTERS} of {', '.join(unsaid)} is empty: give [] for no cluster, or leave it out for every one"
    if unknown:
        return (
            f"No host of the group {CLUSTERS} is called {', '.join(unknown)}, and {CLUSTERS} of a service lists those"
        )
    if differs:
        return (
            f"{differs} is of the fleet as a whole, and hosts of the inventory say several of it. Give it once: to the group all, to one of the "
            "two groups, or as an extra variable"
        )
    if unread:
        return f"The limit names a file, and no host of {', '.join(unread)}. Give what it excludes in the limit itself, or hosts of both"
    return ""


def _said_in_several_ways(groups: Mapping[str, Any], hostvars: Mapping[str, Any]) -> str:
    """The first of what is of the fleet itself for which hosts give different values; empty: none does."""
    hosts = [hostvars[host] for group in (SERVICES, CLUSTERS) for host in groups.get(group, ())]
    for name in OF_THE_FLEET:
        said = [own[name] for own in hosts if name in own]
        if any(other != said[0] for other in said[1:]):
            return name
    return ""


def _unread(variables: Mapping[str, Any]) -> list[str]:
    """The groups of which a limit leaves no host that may exclude some: what a file of a limit excludes is not in its text."""
    left = set(variables["ansible_play_hosts_all"])
    groups = {name: variables["groups"].get(name, ()) for name in (SERVICES, CLUSTERS)}
    reads_a_file = "@" in variables.get("ansible_limit", "")
    return [name for name, hosts in groups.items() if reads_a_file and hosts and left.isdisjoint(hosts)]


def _flat(values: Iterable[Any]) -> Iterable[str]:
    """Names, and those in lists of lists of them; null is none."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        elif value is not None:
            yield str(value)
