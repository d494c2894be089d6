# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_info: one Deployment in full, or every live canary by its label. It waits for nothing and changes nothing.

This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, Mapping

from ..cluster.api import Api
from ..cluster.errors import ApiError
from ..foreign import printable
from ..rollout.fields import Fields, Malformed, items
from ..rollout.notices import let_go, scaled, several_builds
from ..rollout.phase import HOLDING, Phase, Situation, diagnose
from ..rollout.record import LIVE, Record
from ..rollout.refusal import Refusal
from ..rollout.views import Deployment, Picture, controller_uid, owned_replica_sets
from ..rollout.words import because
from .call.ending import Account, accounted
from .call.orders import Call, InfoRequest, Target, held_as
from .call.outcome import API_ERROR, Outcome, VerbFailure, quietly
from .call.sharing import described
from .call.site import Site
from .routing.traces import traced


def info(api: Api, request: InfoRequest) -> Outcome:
    """Four requests for one Deployment, and a list of each kind of routes where no release is live; two and a page more each 500 objects for a
    namespace or the cluster."""
    if request.name is not None:
        site = Site(api, Target(request.name, request.namespace or "default"))
        with accounted(site) as account:
            situation = account.looked(diagnose(site.look(pods=True, only_to_tell=True)))
            if situation.record is not None and situation.phase in HOLDING:
                account.warn(*scaled(situation.record, situation))
            account.warn(*filter(None, [several_builds(situation)]), *let_go(situation))
            answer = _with_exposure(account, situation, _answer(request, _of_one(situation), [described(situation)]))
            return _with_holder(site, situation, answer)
    try:
        return _live(api, request)
    except Malformed as error:
        raise VerbFailure(
            f"the API server's answer makes no sense: {error}. Look at the server", code=API_ERROR
        ) from error


def _with_exposure(account: Account, situation: Situation, answer: Outcome) -> Outcome:
    """With what was told until now, and what its routes say, where the release has some; a request each. They are not asked whether it is in
    force. Where no release is live, those that one of a Deployment before this has left: a list of each kind of routes."""
    record = situation.record
    # All about routes is a fifth of this collection.
    if record is not None and record.traffic is not None:
        try:
            _tell_its_routes(account, situation, record)
        except (ApiError, Malformed, Refusal) as error:
            # Whoever asks wants to know how to end it, in this state above all.
            account.warn(f"what its routes give the canary now cannot be seen: {error}")
    elif situation.phase is Phase.NONE:
        kinds = traced(account.site)
        if kinds:
            from .routing.orphans import tell_routes

            tell_routes(account, kinds)
    return replace(answer.returning(**account.extra), warnings=(*answer.warnings, *account.warnings))


def _tell_its_routes(account: Account, situation: Situation, record: Record) -> None:
    from .routing.exposed import tell_changed
    from .routing.finding import of_record
    from .routing.sparing import has_stable, tell_unserved

    routes = of_record(account, record, quietly)
    if routes is not None:
        found = routes.look(situation.canary_hash)
        if situation.phase in HOLDING:
            tell_changed(routes, record, found)
            routes.tell_put_back(found)
        routes.tell(found, "unknown")
        if not has_stable(situation):
            tell_unserved(routes, found)


def _with_holder(site: Site, situation: Situation, answer: Outcome) -> Outcome:
    """Which run has its Lease, where one has. A request."""
    try:
        held = held_as(site.api, Call(site.target), "", returns=False).holder(situation.deployment.uid)
    except ApiError as error:
        return replace(
            answer, warnings=(*answer.warnings, f"whether a run holds the Deployment cannot be seen: {error}")
        )
    return answer if held is None else answer.returning(holder=held)


def _live(api: Api, request: InfoRequest) -> Outcome:
    """Without pods: counts come from the ReplicaSets. An object that makes no sense keeps no other from being told."""
    where = f"/apis/apps/v1/namespaces/{request.namespace}" if request.namespace else "/apis/apps/v1"
    live = [
        item
        for page in api.pages(f"{where}/deployments", {"labelSelector": LIVE})
        for item in items(page, "Deployment")
    ]
    owned: dict[str, list[Any]] = {}
    for page in api.pages(f"{where}/replicasets") if live else ():
        for item in items(page, "ReplicaSet"):
            with suppress(Malformed):  # whose it is cannot be known
                owned.setdefault(controller_uid(item, "ReplicaSet"), []).append(item)
    canaries: list[Mapping[str, Any]] = []
    warnings: list[str] = []
    for item in live:
        try:
            deployment = Deployment.parse(item)
            picture = Picture(deployment, owned_replica_sets(owned.get(deployment.uid, ()), deployment.uid))
        except Malformed as error:
            warnings.append(f"{_named(item)} cannot be read: {error}")
        else:
            canaries.append(described(diagnose(picture)))
    where = f'namespace "{request.namespace}"' if request.namespace else "the cluster"
    count = {0: "no canary is", 1: "1 canary is"}.get(len(canaries), f"{len(canaries)} canaries are")
    return replace(_answer(request, f"{count} live in {where}", canaries), warnings=tuple(warnings))


def _of_one(situation: Situation) -> str:
    deployment = situation.deployment
    name = f'Deployment "{deployment.name}" in namespace "{deployment.namespace}"'
    if situation.phase is Phase.NONE:
        return f"no release of {name} is live"
    return because(f"the release of {name} is in phase {situation.phase.value}", situation.why)


def _answer(request: InfoRequest, message: str, canaries: list[Mapping[str, Any]]) -> Outcome:
    asked = canaries[0] if request.name is not None else {}
    extra = {"canaries": canaries, "check_mode": request.check}
    return Outcome(changed=False, message=message, canary=asked, extra=extra)


def _named(item: Any) -> str:
    try:
        meta = Fields(item, "Deployment").within("metadata")
        return printable(f'Deployment "{meta.text("name")}" in namespace "{meta.text("namespace")}"')
    except Malformed:
        return "a Deployment without a name"
