# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which routes, Services and pods change, so that no rule with users names a Service that a rule without users has
not been seen to reach.

    start     Service of the stable version; warm; isolated; (pods); Service of the canary; warm; split
    promote   the owner's Service warm; the owner's backends but for testers, and then the rollout; or 100 %, the rollout, and then these two
    undo      isolated, and then the pods; the owner's Service warm; the owner's backends
    end       nothing of ours on the routes, and then no Service of ours

Whoever comes after a crash reads the routes and goes on from there. This module is private to the collection.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, Callable, Mapping, Sequence

from ...cluster.errors import ApiError, Forbidden, NotFound
from ...rollout.fields import Malformed
from ...rollout.phase import Phase, Situation
from ...rollout.record import Intent, Record, RouteRef, Traffic
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import NOBODY, Exposure, Json, Kept, Stage, Unroutable, Versions, Wanted
from ...traffic.httproute import check_beside, names, spells_out
from ...traffic.load import largest_weight, per_cent, pods_for
from ...traffic.route import Route, RoutePlan, kept_of
from ...traffic.routers import ROUTERS, SERVICE_SELECTOR
from ...traffic.selector import selected
from ...traffic.services import (
    Owner,
    check,
    is_ours,
    narrowed,
    release_in,
    serves_as,
    service_name,
    version_in,
    version_of,
)
from ...values import dataclass
from ...wording import count_of
from ..call.ending import Account
from ..call.guarded import at_any_time, guarded
from ..call.orders import TrafficRequest
from ..call.outcome import Report
from .network import Network
from .proving import PAUSE_SECONDS, NotProgrammed, Prover, Written, unproven
from .switching import SETTLE_SECONDS, Switched

_FIELD = {router.kind: router.field for router in ROUTERS.values()}
_WRITTEN = {"HTTPRoute": "the backends", "Service": "the selector"}
_TAKEN_BACK = "What was written was taken back. Look at the gateway and its routes, then run this again, or take the release back with canary_undo"
Wish = Callable[[Stage, Wanted], "Wanted | None"]
# What stands in the way of an undo for good, and must keep it from nothing else. A server in trouble ends the call instead: the
# next one finds it better, and until then the pods that the routes send to stay.
_IN_THE_WAY = (NotProgrammed, Refusal, Forbidden, Malformed)


@dataclass(frozen=True)
class Now:
    """A route as it stands, and what was last wanted of it."""

    route: Route
    stage: Stage
    wanted: Wanted


