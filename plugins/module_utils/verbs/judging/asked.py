# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What canary_verify is asked, without the checks themselves (checks.py): a call that judges nothing need not load what judges.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any, Mapping

from ...probes.choices import Resource, Via
from ...values import dataclass
from ..call.orders import Call

if TYPE_CHECKING:
    from .checks import CheckAsked

__all__ = ["OnNoData", "Resource", "VerifyRequest", "Via"]


class OnNoData(Enum):
    """What a source that gives no data does to the run. Neither ever passes or fails it."""

    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True)
class VerifyRequest:
    """Times in seconds. `guard`: of a promotion that is under way, or of the new version after it, instead of a held canary.
    `steps`: how many further steps of the release (a guarded promotion is one) will be judged by later calls of this run,
    or have been, one call after the other; `history` is the `verify` result of the call before.
    """

    call: Call
    checks: tuple[CheckAsked, ...]
    duration: float = 300.0
    interval: float = 5.0
    warmup: float = 0.0
    confidence: float = 0.95
    on_no_data: OnNoData = OnNoData.WAIT
    inconclusive_ok: bool = False
    guard: bool = False
    steps: int = 0
    history: Mapping[str, Any] = field(default_factory=dict)
