# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only some releases ask, loaded by those: counting and judging are half of this collection.

This module is private to the collection.
"""

from __future__ import annotations

from ...cluster.api import Api
from ..call.outcome import Outcome, Report
from ..counting.asked import HeadroomRequest
from ..judging.asked import VerifyRequest


def headroom(api: Api, request: HeadroomRequest, report: Report) -> Outcome:
    from ..headroom import headroom as count

    return count(api, request, report)


def blind_guards(request: VerifyRequest, seconds: float, *, of_owner: bool) -> tuple[str, ...]:
    """What keeps a guard of so many seconds from seeing, told before anything is changed. `of_owner`: the promotion gives the routes back to
    their owner before the pods move."""
    from ..judging.foresight import blind_in_the_end, blind_to_versions

    versions = tuple(said for asked in request.checks if of_owner and (said := blind_to_versions(asked)))
    return (*versions, *(said for asked in request.checks if (said := blind_in_the_end(asked, seconds))))


def verify(api: Api, request: VerifyRequest, report: Report) -> Outcome:
    from ..verify import verify as judge

    return judge(api, request, report)
