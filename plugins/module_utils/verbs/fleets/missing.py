# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That the Deployments of later waves are there: a wrong name is told before the first wave, and not when the others are out.

This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Mapping

from ...cluster.crew import Crew
from ...cluster.errors import ApiError
from ...release.policies import WhenMissing
from ...rollout.fields import Malformed
from ...rollout.refusal import Refusal
from ..call.site import Site
from .orders import FleetRequest, Member


def not_there(crew: Crew, request: FleetRequest) -> Mapping[int, Refusal]:
    """Those without a Deployment, by their place. A request for each release after the first wave, which is looked at anyway.

    What cannot be looked at now is found out by its own wave.
    """
    found: dict[int, Refusal] = {}

    def looks(place: int, member: Member) -> None:
        try:
            with suppress(ApiError, Malformed):
                Site(crew.api(member.cluster), member.request.call.target).deployment()
        except Refusal as refusal:
            found[place] = refusal

    later = ((place, request.members[place]) for wave in request.waves[1:] for place in wave)
    needed = [one for one in later if one[1].request.policies.when_missing is WhenMissing.FAIL]
    crew.all([partial(looks, *one) for one in needed], request.at_once)
    return dict(sorted(found.items()))
