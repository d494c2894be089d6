# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to come back of a write as it was sent, so that a canary is held by it: the fields of the hold, its record and its label.

A webhook or policy of the cluster may set or drop any of them, and the server's answer shows it. This module is private to the collection.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping

from ..foreign import printable
from ..values import dataclass
from . import record as records
from .phase import NEVER_AVAILABLE_SECONDS
from .views import Deployment

if TYPE_CHECKING:
    from .patches import Plan

EXEMPT = "Exempt this Deployment from that webhook or policy, then run this again"

_MIN_READY, _LABEL = "spec.minReadySeconds", f"metadata.labels[{records.LIVE}]"
_RECORD = f"metadata.annotations[{records.RECORD}]"


@dataclass(frozen=True)
class Tried:
    """What a start would write beside the pod template, to be tried whatever has become of the Deployment since, and what is `wanted` by it."""

    operations: tuple[Mapping[str, Any], ...]
    wanted: Mapping[str, Any]

    @classmethod
    def of(cls, deployment: Deployment, plan: Plan) -> Tried:
        operations = tuple(one for one in plan.operations if one["op"] != "test")
        return cls(operations, asked(deployment, plan))


def _stands(deployment: Deployment) -> dict[str, Any]:
    """By path. Without the label: others may take it off at any time, and no guard tells of that."""
    return {
        _MIN_READY: deployment.min_ready_seconds,
        "spec.progressDeadlineSeconds": deployment.progress_deadline_seconds,
        "spec.strategy": deployment.strategy.to_json(),
        "spec.paused": deployment.paused,
        _RECORD: deployment.annotations.get(records.RECORD),
    }


def asked(before: Deployment, plan: Plan | None) -> Mapping[str, Any]:
    """What is to stand there after the plan (None: nothing is changed), by path; empty where no canary is to be held then."""
    stands = _stands(before)
    if plan is not None:
        stands.update((path, plan.after[name]) for path in stands if (name := path.removeprefix("spec.")) in plan.after)
        stands[_RECORD] = plan.annotations.get(records.RECORD, stands[_RECORD])
        if plan.after.get("live"):
            stands[_LABEL] = records.LIVE_VALUE
    return stands if stands[_MIN_READY] == NEVER_AVAILABLE_SECONDS else {}


def lost(wanted: Mapping[str, Any], answered: Deployment) -> str:
    """What admission has made of it instead, in words that go on from "an admission webhook or policy"; empty where all is as it is
    `wanted`."""
    found = {**_stands(answered), _LABEL: answered.labels.get(records.LIVE)}
    return ", ".join(_made(path, found[path]) for path, value in wanted.items() if found[path] != value)


def words(lost: str, name: str) -> str:
    return f'an admission webhook or policy {lost} in what is written to Deployment "{name}", so that no canary can be held'


def _made(path: str, value: Any) -> str:
    if value is None:
        return f"drops {path}"
    return f"changes {path}" if path == _RECORD else f"sets {path} to {printable(json.dumps(value))}"
