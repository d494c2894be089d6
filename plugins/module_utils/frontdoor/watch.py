# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_watch's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.call.orders import WatchRequest
from ..verbs.watch import watch
from .arguments import DISPLAY, ArgumentSpec, Parameters, Verb, at_least


def _request(parameters: Parameters, check: bool, actor: str) -> WatchRequest:
    del actor
    at_least(1, parameters, "wait_timeout")
    name, namespace = parameters["name"], parameters["namespace"]
    if name and not namespace:
        namespace = "default"
    return WatchRequest(name, namespace, float(parameters["wait_timeout"]), check)


VERB = Verb(
    name="canary_watch",
    arguments=ArgumentSpec(
        options={
            "name": {"type": "str"},
            "namespace": {"type": "str"},
            **DISPLAY,
            "wait_timeout": {"type": "int", "default": 3600},
        },
        build=_request,
    ),
    perform=watch,
)
