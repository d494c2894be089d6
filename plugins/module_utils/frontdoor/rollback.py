# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_rollback's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..foreign import printable
from ..verbs.call.orders import RollbackRequest
from ..verbs.rollback import rollback
from .arguments import (
    DISPLAY,
    EXPECT,
    LEASE,
    OWNERSHIP,
    TARGET,
    WAIT,
    WAIT_FOR_NODES,
    WAIT_TERMINATED,
    ArgumentError,
    ArgumentSpec,
    Parameters,
    Verb,
    call,
)


def _request(parameters: Parameters, check: bool, actor: str) -> RollbackRequest:
    to = (parameters["to"] or "").strip()
    if not to and parameters["to"] is not None:
        raise ArgumentError(
            "to is empty: give a pod-template-hash, the name of a ReplicaSet, or an image, or leave it out"
        )
    return RollbackRequest(call=call(parameters, check, actor), to=to, reason=printable(parameters["reason"]))


VERB = Verb(
    name="canary_rollback",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **LEASE,
            **OWNERSHIP,
            **WAIT,
            **DISPLAY,
            **WAIT_FOR_NODES,
            **WAIT_TERMINATED,
            **EXPECT,
            "to": {"type": "str"},
            "reason": {"type": "str", "default": ""},
        },
        build=_request,
    ),
    perform=rollback,
)
