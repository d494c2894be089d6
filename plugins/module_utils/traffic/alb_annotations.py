# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotations by which an Ingress tells the AWS Load Balancer Controller what a path does, and for which requests.

    actions.<name>      {"type": "forward", "forwardConfig": {"targetGroups": [{"serviceName": ..., "servicePort": ..., "weight": ...}]}}
    conditions.<name>   [{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": ..., "values": [...]}}]

Anybody writes them, and the server takes any text. Whatever it is, it is read, or said to be unreadable.
Source: config_types.go and enhanced_backend_builder.go in pkg/ingress, sigs.k8s.io/aws-load-balancer-controller.
This module is private to the collection.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from ..rollout.fields import MOST_DEPTH, is_integer, must_be
from .exposure import Json, Kept, Unroutable, unreadable
from .shapes import BACKEND

PREFIX = "alb.ingress.kubernetes.io/"
ACTIONS, CONDITIONS = f"{PREFIX}actions.", f"{PREFIX}conditions."
# The port of a path that does what the action of its name says.
BY_ANNOTATION = "use-annotation"
# What an Application Load Balancer takes as a weight: the API's TargetGroupTuple.
LARGEST_WEIGHT = 999
# As the controller reads them: Go takes the members of JSON in whatever case they are written.
_MEMBERS = {
    name.lower(): name
    for name in ("type", "forwardConfig", "targetGroups", "serviceName", "servicePort", "weight", "targetGroupARN",
                 "targetGroupStickinessConfig", "enabled", "durationSeconds")
}  # fmt: skip


def backend(path: Mapping[str, Any]) -> tuple[str, Any]:
    """The name, and the port: a number, a name, or None."""
    service = (path.get("backend") or {}).get("service") or {}
    port = service.get("port") or {}
    return str(service.get("name") or ""), port.get("name") or port.get("number")


def forwards(path: Mapping[str, Any], annotations: Mapping[str, str]) -> Json | None:
    """What a path forwards to, as forwardConfig says it; None for one that does something else, or that cannot be read."""
    name, port = backend(path)
    if port == BY_ANNOTATION:
        return read(annotations.get(f"{ACTIONS}{name}"))
    return {"targetGroups": [{"serviceName": name, "servicePort": port, "weight": 1}]} if name else None


def read(text: str | None) -> Json | None:
    """The forwardConfig of such an annotation; each of its target groups has a weight."""
    try:
        action = _canonical(_parsed(text or ""))
        config: Json = action["forwardConfig"] if action["type"] == "forward" else {}
        groups = [_group(group) for group in config["targetGroups"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return {**config, "targetGroups": groups}


def _parsed(text: str) -> Any:
    """Raises ValueError, for one that is nested too deeply, too."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level = [found]
    for _depth in range(MOST_DEPTH):
        level = [part for value in level if isinstance(value, (dict, list))
                 for part in (value.values() if isinstance(value, dict) else value)]  # fmt: skip
    if level:
        raise ValueError("nested too deeply")
    return found


def _group(group: Any) -> Json:
    """Raises what `read` takes for another shape: Go reads the weight into a whole number, and leaves out null."""
    members: Json = {"weight": 1, "servicePort": 0, "serviceName": "", "targetGroupARN": ""}
    weight, port, *texts = (group[name] if group.get(name) is not None else left for name, left in members.items())
    texts += [] if is_integer(port) else [port]
    # Halves of characters, which JSON can hold, have no place in what is told of them.
    if not is_integer(weight) or not 0 <= weight <= LARGEST_WEIGHT or not all(text.isprintable() for text in texts):
        raise ValueError("no target group")
    return {**group, "weight": weight}


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {_MEMBERS.get(key.lower(), key): _canonical(one) for key, one in value.items()}
    return [_canonical(one) for one in value] if isinstance(value, list) else value


def written(config: Mapping[str, Any]) -> str:
    return json.dumps({"type": "forward", "forwardConfig": config}, separators=(",", ":"))


def services(config: Mapping[str, Any] | None) -> list[str]:
    return [group.get("serviceName") or "" for group in (config or {}).get("targetGroups") or ()]


def conditions(text: str | None) -> list[Json]:
    """Raises Unroutable."""
    try:
        found = _parsed(text) if text else []
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unroutable("an annotation for conditions of it is no list that could be added to", "Correct it")
    return found


def compared(condition: Mapping[str, Any]) -> int:
    """The number of values that it compares."""
    found = (one.get("values") for one in condition.values() if isinstance(one, dict))
    return sum(len(values) for values in found if isinstance(values, list))


def asked(header: str, value: str, *beside: Json) -> str:
    """The conditions of an action."""
    one = {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": header, "values": [value]}}
    return json.dumps([*beside, one], separators=(",", ":"))


def checked(kept: Kept) -> Kept:
    """What was kept of such an Ingress: of each of its paths the backend, and of each of its actions the text. Raises Unroutable."""
    try:
        for key, ones in kept.rules.items():
            (one,) = ones
            must_be(one, {"text": (str,)} if key.startswith(ACTIONS) else BACKEND, key)
            if not key.startswith(ACTIONS) and not backend({"backend": one})[0]:
                raise ValueError("no Service")
    except ValueError as error:
        raise unreadable(error) from error
    return kept
