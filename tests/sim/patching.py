# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON patch, JSON merge patch and strategic merge patch, as far as verbs and kubectl use them. They copy what they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any


class PatchFailed(Exception):
    """A `test` that does not hold, or a path that is not there."""


def json_patch(value: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """RFC 6902, as github.com/evanphx/json-patch in the API server applies it: `test` of null holds where nothing is."""
    for operation in operations:
        value = _applied(value, _parts(operation["path"]), operation)
    return value


@cache
def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


def _applied(value: Any, parts: Sequence[str], operation: Mapping[str, Any]) -> Any:
    if not isinstance(value, (dict, list)):
        raise PatchFailed(operation["path"])
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    key: Any = parts[0]
    if isinstance(copy, list):
        key = len(copy) if key == "-" else int(key)
    there = key < len(copy) if isinstance(copy, list) else key in copy
    if len(parts) > 1:
        if not there:
            raise PatchFailed(operation["path"])
        copy[key] = _applied(copy[key], parts[1:], operation)
        return copy
    kind = operation["op"]
    if kind == "test":
        if (copy[key] if there else None) != operation["value"]:
            raise PatchFailed(operation["path"])
    elif kind == "add" and isinstance(copy, list):
        copy.insert(key, operation["value"])
    elif kind == "add" or (kind == "replace" and there):
        copy[key] = operation["value"]
    elif kind == "remove" and there:
        del copy[key]
    else:
        raise PatchFailed(operation["path"])
    return copy


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, member in patch.items():
        if member is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), member)
    return result


# Lists whose items are merged by this key (patchMergeKey in k8s.io/api); any other list is replaced.
_MERGE_KEYS = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name"}


def strategic_merge(value: Any, patch: Any, member: str = "") -> Any:
    """sigs.k8s.io/structured-merge-diff's older brother: k8s.io/apimachinery/pkg/util/strategicpatch."""
    if isinstance(patch, list):
        key = _MERGE_KEYS.get(member)
        return patch if key is None else _merged_items(value or [], patch, key)
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: item for name, item in patch.items() if name != "$patch"}
    result = dict(value) if isinstance(value, dict) else {}
    for name, item in patch.items():
        if item is None:
            result.pop(name, None)
        else:
            result[name] = strategic_merge(result.get(name), item, name)
    return result


def _merged_items(items: Sequence[Any], patch: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    result = {item[key]: item for item in items}
    for item in patch:
        name = item[key]
        if item.get("$patch") == "delete":
            result.pop(name, None)
        else:
            result[name] = strategic_merge(result.get(name), {k: v for k, v in item.items() if k != "$patch"})
    return list(result.values())
