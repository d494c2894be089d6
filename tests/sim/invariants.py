# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold at every moment of every history, looked at whenever anything changes.

The truth is kept here in its own words, from what was written and by whom: never from the record, the label or the phase,
which are among the things to be shown right. Most rules are about quiet histories: where others write too, no verb can
promise how many pods there are, and what is left to show is that it notices, and that every state can be brought to an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import moment_of
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Verdict as HeadroomVerdict
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.intstr import resolve_fenceposts
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import LAST
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.lease import Claim, Lease
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import NEVER_AVAILABLE_SECONDS, Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    AUTOSCALER,
    CHANGE_CAUSE,
    LIVE,
    RECORD,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.size import pods_for_weight
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import REVISION
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.cookies import canary_cookie
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import KEPT, Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import SERVICE_SELECTOR
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.load import pods_for
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import HASH_LABEL
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.guarded import ATTEMPTS
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.routing.exposed import PAUSE_SECONDS

from . import alb, grpc, istio, nginx
from .calls import Called
from .faults import Fault
from .foreign import FOREIGN, SOMEBODY
from .gateway import PROXY, RULES
from .governing import Hook
from .history import Ask, History
from .objects import AUTOSCALER_NAME, LABELS, NAME, Json, TemplateKeys, is_being_deleted, owned
from .pictures import Pictures
from .pods import Nature, Pod, ReplicaSetController
from .store import Change, Store
from .timeline import EPOCH
from .users import Served, Shares, copies, taken

REFUSALS = frozenset(code.value for code in Code)
# After these nobody knows whether the write was done, until it is looked at.
_UNKNOWN = frozenset({Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.LATE, Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER})
# As tests/integration/test_requests_of_verbs.py counts them, and the looks of three waits, the most that a verb has.
MOST_REQUESTS, REQUESTS_A_SECOND = 10 + 24, 2.0
# What a verb reads of routes, Services and endpoints around its writes; and in a second while it watches (verbs/routing/exposed.py): a route,
# what stands beside it, and the canary's Service.
MOST_OF_ROUTES, OF_ROUTES_A_SECOND = 32, 3 / PAUSE_SECONDS
MAY_BE = ("may have been carried out", "Whether the change was made is not known")
# What verbs write.
_WRITTEN = frozenset(
    {
        "deployments",
        "horizontalpodautoscalers",
        "scaledobjects",
        "httproutes",
        "services",
        "ingresses",
        "virtualservices",
        "grpcroutes",
    }
)
_OURS = (RECORD, LAST, LIVE, REVISION)
# What splits users; each history has one of them.
_ROUTES = ("httproutes", "ingresses", "virtualservices", "grpcroutes")
_HOLDING = frozenset({Phase.STARTING, Phase.STEPPING, Phase.HELD})


@dataclass(frozen=True)
class Violation:
    at: float
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:.3f} s: {self.rule}: {self.what}"


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
    # Until its routes send nobody to the canary.
    paused_by_start: bool = False
    going: str = "hold"


