# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment that is not there yet is created from its manifest, where that is asked for: its first version needs no canary.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ...cluster.errors import Conflict
from ...release.policies import Headroom, OnUnknown, WhenMissing
from ...release.result import Ending
from ...release.rulings import Stage
from ...rollout.equality import same_template
from ...rollout.refusal import Code, Refusal
from ...rollout.template import digest
from ...rollout.views import Deployment, Picture
from ...wording import count_of
from ..call.ending import Account, accounted
from ..call.guarded import Sent, guarded
from ..call.site import Site
from ..moving.rolling import await_rollout
from ..moving.template import check_whole
from .course import Course, ReleaseRequest

_MADE = "There was no such Deployment, so it was created, without a canary."
_MADE_MEANWHILE = "Somebody has created the Deployment of this version meanwhile."


def created(course: Course) -> bool:
    """Creates it, and waits for it. False where it is there already, and is released as any other is."""
    request, definition = course.request, course.request.start.template.definition
    if request.policies.when_missing is not WhenMissing.CREATE or definition is None:
        return False
    with accounted(course.site) as account:
        if account.site.found() is not None:
            return False
        check_whole(account.site.target, definition)
        course.release = replace(course.release, why=_told_of_no_room(request))
        if request.call.check or request.through.before_any_pod:
            try:
                account.site.create(definition, dry_run=True)
            except Conflict:
                return False  # somebody was faster
            course.changed = request.call.check
            course.ends(Ending.PLANNED, "There is no such Deployment yet: it would be created, without a canary.")
            return True
        sent = _create(account.site, definition)
        # Of a request that got no answer nobody can tell it from somebody else's.
        course.changed = account.changed = sent.change is not None
        if sent.decided is not None and not _is_this(account.site, definition, sent.decided):
            return False
        _await(course, account, sent.state)
    course.ends(*((Ending.CREATED, _MADE) if sent.change else (Ending.ALREADY_RELEASED, _MADE_MEANWHILE)))
    return True


def _create(site: Site, definition: Mapping[str, Any]) -> Sent[Deployment | None, Mapping[str, Any]]:
    busy = Refusal(
        Code.BUSY,
        f'Deployment "{site.target.name}" in namespace "{site.target.namespace}" was deleted again and again while it was created',
        "Find out who deletes it, then run this again",
    )
    return guarded(
        None,
        lambda found: definition if found is None else None,
        lambda _missing, manifest: site.create(manifest),
        site.found,
        busy,
    )


def _is_this(site: Site, definition: Mapping[str, Any], found: Deployment) -> bool:
    """It has the pod template of the manifest, as the server would store that."""
    return not found.deleting and same_template(site.try_template(definition["spec"]["template"]), found.template)


def _await(course: Course, account: Account, deployment: Deployment | None) -> None:
    if deployment is None:
        raise AssertionError("what was created, or found in its place, is a Deployment")
    course.reaches(Stage.WAITING)
    remedy = "It was created and stays: look at its pods with canary_info."
    picture, template = Picture(deployment, ()), digest(deployment.template)
    await_rollout(account, picture, template, course.request.call, course.report, remedy=remedy)
    done = "created: " if account.changed else ""
    pods = count_of(deployment.replicas, "pod", "runs", "run")
    course.did("create", account.outcome(f"{done}{pods} the version"))


# Room is counted beside the pods of a Deployment that is there.
_NOT_ASKED = (
    "Whether its pods fit, and what they cost, was not asked, because there is no Deployment yet to count from."
)


def _told_of_no_room(request: ReleaseRequest) -> tuple[str, ...]:
    """Raises Refusal where nobody may begin without knowing of room."""
    if request.policies.headroom is Headroom.SKIP:
        return ()
    if request.policies.on_unknown is OnUnknown.FAIL:
        raise Refusal(
            Code.NO_ROOM,
            _NOT_ASKED.rstrip("."),
            "Set on_unknown to warn, or headroom to skip, to create it all the same",
        )
    return (_NOT_ASKED,)
