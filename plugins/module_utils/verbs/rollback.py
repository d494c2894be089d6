# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_rollback: a finished Deployment returns to a named ReplicaSet.

Unlike `kubectl rollout undo` it names where to go, looks only at ReplicaSets that the Deployment owns, leaves annotations
alone, and a second run changes nothing. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ..cluster.api import Api
from ..cluster.errors import AdmissionDenied, ApiError, Invalid
from ..rollout import owners, patches
from ..rollout.equality import same_template
from ..rollout.last import LAST, Before, LastRelease, before_that, version_before
from ..rollout.patches import Fields, Plan
from ..rollout.phase import Phase, Situation, diagnose
from ..rollout.refusal import Code, Refusal
from ..rollout.template import changed_paths, digest, images, replica_set_of
from ..rollout.views import Picture, ReplicaSet
from .call.ending import Account, accounted
from .call.orders import RollbackRequest
from .call.outcome import Outcome, Report
from .call.site import Site
from .call.writing import Written, rehearse, write
from .moving.completion import finish_leftover, tell_why
from .moving.ownership import disown
from .moving.rolling import await_rollout

OUTCOME, EVENT = "rolled back", "CanaryRolledBack"
UNFINISHED = "The rollback goes on in the cluster: run it again to wait for it."


def rollback(api: Api, request: RollbackRequest, report: Report) -> Outcome:
    site, call = Site(api, request.call.target, request.call), request.call
    with accounted(site, check=request.call.check) as account:
        picture = site.look()
        first = account.looked(diagnose(picture))
        goal, leaving = _goal(site, first, request), digest(picture.deployment.template)
        wanted = _as_stored(account, picture, goal)
        _check_leaves(first, goal, wanted, call.meant.hash, leaving)
        picture = finish_leftover(account, picture, call.actor, check=call.check)
        account.looked(diagnose(picture))
        left = _what_is_left(site, picture, goal, request)

        def decide(situation: Situation) -> Plan | None:
            _check_leaves(situation, goal, wanted, call.meant.hash, leaving)
            return _decide(situation, goal, wanted, left)

        written = (
            rehearse(site, picture, decide, foretold=account.changed) if call.check else write(site, picture, decide)
        )
        sent, made = written.plan, wanted
        if sent is not None and not call.check:
            made = written.picture.deployment.template
            if digest(made) == leaving:
                # No dry run has told that admission makes what runs of it.
                account.changed = account.changed or bool(sent.annotations)
                _take_back(account, written, sent)
                raise _stays(written.situation, goal)
            _warn_of_another(account, goal, made)
        to = goal.name if same_template(goal.template, made) else f"what admission makes of {goal.name}"
        account.wrote(sent)
        if written.plan is not None:
            deployment = picture.deployment
            account.warn(*(owner.against_rollback(deployment) for owner in owners.owners(deployment)))
        if left is not None and written.plan is not None and not call.check:
            what = f"{', '.join(left.images.values())} was rolled back"
            tell_why(account, picture.deployment, EVENT, what, left)
        situation = account.looked(written.situation)
        if call.check:
            return account.outcome(f"would return to {to}" if written.plan else f"already at {to}")
        if written.plan is not None:
            disown(account, written.picture)
        settled = situation.deployment.rolled_out and len(situation.picture.active) < 2
        if settled or not call.wait.enabled:
            done = f"already at {to}" if settled else f"returning to {to}"
            return account.outcome(done, situation)
        reached = digest(situation.deployment.template)
        situation = await_rollout(account, situation.picture, reached, call, report, remedy=UNFINISHED)
        return account.outcome(f"returned to {to}", situation)


def _as_stored(account: Account, picture: Picture, goal: ReplicaSet) -> Mapping[str, Any]:
    """The template of `goal` as the server would store it: admission may change it by now."""
    idle = diagnose(picture).phase is Phase.NONE
    if not idle or same_template(picture.deployment.template, goal.template):
        return goal.template
    stored = account.site.try_template(goal.template)
    if not same_template(picture.deployment.template, stored):
        _warn_of_another(account, goal, stored)
    return stored


def _warn_of_another(account: Account, goal: ReplicaSet, stored: Mapping[str, Any]) -> None:
    if changed := changed_paths(goal.template, stored):
        account.warn(
            f"an admission webhook or policy changes the pod template of {goal.name} on its way back ({', '.join(changed)}), so "
            "that its pods are of a new ReplicaSet"
        )


def _take_back(account: Account, written: Written, sent: Plan) -> None:
    """What came with the template: that the version has gone."""
    noted, before = sent.annotations.get(LAST), written.decided.deployment.annotations.get(LAST)

    def decide(now: Situation) -> Plan | None:
        if noted is None or now.deployment.annotations.get(LAST) != noted:
            return None
        return patches.plan(now.deployment, Fields(annotations={LAST: before}), "tell of no rollback that did not come")

    try:
        write(account.site, written.picture, decide)
    except (ApiError, Refusal) as error:
        account.warn(
            f"the annotation {LAST} tells of a rollback that did not come, and could not be put back ({error})"
        )


def _stays(situation: Situation, goal: ReplicaSet) -> Refusal:
    deployment = situation.deployment
    return Refusal(
        Code.ADMISSION,
        f'Deployment "{deployment.name}" in namespace "{deployment.namespace}" runs {_running(situation)} as before: an admission webhook or '
        f"policy makes that of the pod template of {goal.name}",
        "Change that policy, or release a version that it lets in",
    )


