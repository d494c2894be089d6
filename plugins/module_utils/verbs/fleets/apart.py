# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That no two releases of a fleet are about the same Deployment: they would fight each other.

This module is private to the collection.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import combinations
from typing import Mapping, Sequence

from ...cluster.api import Api
from ...cluster.errors import ApiError, NotFound
from ...release.policies import WhenMissing
from ...rollout.fields import Fields, Malformed
from ...rollout.refusal import Code, Refusal
from ..call.outcome import VerbFailure
from ..call.site import Site
from .looking import Looks
from .orders import Member


def must_be_different(looks: Looks, members: Sequence[Member]) -> Mapping[int, ApiError | Malformed | Refusal]:
    """A server may have several addresses, so where names are alike the uids tell: a request or two for each of those. Raises VerbFailure.

    Returns those that could not be looked at, by their place, and why: nobody knows of them that they are others.
    """
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, member in enumerate(members):
        target = member.request.call.target
        alike[target.namespace, target.name].append(place)
    several = [places for places in alike.values() if len(places) > 1]
    found = looks.all({place: partial(_uid, members[place]) for places in several for place in places})
    for places in several:
        uids = [(place, uid) for place in places if isinstance(uid := found.get(place), str)]
        for (first, uid), (second, its) in combinations(uids, 2):
            one, other = members[first], members[second]
            if one.cluster == other.cluster or uid == its != "":
                raise VerbFailure(
                    f"{one.label} and {other.label} are the same Deployment of the same cluster, and two releases of it would "
                    "fight each other: leave one of them out",
                    code=Code.INVALID.value,
                )
    return {place: error for place, error in found.items() if not isinstance(error, str)}


def _uid(member: Member, api: Api) -> str:
    """Where a release creates a Deployment that is not there yet, the uid of its namespace, which is another one in each cluster: a request more.
    Empty where nothing is created, and where there is no such namespace either: the release itself says what becomes of that."""
    target = member.request.call.target
    found = Site(api, target).found()
    if found is not None or member.request.policies.when_missing is not WhenMissing.CREATE:
        return found.uid if found else ""
    try:
        namespace = api.get(f"/api/v1/namespaces/{target.namespace}")
    except NotFound:
        return ""
    return Fields(namespace, "Namespace").within("metadata").text("uid")
