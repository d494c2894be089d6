# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_start's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..verbs.requests import AutoscalerPolicy, NewTemplate, Size, StartRequest
from ..verbs.start import start
from .arguments import TARGET, WAIT, ArgumentError, ArgumentSpec, Parameters, Verb, at_least, call
from .manifest import plain, read_definition


def _request(parameters: Parameters, check: bool, actor: str) -> StartRequest:
    at_least(1, parameters, "pods", "weight")
    at_least(0, parameters, "surge", "max_unavailable")
    if parameters["weight"] is not None and parameters["weight"] > 99:
        raise ArgumentError(
            f"weight is {parameters['weight']}: it must be 99 or less, because a stable pod must stay; "
            "canary_promote is what gives a new version all pods"
        )
    pods = 1 if parameters["pods"] is None and parameters["weight"] is None else parameters["pods"]
    return StartRequest(
        call=call(parameters, check, actor),
        template=new_template(parameters),
        size=Size(pods=pods, weight=parameters["weight"]),
        surge=parameters["surge"],
        max_unavailable=parameters["max_unavailable"],
        autoscaler=AutoscalerPolicy(parameters["autoscaler"]),
    )


def new_template(parameters: Parameters) -> NewTemplate:
    """The pod template asked for. Raises ArgumentError."""
    images, patch, definition = (parameters[name] for name in ("images", "pod_template_patch", "definition"))
    if definition is not None:
        return NewTemplate(definition=read_definition(definition, parameters["name"]))
    if not images and not patch:
        raise ArgumentError("images and pod_template_patch are empty: say what the canary is to run")
    return NewTemplate(images=_images(images or {}), patch=plain(patch) if patch else None)


def _images(images: Mapping[str, object]) -> dict[str, str]:
    for container, image in images.items():
        if not isinstance(image, str) or not image.strip():
            raise ArgumentError(f"images gives container {container} no image: give a text such as registry/app:1.2")
    return {str(container): str(image).strip() for container, image in images.items()}


VERB = Verb(
    name="canary_start",
    arguments=ArgumentSpec(
        options={
            **TARGET,
            **WAIT,
            "images": {"type": "dict"},
            "pod_template_patch": {"type": "dict"},
            "definition": {"type": "raw"},
            "pods": {"type": "int"},
            "weight": {"type": "int"},
            "surge": {"type": "int", "default": 1},
            "max_unavailable": {"type": "int"},
            "autoscaler": {"type": "str", "choices": ["refuse", "pin", "ignore"], "default": "refuse"},
        },
        build=_request,
        mutually_exclusive=(("pods", "weight"), ("definition", "images"), ("definition", "pod_template_patch")),
        required_one_of=(("images", "pod_template_patch", "definition"),),
    ),
    perform=start,
)