class Routing:
    """The traffic of one release, for one call."""

    def __init__(self, account: Account, traffic: Traffic, stable_hash: str, release: str, report: Report) -> None:
        deployment = account.site.target
        self.account, self.traffic, self._report = account, traffic, report
        self._network = Network(account.site.api, deployment.namespace, traffic.kind)
        self._router = self._network.router
        self._release = release
        self._stable = service_name(traffic.service, stable_hash, release)
        self._stable_hash = stable_hash
        self._prover: Prover | Switched = (
            Switched(account, self._network, traffic)
            if traffic.kind == SERVICE_SELECTOR
            else Prover(account, self._network, traffic)
        )
        self._prepared = False

    def is_of(self, record: Record) -> None:
        """The release as it was written, which may have been decided anew."""
        self._release = release_of(record)
        self._stable = service_name(self.traffic.service, self._stable_hash, self._release)

    # What there is.

    def look(self, canary_hash: str = "") -> list[Now]:
        """The routes that are still there. A request each."""
        there = (self._now(ref, canary_hash) for ref in self.traffic.routes)
        return [now for now in there if now is not None]

    def _now(self, ref: RouteRef, canary_hash: str) -> Now | None:
        try:
            route = self._network.route(ref.name)
        except NotFound:
            self.account.warn(f'{self._router.kind} "{ref.name}" of this release no longer exists')
            return None
        return Now(route, *self._state(route, canary_hash))

    def _state(self, route: Route, canary_hash: str) -> tuple[Stage, Wanted]:
        try:
            return self._router.state(route, self._versions(canary_hash))
        except Unroutable as error:
            raise _unroutable(route, error) from error

    def _versions(self, canary_hash: str) -> Versions:
        canary = service_name(self.traffic.service, canary_hash, self._release) if canary_hash else ""
        return Versions(self.traffic.service, self._stable, canary)

    def tell(self, found: Sequence[Now], how: str = "") -> None:
        """The return value `exposure`."""
        self.account.extra["exposure"] = describe(found, how or self._prover.how)

    # Writes.

    def _write(self, found: Sequence[Now], wish: Wish, canary_hash: str = "", *, marked: bool = True) -> list[Written]:
        """Each route as it is wished; one for which the wish is None is left alone. Not in force yet. `marked`: with a rule that
        tells the write, as far as the release has such rules."""
        marked = marked and self._prover.marks
        return [self._wrote(one, wish, canary_hash, marked) for one in found if wish(one.stage, one.wanted) is not None]

    def _put(self, found: Sequence[Now], wanted: Wanted, canary_hash: str, *, marked: bool = True) -> list[Written]:
        """All of them as wanted."""
        return self._put_as(found, partial(_whatever, wanted), canary_hash, marked=marked)

    def _put_as(self, found: Sequence[Now], wish: Wish, canary_hash: str, *, marked: bool = True) -> list[Written]:
        """One that has lost its annotation does not tell which Service is the canary's: the hash does."""
        return [
            written
            for one in found
            for written in self._write([one], wish, canary_hash if one.stage is Stage.LOST else "", marked=marked)
        ]

    def _wrote(self, now: Now, wish: Wish, canary_hash: str, marked: bool) -> Written:
        name, owner = now.route.name, self._owner().uid
        token = secrets.token_hex(16)
        versions = self._versions(canary_hash)

        def decide(route: Route) -> RoutePlan | None:
            stage, wanted = self._state(route, canary_hash)
            asked = wish(stage, wanted)
            if asked is None:
                return None
            kept = kept_of(route)
            stays = kept.versions if kept and not canary_hash else versions
            try:
                asked = _marked(asked, stage, wanted) if marked else replace(asked, warm=(), mark=None)
                return self._router.plan(route, stays, asked, owner=owner, token=token)
            except Unroutable as error:
                raise _unroutable(route, error) from error

        def send(route: Route, planned: RoutePlan) -> Route:
            self._report(f'{self._router.kind} "{name}": {_in_words(planned)}')
            return self._network.write(route, planned)

        busy = Refusal(
            Code.BUSY,
            f'{self._router.kind} "{name}" kept changing while it was to be written',
            f"Find out who writes to it (kubectl get {self._router.kind.lower()} --show-managed-fields), then run this again",
        )
        sent = guarded(
            now.route, decide, send, lambda: self._network.route(name), busy, permitted=self.account.site.mine
        )
        if sent.change is not None:
            self.account.changed = True
            for rule, refs in sent.change.before.items():
                self.account.before.setdefault(f"{name}: {rule}", refs)
            self.account.after.update({f"{name}: {rule}": refs for rule, refs in sent.change.after.items()})
        return Written(sent.state, kept_of(sent.state))

    def _owner(self) -> Owner:
        situation = self.account.situation
        if situation is None:
            raise AssertionError("a release is looked at before its routes")
        return Owner(situation.deployment.name, situation.deployment.uid)

    def _await(self, written: Sequence[Written]) -> None:
        self._prover.await_in_force(written)

    def check_sticky(self) -> None:
        """Raises Refusal where nobody could see whether the gateway keeps users by a cookie, which not every one does."""
        if self._prover.how != "proven":
            raise Refusal(
                Code.NOT_PROGRAMMED,
                "whether the gateway keeps users by a cookie is for it to show, and it is not asked",
                "Give traffic.probe an url that reaches it from where Ansible runs, and traffic.proof require, or leave out traffic.sticky",
            )

    def check_beside(self, asked: Exposure) -> None:
        """Raises Refusal where a header or a cookie would take requests from rules of others. A request, where one is asked for."""
        if asked.header is None and asked.sticky is None:
            return
        every = self._network.routes()
        ours = {ref.uid for ref in self.traffic.routes}
        own, others = [one for one in every if one.uid in ours], [one for one in every if one.uid not in ours]
        for route in own:
            try:
                check_beside(route, own, others, self.traffic.service, asked)
            except Unroutable as error:
                raise _unroutable(route, error) from error

    def prepare(self, found: Sequence[Now], *, insists: bool = True) -> None:
        if not self._prepared:
            self._prover.prepare([one.route for one in found], insists=insists)
            self._prepared = True

    # Services.

    def ensure_service(self, of_hash: str, *, dry_run: bool = False) -> str:
        """The Service of this version is there; its name."""
        own = self._network.service(self.traffic.service)
        if own is None:
            raise Refusal(
                Code.SERVICE,
                f'there is no Service "{self.traffic.service}"',
                "Apply its manifest again, then run this again",
            )
        owner = self._owner()
        wanted = narrowed(own, of_hash, owner, self._release)
        name = str(wanted["metadata"]["name"])

        def decide(found: Json | None) -> Json | None:
            if found is None:
                return wanted
            if is_ours(found, owner) and serves_as(found, wanted):
                return None
            raise Refusal(
                Code.SERVICE,
                f'Service "{name}" is there already, and is not the one that this release needs',
                "Look whose it is; if nobody needs it, delete it, then run this again",
            )

        def send(_found: Json | None, manifest: Json) -> Json | None:
            self._network.create(manifest, dry_run=dry_run)
            return manifest

        permitted = at_any_time if dry_run else self.account.site.mine
        there = self._network.service(name)
        sent = guarded(there, decide, send, lambda: self._network.service(name), _busy(name), permitted=permitted)
        self.account.changed = self.account.changed or sent.change is not None
        return name

    def _delete(self, service: Json) -> None:
        name = str(service["metadata"]["name"])

        by_us = [True]  # which holds where the answer is lost, too

        def send(_found: Json | None, there: Json) -> Json | None:
            by_us[0] = self._network.delete(there)
            return None

        present: Json | None = service
        mine = self.account.site.mine
        guarded(present, lambda found: found, send, lambda: self._network.service(name), _busy(name), permitted=mine)
        self.account.changed = self.account.changed or by_us[0]

    def _await_endpoints(self, service: str, pods: int) -> None:
        """A proxy is told of so many pods: a share for fewer would be more than a pod is to get."""
        clock = self.account.site.clock
        deadline = clock.monotonic() + self.traffic.seconds
        while (ready := len(self._network.ready(service))) < pods:
            if clock.monotonic() >= deadline:
                found = count_of(ready, "Ready endpoint")
                raise NotProgrammed(f'Service "{service}" has {found} of {pods} after {self.traffic.seconds} s')
            clock.sleep(10 * PAUSE_SECONDS)

    # The steps of a release.

    def isolate(self, canary_hash: str = "", *, again: bool) -> None:
        """Everybody is sent to the stable version by all routes. `again`: proven anew where it was written before.

        Routes that never come to it get their owner's backends back. Raises Refusal.
        """
        found = self.look(canary_hash)
        self.prepare(found)
        self._tell_contested(found)
        ready = (Stage.ISOLATED, Stage.SPLIT)
        if all(one.stage in ready for one in found) and not again:
            return
        service = self.ensure_service(self._stable_hash)
        stable = self.account.situation.stable if self.account.situation else None

        def warm(stage: Stage, _wanted: Wanted) -> Wanted | None:
            return None if stage in ready else Wanted(Stage.OWN, warm=(self._stable,))

        def isolated(stage: Stage, wanted: Wanted) -> Wanted:
            return wanted if stage is Stage.SPLIT else Wanted(Stage.ISOLATED)

        try:
            if self._prover.how == "stated":
                # Nothing proves it, and a Service of which no proxy can know an endpoint would be believed after some seconds.
                self._await_endpoints(service, stable.ready if stable else 0)
            if self._prover.marks:
                self._await(self._write(found, warm))
            self._await(self._write(self.look(canary_hash), isolated))
        except NotProgrammed as error:
            failed = self._failed(error, canary_hash)
            self._write(self.look(canary_hash), partial(_whatever, Wanted(Stage.OWN)), marked=False)
            raise failed from error

    def expose(self, asked: TrafficRequest, situation: Situation, canary_hash: str, pods: int) -> None:
        """The canary gets what is asked for. `pods`: Ready ones that it has. Raises Refusal."""
        found = self.look(canary_hash)
        self.prepare(found)
        exposure = asked.over(exposure_of(found))
        agree_to_load(self.account, asked, exposure.weight, situation.deployment.replicas, pods)
        before = {one.route.name: one for one in found}
        service = self.ensure_service(canary_hash)
        here = self._versions(canary_hash)

        def warm(stage: Stage, _wanted: Wanted) -> Wanted | None:
            self._check_live(stage)
            return (
                None if stage is Stage.SPLIT else Wanted(Stage.ISOLATED, Exposure(sticky=exposure.sticky), (service,))
            )

        def split(stage: Stage, _wanted: Wanted) -> Wanted:
            self._check_live(stage)
            return Wanted(Stage.SPLIT, exposure)

        try:
            self._await_endpoints(service, pods)
            unknown = [one for one in found if one.stage is not Stage.SPLIT or _canary_of(one.route) != here.canary]
            if unknown and self._prover.marks:
                self._await(self._write(unknown, warm, canary_hash))
                found = self.look(canary_hash)
            written = self._write(found, split, canary_hash)
            self._await(written)
        except NotProgrammed as error:
            failed = self._failed(error, canary_hash)
            self._back_to(before, canary_hash)
            raise failed from error
        if self.traffic.kind == SERVICE_SELECTOR and exposure.weight:
            self.account.warn(
                f'Service "{self.traffic.service}" selects this version alone now: a rollout by somebody else would empty it. Promote or '
                "undo before that"
            )
        self.tell([Now(one.route, *self._state(one.route, canary_hash)) for one in written])

    def _check_live(self, stage: Stage) -> None:
        """Raises Refusal where the owner has his backends back: somebody promoted this release, or took it back."""
        if stage is Stage.OWN:
            raise Refusal(
                Code.BUSY,
                f'somebody ended the release of Deployment "{self.account.site.target.name}" while its routes were written',
                "Look what became of it with canary_info",
            )

    def _back_to(self, before: dict[str, Now], canary_hash: str) -> None:
        """What was there before this call, which was proven. A release that somebody has ended meanwhile gets nothing back."""
        for now in self.look(canary_hash):
            was = before.get(now.route.name)
            if was is not None and now.stage is not Stage.OWN:
                back = was.wanted if was.stage is Stage.SPLIT else Wanted(Stage.ISOLATED)
                self._write([now], partial(_whatever, back), canary_hash, marked=False)

    def _failed(self, error: NotProgrammed, canary_hash: str) -> Refusal:
        """Not the gateway's fault where somebody else wrote meanwhile."""
        theirs = [one.route for one in self.look(canary_hash) if one.stage in (Stage.CONTESTED, Stage.LOST)]
        return _contested(theirs[0]) if theirs else unproven(error, _TAKEN_BACK)

    def _tell_contested(self, found: Sequence[Now]) -> None:
        for one in found:
            if one.stage in (Stage.CONTESTED, Stage.LOST):
                self.account.warn(f"{_contested(one.route).what}: it is written once more")

    def hand_back(self, canary_hash: str) -> None:
        """The owner's backends are in force. Raises Refusal; what it has written then is no harm, and stays."""
        found = self.look(canary_hash)
        self.prepare(found)
        try:
            self._give_back(found, canary_hash, _but_for_testers)
        except NotProgrammed as error:
            raise unproven(error, "Nothing else was changed. Look at the gateway, then run this again") from error

    def _give_back(self, found: Sequence[Now], canary_hash: str, own: Wish) -> None:
        """The owner's backends, as `own` says, are in force. No user was sent to the owner's Service meanwhile, and a proxy may have forgotten its
        endpoints: it is reached by a rule without users first. Raises NotProgrammed."""

        def warm(stage: Stage, wanted: Wanted) -> Wanted | None:
            # Where somebody else wrote, that is in force, and what was wanted is not.
            return replace(wanted, warm=(self.traffic.service,)) if stage in (Stage.ISOLATED, Stage.SPLIT) else None

        if self._prover.marks:
            self._await(self._write(found, warm))
        self._await(self._put_as(self.look(canary_hash), own, canary_hash))

    def cut_off(self, situation: Situation) -> None:
        """Nobody gets the canary any more. Each route is written, whatever becomes of the others and whether or not a gateway can be
        asked, and waited for as long as a write may take: a bad canary is worse than a route that lags behind."""
        canary = situation.canary.hash if situation.canary else ""
        to = Wanted(Stage.ISOLATED if self._stable_serves(situation) else Stage.OWN)
        found: list[Now] = []
        written: list[Written] = []
        for ref in self.traffic.routes:
            try:
                now = self._now(ref, canary)
                if now is not None and (now.stage is not Stage.OWN or not now.wanted.exposure.nobody):
                    written += self._put([now], to, canary)
                    found.append(now)
            except _IN_THE_WAY as error:
                self._goes_on(error)
        try:
            self.prepare(found, insists=False)
            self._await(written)
        except _IN_THE_WAY as error:
            self._goes_on(error)

    def spare_users(self, situation: Situation) -> None:
        """Whoever was sent to the canary is sent to the stable version where no pod of it could answer, or where the controller takes
        them away for another version. Not waited for: nothing waits on it."""
        if situation.phase is not Phase.FOREIGN and situation.canary is not None and situation.canary.ready:
            return
        for ref in self.traffic.routes:
            try:
                now = self._now(ref, "")
                if now is not None and now.stage is Stage.SPLIT and not now.wanted.exposure.nobody:
                    self._put([now], Wanted(Stage.ISOLATED), "")
                    self.account.warn(
                        f'{self._router.kind} "{ref.name}" sent users to a canary without Ready pods, and sends them to stable now'
                    )
            except (*_IN_THE_WAY, ApiError) as error:
                self.account.warn(
                    f'{self._router.kind} "{ref.name}" may still send users to a canary without Ready pods: {error}'
                )

    def _goes_on(self, error: Exception) -> None:
        self.account.warn(f"the undo goes on, although the routes may still send requests to the canary: {error}")

    def _stable_serves(self, situation: Situation) -> bool:
        """Some of its pods are there, and nobody takes them away. A promotion does, and then only both versions together carry the load."""
        stable = situation.stable
        promotes = situation.record is not None and situation.record.intent is Intent.PROMOTE
        return not promotes and stable is not None and stable.ready > 0

    def drain(self) -> None:
        """Everybody is sent to the stable version until `refill`. Raises Refusal."""

        def drained(stage: Stage, wanted: Wanted) -> Wanted | None:
            gets = stage is Stage.SPLIT and not wanted.exposure.nobody
            return Wanted(Stage.SPLIT, drained=wanted.exposure) if gets else None

        self._all(drained)

    def refill(self, situation: Situation) -> None:
        """The canary gets again what it got before `drain`; nothing where that was not. Raises Refusal."""
        found = [one.wanted.drained for one in self.look() if one.wanted.drained]
        if not found:
            return
        ready = situation.canary.ready if situation.canary else 0
        check_load(max(one.weight for one in found), situation.deployment.replicas, ready)

        def as_before(stage: Stage, wanted: Wanted) -> Wanted | None:
            return Wanted(Stage.SPLIT, wanted.drained) if stage is Stage.SPLIT and wanted.drained else None

        self._all(as_before)

    def _all(self, wish: Wish) -> None:
        found = self.look()
        self.prepare(found)
        try:
            self._await(self._write(found, wish))
        except NotProgrammed as error:
            raise unproven(error, "What was written stays. Look at the gateway, then run this again") from error
        self.tell(self.look())

    def drained(self) -> Exposure | None:
        """What was taken from the canary for a while."""
        return next((one.wanted.drained for one in self.look() if one.wanted.drained), None)

    def _await_one_version(self, found: Sequence[Now]) -> None:
        """Who was on one version alone is not to be given to pods of the other that are ending: the owner's Service has let go of them, and
        a proxy has had time to hear of it. Later than that nothing waits."""
        versions = {service for one in found if (service := _only_version(one))}
        if not versions or self.traffic.kind == SERVICE_SELECTOR:
            return
        clock = self.account.site.clock
        deadline = clock.monotonic() + self.traffic.seconds
        for service in versions:
            while (
                self._network.ready(self.traffic.service) != self._network.ready(service)
                and clock.monotonic() < deadline
            ):
                clock.sleep(10 * PAUSE_SECONDS)
        clock.sleep(SETTLE_SECONDS)

    def leave(self) -> None:
        """Nothing of ours is left: first on the routes, then the Services. Raises Refusal, and nothing is deleted then."""
        services = self._network.of(self._owner())
        canary = next((of for of in map(version_of, services) if of != self._stable_hash), "")
        found = self.look(canary)
        # One that keeps something was written, and nobody knows whether that was waited for.
        touched = [one for one in found if one.stage is not Stage.OWN or one.route.annotation is not None]
        if touched:
            self.prepare(touched, insists=False)
            self._await_one_version(touched)
            try:
                self._give_back(touched, canary, partial(_whatever, Wanted(Stage.OWN)))
            except NotProgrammed as error:
                raise unproven(
                    error,
                    "The Services of both versions were left, because they may still be sent requests. Run this again",
                ) from error
        self._put(self.look(canary), Wanted(Stage.OWN), canary, marked=False)
        while services:
            self._check_unused(services)
            for service in services:
                self._delete(service)
            # A list that was older than one of them did not show it.
            services = self._network.of(self._owner())
        self.account.extra.pop("exposure", None)

    def _check_unused(self, services: Sequence[Json]) -> None:
        """Raises Refusal where a route still names one of them."""
        if not services:
            return
        ours = [str(service["metadata"]["name"]) for service in services]
        for one in self.look():
            if any(self._router.sends_to(one.route, name) for name in ours):
                raise _contested(one.route)

    def exposure(self) -> Exposure:
        """What users get, or are to get again."""
        return exposure_of(self.look())

    def rehearse(self, exposure: Exposure | None, canary_hash: str = "") -> None:
        """Check mode: the write of each route as a dry run. Nothing is written. None: the owner's backends."""
        wanted = Wanted(Stage.OWN) if exposure is None else Wanted(Stage.SPLIT, exposure)
        for now in self.look(canary_hash):
            try:
                planned = self._router.plan(
                    now.route, self._versions(canary_hash), wanted, owner=self._owner().uid, token="foretold"
                )
            except Unroutable as error:
                raise _unroutable(now.route, error) from error
            if planned is None:
                continue
            self._network.write(now.route, planned, dry_run=True)
            self.account.changed = True
            self.account.before.update({f"{now.route.name}: {rule}": refs for rule, refs in planned.before.items()})
            self.account.after.update({f"{now.route.name}: {rule}": refs for rule, refs in planned.after.items()})


