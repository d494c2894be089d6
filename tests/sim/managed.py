# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who manages which field of an object (metadata.managedFields), by whole members of its spec."""

from __future__ import annotations

from dataclasses import dataclass

from .objects import Json, moment

_MEMBERS = {
    "deployments": ("replicas", "template", "strategy", "minReadySeconds", "progressDeadlineSeconds", "paused"),
    "horizontalpodautoscalers": ("minReplicas", "maxReplicas", "behavior"),
    "httproutes": ("rules",),
    "ingresses": ("rules",),
    "grpcroutes": ("rules",),
    "virtualservices": ("http",),
    "services": ("selector",),
}
# What is stored of these like that is nothing, and nobody's (omitempty: staging/src/k8s.io/api/apps/v1/types.go).
_LEFT_OUT = {"minReadySeconds": 0, "paused": False}


@dataclass(frozen=True)
class Writer:
    """As whom somebody writes. `applies`: the members that he applies; None where he updates."""

    name: str
    applies: frozenset[str] | None = None

    @property
    def entry(self) -> tuple[str, str]:
        return self.name, "Update" if self.applies is None else "Apply"


def written(kind: str, before: Json | None, after: Json, writer: Writer, now: float) -> Json:
    """`after` with its new managers: whoever changes a member takes it from the others, and whoever applies one has it as well.

    The time of an entry is that of its last write that changed anything: who only applies what is there already has none
    (apimachinery, managedfieldsupdater.go).
    """
    if kind not in _MEMBERS:
        return after
    old = {} if before is None else before["spec"]
    changed = {member for member in _MEMBERS[kind] if after["spec"].get(member) != old.get(member)}
    if not changed and writer.applies is None:
        return after
    entries = {
        (entry["manager"], entry["operation"]): set(entry["fieldsV1"]["f:spec"])
        for entry in after["metadata"].get("managedFields") or ()
    }
    times = {
        (entry["manager"], entry["operation"]): entry["time"]
        for entry in after["metadata"].get("managedFields") or ()
        if "time" in entry
    }
    written_anew = {f"f:{member}" for member in changed}
    mine = changed if writer.applies is None else writer.applies & {*_MEMBERS[kind]}
    mine = {f"f:{member}" for member in mine if after["spec"].get(member) not in (None, _LEFT_OUT.get(member))}
    had = set(entries.get(writer.entry, ()))
    entries = {key: members - written_anew for key, members in entries.items()}
    entries[writer.entry] = mine if writer.applies is not None else (had - written_anew) | mine
    if mine if writer.applies is None else after != before:
        times[writer.entry] = moment(now)
    shown = [
        {
            "manager": name,
            "operation": kind,
            "apiVersion": "apps/v1",
            **({"time": times[name, kind]} if (name, kind) in times else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {member: {} for member in sorted(members)}},
        }
        for (name, kind), members in entries.items()
        if members
    ]
    return {**after, "metadata": {**after["metadata"], "managedFields": shown}}


def others(live: Json, after: Json, manager: str) -> list[tuple[str, str]]:
    """Manager and path of each member that an apply would change and that somebody else manages. `after`: as it would be stored, so that
    what is applied as it stands there already is no change."""
    found = []
    for member, value in after["spec"].items():
        if live["spec"].get(member) == value:
            continue
        for entry in live["metadata"].get("managedFields") or ():
            if f"f:{member}" in entry["fieldsV1"]["f:spec"] and entry["manager"] != manager:
                found.append((entry["manager"], f".spec.{member}"))
    return found
