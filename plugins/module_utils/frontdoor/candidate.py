# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that say which canary is meant: its template, its size and the room for it.

canary_start holds it, canary_headroom_info asks whether it fits: both read the same options. This module is private to the
collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..verbs.call.orders import KINDS, AutoscalerPolicy, NewTemplate, Size, TrafficRequest
from .arguments import LABEL, ArgumentError, Options, Parameters, at_least
from .manifest import plain, read_definition

CANDIDATE: Options = {
    "images": {"type": "dict"},
    "pod_template_patch": {"type": "dict"},
    "definition": {"type": "raw"},
    "pods": {"type": "int"},
    "weight": {"type": "int"},
    "surge": {"type": "int"},
    "max_unavailable": {"type": "int"},
}
BLUE_GREEN = "blue_green"
STRATEGY: Options = {"strategy": {"type": "str", "choices": ["canary", BLUE_GREEN]}}
EXCLUSIVE = (("pods", "weight"), ("definition", "images"), ("definition", "pod_template_patch"))
ONE_OF = (("images", "pod_template_patch", "definition"),)


def new_size(parameters: Parameters, traffic: TrafficRequest | None = None, least: Fraction = Fraction(0)) -> Size:
    """The size asked for; if none was, one pod, or as few as carry their share of the requests, and `least` of them. Raises ArgumentError."""
    at_least(1, parameters, "pods", "weight")
    pods, weight = parameters["pods"], parameters["weight"]
    if weight is not None and weight > 99:
        raise ArgumentError(
            f"weight is {weight}: it must be 99 or less, because a stable pod must stay; "
            "canary_promote is what gives a new version all pods"
        )
    if pods is not None or weight is not None:
        return Size(pods=pods, weight=weight)
    if traffic is None:
        return Size()
    return Size.bearing(Fraction(1) if is_blue_green(parameters, traffic) else max(traffic.bears, least))


def is_blue_green(parameters: Parameters, traffic: TrafficRequest) -> bool:
    strategy: str | None = parameters.get("strategy")
    return strategy == BLUE_GREEN if strategy else KINDS[traffic.kind].switches


def check_strategy(parameters: Parameters) -> None:
    """Raises ArgumentError."""
    if parameters["strategy"] == BLUE_GREEN and parameters["traffic"] is None:
        raise ArgumentError(
            "strategy is blue_green, and without traffic both versions get requests as soon as both have pods: give traffic"
        )


def check_room(parameters: Parameters) -> None:
    """Raises ArgumentError."""
    at_least(0, parameters, "surge", "max_unavailable")


def new_surge(parameters: Parameters, traffic: object | None) -> int | None:
    """One pod if nothing was said. As many as canary pods where requests are split, because the stable pods carry all the others, and where
    the Deployment may be scaled up meanwhile. Raises ArgumentError."""
    check_room(parameters)
    surge: int | None = parameters["surge"]
    scales_up = parameters.get("autoscaler") == AutoscalerPolicy.HOLD.value
    return 1 if surge is None and traffic is None and not scales_up else surge


def new_template(parameters: Parameters) -> NewTemplate:
    """The pod template asked for. Raises ArgumentError."""
    images, patch, definition = (parameters[name] for name in ("images", "pod_template_patch", "definition"))
    if definition is not None:
        return NewTemplate(definition=read_definition(definition, parameters["name"], parameters["namespace"]))
    if not images and not patch:
        raise ArgumentError("images and pod_template_patch are empty: say what the canary is to run")
    return NewTemplate(images=_images(images or {}), patch=plain(patch) if patch else None)


def _images(images: Mapping[str, object]) -> dict[str, str]:
    for container, image in images.items():
        if not isinstance(image, str) or not image.strip():
            named = f"container {container}" if LABEL.fullmatch(str(container)) else "what is not a name of a container"
            raise ArgumentError(f"images gives {named} no image: give a text such as registry/app:1.2")
    return {str(container): str(image).strip() for container, image in images.items()}
