# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gets the canary any more, whatever stands in the way. This module is private to the collection."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Callable, Iterator, Sequence

from ...cluster.errors import AdmissionDenied, ApiError, Forbidden, Invalid
from ...rollout.equality import same_template
from ...rollout.fields import Malformed
from ...rollout.phase import Situation, holds, ready_pods
from ...rollout.record import Intent, RouteRef
from ...rollout.refusal import Refusal
from ...rollout.template import digest
from ...traffic.exposure import NOBODY, Stage, Wanted
from ..call.ending import Account
from ..call.outcome import Report
from .bearing import too_much_for_stable
from .finding import of_record
from .proving import NotProgrammed, Written
from .reclaiming import of_another
from .renaming import is_unread, renamed
from .returning import warm
from .routes import THEIRS, Now, Routes, Wish
from .versions import await_endpoints, ensure, keep_stable

# What stands in the way of an undo for good, and must keep it from nothing else: also a webhook, a policy or a rule of the API that
# denies a write. A server in trouble ends the call instead: the next one finds it better, and until then the pods that the routes
# send to stay.
_IN_THE_WAY = (NotProgrammed, Refusal, Forbidden, AdmissionDenied, Invalid, Malformed)


def cut_off(routes: Routes, situation: Situation, *, taken_over: bool = False) -> None:
    """Each route is written, whatever becomes of the others and whether or not a gateway can be asked, and waited for as long as a write may
    take: a bad canary is worse than a route that lags behind. Where users are not sent to what is to serve them now, the gateway has as long
    to reach it first.

    `taken_over`: from a run whose first write of a route may still come. What is its owner's is written, too, so that this is refused then; and
    so it is where the canary has pods, which the owner's Service sends users to: a promotion that died right before its first pod left it so,
    or somebody put it back.
    """
    canary = situation.canary_hash
    serves = _stable_serves(situation) and _comes_back(routes, situation)
    there, unread = list[Now](), list[RouteRef]()
    for ref in routes.traffic.routes:
        with _going_on(routes), _apart(ref, unread):
            now = routes.now(ref, canary)
            if now is not None and not routes.is_elsewhere(now) and not _is_anothers(routes, now):
                there.append(now)
    gets = situation.canary is not None and not situation.canary.empty and any(one.stage is Stage.OWN for one in there)
    every = serves and (taken_over or gets) and _went(routes, partial(ensure, routes, routes.stable_hash))
    found = [one for one in there if every or one.stage is not Stage.OWN or _is_written(one, serves)]
    if serves:
        _went(routes, partial(keep_stable, routes, found))
    serves = serves and _stable_is_known(routes, found)
    if (
        serves
        and any(_gets_users(routes, now) for now in found)
        and (what := too_much_for_stable(situation, Fraction(1)))
    ):
        routes.account.warn(f"the undo sends everybody back to the stable version at once: {what}")
    service = routes.stable if serves else routes.traffic.service
    wanted = Wanted(Stage.ISOLATED) if serves else Wanted(Stage.OWN, drained=NOBODY)
    to = partial(_sent_to, wanted, every)
    unknown, written = list[Now](), list[Written]()
    for ref in unread if canary else ():
        with _going_on(routes):
            written += renamed(routes, ref, wanted, canary)
    for now in found:
        with _going_on(routes):
            if routes.prover.marks and not routes.router.sends_to(now.route, service):
                unknown.append(now)
            else:
                written += routes.put([now], to, canary, insists=False)
    with _going_on(routes):
        routes.prepare(found, insists=False, goes_on=True)
    written += _once_reached(routes, unknown, service, to, canary)
    with _going_on(routes):
        routes.await_(written)


@contextmanager
def _apart(ref: RouteRef, unread: list[RouteRef]) -> Iterator[None]:
    """Of what nobody can read the end of the release tells."""
    try:
        yield
    except Refusal as error:
        if not is_unread(error):
            raise
        unread.append(ref)


def _is_anothers(routes: Routes, now: Now) -> bool:
    """What the release of another Deployment, which was faster, has made of a route sends nobody to the canary of this one."""
    return of_another(now.route, routes.owner.uid) is not None


def _stable_is_known(routes: Routes, found: Sequence[Now]) -> bool:
    """Whoever is sent to its Service by now stays there. Else that has to have an endpoint, of which a proxy that nobody can ask has had time
    to hear: without one it would serve nobody, and the owner's serves."""
    if all(routes.router.sends_to(now.route, routes.stable) for now in found):
        return True
    return _went(routes, partial(await_endpoints, routes, routes.stable, 1), routes.prover.await_known)


def _went(routes: Routes, *steps: Callable[[], object]) -> bool:
    """One after the other, and none of them is in the way of the undo."""
    with _going_on(routes):
        for step in steps:
            step()
        return True
    return False


def _is_written(now: Now, serves: bool) -> bool:
    """Of a route that sends to its owner's Service: somebody gets the canary by it all the same, or got it until a write of which nobody knows
    whether that is in force. Where the stable version `serves` every route is written then, as long as the canary has pods."""
    return not now.wanted.exposure.nobody or (not serves and now.route.annotation is not None)


def _sent_to(wanted: Wanted, every: bool, now: Now) -> Wanted | None:
    """A route that keeps nothing has been given back since it was looked at: the Service that users would be sent to may be gone."""
    is_back = now.stage is Stage.OWN and now.route.annotation is None
    return None if is_back and not every else wanted