def _only_version(now: Now) -> str:
    """The Service of the one version that everybody gets; empty where it is not one."""
    kept = kept_of(now.route)
    if kept is None or now.stage not in (Stage.ISOLATED, Stage.SPLIT):
        return ""
    try:
        return selected(kept.wanted, kept.versions)
    except Unroutable:
        return ""


def _whatever(wanted: Wanted, _stage: Stage, _was: Wanted) -> Wanted:
    """Wished for every route, however it stands."""
    return wanted


def _but_for_testers(_stage: Stage, was: Wanted) -> Wanted:
    """The owner's backends; who asks for the canary by a header has it until every pod is new, and never falls back."""
    return Wanted(Stage.OWN, Exposure(header=was.exposure.header))


def _marked(asked: Wanted, stage: Stage, wanted: Wanted) -> Wanted:
    """With a number of its own; what was written already keeps its number."""
    if stage is asked.stage and wanted.mark is not None and replace(wanted, mark=None) == replace(asked, mark=None):
        return wanted
    return replace(asked, mark=(wanted.mark or 0) + 1)


def exposure_of(found: Sequence[Now]) -> Exposure:
    """What users get, or were to get where somebody has written over it."""
    return max(
        (one.wanted.exposure for one in found), key=lambda one: (one.weight, one.header is not None), default=NOBODY
    )


