# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_headroom_info's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from ..verbs.headroom import HeadroomRequest, headroom
from ..verbs.requests import Call, Size, Target
from .arguments import TARGET, ArgumentError, ArgumentSpec, Parameters, Verb, at_least
from .manifest import plain
from .start import new_template


def _request(parameters: Parameters, check: bool, actor: str) -> HeadroomRequest:
    # A question is the same in check mode and whoever asks.
    del check, actor
    at_least(1, parameters, "pods", "weight")
    at_least(0, parameters, "surge", "max_unavailable")
    if parameters["weight"] is not None and parameters["weight"] > 99:
        raise ArgumentError(f"weight is {parameters['weight']}: it must be 99 or less, because a stable pod must stay")
    pods = 1 if parameters["pods"] is None and parameters["weight"] is None else parameters["pods"]
    return HeadroomRequest(
        call=Call(target=Target(parameters["name"], parameters["namespace"]), check=True),
        template=new_template(parameters),
        size=Size(pods=pods, weight=parameters["weight"]),
        surge=parameters["surge"],
        max_unavailable=parameters["max_unavailable"],
        assume_replicas=_replicas(parameters["assume_replicas"]),
        prices=plain(parameters["prices"]),
        node_group_label=parameters["node_group_label"],
    )


def _replicas(text: str) -> str | int:
    if text in ("current", "max"):
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    raise ArgumentError(f"assume_replicas is {text!r}: give current, max, or a number of pods")


VERB = Verb(
    name="canary_headroom_info",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            "images": {"type": "dict"},
            "pod_template_patch": {"type": "dict"},
            "definition": {"type": "raw"},
            "pods": {"type": "int"},
            "weight": {"type": "int"},
            "surge": {"type": "int", "default": 1},
            "max_unavailable": {"type": "int"},
            "assume_replicas": {"type": "str", "default": "current"},
            "prices": {"type": "dict"},
            "node_group_label": {"type": "str"},
        },
        build=_request,
        mutually_exclusive=(("pods", "weight"), ("definition", "images"), ("definition", "pod_template_patch")),
        required_one_of=(("images", "pod_template_patch", "definition"),),
    ),
    perform=headroom,
)
