# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VerticalPodAutoscalers during a hold: what one of them may do to pods of a canary, by its updateMode.

It changes neither replicas nor the pod template, so that the split stays; but one that evicts pods makes a canary lose one. This module is
private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ..foreign import printable
from ..values import dataclass
from .fields import Fields

# spec.updatePolicy.updateMode (vertical-pod-autoscaler, apis/autoscaling.k8s.io/v1/types.go) -> what it does to pods that are there. Of the
# others, Off, Initial and InPlace, nothing is lost.
_DEFAULT = "Auto"
_EVICTS: Mapping[str, str] = {
    "Auto": "evicts pods",
    "Recreate": "evicts pods",
    "InPlaceOrRecreate": "evicts pods that it cannot resize in place",
}


@dataclass(frozen=True)
class VerticalAutoscaler:
    """A VerticalPodAutoscaler. `mode`: its updateMode."""

    name: str
    mode: str

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> VerticalAutoscaler:
        fields = Fields(obj, "VerticalPodAutoscaler")
        mode = fields.within("spec").within("updatePolicy").text("updateMode")
        return cls(fields.required("metadata").name("name"), mode or _DEFAULT)


def warnings(found: tuple[VerticalAutoscaler, ...], deployment: str) -> tuple[str, ...]:
    """One for each that may evict pods of this Deployment."""
    return tuple(
        f'VerticalPodAutoscaler "{one.name}" (updateMode {printable(one.mode, 40)}) of Deployment "{deployment}" {_EVICTS[one.mode]}, also in '
        "the middle of a release: a canary pod that is gone fails it. Set updateMode to Initial or Off until the release has ended"
        for one in found
        if one.mode in _EVICTS
    )
