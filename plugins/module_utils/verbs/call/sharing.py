# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary was last given of the requests, which its record says without a request. This module is private to the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...foreign import printable
from ...rollout.describe import describe
from ...rollout.phase import HOLDING, Situation
from ...traffic.load import in_words

if TYPE_CHECKING:
    from ...traffic.exposure import Exposure


def last_given(situation: Situation) -> Exposure | None:
    """None without traffic, and where the record says nothing of what users get: who is paused may be drained, and a promotion and an undo send
    users elsewhere."""
    record = situation.record
    if record is None or record.traffic is None or situation.phase not in HOLDING:
        return None
    from ...traffic.exposure import Exposure  # of use to nobody without `traffic`

    try:
        return Exposure.decode(record.exposure)
    except ValueError:
        return None


def described(situation: Situation) -> dict[str, Any]:
    """The documented return value `canary`."""
    found, gets = describe(situation), last_given(situation)
    if found["traffic"]:
        found["traffic"]["given"] = gets and shown(gets)
    return found


def share_of(situation: Situation) -> str:
    """The same for people; empty where it is not known."""
    gets = last_given(situation)
    return printable(in_words(gets)) if gets else ""


def shown(exposure: Exposure) -> dict[str, Any]:
    header = exposure.header
    return {
        "weight": float(100 * exposure.weight),
        "header": {"name": header.name, "value": header.value} if header else None,
        "sticky": exposure.sticky is not None,
        "mirror": float(100 * exposure.mirror),
    }
