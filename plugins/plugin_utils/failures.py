# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed in a play before a rescue section, and whether it is a failure of this release at all.

Ansible leaves `ansible_failed_task` and `ansible_failed_result` behind for the rest of the play. Where any_errors_fatal ends a host with
the failure of another one, or a file cannot be loaded, it leaves nothing. It is private to the collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

# Outcomes of a release that is not over.
UNDER_WAY = ("planned", "held")
NO_REASON = "it gave no reason"
HIDDEN = "its output is hidden (no_log)"


def mark(variables: Mapping[str, Any]) -> str:
    """Of the last failure on this host, to know a later one by: two failures of different tasks may read alike."""
    task = variables.get("ansible_failed_task") or {}
    last = (str(task.get("uuid", "")), str(variables.get("ansible_failed_result", "")))
    return hashlib.sha256("\0".join(last).encode(errors="replace")).hexdigest()


def failed_here(variables: Mapping[str, Any], noticed: str) -> bool:
    return mark(variables) != noticed


def rejection(variables: Mapping[str, Any], previous: Mapping[str, Any]) -> str:
    """The reason in a rescue section, by what the last call returned; empty where nothing of this host failed and its release was
    over by then."""
    noticed = str(previous.get("noticed", ""))
    over = previous and previous.get("outcome") not in UNDER_WAY
    return (
        ""
        if over and not failed_here(variables, noticed)
        else reason(variables, noticed, previous.get("to_verify") or {})
    )


def reason(variables: Mapping[str, Any], noticed: str, verifying: Mapping[str, Any]) -> str:
    """Why the caller's side fails the release. `noticed`: the mark when the last call ended. `verifying`: `step` of `steps` that his
    tasks verify, or nothing.

    -> Verification failed at step 2 of 2, in the task "Compare" - the canary fails 12 % of its requests
    """
    at = f"Verification failed at step {verifying['step']} of {verifying['steps']}" if verifying else ""
    if failed_here(variables, noticed):
        task = variables.get("ansible_failed_task") or {}
        said = HIDDEN if task.get("no_log") else _said(variables.get("ansible_failed_result") or {})
        # No colon behind the name: what follows on "password": is cut out of everything, because it may be one.
        return f'{at}, in the task "{task.get("name") or task.get("action", "")}" - {said}' if at else said
    if at and not _others_failed(variables):
        return f"{at}: a file that it includes could not be loaded, as the error above says"
    struck = "A task failed on another host of this play, and any_errors_fatal ends this release with it"
    unless = "; or a file that its verification includes could not be loaded, as an error above says" if at else ""
    return struck + unless


def _said(result: Mapping[str, Any]) -> str:
    """Of a loop, the message says only that items failed; why, the items say. A verb's cause has no log lines, which may hold secrets."""
    items = [item for item in result.get("results") or () if isinstance(item, Mapping) and item.get("failed")]
    told = list(dict.fromkeys(_told(items)))
    return "; ".join(told) or "; ".join(_told([result])) or NO_REASON


def _told(results: list[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        said = str(result.get("cause") or result.get("msg") or "").strip()
        if said:
            yield said


def _others_failed(variables: Mapping[str, Any]) -> bool:
    others = [host for host in variables["ansible_play_hosts_all"] if host != variables["inventory_hostname"]]
    left = set(variables["ansible_play_hosts"])
    return any(host not in left or "ansible_failed_result" in variables["hostvars"][host] for host in others)