@dataclass
class Witness:
    """Sees every change and the end of every call."""

    history: History
    store: Store
    pods: ReplicaSetController
    keys: TemplateKeys
    shown: Mapping[str, set[str]]
    has_ended: Callable[[str], bool]
    # What users go by with one side of a change of a route, in the form of an HTTPRoute.
    reads: Callable[[Change, Json | None], Json | None]
    calls: dict[str, Called] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    release: Release | None = None
    releases: int = 0
    # The template that each process was told last that it holds.
    held: dict[str, str] = field(default_factory=dict)
    # Who wrote the Lease last, as long as there is one.
    leased_by: str = ""
    # And to which run: what its earlier call has written in this second is as good as its own.
    leased_to: str = ""
    taken_from: set[str] = field(default_factory=set)
    # Whose Deployment has gone, and with it the Lease: what else they write is guarded by whose it is.
    outlived: set[str] = field(default_factory=set)
    # A person has put it right by hand, as the last refusal told him to.
    repaired: bool = False
    # Somebody with an editor has written a route or a Service.
    rerouted: bool = False
    # The size that headroom found room for last.
    fitting: tuple[int | None, int | None, int] | None = None
    _keys_of: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pictures = Pictures(self.store)
        self.store.listen(self._hear)

    def _violated(self, rule: str, what: str) -> None:
        if not any(found.rule == rule for found in self.violations):
            self.violations.append(Violation(self.store.timeline.now, rule, what))

    # Every change.

    def _hear(self, change: Change) -> None:
        call = self.calls.get(change.by)
        if change.kind == "leases" and call is not None:
            self._leases(change, call)
        if call is not None and change.kind in _WRITTEN:
            # Who is taken from finds out when it renews; until then what each write is guarded by holds.
            excused = self.taken_from if change.kind == "deployments" else self.taken_from | self.outlived
            has_it = call.user in {self.leased_by, *excused} or (call.run and call.run == self.leased_to)
            if not has_it and not _goes_without(call):
                self._violated(
                    "one run at a time", f"{call.user} ({call.ask.verb}) wrote to {change.name} without the Lease"
                )
            call.writes.append(change)
            if change.before and change.before["metadata"]["uid"] not in self.shown.get(call.user, ()):
                self._violated(
                    "nobody writes to what he has not read", f"{call.ask.verb} wrote to another {change.name}"
                )
            if call.ask.check:
                self._violated("check mode writes nothing", f"{call.ask.verb} wrote to {change.name}")
        self._others(change, call)
        if not self.history.quiet or self.repaired:
            return
        if change.kind == "deployments" and change.before is not None and change.after is not None:
            self._follow(change.before, change.after, call)
            if change.before["metadata"]["generation"] != change.after["metadata"]["generation"]:
                self._told_truthfully()
        if self.release is not None:
            self._allow(self.release, call)
            self._count(self.release)
            if change.kind in (*_ROUTES, "services") and call is not None:
                self._bears(self.release, change)

    def _others(self, change: Change, call: Called | None) -> None:
        rewritten = change.before is not None and change.after is not None
        self.repaired = self.repaired or (change.by == SOMEBODY and change.kind == "deployments" and rewritten)
        self.rerouted = self.rerouted or (
            call is None
            and bool(change.before)
            and change.kind in ("httproutes", "services", "ingresses", "virtualservices", "grpcroutes")
            and change.by != PROXY
        )
        if change.kind == "deployments" and (change.after is None or is_being_deleted(change.after)):
            # Whatever was promised of it is over; of the next one nothing is promised yet.
            self.release = None
            self.outlived.add(self.leased_by)
            self.leased_by, self.leased_to = ("", "") if change.after is None else (self.leased_by, self.leased_to)

    def _leases(self, change: Change, call: Called) -> None:
        if call.ask.takeover and self.leased_by != call.user:
            self.taken_from.add(self.leased_by)
        self.leased_by = call.user if change.after is not None else ""
        self.leased_to = Lease.parse(change.after).claim.run if change.after is not None else ""
        if change.before is None or call.ask.takeover:
            return
        there = self.store.of("deployments").get(NAME)
        if there is None or Lease.parse(change.before).owner != there["metadata"]["uid"]:
            return  # of one that was deleted, which nobody works on any more
        had, has = (Lease.parse(side).claim if side else Claim("") for side in (change.before, change.after))
        renewed = moment_of(had.renewed)
        assert renewed is not None and had.seconds is not None, "verbs say until when"
        over = EPOCH + self.store.timeline.now > renewed + had.seconds or self.has_ended(had.process)
        if had.run and has.run and had.run != has.run and not over:
            self._violated("a run that is at work is left alone", f"{call.user} took its Lease from run {had.run}")

    def _allow(self, release: Release, call: Called | None) -> None:
        """Whoever writes for a start has the canary get as much as he asks for, and whoever promotes it all."""
        if call is not None and call.ask.verb in ("start", "promote", "release"):
            asked = _share(call.ask)
            release.copies = max(release.copies, Fraction(call.ask.mirror or 0) / 100)
            release.share = None if asked is None or release.share is None else max(release.share, asked)
            release.bears_more = release.bears_more or call.ask.overload == "warn"

    def _bears(self, release: Release, change: Change) -> None:
        """No pod is to get more than each gets without a canary, as far as Ready pods tell at the moment of the write."""
        before, after = (self._weight_of(release, change, side) for side in (change.before, change.after))
        if after <= before or release.bears_more or self.history.natures.get("v2", Nature()).restarts:
            return
        ready = sum(pod.ready for pod in self._pods_of(release.canary))
        replicas = min(side["spec"]["replicas"] for side in (release.before, self.store.of("deployments")[NAME]))
        if after > Fraction(ready, replicas):
            told = f"{float(after):.1%} of the requests for {ready} canary pods of {replicas} replicas"
            self._violated("no pod gets more than an ordinary one", told)

    def _weight_of(self, release: Release, change: Change, side: Json | None) -> Fraction:
        """The canary's part of what the user's route, or his Service, sends on, with this side of what was changed."""
        sets = (
            rs for rs in self.store.of("replicasets").values() if self.keys.of(rs["spec"]["template"]) == release.canary
        )
        canary = {rs["metadata"]["labels"][HASH_LABEL] for rs in sets}
        if change.kind == "services":
            return Fraction(change.name == NAME and _hash_of(side) in canary)
        route, services = self.reads(change, side), self.store.of("services")
        rules = route["spec"]["rules"] if route is not None else []
        number = taken(rules, {}, plain=False)
        refs = rules[number]["backendRefs"] if number is not None else []
        sent = [ref["weight"] for ref in refs if _hash_of(services.get(ref["name"])) in canary]
        copied = copies(rules[number]) if number is not None else {}
        canarys = sum(part for name, part in copied.items() if _hash_of(services.get(name)) in canary)
        return Fraction(sum(sent), sum(ref["weight"] for ref in refs) or 1) + canarys

    def _pods_of(self, key: str) -> list[Pod]:
        return [pod for pod in self.pods.pods.values() if pod.active and self._key(pod) == key]

    def sees(self, served: Served) -> None:
        """A pod that is being taken away was sent nobody while it was a canary's."""
        release = self.release
        if release is None or not self._is_routed_by_us:
            return
        for shares in (served.newcomers, served.users):
            self._sees_share(release, shares)
        copied = sum(served.copies.values(), Fraction(0))
        if copied > release.copies:
            told = f"{float(copied):.0%} of the requests, and {float(release.copies):.0%} were asked for"
            self._violated("nobody is copied to the canary beyond its share", told)
        for who, there, shares in (
            ("testers with the header", release.testers, served.testers),
            ("users who have seen the canary", bool(release.cookie), served.kept.get(release.cookie, {})),
        ):
            lost = [name for name in shares if there and self._is_of(name, release.stable)]
            if lost:
                self._violated("whoever is to get the canary keeps it", f"{who} are sent to {', '.join(lost)}")

    def _is_of(self, name: str, key: str) -> bool:
        pod = self.pods.pods.get(name)
        return pod is not None and pod.active and self._key(pod) == key

    def _sees_share(self, release: Release, shares: Shares) -> None:
        if release.share is None or release.going == "promote":
            return
        canary = (name for name in shares if self._is_of(name, release.canary))
        found, most = sum(map(shares.__getitem__, canary), Fraction(0)), release.share
        if found > most:
            told = f"{float(found):.0%} of the requests, and {float(most):.0%} were asked for"
            self._violated("nobody gets the canary beyond its share", told)

    def _follow(self, before: Json, after: Json, call: Called | None) -> None:
        held, holds = _holds(before), _holds(after)
        old, new = (self.keys.of(side["spec"]["template"]) for side in (before, after))
        if not held and holds:
            assert call is not None, "in a quiet history only a start makes a hold"
            self.releases += 1
            replicas = after["spec"]["replicas"]
            floor, most = replicas - _may_lack(call.ask), _most(call.ask, replicas)
            pinned = call.ask.autoscaler == "pin"
            self.release = Release(before, old, new, floor, most, pinned, call.actor)
            self.release.paused_by_start = bool(after["spec"].get("paused"))
            self.release.splits = call.ask.share is not None or bool(call.ask.shares)
        release = self.release
        if release is None:
            return
        release.paused_by_start = release.paused_by_start and bool(after["spec"].get("paused"))
        if held and holds and call is not None and call.ask.verb in ("start", "release"):
            replicas = after["spec"]["replicas"]
            # A whole release has a name of its own, whether its caller gave one or not.
            release.actor = call.actor if call.run or call.ask.verb == "release" else release.actor
            release.floor = min(release.floor, replicas - _may_lack(call.ask))
            release.most = max(release.most, _most(call.ask, replicas))
        scaled_down = before["spec"]["replicas"] - after["spec"]["replicas"]
        if release.going != "hold" and scaled_down > 0:
            # By an autoscaler, which is given back before the clean-up.
            release.floor -= scaled_down
        if held and not holds:
            release.going = "undo" if new == release.stable else "promote"
            release.share = Fraction(0) if release.going == "undo" and release.splits else None
            if release.going == "promote":
                self._promotes(release, new, after, call)
        elif release.going == "promote" and new == release.stable:
            release.going = "undo"
            if after["spec"]["revisionHistoryLimit"] == 0:
                # Nothing stops such a promotion before it is taken back: that could take the stable version away.
                release.floor = 0
        if _marked(before) and not _marked(after):
            self._is_over(release, after, new)
            self.release = None

    def _promotes(self, release: Release, new: str, after: Json, call: Called | None) -> None:
        if call is not None and call.meant.hash and self.held.get(call.actor) != new:
            self._violated("only what was named is promoted", f"{call.actor} meant another version")
        if call is not None and call.meant.run and release.actor != call.actor:
            self._violated("only what was named is promoted", f"{call.actor} meant a release of its own")
        if new != release.canary:
            self._violated("only what was held is promoted", "another template than the one that was held is promoted")
        if not release.was_ready:
            self._violated("only what was held is promoted", "no canary pod was ever Ready")
        rolling, replicas = release.before["spec"]["strategy"]["rollingUpdate"], after["spec"]["replicas"]
        posts = resolve_fenceposts(rolling["maxSurge"], rolling["maxUnavailable"], replicas)
        release.floor = min(release.floor, replicas - posts.unavailable)

    def _is_over(self, release: Release, after: Json, new: str) -> None:
        """The clean-up: everything is back as it was, but for the template and the story of it."""
        wanted = {"undo": release.stable, "promote": release.canary}.get(release.going)
        if new != wanted:
            self._violated("a release ends in what was asked for", f"after {release.going} another template is there")
        for name, (was, now) in _differences(release.before, after):
            if name == f"annotations.{CHANGE_CAUSE}" and release.going == "promote":
                continue  # it is the cause of the revision that is there now
            if name == "spec.replicas" and self.history.bounds:
                continue  # the autoscaler is given back first, and may scale at once
            self._violated("original fields are exactly back", f"{name} was {was!r} and is {now!r}")
        left = [pod.name for pod in self.pods.pods.values() if pod.active and self._key(pod) != wanted]
        if left:
            self._violated("a release ends when its pods have moved", f"{', '.join(left)} are still there")

    def _key(self, pod: Pod) -> str:
        """Of its template. A ReplicaSet keeps its own as long as it lives."""
        found = self._keys_of.get(pod.owner_uid)
        if found is None:
            sets = self.store.of("replicasets").values()
            rs = next((rs for rs in sets if rs["metadata"]["uid"] == pod.owner_uid), None)
            found = self._keys_of[pod.owner_uid] = self.keys.of(rs["spec"]["template"]) if rs else ""
        return found

    def _count(self, release: Release) -> None:
        deployment = self.store.of("deployments")[NAME]
        mine = {rs["metadata"]["uid"] for rs in owned(self.store.of("replicasets"), deployment)}
        active = [pod for pod in self.pods.pods.values() if pod.active and pod.owner_uid in mine]
        serving = sum(pod.ready for pod in active)
        owed = sum(pod.owed for pod in active) + sum(self.pods.owed.values())
        # What is adrift is given back once as many are Ready as were promised, whichever they are.
        self.pods.adrift = min(self.pods.adrift, max(0, release.floor - serving - owed))
        owed += self.pods.adrift
        if serving + owed < release.floor:
            self._violated(
                "Ready pods as promised", f"{serving} Ready (incidents took {owed}), {release.floor} promised"
            )
        keys = [self._key(pod) for pod in active]
        canary = [pod for pod, key in zip(active, keys, strict=True) if key == release.canary]
        release.was_ready = release.was_ready or any(pod.ready for pod in canary)
        if not any(pod.ready for pod in canary):
            # Whoever watches sends its users to stable.
            release.testers, release.cookie = False, ""
        spec, before = deployment["spec"], release.before["spec"]["replicas"]
        replicas = spec["replicas"]
        # Scaled up, both versions get of it in proportion.
        most = max(release.most, ceil(Fraction(release.most * (replicas + release.most), before + release.most)))
        if isinstance((spec["strategy"].get("rollingUpdate") or {}).get("maxSurge"), str) and before:
            # A share of replicas stays one, and the controller's own rounding may give the canary a pod of the stable version's.
            most = max(most, ceil(Fraction(release.most * replicas, before)) + 1)
        if release.going == "hold" and len(canary) > most:
            self._violated("canary pods never more than asked", f"{len(canary)} of {most}")
        others = {*keys} - {release.stable, release.canary}
        if others:
            self._violated("two templates at most", f"{len(others)} more than stable and canary")
        if release.pinned and release.going == "hold" and replicas != before:
            self._violated("a pinned Deployment is not scaled", f"from {before} to {replicas} replicas")

    def _told_truthfully(self) -> None:
        seen = self._pictures.situation()
        assert seen is not None
        release, phase = self.release, seen.phase
        if release is None:
            wanted = frozenset({Phase.NONE})
        elif seen.deployment.paused:
            wanted = frozenset({Phase.STARTING if release.paused_by_start else Phase.FROZEN})
        else:
            wanted = {
                "hold": _HOLDING,
                "promote": frozenset({Phase.PROMOTING}),
                "undo": frozenset({Phase.UNDOING}),
            }[release.going]
        governed = self.history.governed
        if governed is not None and governed.hook is Hook.ANNOTATES_IN_EARNEST and self.release is not None:
            # Until the record names the template that admission has made of the one that was asked for, it is a stranger's.
            wanted |= {Phase.FOREIGN}
        if phase not in wanted:
            told = ", ".join(sorted(one.value for one in wanted))
            self._violated("every state is told truthfully", f"{phase.value} ({seen.why}) in place of {told}")

    # Every call.

    def began(self, call: Called) -> None:
        self.calls[call.user] = call
        if self.release is not None and _takes_users(call.ask):
            self.release.testers, self.release.cookie = False, ""

    def ended(self, call: Called) -> None:
        result = call.result
        if call.broke is not None:
            self._violated("no verb ends in an error of its own", f"{call.ask.verb}: {call.broke!r}")
        if isinstance(result, Outcome) and call.ask.verb == "start" and self.release and not call.ask.check:
            self.held[call.actor] = self.release.canary
        lost = isinstance(result, ApiError) and result.may_have_written and self._may_look(call, result)
        if lost and call.hit and len(call.hit) < ATTEMPTS and _UNKNOWN.issuperset(call.hit):
            self._violated("a lost answer ends no call", f"{call.ask.verb}: {call.told()}")
        self._counts_requests(call)
        if not isinstance(result, (Outcome, VerbFailure)):
            return
        self._counts_room(call)
        if isinstance(result, Outcome) and self.release is not None and not call.ask.check:
            self._promised(self.release, call, result)
        wrote = [change for change in call.writes if change.kind == "deployments"]
        silent = not result.changed and wrote and not call.doubled
        if isinstance(result, VerbFailure) and result.code in REFUSALS and silent:
            self._violated("nothing is written after a refusal", f"{call.ask.verb}: {call.told()}")
        if silent:
            self._violated("what was changed is told", f"{call.ask.verb} wrote, and says: {call.told()}")
        if result.changed and not call.writes and not call.ask.check and not self._may_be_his(call):
            self._violated("what was changed is told", f"{call.ask.verb} wrote nothing, and says: {call.told()}")

    def _promised(self, release: Release, call: Called, result: Outcome) -> None:
        """What a start has told of the routes, unless somebody takes users from the canary meanwhile."""
        exposure = result.extra.get("exposure")
        others = (one.ask for one in self.calls.values() if one.ended is None and one is not call)
        if call.ask.verb not in ("start", "resume") or exposure is None or any(map(_takes_users, others)):
            return
        if release.going != "hold":
            return
        release.testers, release.cookie = exposure["header"] is not None, self._cookie() if exposure["sticky"] else ""

    def _cookie(self) -> str:
        """By which users keep the canary."""
        route = self.store.get("httproutes", NAME) or self.store.get("virtualservices", NAME)
        if route is None:
            return nginx.cookie_of_canary(self.store.of("ingresses").values())
        kept = (route["metadata"].get("annotations") or {}).get(KEPT)
        return canary_cookie(Kept.decode(kept).token) if kept else ""

    def _may_look(self, call: Called, lost: ApiError) -> bool:
        """What is there now, instead of an answer."""
        forbidden = next((one.forbidden for one in self.history.scripts if one.name == call.actor), frozenset())
        return forbidden.isdisjoint((verb, lost.asked.resource) for verb in ("get", "list"))

    def _counts_requests(self, call: Called) -> None:
        """Whoever waits looks a few times right after each hint, then ever more seldom (verbs/call/pacing.py)."""
        if not self.alone or self.history.scripts[0].faults or self.history.scripts[0].streams or call.ended is None:
            return
        # Each step is planned, and held by a start of its own; so are all requests.
        steps = len(call.ask.shares) or (call.ask.pods or 2 if call.ask.verb == "release" else 0)
        verbs = 1 + steps + bool(call.ask.shares and _goes_by_weights(call.ask)) + bool(call.ask.mirror)
        routes, of_routes = (MOST_OF_ROUTES, OF_ROUTES_A_SECOND) if self.history.gateway else (0, 0.0)
        in_time = (REQUESTS_A_SECOND + of_routes) * (call.ended - call.begun)
        most = (MOST_REQUESTS + routes) * verbs + len(call.writes) + in_time
        if call.requests > most:
            self._violated("few requests", f"{call.ask.verb}: {call.requests}, and at most {most:.0f} are allowed")

    def _counts_room(self, call: Called) -> None:
        """Headroom said that it all fits, and then it was a quota that stopped it."""
        ask, result = call.ask, call.result
        size = (ask.pods, ask.weight, ask.surge)
        if ask.verb == "headroom" and isinstance(result, Outcome):
            fits = result.extra["headroom"]["verdict"] == HeadroomVerdict.FITS.value
            self.fitting = size if fits else None
        stopped = isinstance(result, VerbFailure) and "exceeded quota" in result.message
        if ask.verb == "start" and stopped and size == self.fitting and self.alone and not self.history.incidents:
            self._violated("headroom tells the truth", f"it all fits, it said, and start: {call.told()}")

    @property
    def alone(self) -> bool:
        """One process, and nobody else."""
        return not self.history.foreign and len(self.history.scripts) == 1

    def _may_be_his(self, call: Called) -> bool:
        """A write of his got no answer, and he says so, or somebody else has written just the same meanwhile. Who has begun a
        release can be told."""
        if not any(fault in _UNKNOWN for fault in call.hit):
            return False
        if isinstance(call.result, VerbFailure) and any(said in call.result.message for said in MAY_BE):
            return True
        meanwhile = (
            change.before
            for change in self.store.log
            if change.at >= call.begun and change.by in (*self.calls, *FOREIGN) and change.kind == "deployments"
        )
        return any(before is not None and (call.ask.verb != "start" or _holds(before)) for before in meanwhile)

    # The end.

    def over(self, *, brought_to_end: bool) -> None:
        """After everybody has stopped, and whoever brings releases to an end has done it."""
        seen = self._pictures.situation()
        if seen is None:
            return
        if not brought_to_end or seen.phase is not Phase.NONE:
            self._violated("every state can be brought to an end", f"{seen.phase.value} ({seen.why}) is left")
            return
        if _holds(self.store.of("deployments")[NAME]):
            self._violated("every state can be brought to an end", "the fields of a hold are left")
        for found in self._pinned():
            self._violated("no autoscaler is left pinned", found)
        if self._is_routed_by_us:
            self._routed_as_before()

    @property
    def _is_routed_by_us(self) -> bool:
        return bool(self.history.gateway) and self.history.quiet and not (self.repaired or self.rerouted)

    def _routed_as_before(self) -> None:
        """The user's route and his Service, and nothing beside them."""
        (route,) = (one for kind in _ROUTES if (one := self.store.get(kind, NAME)))
        service, rules = self.store.of("services")[NAME], route["spec"].get("rules") or route["spec"]["http"]
        # Nobody hears of what a request makes long after its call has ended; it goes with the Deployment.
        late = {
            change.name
            for change in self.store.log
            if change.kind in ("services", "ingresses")
            and change.by in self.calls
            and change.at > (self.calls[change.by].ended or change.at)
        }
        left = [name for kind in ("services", "ingresses") for name in self.store.of(kind) if name not in {NAME, *late}]
        if (
            left
            or rules not in (RULES, nginx.PATHS, istio.HTTP, grpc.GRPC_RULES, alb.PATHS)
            or service["spec"]["selector"] != LABELS
        ):
            self._violated("routes are exactly back", f"{', '.join(left)} {rules}")
        theirs: tuple[object, ...] = (None, {}, nginx.AFFINITY, alb.ANNOTATIONS)
        if any(one["metadata"].get("annotations") not in theirs for one in (route, service)):
            self._violated("routes are exactly back", "an annotation is left")

    def _pinned(self) -> Iterator[str]:
        scaler = self.store.get("horizontalpodautoscalers", AUTOSCALER_NAME)
        if scaler is None:
            return
        if AUTOSCALER in (scaler["metadata"].get("annotations") or {}):
            yield "its annotation is still there"
        bounds = (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"])
        scaled = self.store.get("scaledobjects", "queue")
        if scaled is not None and scaled["metadata"].get("annotations"):
            yield f"its ScaledObject has {scaled['metadata']['annotations']}"
        if self.history.keda and self.history.quiet and scaler["spec"].get("behavior"):
            yield f"its behavior is {scaler['spec']['behavior']}"
        if self.history.quiet and bounds != self.history.bounds:
            yield f"its bounds were {self.history.bounds} and are {bounds}"


# What such a request does may come after its call has gone on without it.
_LATER = frozenset({Fault.LATE, Fault.TWICE, Fault.SLOW})


def _goes_without(call: Called) -> bool:
    """It may take no Lease, and has said so; or its write may have come later than it was sent."""
    return any("leases" in resource for _verb, resource in call.forbidden) or bool(_LATER.intersection(call.hit))


def _holds(deployment: Json) -> bool:
    return bool(deployment["spec"].get("minReadySeconds") == NEVER_AVAILABLE_SECONDS)


def _marked(deployment: Json) -> bool:
    return RECORD in (deployment["metadata"].get("annotations") or {})


def _may_lack(ask: Ask) -> int:
    """How far Ready pods may drop below replicas."""
    if ask.max_unavailable is not None:
        return ask.max_unavailable
    return 0 if ask.surge else 1


def _most(ask: Ask, replicas: int) -> int:
    if ask.shares:
        shares = [Fraction(one) / 100 for one in (*ask.shares, ask.mirror or "0")]
        return replicas if _goes_by_weights(ask) else max(pods_for(one, replicas) for one in shares)
    if ask.pods is None and ask.weight is None and (ask.share or ask.mirror):
        return pods_for(max(Fraction(one or 0) / 100 for one in (ask.share, ask.mirror)), replicas)
    return ask.pods if ask.pods is not None else pods_for_weight(ask.weight or 0, replicas, ask.surge)


def _goes_by_weights(ask: Ask) -> bool:
    """A promotion gives all requests first, where nobody says otherwise, too."""
    return ask.by == "weights" or ask.kind == SERVICE_SELECTOR or bool(ask.sticky)


def _share(ask: Ask) -> Fraction | None:
    """None where pods decide: a promotion begins with its routes."""
    return None if not ask.share or ask.verb != "start" else Fraction(ask.share) / 100


def _takes_users(ask: Ask) -> bool:
    """From the canary: those who asked for it, or have seen it. A whole release says both anew, and a start whether they keep it."""
    ends = ask.verb in ("undo", "rollback", "release") or (ask.verb == "pause" and ask.drain)
    return (ends or (ask.verb == "start" and not ask.sticky)) and not ask.check


def _hash_of(service: Json | None) -> str:
    return str(service["spec"]["selector"].get(HASH_LABEL, "")) if service else ""


def _differences(before: Json, after: Json) -> Iterator[tuple[str, tuple[object, object]]]:
    def fields(obj: Json) -> dict[str, object]:
        spec = {f"spec.{key}": value for key, value in obj["spec"].items() if key != "template"}
        for part in ("annotations", "labels"):
            found = obj["metadata"].get(part) or {}
            spec.update({f"{part}.{key}": value for key, value in found.items() if key not in _OURS})
        return spec

    was, now = fields(before), fields(after)
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield name, (was.get(name), now.get(name))