def _once_reached(routes: Routes, found: Sequence[Now], service: str, to: Wish, canary: str) -> list[Written]:
    """As `to` says, once a rule without users has reached the Service, or there was time enough for it."""
    warmed, written = list[Written](), list[Written]()
    for now in found:
        with _going_on(routes):
            warmed += routes.put([now], lambda one: warm(routes, one, service), canary, insists=False)
    with _going_on(routes):
        routes.await_(warmed)
    for now in found:
        with _going_on(routes):
            written += routes.put(routes.since([now], warmed, canary), to, canary, insists=False)
    return written


@contextmanager
def _going_on(routes: Routes) -> Iterator[None]:
    try:
        yield
    except _IN_THE_WAY as error:
        if routes.is_over:
            raise
        routes.account.passes_over(error)
        routes.account.warn(f"the undo goes on, although the routes may still send requests to the canary: {error}")


def _stable_serves(situation: Situation) -> bool:
    """Some of its pods are there, and nobody takes them away. A promotion does, of which a record that cannot be read tells nothing, and then only
    both versions together carry the load."""
    record, stable, deployment = situation.record, situation.stable, situation.deployment
    if record is not None:
        promotes = record.intent is Intent.PROMOTE
    else:
        promotes = (
            not holds(deployment) and stable is not None and digest(deployment.template) != digest(stable.template)
        )
    return not promotes and has_stable(situation)


def _comes_back(routes: Routes, situation: Situation) -> bool:
    """As the ReplicaSet that its Service selects. Where a policy of the cluster makes another template of it by now, its pods are replaced, and only
    the owner's Service has those that come. What cannot be asked is not in the way."""
    stable = situation.stable
    if stable is None:
        return False
    try:
        return same_template(routes.account.site.try_template(stable.template), stable.template)
    except (ApiError, Malformed):
        return True


def _gets_users(routes: Routes, now: Now) -> bool:
    """The canary, by the share that was written, or by one that somebody else made of it."""
    if now.stage in THEIRS:
        return bool(now.canary) and routes.router.sends_to(now.route, now.canary)
    return now.stage is Stage.SPLIT and not now.wanted.exposure.nobody


def spare_users(account: Account, situation: Situation, report: Report) -> None:
    """Whoever was sent to the canary is sent elsewhere where no pod of it could answer, or where the controller takes them away for another
    version; whatever a call is for that finds it so. Not waited for: nothing waits on it. Nothing for a release without traffic."""
    routes = of_record(account, situation.record, report) if situation.record else None
    if routes is None:
        return
    account.looked(situation)
    canary = situation.canary
    if _is_kept(situation) and canary is not None and ready_pods(situation.picture, canary):
        if not has_stable(situation):
            try:
                tell_unserved(routes, routes.look(canary.hash))
            except (Refusal, Malformed, ApiError) as error:
                account.warn(f"whether users are sent to stable pods that are not there is not known: {error}")
        return
    spare(routes, situation, "without Ready pods" if _is_kept(situation) else "that the Deployment takes away")


def spare(routes: Routes, situation: Situation, without: str) -> None:
    """Users of a canary that serves nobody; `without` says why."""
    account, stage = routes.account, _serves(situation)
    of_hash = situation.canary_hash
    to = (
        "stable"
        if stage is Stage.ISOLATED
        else f'Service "{routes.traffic.service}", which has the pods of all versions,'
    )
    for ref in routes.traffic.routes:
        try:
            now = routes.now(ref, of_hash)
            if now is not None and _gets_users(routes, now) and not _is_anothers(routes, now):
                if stage is Stage.ISOLATED:
                    keep_stable(routes, [now])
                routes.put([now], lambda one: Wanted(stage, drained=one.wanted.again), of_hash, insists=False)
                account.warn(
                    f'{routes.router.kind} "{ref.name}" sent users to a canary {without}, and sends them to {to} now'
                )
        except (*_IN_THE_WAY, ApiError) as error:
            account.passes_over(error)
            account.warn(f'{routes.router.kind} "{ref.name}" may still send users to a canary {without}: {error}')


def _is_kept(situation: Situation) -> bool:
    """The canary, by the controller: the Deployment has its pod template, and no other version's."""
    record = situation.record
    return record is not None and digest(situation.deployment.template) == record.canary


def _serves(situation: Situation) -> Stage:
    """Who gets whoever the canary cannot have. The controller keeps stable pods in a hold, whatever the template, and where the Deployment has
    theirs. In any other rollout only the pods of all versions together carry the load."""
    deployment, record = situation.deployment, situation.record
    comes_back = record is not None and digest(deployment.template) == record.stable.digest
    return Stage.ISOLATED if holds(deployment) or (comes_back and has_stable(situation)) else Stage.OWN


def has_stable(situation: Situation) -> bool:
    """Some pod of the stable version is Ready, by which its Service knows it. After a scale to 0 and back there may be none for good: all that
    come are canaries."""
    stable, record = situation.stable, situation.record
    return stable is not None and stable.ready > 0 and (record is None or record.stable.hash == stable.hash)


def tell_unserved(routes: Routes, found: Sequence[Now]) -> None:
    """Of a release without Ready stable pods. Its users are left there: whether they are to get the canary instead, a person decides."""
    for now in found:
        if routes.router.sends_to(now.route, routes.stable):
            routes.account.warn(
                f'{now.route.kind} "{now.route.name}" sends users to the stable version, of which no pod is Ready: they get errors. canary_undo brings '
                "it back"
            )