def _what_is_left(site: Site, picture: Picture, goal: ReplicaSet, request: RollbackRequest) -> LastRelease | None:
    """Of the version that goes: why, if there is a reason."""
    if not request.reason:
        return None
    deployment = picture.deployment
    gone, current = images(deployment.template), replica_set_of(deployment.template, picture.replica_sets)
    leaving = current.hash if current else ""
    last = LastRelease(OUTCOME, gone, site.now(), request.call.actor, request.reason, deployment.generation)
    return replace(last, version=leaving, before=goal.hash, digest=digest(goal.template))


def _check_leaves(
    situation: Situation, goal: ReplicaSet, wanted: Mapping[str, Any], expected: str, leaving: str
) -> None:
    """Raises Refusal where the version that goes would be another than the one that is meant (a pod-template-hash), or that was
    looked at first (the digest of its template); and where it would stay, as admission makes it of the one to go back to."""
    deployment, runs = situation.deployment, _running(situation)
    if same_template(deployment.template, wanted):
        is_to_go = runs == expected or version_before(deployment, runs).hash == goal.hash
        if is_to_go and not same_template(deployment.template, goal.template):
            raise _stays(situation, goal)
        return
    if expected and expected != runs:
        what = f"{expected} was expected, and its version is {runs}"
    elif digest(deployment.template) != leaving:
        what = f"somebody gave it another version, {runs}, while this was decided"
    else:
        return
    raise Refusal(
        Code.OTHER_RELEASE,
        f'Deployment "{deployment.name}" in namespace "{deployment.namespace}" was left alone: {what}',
        "canary_info shows what runs. To leave that version, name it in expect, or leave expect out",
    )


def _running(situation: Situation) -> str:
    """The version, for people: its pod-template-hash where it has a ReplicaSet."""
    current = replica_set_of(situation.deployment.template, situation.picture.replica_sets)
    return current.hash if current else "one without a ReplicaSet"


def _decide(situation: Situation, goal: ReplicaSet, wanted: Mapping[str, Any], left: LastRelease | None) -> Plan | None:
    deployment = situation.deployment
    if situation.phase is not Phase.NONE:
        raise Refusal(
            Code.BUSY,
            f'a release of Deployment "{deployment.name}" is live ({situation.phase.value})',
            "End it first: canary_undo takes the canary back, canary_promote finishes it",
        )
    if same_template(deployment.template, wanted):
        return None
    if deployment.paused:
        raise Refusal(Code.PAUSED, f'Deployment "{deployment.name}" is paused', "Let it go on with canary_resume first")
    if len(situation.picture.active) > 1:
        raise Refusal(
            Code.ROLLOUT_IN_PROGRESS,
            f'Deployment "{deployment.name}" is in the middle of a rollout',
            "canary_info shows whether that is somebody's release. Try again when it is over",
        )
    return patches.rollback(deployment, goal, left)


def _goal(site: Site, situation: Situation, request: RollbackRequest) -> ReplicaSet:
    """The one that is named, or else the version that was there before the one that runs, as the last release has left word of it; that one,
    too, where it is back already. Raises Refusal."""
    deployment, known = situation.deployment, situation.picture.replica_sets
    current = replica_set_of(deployment.template, known)
    before = version_before(deployment, current.hash if current else "")
    if not (request.to or before.hash):
        before = _that_is_back(site, situation)
    if not (request.to or before.hash):
        raise Refusal(
            Code.NO_SUCH_REPLICA_SET,
            f'nothing tells which version Deployment "{deployment.name}" had before the one that runs; it has: {_listed(situation)}',
            "Name one of them in to, by its hash",
        )
    goal = _named(situation, request.to or before.hash)
    if not request.to or request.as_it_was:
        _check_unchanged(goal, before)
    return goal


def _that_is_back(site: Site, situation: Situation) -> Before:
    """The version before, where what runs is what admission makes of it by now: a rollback of which nobody has kept how that was stored."""
    deployment, before = situation.deployment, before_that(situation.deployment)
    goal = next((rs for rs in situation.picture.replica_sets if rs.hash == before.hash), None)
    if goal is None or situation.phase is not Phase.NONE:
        return Before()
    try:
        return before if same_template(deployment.template, site.try_template(goal.template)) else Before()
    except (AdmissionDenied, Invalid):
        return Before()


def _check_unchanged(goal: ReplicaSet, before: Before) -> None:
    """Raises Refusal: the template of a ReplicaSet can be written to, and its hash and its name stay then."""
    if before.is_no_longer(goal):
        raise Refusal(
            Code.OTHER_RELEASE,
            f"{goal.name} has the hash of the version before, and another pod template than that had: somebody has changed it since, and "
            f"it runs {', '.join(images(goal.template).values())} now",
            f"Release the version that you want, or name this one as it is: to: {goal.hash}",
        )


def _listed(situation: Situation) -> str:
    known = situation.picture.replica_sets
    return "; ".join(f"{rs.hash} (revision {rs.revision}, {', '.join(images(rs.template).values())})" for rs in known)


def _named(situation: Situation, to: str) -> ReplicaSet:
    """The ReplicaSet with that hash or name, else the only one that runs that image. Raises Refusal."""
    known = situation.picture.replica_sets
    exact = [rs for rs in known if to in (rs.hash, rs.name)]
    by_image = [rs for rs in known if to in images(rs.template).values()]
    found = exact or by_image
    if len(found) == 1:
        return found[0]
    what = f'"{to}" names no ReplicaSet' if not found else f'"{to}" is the image of {len(found)} ReplicaSets'
    raise Refusal(
        Code.NO_SUCH_REPLICA_SET,
        f'{what} of Deployment "{situation.deployment.name}"; it has: {_listed(situation)}',
        "Name one of them by its hash; older ones are kept as far as spec.revisionHistoryLimit says",
    )