def _canary_of(route: Route) -> str:
    kept: Kept | None = kept_of(route)
    return kept.versions.canary if kept else ""


def agree_to_load(account: Account, asked: TrafficRequest, weight: Fraction, replicas: int, pods: int) -> None:
    """As check_load, and a warning where somebody said that it may be so."""
    try:
        check_load(weight, replicas, pods)
    except Refusal as refusal:
        if asked.overload != "warn":
            raise
        account.warn(f"{refusal.what}, and that was asked for")


def check_load(weight: Fraction, replicas: int, pods: int) -> None:
    """Raises Refusal where a canary pod would get more than a pod gets without a canary."""
    largest = largest_weight(replicas, pods)
    if weight > largest:
        held, wanted = count_of(pods, "canary pod"), count_of(pods_for(weight, replicas), "pod")
        ordinary = count_of(replicas, "pod", "gets", "get each")
        raise Refusal(
            Code.OVERLOADED,
            f"{per_cent(weight)} % of the requests for {held} is more for each than without a canary {ordinary}",
            f"Ask for {wanted}, or for a weight of at most {per_cent(largest)}",
        )


def describe(found: Sequence[Now], how: str) -> dict[str, Any]:
    """The return value `exposure`."""
    exposure = exposure_of([one for one in found if one.stage is Stage.SPLIT])
    header = exposure.header
    return {
        "weight": float(100 * exposure.weight),
        "header": {"name": header.name, "value": header.value} if header else None,
        "sticky": exposure.sticky is not None,
        "programmed": how,
        "routes": [{"name": one.route.name, "stage": one.stage.value} for one in found],
    }


