# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That the Deployments of later waves are there: a wrong name is told before the first wave, and not when the others are out.

This module is private to the collection.
"""

from __future__ import annotations

from functools import partial
from typing import Mapping

from ...cluster.api import Api
from ...release.policies import WhenMissing
from ...rollout.refusal import Refusal
from ...rollout.views import Deployment
from ..call.site import Site
from .looking import Looks
from .orders import FleetRequest, Member


def not_there(looks: Looks, request: FleetRequest) -> Mapping[int, Refusal]:
    """Those without a Deployment, by their place. A request for each release after the first wave, which is looked at anyway.

    What cannot be looked at now is found out by its own wave.
    """
    later = (place for wave in request.waves[1:] for place in wave)
    needed = [place for place in later if request.members[place].request.policies.when_missing is WhenMissing.FAIL]
    found = looks.all({place: partial(_deployment, request.members[place]) for place in needed})
    return {place: seen for place, seen in found.items() if isinstance(seen, Refusal)}


def _deployment(member: Member, api: Api) -> Deployment:
    return Site(api, member.request.call.target).deployment()
