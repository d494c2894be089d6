# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which routes, Services and pods change, so that no rule with users names a Service that a rule without users has
not been seen to reach.

    start     Service of the stable version; warm; isolated (isolating.py); (pods); Service of the canary; warm; split (exposing.py)
    promote   the owner's Service warm; the owner's backends but for testers, and then the rollout; or 100 %, the rollout, and then these two
    undo      isolated (sparing.py), and then the pods; the owner's Service warm; the owner's backends (returning.py)
    end       nothing of ours on the routes, and then no Service of ours (returning.py)

Whoever comes after a crash reads the routes and goes on from there. Here is what each of these does it with: a look at the routes, and
a guarded write of each. This module is private to the collection.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, Callable, Collection, Sequence

from ...cluster.errors import Conflict, NotFound
from ...rollout.phase import diagnose
from ...rollout.record import Intent, Record, RouteRef, Traffic
from ...rollout.refusal import Code, Refusal
from ...traffic.exposure import NOBODY, Exposure, Kept, Stage, Unroutable, Versions, Wanted
from ...traffic.kinds import Proof
from ...traffic.route import Route, RoutePlan, kept_of
from ...traffic.services import Owner, service_name
from ...values import dataclass
from ..call.ending import Account
from ..call.guarded import guarded
from ..call.outcome import Report
from ..call.sharing import shown
from .features import check_features, check_parents, refused
from .network import Network
from .proving import NotProgrammed, Prover, Written, unproven
from .switching import Switched

_TAKEN_BACK = "What was written was taken back"
_LOOK = "Look at the gateway and its routes, then run this again, or take the release back with canary_undo"
_BEFORE_IT_BEGINS = "Name the routes that are to be used in traffic.routes"
_ON_THE_WAY = "Let its owner change that, then run this again, or take the release back with canary_undo"
# Both send everybody to the Service of one version or of both, and nobody to the owner's.
OURS = (Stage.ISOLATED, Stage.SPLIT)
# Somebody else wrote: what users get is not what was wanted.
THEIRS = (Stage.CONTESTED, Stage.LOST)

# Of a release whose record says what the canary got, which one of an earlier version does not.
GIVES_AGAIN = "canary_start gives the canary again what it got"
GOES_ON = f"{GIVES_AGAIN}, canary_promote goes on, and canary_undo takes it back"


@dataclass(frozen=True)
class Now:
    """A route as it stands, and what was last wanted of it. `canary`: the Service of that version, empty where nobody tells it."""

    route: Route
    stage: Stage
    wanted: Wanted
    canary: str = ""


# None: the route is left alone.
Wish = Callable[[Now], "Wanted | None"]


