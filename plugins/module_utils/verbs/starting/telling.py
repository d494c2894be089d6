# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a start tells of the canary that it holds, or would hold. This module is private to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ...cluster.errors import Forbidden, NotFound
from ...rollout import patches, vertical
from ...rollout.describe import without_pods
from ...rollout.notices import scaled
from ...rollout.phase import Situation, diagnose
from ...rollout.size import patches as hold_patches
from ...rollout.size import share
from ...rollout.start import Start, Wanted
from ...wording import count_of
from ..call.ending import Account
from ..call.orders import StartRequest
from ..call.outcome import Outcome


def tell_taken_over(account: Account, before: Situation, begun: Start) -> None:
    """Warns where the canary was another run's."""
    was = before.record
    if was is not None and was.run != begun.record.run:
        whose = f"run {was.run}" if was.run else "a run without a name"
        account.warn(
            f"this takes over the canary of {whose}, which {was.started_by} started {was.started_at}: from now on it is of run "
            f"{begun.record.run}, and what that run still asks for it is refused"
        )


def tell_split(account: Account, before: Situation, begun: Start, request: StartRequest) -> None:
    """What the patch changes of the pods, and where the canary's share is another than was asked for."""
    goal, replicas = begun.goal, before.deployment.replicas
    if begun.plan is None:
        return
    account.before["pods"] = {
        "stable": before.stable.replicas if before.stable else 0,
        "canary": before.canary.replicas if before.canary else 0,
    }
    account.after["pods"] = {"stable": goal.stable(replicas), "canary": goal.canary(replicas)}
    asked, held = request.size.weight, share(goal.canary(replicas), replicas, goal.at(replicas).surge)
    # More than twice what was asked for is another risk than the one that somebody wanted to take.
    if asked is not None and held > 2 * asked:
        account.warn(
            f"weight {asked} was asked for, and the canary is {held:.1f} % of all pods, the least that is possible with "
            f"{count_of(replicas, 'replica')}: a smaller share needs more replicas"
        )


def foretold(account: Account, situation: Situation, begun: Start, wanted: Wanted, gets: str) -> Outcome:
    """Check mode. The canary is told as it is, with its pods; one that is only planned, without any. `gets`: of requests, where routes say that."""
    deployment = situation.deployment
    if situation.canary is not None:
        account.looked(diagnose(replace(situation.picture, pods=account.site.pods(deployment))))
    split = pods_in_words(begun, deployment.replicas)
    # The controller may not have made its ReplicaSet yet.
    unmade = None if situation.canary is not None else without_pods(wanted.template, None)
    if begun.plan is None:
        what = "would change routes alone" if account.changed else "nothing to write"
        return with_canary(account.outcome(f"{what}: {split}{gets}"), unmade)
    # The steps that follow end at the goal.
    account.wrote(patches.grow(deployment, begun.goal, begun.record))
    # What only takes the canary over, or names its step, is a patch, too.
    count = max(1, len(hold_patches(begun.goal, deployment.replicas, begun.room, situation.hold)))
    outcome = account.outcome(f"would hold {split}{gets}, in {count} {'patch' if count == 1 else 'patches'}")
    outcome = with_canary(outcome, unmade)
    return outcome.returning(planned=outcome.after["pods"]) if "pods" in outcome.after else outcome


def with_canary(outcome: Outcome, version: Mapping[str, Any] | None) -> Outcome:
    """`version`: as it is told of one without pods (rollout/describe.py); None: as it is there."""
    return outcome if version is None else replace(outcome, canary={**outcome.canary, "canary": version})


def warn_of_scaling(account: Account, begun: Start, situation: Situation) -> None:
    """Where the size that was asked for is another by now."""
    account.warn(*scaled(begun.record, situation))


def tell_scaled(account: Account, before: Situation, begun: Start) -> None:
    """Where a step counts from the replicas of now, and so would be the last to know of others."""
    if before.record is not None and before.record.replicas != begun.record.replicas:
        account.warn(*scaled(before.record, before))


def warn_of_evictions(account: Account, situation: Situation) -> None:
    """A request, where a pod says that a VerticalPodAutoscaler sizes it."""
    if not any(pod.resized for pod in situation.picture.pods or ()):
        return
    try:
        found = account.site.vertical_autoscalers()
    except NotFound:
        return  # of one that is no longer installed
    except Forbidden as error:
        account.warn(f"a VerticalPodAutoscaler sizes these pods, and whether it evicts them is not known: {error}")
        return
    account.warn(*vertical.warnings(found, situation.deployment.name))


def pods_in_words(begun: Start, replicas: int) -> str:
    """Of a Deployment of so many replicas: 1 canary beside 3 stable pods (25.0 % of all pods)."""
    canary, stable = begun.goal.canary(replicas), begun.goal.stable(replicas)
    return f"{canary} canary beside {count_of(stable, 'stable pod')} ({share(canary, replicas, begun.goal.at(replicas).surge):.1f} % of all pods)"
