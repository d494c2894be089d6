# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet is asked: its releases, where each of them is, and in which waves they go.

The front door makes these values and sees nothing of the rooms behind them; so what it needs is named here.
This module is private to the collection.
"""

from __future__ import annotations

from ...cluster.connection import Connection
from ...release.fleet import WhenCrowded
from ...release.waves import DEFAULT, Misplanned, Waves, tolerated
from ...values import dataclass
from ..call.orders import Withdrawn, stands
from ..releasing.course import ReleaseRequest

__all__ = ["DEFAULT", "FleetRequest", "Member", "Misplanned", "Waves", "WhenCrowded", "tolerated"]


@dataclass(frozen=True)
class Member:
    """One release. `cluster`: the number of the connection to its cluster. `where`: that cluster in a word for people, which may be
    empty and is never secret."""

    request: ReleaseRequest
    cluster: int = 0
    where: str = ""

    @property
    def label(self) -> str:
        target = self.request.call.target
        return "/".join(filter(None, (self.where, target.namespace, target.name)))


@dataclass(frozen=True)
class FleetRequest:
    """`waves`: places in `members`. `tolerated`: how many releases may fail. `pause`: seconds between two waves; `stops`: the call
    ends there instead. `at_once`: how many releases are worked on at the same time. `cut_off`: why the call is to end now, whatever is
    not out by then; empty as long as it may go on."""

    members: tuple[Member, ...]
    waves: tuple[tuple[int, ...], ...]
    clusters: tuple[Connection, ...] = ()
    together: bool = True
    tolerated: int = 0
    pause: float = 0.0
    stops: bool = False
    at_once: int = 100
    when_crowded: WhenCrowded = WhenCrowded.REFUSE
    run: str = ""
    check: bool = False
    cut_off: Withdrawn = stands
