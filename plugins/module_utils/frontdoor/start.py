# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_start's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ..verbs.call.orders import AutoscalerPolicy, Meant, OwnerCheck, StartRequest
from ..verbs.start import start
from .arguments import DISPLAY, IDENTITY, LEASE, TARGET, WAIT, WAIT_FOR_NODES, ArgumentSpec, Parameters, Verb, call
from .candidate import CANDIDATE, EXCLUSIVE, ONE_OF, STRATEGY, check_strategy, new_size, new_surge, new_template
from .traffic import TRAFFIC, new_traffic


def _request(parameters: Parameters, check: bool, actor: str) -> StartRequest:
    check_strategy(parameters)
    traffic = new_traffic(parameters["traffic"])
    asked = call(parameters, check, actor)
    # A run alone says whose the release is to be; only with a canary that is expected it says whose it has to be already.
    return StartRequest(
        call=asked if asked.meant.hash else replace(asked, meant=Meant()),
        template=new_template(parameters),
        size=new_size(parameters, traffic),
        surge=new_surge(parameters, traffic),
        max_unavailable=parameters["max_unavailable"],
        autoscaler=AutoscalerPolicy(parameters["autoscaler"]),
        owner_check=OwnerCheck(parameters["owner_check"]),
        run=asked.meant.run,
        traffic=traffic,
        released_ok=parameters["released"] == "ok",
    )


VERB = Verb(
    name="canary_start",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **LEASE,
            **WAIT,
            **DISPLAY,
            **WAIT_FOR_NODES,
            **IDENTITY,
            **CANDIDATE,
            "autoscaler": {"type": "str", "choices": ["refuse", "pin", "hold", "ignore"], "default": "refuse"},
            "owner_check": {"type": "str", "choices": ["warn", "fail", "ignore"], "default": "warn"},
            "traffic": TRAFFIC,
            **STRATEGY,
            "released": {"type": "str", "choices": ["fail", "ok"], "default": "fail"},
        },
        build=_request,
        mutually_exclusive=EXCLUSIVE,
        required_one_of=ONE_OF,
    ),
    perform=start,
)
