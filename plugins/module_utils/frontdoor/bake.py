# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_bake's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.bake import bake
from ..verbs.call.orders import BakeRequest, Call, Target
from .arguments import DISPLAY, IDENTITY, TARGET, ArgumentSpec, Parameters, Verb, at_least, meant


def _request(parameters: Parameters, check: bool, actor: str) -> BakeRequest:
    at_least(0, parameters, "seconds")
    target = Target(parameters["name"], parameters["namespace"])
    call = Call(target=target, check=check, actor=actor, meant=meant(parameters))
    return BakeRequest(call=call, seconds=float(parameters["seconds"]))


VERB = Verb(
    name="canary_bake",
    arguments=ArgumentSpec(
        options={**TARGET, **DISPLAY, **IDENTITY, "seconds": {"type": "int", "required": True}}, build=_request
    ),
    perform=bake,
)