def spare_users(account: Account, situation: Situation, report: Report) -> None:
    """Of a canary that a call finds disturbed, whatever that call is for. Nothing for a release without traffic."""
    routing = of_record(account, situation.record, report) if situation.record else None
    if routing is not None:
        account.looked(situation)
        routing.spare_users(situation)


def of_record(account: Account, record: Record, report: Report) -> Routing | None:
    """None for a release without traffic."""
    return Routing(account, record.traffic, record.stable.hash, release_of(record), report) if record.traffic else None


def release_of(record: Record) -> str:
    """What the names of its Services end with: every release of a Deployment begins at a later generation."""
    return str(record.generation)


@dataclass(frozen=True)
class Lost:
    """The traffic of a release whose record is lost, as its routes still tell it, with the hash of the version they call stable, and
    what the names of its Services end with."""

    traffic: Traffic
    stable_hash: str
    release: str


def found_again(account: Account) -> Lost | None:
    """None where nothing keeps anything of this Deployment. Reads what each kind of traffic rewrites in the namespace."""
    return next(filter(None, (_found_again(account, kind) for kind in ROUTERS)), None)


def _found_again(account: Account, kind: str) -> Lost | None:
    try:
        routes = Network(account.site.api, account.site.target.namespace, kind).routes()
    except (NotFound, Forbidden) as error:
        if isinstance(error, Forbidden):
            account.warn(f"whether {ROUTERS[kind].kind}s are left as the lost release wrote them is not known: {error}")
        return None
    situation = account.situation
    ours = [
        (route, kept)
        for route in routes
        if (kept := _readable(route)) and situation and kept.owner == situation.deployment.uid
    ]
    if not ours:
        return None
    kept = ours[0][1]
    refs = tuple(RouteRef(route.name, route.uid) for route, _kept in ours)
    proof = "prefer" if any(kept.wanted.mark is not None for _route, kept in ours) else "none"
    stable = kept.versions.stable
    return Lost(Traffic(kept.versions.own, refs, proof=proof, kind=kind), version_in(stable), release_in(stable))


