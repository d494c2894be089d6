# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators put between users and the server: admission that changes or denies what is written, and rights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from . import refusals
from .objects import Json, changed, version_of
from .timeline import Timeline

NOTE = "sidecar.example.org/injected"
WEBHOOK = "policy.example.org"


class Hook(Enum):
    """What admission does to a Deployment."""

    ANNOTATES = "it annotates every pod template"
    # A webhook that has side effects is not asked at a dry run (sideEffects: NoneOnDryRun keeps it from them).
    ANNOTATES_IN_EARNEST = "it annotates every pod template, and none at a dry run"
    DENIES = "it denies every write for a while"


@dataclass(frozen=True)
class Governed:
    """`begins`, `ends`: from when and until when it acts, in virtual seconds. What it has made of a template by then stays."""

    hook: Hook
    begins: float = 0.0
    ends: float = inf

    @property
    def comes_later(self) -> bool:
        """A template may have been stored, and its pods looked at, before it changes it."""
        return self.begins > 0.0 and self.hook is not Hook.DENIES

    def admit(self, timeline: Timeline, kind: str, obj: Json, *, dry_run: bool) -> Json:
        """The object as admission lets it pass. Raises Refused."""
        if kind != "deployments" or not self.begins <= timeline.now < self.ends:
            return obj
        if self.hook is Hook.DENIES:
            raise refusals.denied(WEBHOOK, "nothing is deployed while the office is empty")
        if self.hook is Hook.ANNOTATES_IN_EARNEST and dry_run:
            return obj
        return changed(obj, spec={"template": annotated(obj["spec"]["template"])})


def annotated(template: Json) -> Json:
    """What a hook that annotates makes of it."""
    notes = {**(template["metadata"].get("annotations") or {}), NOTE: version_of(template)}
    return changed(template, metadata={"annotations": notes})


# Rights that a user may lack, each of them needed by some verb or some option of it.
RIGHTS = (
    ("list", "pods"),
    ("watch", "pods"),
    ("watch", "deployments.apps"),
    ("list", "replicasets.apps"),
    ("patch", "deployments.apps"),
    ("list", "horizontalpodautoscalers.autoscaling"),
    ("get", "horizontalpodautoscalers.autoscaling"),
    ("patch", "horizontalpodautoscalers.autoscaling"),
    ("get", "scaledobjects.keda.sh"),
    ("patch", "scaledobjects.keda.sh"),
    ("create", "events"),
    ("create", "leases.coordination.k8s.io"),
    ("patch", "leases.coordination.k8s.io"),
    ("get", "pods/log"),
    ("list", "nodes"),
    ("list", "resourcequotas"),
)
