# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release that the last call of the role returned for a host, and what it is taken back with: of these decides what the role does
next, and not a variable.

Between two calls tasks of others run, and whatever they register, set as a fact or include takes the place of a variable of that name, in
any file that they come to. A worker of ansible-playbook remembers nothing itself, so it is kept in the directory that each run has for
itself and removes at its end. It is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import WAITS_FOR_CALLER

# Variables may be from a vault, and come to lie in no file that anybody can read. The key is made as ansible-playbook loads the action, before
# it forks workers, and is nowhere else.
_VAULT = VaultLib([("run", VaultSecret(secrets.token_hex().encode()))])


def remember(
    host: str, release: Mapping[str, Any], way_back: Mapping[str, Any], amounts: Mapping[str, Any] | None = None
) -> None:
    """`way_back`: the options that an undo is called with. Those of the first call of a release stay, and so does what its variables amount
    to, as `as_written` has it, as long as the role goes on with it. Readable by nobody else, as the directory is."""
    place = _place(host)
    known = _kept(host)
    kept: dict[str, Any] = {"release": release, "way_back": {**way_back, **known.get("way_back", {})}}
    if release.get("waits_for") == WAITS_FOR_CALLER:
        kept["amounts"] = known.get("amounts") or _VAULT.encrypt(json.dumps(amounts or {})).decode()
    text = json.dumps(kept, sort_keys=True)
    with suppress(OSError):
        with open(f"{place}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{place}.new", place)


def forget(host: str) -> None:
    """Another release begins."""
    with suppress(OSError):
        os.remove(_place(host))


def remembered(host: str) -> dict[str, Any] | None:
    """The release; None where nothing is known."""
    known: dict[str, Any] | None = _kept(host).get("release")
    return known


def is_in_the_middle(host: str) -> bool:
    """The role goes on with it. One that waits for a person is over as far as the role goes."""
    return _kept(host).get("release", {}).get("waits_for") == WAITS_FOR_CALLER


def way_back(host: str) -> dict[str, Any]:
    """Empty where nothing is known."""
    known: dict[str, Any] = _kept(host).get("way_back", {})
    return known


def as_written(written: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options `given` that are `written` as variables: each as it is, with a mark of how it is written. None of what JSON has not."""
    return {
        name: {"mark": mark, "is": given[name]}
        for name in written.keys() & given.keys()
        if _mark(given[name]) and (mark := _mark(written[name]))
    }


def amounts(host: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """What the options that are written as at the first call amounted to then. By now(), or by a lookup, each call would get another
    version."""
    try:
        known = json.loads(_VAULT.decrypt(str(_kept(host).get("amounts", ""))))
    except (AnsibleError, ValueError):
        return {}
    return {name: one["is"] for name, one in known.items() if name in written and _mark(written[name]) == one["mark"]}


def _mark(written: object) -> str:
    with suppress(TypeError, ValueError, RecursionError):
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
    return ""


def _kept(host: str) -> dict[str, Any]:
    try:
        with open(_place(host), encoding="utf-8") as file:
            known: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return {}
    return known


def is_same(known: Mapping[str, Any], given: object) -> bool:
    """As values, whatever ansible-core has made of their types on the way."""
    with suppress(TypeError, ValueError, RecursionError):
        return json.dumps(known, sort_keys=True) == json.dumps(given, sort_keys=True)
    return False


def _place(host: str) -> str:
    name = hashlib.sha256(host.encode(errors="replace")).hexdigest()
    return os.path.join(C.DEFAULT_LOCAL_TMP, f"coalmine_canary_{name}.json")