def _readable(route: Route) -> Kept | None:
    """None where it keeps nothing, or what nobody can read."""
    try:
        return kept_of(route)
    except Unroutable:
        return None


def of_lost(account: Account, lost: Lost | None, report: Report) -> Routing | None:
    return Routing(account, lost.traffic, lost.stable_hash, lost.release, report) if lost else None


def choose(account: Account, wanted: TrafficRequest, situation: Situation, labels: Mapping[str, str]) -> Traffic:
    """The routes and the Service that a release is to use. Raises Refusal. `labels`: those of the new pods.

    Reads the routes of the namespace, each Service that they name, and the pods of the one that is taken.
    """
    network = Network(account.site.api, account.site.target.namespace, wanted.kind)
    stable = situation.stable
    versions = [labels, labels if stable is None else dict(stable.template.get("metadata", {}).get("labels") or {})]
    if wanted.kind == SERVICE_SELECTOR:
        return _to_switch(network, wanted, versions, situation)
    routes = _named(network, wanted)
    service = wanted.service or _only_service(network, routes, versions[1])
    _check_service(network, service, versions, situation)
    spelt = next((route for route in routes if any(spells_out(rule, service, route) for rule in route.rules)), None)
    if spelt is not None:
        raise Refusal(
            Code.NO_ROUTE,
            f'HTTPRoute "{spelt.name}" names Service "{service}" with its namespace, and such a backend is not rewritten, so that its '
            "users would get the canary by its pods",
            "Leave the namespace out there: it is the route's own",
        )
    taken = [route for route in routes if any(names(rule, service) for rule in route.rules)]
    if not taken:
        raise Refusal(
            Code.NO_ROUTE,
            f'no HTTPRoute{_among(wanted)} in namespace "{account.site.target.namespace}" has a rule that sends to Service "{service}"',
            "Name routes in traffic.routes whose backendRefs name that Service, without a namespace",
        )
    refs = tuple(RouteRef(route.name, route.uid) for route in taken)
    return _traffic(wanted, service, refs)


