# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_pause's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.call.orders import PauseRequest
from ..verbs.pause import pause
from .arguments import DISPLAY, IDENTITY, LEASE, TARGET, WAIT, ArgumentSpec, Parameters, Verb, call


def _request(parameters: Parameters, check: bool, actor: str) -> PauseRequest:
    return PauseRequest(call=call(parameters, check, actor), drain=parameters["drain"])


VERB = Verb(
    name="canary_pause",
    arguments=ArgumentSpec(
        options={**TARGET, **WAIT, **DISPLAY, **IDENTITY, **LEASE, "drain": {"type": "bool", "default": False}},
        build=_request,
    ),
    perform=pause,
)
