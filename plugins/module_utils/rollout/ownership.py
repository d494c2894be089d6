# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who manages the fields of an object (metadata.managedFields), and how a manager gives them up. This module is private to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .fields import Fields

Operations = list[dict[str, Any]]


def given_up(entries: Sequence[Mapping[str, Any]], manager: str) -> Operations:
    """The JSON patch after which what `manager` has written is nobody's, so that an apply without force takes it; empty where it has
    written nothing. No field changes, so that no generation comes of it.

    An entry is taken out where it stands, with all others as they are (apimachinery, managedfields/fieldmanager.go: a patch may change the
    list, and is not entered for what it changes there). What controllers write of a subresource is theirs.
    """
    ours = [n for n, entry in enumerate(entries) if entry["manager"] == manager and not entry["subresource"]]
    tests: Operations = [{"op": "test", "path": f"/metadata/managedFields/{n}/manager", "value": manager} for n in ours]
    # From behind, as each removal moves those after it.
    return [*tests, *({"op": "remove", "path": f"/metadata/managedFields/{n}"} for n in reversed(ours))]


def disown(item: Mapping[str, Any], manager: str) -> Operations:
    """As `given_up`, of any object as the server tells it, and no other of its name. Raises Malformed."""
    meta = Fields(item, "the object").required("metadata")
    entries = [
        {member: entry.text(member) for member in ("manager", "subresource")} for entry in meta.each("managedFields")
    ]
    gone = given_up(entries, manager)
    return [{"op": "test", "path": "/metadata/uid", "value": meta.text("uid")}, *gone] if gone else []