def _traffic(wanted: TrafficRequest, service: str, refs: tuple[RouteRef, ...]) -> Traffic:
    asked = (wanted.seconds, wanted.proof, wanted.url, wanted.address, wanted.verify, wanted.kind)
    return Traffic(service, refs, True, *asked)


def _to_switch(
    network: Network, wanted: TrafficRequest, versions: Sequence[Mapping[str, str]], situation: Situation
) -> Traffic:
    """The Service whose selector is switched. Raises Refusal."""
    found = network.routes()
    fitting = [
        route.name
        for route in found
        if route.rules[0] and all(versions[1].get(key) == value for key, value in route.rules[0].items())
    ]
    if not wanted.service and len(fitting) != 1:
        several = (
            f"several Services select its pods: {', '.join(fitting)}" if fitting else "no Service selects its pods"
        )
        raise Refusal(Code.SERVICE, several, "Give traffic.service")
    service = wanted.service or fitting[0]
    _check_service(network, service, versions, situation)
    uid = next(route.uid for route in found if route.name == service)
    return _traffic(wanted, service, (RouteRef(service, uid),))


def check_same(asked: TrafficRequest, traffic: Traffic) -> None:
    """Raises Refusal for other routes than those that the release has, or another Service."""
    routes = [one.name for one in traffic.routes]
    if asked.kind != traffic.kind:
        what = f"this release has traffic of the kind {traffic.kind}, and {asked.kind} was asked for"
        raise Refusal(Code.INVALID, what, "Take the canary back with canary_undo and start it anew")
    if (asked.service and asked.service != traffic.service) or (
        asked.routes and sorted(asked.routes) != sorted(routes)
    ):
        raise Refusal(
            Code.INVALID,
            f'this release sends through {", ".join(routes)} to Service "{traffic.service}", and other routes or another Service were asked for',
            "Leave out traffic.service and traffic.routes, or take the canary back with canary_undo and start it anew",
        )


