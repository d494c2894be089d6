# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a verb, found before anything is written. This module is private to the collection."""

from __future__ import annotations

from enum import Enum

from ..wording import ended


class Code(Enum):
    """Why a verb refused, for playbooks that want to tell the cases apart."""

    NOT_FOUND = "not_found"
    BEING_DELETED = "being_deleted"
    SAME_TEMPLATE = "same_template"
    ROLLOUT_IN_PROGRESS = "rollout_in_progress"
    NOT_READY = "not_ready"
    SCALED_TO_ZERO = "scaled_to_zero"
    RECREATE = "recreate"
    PAUSED = "paused"
    UNKNOWN_CONTAINER = "unknown_container"
    IMPOSSIBLE_SIZE = "impossible_size"
    NEEDS_STEPS = "needs_steps"
    AUTOSCALER = "autoscaler"
    OWNED = "owned"
    ANOTHER_TEMPLATE = "another_template"
    SMALLER = "smaller"
    FROZEN = "frozen"
    FOREIGN = "foreign"
    DAMAGED = "damaged"
    BUSY = "busy"
    LOCKED = "locked"
    OTHER_RELEASE = "other_release"
    NO_ROOM = "no_room"
    NO_STABLE = "no_stable"
    NO_CANARY_READY = "no_canary_ready"
    NOT_PROMOTED = "not_promoted"
    NO_ROUTE = "no_route"
    SERVICE = "service"
    TRAFFIC_POLICY = "traffic_policy"
    OVERLOADED = "overloaded"
    CONTESTED = "contested"
    ADMISSION = "admission"
    NOT_PROGRAMMED = "not_programmed"
    NO_SUCH_REPLICA_SET = "no_such_replica_set"
    INVALID = "invalid"


class Refusal(Exception):
    """`what` is wrong and `remedy` is what to do about it, where that is not said with it; together they are the message.

    `may_have_written`: a write before it got no answer, and nobody knows whether it was carried out.
    """

    def __init__(self, code: Code, what: str, remedy: str = "") -> None:
        super().__init__(" ".join(map(ended, filter(None, (what, remedy)))))
        self.code = code
        self.what = what
        self.remedy = remedy
        self.may_have_written = False

    @property
    def found(self) -> str:
        """What is wrong, in a sentence, for whoever has dealt with it."""
        return ended(self.what)