class Routes:
    """Those of one release, for one call."""

    def __init__(self, account: Account, traffic: Traffic, stable_hash: str, release: str, report: Report) -> None:
        deployment = account.site.target
        self.account, self.traffic, self.report = account, traffic, report
        self.network = Network(account.site.api, deployment.namespace, traffic.kind, account.site.version)
        self.router = self.network.router
        self.release, self.stable_hash = release, stable_hash
        self.prover: Prover | Switched = (
            Switched(account, self.network, traffic)
            if self.router.proof is Proof.ENDPOINTS
            else Prover(account, self.network, traffic)
        )
        account.site.routed = True

    def is_of(self, record: Record) -> None:
        """The release as it was written, which may have been decided anew."""
        self.release = release_of(record)

    @property
    def stable(self) -> str:
        """The Service of the stable version."""
        return self.service_of(self.stable_hash)

    @property
    def tries(self) -> bool:
        """A gateway shows that it takes a write of which no user notices anything, before any is sent to another Service: by a rule for probes, or by
        the route's status."""
        return self.prover.marks or (self.router.proof is Proof.STATED and self.router.has_status)

    def service_of(self, of_hash: str) -> str:
        return service_name(self.traffic.service, of_hash, self.release)

    @property
    def owner(self) -> Owner:
        deployment = self.account.seen.deployment
        return Owner(deployment.name, deployment.uid)

    def mine(self) -> None:
        """Before a write, as Site.mine_for where the release is live as far as this call knows. Raises Refusal."""
        site, situation = self.account.site, self.account.situation
        if situation is not None and situation.record is not None:
            site.mine_for(int(self.release))
        else:
            site.mine()

    @property
    def is_over(self) -> bool:
        """Another run ended the release or went on with it, as a write has found: no later one is to go on."""
        return self.account.site.is_over(int(self.release))

    # What there is.

    def look(self, canary_hash: str = "") -> list[Now]:
        """The routes that are still there. A request each."""
        there = (self.now(ref, canary_hash) for ref in self.traffic.routes)
        return [now for now in there if now is not None]

    def now(self, ref: RouteRef, canary_hash: str = "") -> Now | None:
        try:
            route = self.network.route(ref.name)
        except NotFound:
            self.account.warn(f'{self.router.kind} "{ref.name}" of this release no longer exists')
            return None
        return self.as_it_stands(route, canary_hash)

    def as_it_stands(self, route: Route, canary_hash: str) -> Now:
        versions = self.versions(canary_hash)
        try:
            kept = kept_of(route)
            return Now(route, *self.router.state(route, versions), (kept.versions if kept else versions).canary)
        except Unroutable as error:
            raise unroutable(route, error) from error

    def is_elsewhere(self, now: Now) -> bool:
        """No user of it is sent to the owner's Service, nor to one of ours: he has put others there, and nothing is to be given back."""
        # Where the record was lost, what the route keeps has the names of another one.
        kept = _kept(now.route)
        of_route = (kept.versions.own, kept.versions.stable) if kept else ()
        services = filter(None, {self.traffic.service, self.stable, now.canary, *of_route})
        return not self.router.switches and not any(self.router.sends_to(now.route, one) for one in services)

    def since(self, found: Sequence[Now], written: Sequence[Written], canary_hash: str = "") -> list[Now]:
        """`found`, with what was written in place of what was read. No request: whoever wrote meanwhile is found by the guard of the
        next write, which reads again then."""
        stored = {one.route.name: one.route for one in written}
        return [self.as_it_stands(stored.get(one.route.name, one.route), canary_hash) for one in found]

    def versions(self, canary_hash: str) -> Versions:
        return Versions(self.traffic.service, self.stable, self.service_of(canary_hash) if canary_hash else "")

    def tell(self, found: Sequence[Now], how: str = "") -> None:
        """The return value `exposure`."""
        self.account.extra["exposure"] = describe(found, how or self.prover.how)

    # Before anything is written.

    def check_sticky(self) -> None:
        """Raises Refusal where nobody could see whether the gateway keeps users by a cookie, which not every one does."""
        if self.router.proof is Proof.ASKED and self.prover.how != "proven":
            raise Refusal(
                Code.NOT_PROGRAMMED,
                f"whether the gateway keeps users by a cookie is for it to show, and it is not asked: {self.prover.why}",
                "Give traffic.probe an url that reaches it from where Ansible runs, and traffic.proof require, or leave out traffic.sticky",
            )

    def check_mirror(self, found: Sequence[Now], asked: Exposure, canary_hash: str) -> None:
        """Raises Refusal where requests are to be copied, and nobody could see whether a gateway does that or answers with an error instead; where
        its class lists what it can, and not that; and where the API server would not keep what says it. Three requests for each route."""
        if not asked.mirror:
            return
        if needed := self.router.features(asked):
            self._check_gateways([one.route for one in found], needed)
        for one in found:
            self._check_kept(one, Wanted(Stage.SPLIT, asked), canary_hash)

    def _check_gateways(self, served: Sequence[Route], needed: Collection[str]) -> None:
        check_parents(served)
        if self.prover.how != "proven":
            raise Refusal(
                Code.NOT_PROGRAMMED,
                f"a gateway that cannot copy requests answers all of them with an error, and it is not asked: {self.prover.why}",
                "Give traffic.probe an url that reaches it from where Ansible runs, and traffic.proof require, or set traffic.mirror to 0",
            )
        unknown = check_features(self.network, served, needed)
        if unknown and self.traffic.proof == "require":
            raise refused(unknown)
        if unknown:
            self.account.warn(
                f"{unknown}: a probe shows that a rule with copies answers, and not that no more than this part is copied"
            )

    def _check_kept(self, now: Now, wanted: Wanted, canary_hash: str) -> None:
        """By a dry run. A definition of before Gateway API 1.3 has no share of copies, and a server leaves out what a definition has not."""
        planned = self._planned(now, wanted, canary_hash, self.owner.uid, "foretold", marked=False)
        if planned is None:
            return
        try:
            route = self.network.write(now.route, planned, dry_run=True)
        except Conflict as error:
            raise self.network.busy(now.route.name) from error
        if self.as_it_stands(route, canary_hash).stage is not Stage.SPLIT:
            raise Refusal(
                Code.NO_ROUTE,
                f'{self.router.kind} "{route.name}" cannot be used: the API server does not keep that a part of its requests is copied',
                "Install Gateway API 1.3 or later, or set traffic.mirror to 0",
            )

    def check_beside(self, asked: Exposure) -> None:
        """Raises Refusal where a header or a cookie would take requests from rules of others. A request, where one is asked for."""
        if not self.router.looks_beside(asked):
            return
        every = self.network.routes()
        # By name, as everywhere: one that its owner has deleted and made again is the release's as before.
        ours = {ref.name for ref in self.traffic.routes}
        own, others = [one for one in every if one.name in ours], [one for one in every if one.name not in ours]
        for route in own:
            try:
                self.router.check_beside(route, own, others, self.traffic.service, asked)
            except Unroutable as error:
                raise unroutable(route, error) from error

    def check_room(self, found: Sequence[Now], asked: Exposure, canary_hash: str) -> None:
        """Raises Refusal where a route would have no room for what some later write of this release adds to it. By the hash what is ours is
        known on a route that has lost its annotation."""
        for now in found:
            try:
                self.router.check(now.route, self.versions(canary_hash), asked, self.prover.marks)
            except Unroutable as error:
                raise unroutable(now.route, error) from error

    def prepare(self, found: Sequence[Now], *, insists: bool = True, goes_on: bool = False) -> None:
        self.prover.prepare([one.route for one in found], insists=insists, goes_on=goes_on)

    # Writes.

    def write(
        self, found: Sequence[Now], wish: Wish, canary_hash: str = "", *, marked: bool = True, insists: bool = True
    ) -> list[Written]:
        """Each route as it is wished. Not in force yet. `marked`: with a rule that tells the write, as far as the release has such rules.
        Of a hash that is given, the canary's Service is the one to send to from now on. `insists`: as for `_planned`."""
        marked = marked and self.prover.marks
        return [self._wrote(one, wish, canary_hash, marked, insists) for one in found if wish(one) is not None]

    def put(
        self, found: Sequence[Now], wish: Wish, canary_hash: str, *, marked: bool = True, insists: bool = True
    ) -> list[Written]:
        """The same, with the canary's Service as it is: one that has lost its annotation does not tell which that is, and the hash does."""
        return [
            written
            for one in found
            for written in self.write(
                [one], wish, canary_hash if one.stage is Stage.LOST else "", marked=marked, insists=insists
            )
        ]

    def _wrote(self, now: Now, wish: Wish, canary_hash: str, marked: bool, insists: bool) -> Written:
        name, owner = now.route.name, self.owner.uid
        token = secrets.token_hex(16)

        def decide(route: Route) -> RoutePlan | None:
            try:
                stands = self.as_it_stands(route, canary_hash)
            except Unroutable as error:
                raise unroutable(route, error) from error
            asked = wish(stands)
            if asked is None:
                return None
            return self._planned(stands, asked, canary_hash, owner, token, marked, insists)

        def send(route: Route, planned: RoutePlan) -> Route:
            self.report(f'{self.router.kind} "{name}": {_in_words(planned)}')
            return self.network.write(route, planned)

        sent = guarded(
            now.route,
            decide,
            send,
            lambda: self.network.route(name),
            self.network.busy(name),
            permitted=self.mine,
        )
        if sent.change is not None:
            self._tell_change(name, sent.change)
        return Written(sent.state, _kept(sent.state))

    def _planned(
        self, now: Now, asked: Wanted, canary_hash: str, owner: str, token: str, marked: bool, insists: bool = True
    ) -> RoutePlan | None:
        """Raises Refusal for what cannot be said beside what the route has now; unless nobody `insists` on it, as on the way back, of which
        there is always as much as can be said: without rules for probes, and at last what its owner wrote."""
        kept = _kept(now.route)
        stays = kept.versions if kept and not canary_hash else self.versions(canary_hash)
        plan = partial(self.router.plan, now.route, stays, owner=owner, token=token)
        plain = _unmarked(asked) if self.router.proof is Proof.ASKED else asked
        try:
            return plan(_marked(asked, now) if marked else plain)
        except Unroutable as error:
            if insists:
                raise unroutable(now.route, error, _ON_THE_WAY) from error
            if marked and isinstance(self.prover, Prover):
                self.prover.states(f'{now.route.kind} "{now.route.name}" takes no rule for probes more: {error}')
        if asked.warm:
            return None
        try:
            return plan(plain)
        except Unroutable:
            pass
        try:
            return plan(Wanted(Stage.OWN))
        except Unroutable as error:
            raise unroutable(now.route, error, _ON_THE_WAY) from error

    def _tell_change(self, name: str, planned: RoutePlan) -> None:
        self.account.changed = True
        for rule, refs in planned.before.items():
            self.account.before.setdefault(f"{name}: {rule}", refs)
        self.account.after.update({f"{name}: {rule}": refs for rule, refs in planned.after.items()})
        for gone in planned.before.keys() - planned.after.keys():
            self.account.after.pop(f"{name}: {gone}", None)

    def rehearse(self, found: Sequence[Now], wish: Wish, canary_hash: str = "", *, insists: bool = True) -> None:
        """Check mode: what each route is to become, as a dry run. Nothing is written."""
        for now in found:
            asked = wish(now)
            if asked is None:
                continue
            planned = self._planned(now, asked, canary_hash, self.owner.uid, "foretold", self.prover.marks, insists)
            if planned is not None:
                self.network.write(now.route, planned, dry_run=True)
                self._tell_change(now.route.name, planned)

    def await_(self, written: Sequence[Written]) -> None:
        """What is proven is relied on afterwards, also where another run has written it: from now on none may take it back. Raises
        NotProgrammed."""
        if written:
            self.mine()
        self.prover.await_in_force(written)

    def in_force(self, found: Sequence[Now], written: Sequence[Written], canary_hash: str = "") -> list[Now]:
        """`found` as they stand once that is in force which was `written` of them. Raises NotProgrammed."""
        self.await_(written)
        return self.since(found, written, canary_hash)

    def failed(self, error: NotProgrammed, canary_hash: str) -> Refusal:
        """Not the gateway's fault where somebody else wrote meanwhile."""
        theirs = [one.route for one in self.look(canary_hash) if one.stage in THEIRS]
        return self.contested(theirs[0]) if theirs else unproven(error, _TAKEN_BACK, _LOOK)

    def given_back(self, route: Route) -> Refusal:
        """Of one that sends to its owner's Service: nobody but somebody else wrote that where the release is still held. A look."""
        record = diagnose(self.account.site.look()).record
        holds = record is not None and record.intent is Intent.HOLD and release_of(record) == self.release
        return self.contested(route) if holds else self.account.site.ended()

    def tell_put_back(self, found: Sequence[Now]) -> None:
        """Of a held release each route that has nothing of it, which nobody but somebody else's write or a promotion that died leaves so."""
        record = self.account.situation.record if self.account.situation else None
        if record is None or record.isolating or record.intent is not Intent.HOLD:
            return
        for one in found:
            if self.is_broken_off(one):
                self.account.warn(f"{self.broken_off(one)}. {GOES_ON}")
            elif one.stage is Stage.OWN and one.route.annotation is None:
                self.account.warn(
                    f'{one.route.kind} "{one.route.name}" stands as if there were no release: somebody put it back, or a promotion was broken off. '
                    + (
                        GIVES_AGAIN
                        if record.exposure
                        else "Nobody has kept what the canary got by it: traffic.weight of canary_start says it anew"
                    )
                )

    def of_before(self, now: Now, canary_hash: str = "") -> str:
        """In words, that a route tells of a Service which this release does not have: somebody has put back what an earlier one had written, and
        that Service may be gone. Of a hash that is given, the canary's counts, too. Empty where it does not."""
        kept, own = _kept(now.route), self.versions(canary_hash)
        if kept is None:
            return ""
        named = {kept.versions.stable: own.stable}
        if now.stage is Stage.SPLIT and own.canary:
            named[kept.versions.canary] = own.canary
        wrong = next((name for name, ours in named.items() if name != ours), "")
        before = f'{now.route.kind} "{now.route.name}" was put back as it had been written before'
        return wrong and f'{before}: it tells of Service "{wrong}", which this release does not have'

    def is_broken_off(self, now: Now) -> bool:
        """Of a held release a route with its owner's backends that tells what the canary got: nobody goes on with it, as far as a look tells."""
        return now.stage is Stage.OWN and now.route.annotation is not None and not now.wanted.warm

    def broken_off(self, now: Now) -> str:
        return (
            f'{now.route.kind} "{now.route.name}" sends users to all pods of Service "{self.traffic.service}", whichever version they have: a promotion was '
            "broken off, or the canary had no Ready pod"
        )

    def contested(self, route: Route) -> Refusal:
        """Who wrote last is told of the route alone: of a companion that was deleted nobody knows it."""
        if beside := self.router.astray(route):
            return Refusal(
                Code.CONTESTED,
                beside,
                "Let whoever it was leave it alone while a release is live, then run this again. traffic.weight of canary_start says the share anew",
            )
        who = f", the last of whom is {route.managers[0]}" if route.managers else ""
        return Refusal(
            Code.CONTESTED,
            f'somebody else writes {self.router.written} of {route.kind} "{route.name}"{who}',
            f"Let whoever it is leave {self.router.field} of it alone while a release is live (docs/traffic.md says how), then run this again",
        )