def _among(wanted: TrafficRequest) -> str:
    return f" among {', '.join(wanted.routes)}" if wanted.routes else ""


def _named(network: Network, wanted: TrafficRequest) -> list[Route]:
    try:
        if not wanted.routes:
            return network.routes()
        return [network.route(name) for name in wanted.routes]
    except NotFound as error:
        raise Refusal(
            Code.NO_ROUTE,
            error.message,
            "Check the names in traffic.routes, and that the cluster has Gateway API (HTTPRoute v1)",
        ) from error


def _only_service(network: Network, routes: Sequence[Route], labels: Mapping[str, str]) -> str:
    named = {ref.get("name") for route in routes for rule in route.rules for ref in rule.get("backendRefs") or ()}
    fitting = []
    for name in sorted(str(name) for name in named if name):
        found = network.service(name) if any(names(rule, name) for route in routes for rule in route.rules) else None
        selector = ((found or {}).get("spec") or {}).get("selector") or {}
        if selector and all(labels.get(key) == value for key, value in selector.items()):
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    several = (
        f"several Services that select its pods: {', '.join(fitting)}"
        if fitting
        else "no Service that selects its pods"
    )
    raise Refusal(
        Code.NO_ROUTE,
        f"the HTTPRoutes name {several}",
        "Give traffic.service, and traffic.routes where there are others",
    )


def _check_service(network: Network, service: str, versions: Sequence[Mapping[str, str]], situation: Situation) -> None:
    own = network.service(service)
    if own is None:
        raise Refusal(
            Code.SERVICE, f'there is no Service "{service}"', "Give traffic.service the Service that the routes name"
        )
    remedy = "Give traffic.service a Service of this Deployment alone"
    try:
        for labels in versions:
            check(own, labels)
    except Unroutable as error:
        raise Refusal(Code.SERVICE, str(error), remedy) from error
    ours = {rs.uid for rs in situation.picture.replica_sets}
    strangers = [pod.name for pod in network.pods(own["spec"]["selector"]) if pod.owner_uid not in ours]
    if strangers:
        what = f'Service "{service}" also selects pods of another owner, such as {strangers[0]}, which would get no requests any more'
        raise Refusal(Code.SERVICE, what, remedy)


def _busy(service: str) -> Refusal:
    what = f'Service "{service}" kept changing while it was to be made or deleted'
    return Refusal(Code.BUSY, what, "Find out who writes to it, then run this again")


def _unroutable(route: Route, error: Unroutable) -> Refusal:
    remedy = error.remedy or "Name the routes that are to be used in traffic.routes"
    return Refusal(Code.NO_ROUTE, f'{route.kind} "{route.name}" cannot be used: {error}', remedy)


def _contested(route: Route) -> Refusal:
    who = f", the last of whom is {route.managers[0]}" if route.managers else ""
    return Refusal(
        Code.CONTESTED,
        f'somebody else writes {_WRITTEN[route.kind]} of {route.kind} "{route.name}"{who}',
        f"Let whoever it is leave {_FIELD[route.kind]} of it alone while a release is live (docs/traffic.md says how), then run this again",
    )


def _in_words(planned: RoutePlan) -> str:
    changed = [f"{rule}: {refs}" for rule, refs in planned.after.items() if planned.before.get(rule) != refs]
    return "; ".join(changed) or "a rule for probes"
