# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release promises to the pods and the users of its Deployment, by what its calls ask for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import resolve_fenceposts
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import pods_for_weight
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import SERVICE_SELECTOR
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.load import pods_for

from .history import Ask
from .objects import Json, is_being_deleted


@dataclass
class Release:
    """From the patch that starts a hold to the one that cleans up. `before`: the Deployment before it. `floor`: Ready pods that
    were promised."""

    before: Json
    stable: str
    canary: str
    floor: int
    most: int
    pinned: bool
    # Who began it, or took it over.
    actor: str
    was_ready: bool = False
    # Requests are split for it; otherwise only pods decide.
    splits: bool = False
    # The largest part of the requests that was asked for, None once pods decide.
    share: Fraction | None = Fraction(0)
    # And of which it was to get copies.
    copies: Fraction = Fraction(0)
    # Somebody has said that its pods bear more than ordinary ones.
    bears_more: bool = False
    # What its starts have told: that testers get it, and by which cookie users keep it (empty: none).
    testers: bool = False
    cookie: str = ""
    # By its start, until its routes send nobody to the canary, or by its undo, until they send nobody to pods that go.
    paused_by_verb: bool = False
    going: str = "hold"
    # Stable pods for which an undo keeps no canary pod.
    lacking: int = 0
    # What a policy makes of the two by now, where it has begun since; and whether a verb has written that of the canary, as nobody could know.
    stable_by_policy: str = ""
    canary_by_policy: str = ""
    meddled: bool = False

    def is_stable(self, key: str) -> bool:
        """It is the stable version, also as a policy makes it."""
        return key in (self.stable, self.stable_by_policy)


def takes_servers(before: Json | None, after: Json | None) -> bool:
    """After such a write of somebody else to a Deployment nobody can promise that users have a server: it is deleted, or pods of another template
    come, or fewer, or new ones count sooner, or all of them may be missing."""
    if after is None or is_being_deleted(after):
        return True
    if before is None:
        return False
    was, now = before["spec"], after["spec"]
    return bool(
        now["template"] != was["template"]
        or now["replicas"] < was["replicas"]
        or now.get("minReadySeconds", 0) < was.get("minReadySeconds", 0)
        or (now["strategy"] != was["strategy"] and may_lack_all(now))
    )


def may_lack_all(spec: Json) -> bool:
    """A rollout by this strategy may leave no pod for a moment."""
    rolling, replicas = spec["strategy"].get("rollingUpdate") or {}, spec["replicas"]
    return resolve_fenceposts(rolling["maxSurge"], rolling["maxUnavailable"], replicas).unavailable >= replicas


def is_hold(deployment: Json) -> bool:
    """No new pod of it ever counts as available."""
    return bool(deployment["spec"].get("minReadySeconds") == NEVER_AVAILABLE_SECONDS)


def is_marked(deployment: Json) -> bool:
    """A release of it is live."""
    return bool(record_of(deployment))


def record_of(deployment: Json) -> str:
    """As it stands there; empty: none."""
    return str((deployment["metadata"].get("annotations") or {}).get(RECORD, ""))


def may_lack(ask: Ask) -> int:
    """How far Ready pods may drop below replicas."""
    if ask.max_unavailable is not None:
        return ask.max_unavailable
    return 0 if ask.surge else 1


def most_pods(ask: Ask, replicas: int) -> int:
    """Of the canary, of a Deployment of so many replicas."""
    if ask.shares:
        shares = [Fraction(one) / 100 for one in (*ask.shares, ask.mirror or "0")]
        return replicas if goes_by_weights(ask) else max(pods_for(one, replicas) for one in shares)
    if ask.pods is None and ask.weight is None and (ask.share or ask.mirror):
        return pods_for(max(Fraction(one or 0) / 100 for one in (ask.share, ask.mirror)), replicas)
    return ask.pods if ask.pods is not None else pods_for_weight(ask.weight or 0, replicas, ask.surge)


def goes_by_weights(ask: Ask) -> bool:
    """A promotion gives all requests first, where nobody says otherwise, too."""
    return ask.by == "weights" or ask.kind == SERVICE_SELECTOR or bool(ask.sticky)


def share(ask: Ask) -> Fraction | None:
    """Of the requests. None where pods decide: a promotion begins with its routes."""
    return None if not ask.share or ask.verb != "start" else Fraction(ask.share) / 100


def takes_users(ask: Ask) -> bool:
    """From the canary: those who asked for it, or have seen it. A whole release says both anew, and a start whether they keep it."""
    ends = ask.verb in ("undo", "rollback", "release") or (ask.verb == "pause" and ask.drain)
    return (ends or (ask.verb == "start" and not ask.sticky)) and not ask.check