def always(wanted: Wanted) -> Wish:
    """Wished for every route, however it stands."""
    return lambda _now: wanted


def owners(_now: Now) -> Wanted:
    """Wished for every route: its owner's backends, and nothing of ours."""
    return Wanted(Stage.OWN)


def owners_for_now(now: Now) -> Wanted:
    """The same, and the route goes on telling that a release has written it: whoever comes before that is in force waits for it, too."""
    return Wanted(Stage.OWN, drained=now.wanted.again or NOBODY)


def _unmarked(asked: Wanted) -> Wanted:
    """Without rules that only a probe meets."""
    return replace(asked, warm=(), cookies=False, copies=False, mark=None)


def _marked(asked: Wanted, now: Now) -> Wanted:
    """With a number of its own; what was written already keeps its number.

    No write before had it, also where one in between had none: a proxy that still knows that write would prove this one. So it is at least
    the generation that the route gets by it.
    """
    if (
        now.stage is asked.stage
        and now.wanted.mark is not None
        and replace(now.wanted, mark=None) == replace(asked, mark=None)
    ):
        return now.wanted
    return replace(asked, mark=max(now.wanted.mark or 0, now.route.generation) + 1)


def exposure_of(found: Sequence[Now]) -> Exposure:
    """What users get, or are to get again where somebody has written over it, or they were sent to the stable version for a while."""
    every = (one.wanted.again or NOBODY for one in found)
    return max(every, key=_most, default=NOBODY)


