# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server answers when it does not do what it was asked: `Status` objects in the real server's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked

from .objects import Json
from .validation import Fault

_KINDS = {
    "deployments.apps": "Deployment.apps",
    "replicasets.apps": "ReplicaSet.apps",
    "horizontalpodautoscalers.autoscaling": "HorizontalPodAutoscaler.autoscaling",
    "pods": "Pod",
}


class Refused(Exception):
    """`status`: of HTTP; `body`: the Status object."""

    def __init__(self, status: int, reason: str, message: str, *, headers: dict[str, str] | None = None, **more: Any):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": reason,
            "message": message,
            "code": status,
            **more,
        }


def not_found(asked: Asked) -> Refused:
    return Refused(404, "NotFound", f'{asked.resource} "{asked.name}" not found')


def not_served() -> Refused:
    """An API that is not installed."""
    return Refused(404, "NotFound", "the server could not find the requested resource")


def already_exists(asked: Asked, name: str) -> Refused:
    return Refused(409, "AlreadyExists", f'{asked.resource} "{name}" already exists')


def conflict(asked: Asked) -> Refused:
    return Refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {asked.resource} "{asked.name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )


def apply_conflict(fields: Sequence[tuple[str, str]]) -> Refused:
    """`fields`: who manages which path."""
    what = "conflict" if len(fields) == 1 else "conflicts"
    told = ", ".join(f'conflict with "{manager}" using apps/v1: {path}' for manager, path in fields)
    return Refused(409, "Conflict", f"Apply failed with {len(fields)} {what}: {told}")


def patch_failed() -> Refused:
    """A `test` that does not hold looks like this: no word of which one."""
    return Refused(422, "Invalid", "the server rejected our request due to an error in our request", details={})


def invalid(asked: Asked, name: str, faults: Sequence[Fault]) -> Refused:
    kind = _KINDS.get(asked.resource, asked.resource)
    told = [f"{fault.field}: {fault.message}" for fault in faults]
    causes = [{"reason": "FieldValueInvalid", "field": f.field, "message": f.message} for f in faults]
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details={"name": name, "causes": causes})


def forbidden(asked: Asked, user: str) -> Refused:
    resource, _dot, group = asked.resource.partition(".")
    name = f' "{asked.name}"' if asked.name else ""
    where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    return Refused(
        403,
        "Forbidden",
        f'{asked.resource}{name} is forbidden: User "{user}" cannot {asked.verb} resource "{resource}" '
        f'in API group "{group}"{where}',
    )


def denied(webhook: str, why: str) -> Refused:
    return Refused(403, "Forbidden", f'admission webhook "{webhook}" denied the request: {why}')


def expired() -> Refused:
    return Refused(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")


def bad_token() -> Refused:
    return Refused(400, "BadRequest", "continue key is not valid")


def busy(seconds: int = 1) -> Refused:
    return Refused(
        429,
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
        headers={"Retry-After": str(seconds)},
    )


def broken(status: int) -> Refused:
    told = {
        401: ("Unauthorized", "Unauthorized"),
        403: ("Forbidden", "the right is gone"),
        500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        502: ("", ""),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
    }
    reason, message = told[status]
    return Refused(status, reason, message)
