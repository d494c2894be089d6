# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_undo's arguments.

This module is private to the collection.
"""

from __future__ import annotations

import re

from ..foreign import printable
from ..verbs.call.orders import UndoRequest
from ..verbs.undo import Restore, undo
from .arguments import (
    DISPLAY,
    IDENTITY,
    LEASE,
    OWNERSHIP,
    TARGET,
    WAIT,
    WAIT_TERMINATED,
    ArgumentError,
    ArgumentSpec,
    Parameters,
    Verb,
    at_least,
    call,
    within,
)

_COUNT_OR_PER_CENT = re.compile(r"[0-9]{1,9}%?")


def _request(parameters: Parameters, check: bool, actor: str) -> UndoRequest:
    given = parameters["restore"]
    return UndoRequest(
        call=call(parameters, check, actor),
        reason=printable(parameters["reason"]),
        restore=None if given is None else _restore(given),
    )


def _restore(given: Parameters) -> Restore:
    with within("restore", given):
        at_least(0, given, "min_ready_seconds")
        at_least(1, given, "progress_deadline_seconds")
        return Restore(
            min_ready_seconds=given["min_ready_seconds"],
            progress_deadline_seconds=given["progress_deadline_seconds"],
            max_surge=_count_or_per_cent(given, "max_surge"),
            max_unavailable=_count_or_per_cent(given, "max_unavailable"),
        )


def _count_or_per_cent(given: Parameters, name: str) -> int | str | None:
    """IntOrString as Kubernetes takes it: Ansible's templates make texts of numbers."""
    value = given[name]
    if value is None:
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not _COUNT_OR_PER_CENT.fullmatch(text):
        raise ArgumentError(f"{name} is neither: give a count such as 1, or a percentage such as 25%")
    return text if text.endswith("%") else int(text)


VERB = Verb(
    name="canary_undo",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **LEASE,
            **OWNERSHIP,
            **WAIT,
            **DISPLAY,
            **WAIT_TERMINATED,
            **IDENTITY,
            "reason": {"type": "str", "default": ""},
            "restore": {
                "type": "dict",
                "options": {
                    "min_ready_seconds": {"type": "int"},
                    "progress_deadline_seconds": {"type": "int"},
                    "max_surge": {"type": "raw"},
                    "max_unavailable": {"type": "raw"},
                },
            },
        },
        build=_request,
    ),
    perform=undo,
)
