# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_promote's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.call.orders import PromoteBy, PromoteRequest
from ..verbs.promote import promote
from .arguments import (
    DISPLAY,
    IDENTITY,
    LEASE,
    OWNERSHIP,
    TARGET,
    WAIT,
    WAIT_FOR_NODES,
    WAIT_TERMINATED,
    ArgumentSpec,
    Parameters,
    Verb,
    at_least,
    call,
)


def _request(parameters: Parameters, check: bool, actor: str) -> PromoteRequest:
    at_least(0, parameters, "keep")
    by, keep = new_by(parameters["by"]), float(parameters["keep"])
    return PromoteRequest(call=call(parameters, check, actor), by=by, keep=keep)


def new_by(given: str | None) -> PromoteBy | None:
    return None if given is None else PromoteBy(given)


VERB = Verb(
    name="canary_promote",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **LEASE,
            **OWNERSHIP,
            **WAIT,
            **DISPLAY,
            **WAIT_FOR_NODES,
            **WAIT_TERMINATED,
            **IDENTITY,
            "by": {"type": "str", "choices": ["pods", "weights"]},
            "keep": {"type": "int", "default": 0},
        },
        build=_request,
    ),
    perform=promote,
)