def _most(exposure: Exposure) -> tuple[Fraction, Fraction, bool]:
    return exposure.weight, exposure.mirror, exposure.header is not None


def unshared(found: Sequence[Now]) -> list[Now]:
    """Those that send everybody to the stable version, of which nobody has kept what the canary is to get again."""
    return [one for one in found if one.stage is Stage.ISOLATED and one.wanted.again is None]


def describe(found: Sequence[Now], how: str) -> dict[str, Any]:
    """The return value `exposure`."""
    given = [one.wanted.exposure for one in found if one.stage is Stage.SPLIT]
    return {
        **shown(max(given, key=_most, default=NOBODY)),
        "programmed": how,
        "routes": [{"name": one.route.name, "stage": one.stage.value} for one in found],
    }


def release_of(record: Record) -> str:
    """What the names of its Services end with: every release of a Deployment begins at a later generation."""
    return str(record.generation)


def _kept(route: Route) -> Kept | None:
    """Raises Refusal."""
    try:
        return kept_of(route)
    except Unroutable as error:
        raise unroutable(route, error) from error


def unroutable(route: Route, error: Unroutable, otherwise: str = _BEFORE_IT_BEGINS) -> Refusal:
    """`otherwise`: what to do where the error does not say it."""
    return Refusal(Code.NO_ROUTE, f'{route.kind} "{route.name}" cannot be used: {error}', error.remedy or otherwise)


def _in_words(planned: RoutePlan) -> str:
    changed = [f"{rule}: {refs}" for rule, refs in planned.after.items() if planned.before.get(rule) != refs]
    return "; ".join(changed) or "a rule for probes"
