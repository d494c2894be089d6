# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the releases of a fleet are looked at before its first wave: side by side, however long a cluster is silent.

This module is private to the collection.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Mapping, TypeVar

from ...cluster.api import Api
from ...cluster.asked import Asked
from ...cluster.crew import Crew
from ...cluster.errors import ApiError
from ...rollout.fields import Malformed
from ...rollout.refusal import Refusal
from .orders import FleetRequest, Member

Found = TypeVar("Found")


class Looks:
    """Of one call. A cluster that gave no answer to one look gives none to those that have not begun by then."""

    def __init__(self, crew: Crew, request: FleetRequest) -> None:
        self._crew, self._request = crew, request
        self._silent: dict[int, ApiError] = {}

    def all(self, looks: Mapping[int, Callable[[Api], Found]]) -> dict[int, Found | ApiError | Malformed | Refusal]:
        """`looks` by the places of their releases. What was seen of each, or why it was not. Once the call is cut off none begins."""
        found: dict[int, Found | ApiError | Malformed | Refusal] = {}

        def works(place: int, look: Callable[[Api], Found]) -> None:
            if not self._request.cut_off():
                found[place] = self._looked(self._request.members[place], look)

        self._crew.all([partial(works, *one) for one in looks.items()], self._request.at_once)
        return dict(sorted(found.items()))

    def _looked(self, member: Member, look: Callable[[Api], Found]) -> Found | ApiError | Malformed | Refusal:
        silent, target = self._silent.get(member.cluster), member.request.call.target
        if silent is not None:
            return type(silent)(Asked("get", "deployments.apps", target.name, target.namespace), silent.message)
        try:
            return look(self._crew.api(member.cluster))
        except (ApiError, Malformed, Refusal) as error:
            if isinstance(error, ApiError) and error.is_silence:
                self._silent[member.cluster] = error
            return error
