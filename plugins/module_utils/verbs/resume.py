# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_resume: takes exactly the pause back. A frozen canary is held again, an ordinary rollout goes on.

This module is private to the collection.
"""

from __future__ import annotations

from ..cluster.api import Api
from .call.orders import ResumeRequest
from .call.outcome import Outcome, Report
from .pause import set_paused


def resume(api: Api, request: ResumeRequest, report: Report) -> Outcome:
    return set_paused(api, request.call, False, report)
