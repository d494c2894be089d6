# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the namespace's quotas allow at a moment of the release, when some old pods have left.

This module is private to the collection.
"""

from __future__ import annotations

from . import quota as quotas
from .finding import Question


def quota_at(question: Question, old_gone: int) -> quotas.Allowed:
    """How many more new pods the quotas allow once `old_gone` old ones have left."""
    # What a quota has charged does not include the pods that are only assumed.
    found = quotas.verdict(question.quotas, question.pod, question.minor, question.old_pod, old_gone - question.absent)
    return quotas.with_new_replica_set(question.quotas, found) if question.new_replica_set else found
