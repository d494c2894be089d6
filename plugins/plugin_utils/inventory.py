# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against an inventory, or a limit, of which playbooks/fleet.yml makes its releases. It is private to the collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SERVICES, CLUSTERS = "canary_services", "canary_clusters"
# Given to the play, or to any host.
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
    differs = _said_in_several_ways(variables)
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


def of_the_fleet(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the fleet itself that hosts of both groups say, also those that the limit leaves out."""
    if "canary_releases" in variables:
        return {}
    hostvars = variables["hostvars"]
    said = {name: hostvars[next(iter(hosts))][name] for name, hosts in _said(variables).items() if hosts}
    return {name.removeprefix("canary_"): value for name, value in said.items()}


def _said(variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each of them the hosts that say it, and how that is written: a template that all share is one value, whatever it amounts to for
    each of them."""
    groups, hostvars = variables["groups"], variables["hostvars"]
    hosts = dict.fromkeys(host for group in (SERVICES, CLUSTERS) for host in groups.get(group, ()))
    written = {host: hostvars.raw_get(host) for host in hosts}
    return {name: {host: own[name] for host, own in written.items() if name in own} for name in OF_THE_FLEET}


def _said_in_several_ways(variables: Mapping[str, Any]) -> str:
    """The first for which hosts say different things; empty: they do of none. What the play itself says takes the place of them all."""
    for name, hosts in _said(variables).items():
        values = list(hosts.values())
        of_the_play = name in variables and variables[name] not in values
        if not of_the_play and any(other != values[0] for other in values[1:]):
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
