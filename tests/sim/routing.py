# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets the canary: never more than was asked for, never more than its pods bear, and whoever is to keep it keeps it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.cookies import canary_cookie
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.services import HASH_LABEL
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome

from . import alb, grpc, istio, nginx
from .calls import Called
from .gateway import RULES
from .ledger import Ledger
from .objects import LABELS, NAME, Json
from .pods import Nature
from .promises import Release, share, takes_users
from .store import Change
from .users import Served, Shares, copies, taken

# What splits users; each history has one of them.
ROUTES = ("httproutes", "ingresses", "virtualservices", "grpcroutes")


class Routing:
    """`reads`: what users go by with one side of a change of a route, in the form of an HTTPRoute."""

    def __init__(self, ledger: Ledger, reads: Callable[[Change, Json | None], Json | None]) -> None:
        self._ledger = ledger
        self._reads = reads
        self._served: Served | None = None

    def allows(self, release: Release, call: Called | None) -> None:
        """Whoever writes for a start has the canary get as much as he asks for, and whoever promotes it all."""
        if call is not None and call.ask.verb in ("start", "promote", "release"):
            asked = share(call.ask)
            release.copies = max(release.copies, Fraction(call.ask.mirror or 0) / 100)
            release.share = None if asked is None or release.share is None else max(release.share, asked)
            release.bears_more = release.bears_more or call.ask.overload == "warn"

    def bears(self, release: Release, change: Change) -> None:
        """No pod is to get more than each gets without a canary, as far as Ready pods tell at the moment of the write."""
        before, after = (self._weight_of(release, change, side) for side in (change.before, change.after))
        if after <= before or release.bears_more or self._ledger.history.natures.get("v2", Nature()).restarts:
            return
        ready = sum(pod.ready for pod in self._ledger.pods_of(release.canary))
        replicas = min(
            side["spec"]["replicas"] for side in (release.before, self._ledger.store.of("deployments")[NAME])
        )
        if after > Fraction(ready, replicas):
            told = f"{float(after):.1%} of the requests for {ready} canary pods of {replicas} replicas"
            self._ledger.violated("no pod gets more than an ordinary one", told)

    def _weight_of(self, release: Release, change: Change, side: Json | None) -> Fraction:
        """The canary's part of what the user's route, or his Service, sends on, with this side of what was changed."""
        sets = (
            rs
            for rs in self._ledger.store.of("replicasets").values()
            if self._ledger.keys.of(rs["spec"]["template"]) == release.canary
        )
        canary = {rs["metadata"]["labels"][HASH_LABEL] for rs in sets}
        if change.kind == "services":
            return Fraction(change.name == NAME and _hash_of(side) in canary)
        route, services = self._reads(change, side), self._ledger.store.of("services")
        rules = route["spec"]["rules"] if route is not None else []
        number = taken(rules, {}, plain=False)
        refs = rules[number].get("backendRefs") or [] if number is not None else []
        sent = [ref["weight"] for ref in refs if _hash_of(services.get(ref["name"])) in canary]
        copied = copies(rules[number]) if number is not None else {}
        canarys = sum(part for name, part in copied.items() if _hash_of(services.get(name)) in canary)
        return Fraction(sum(sent), sum(ref["weight"] for ref in refs) or 1) + canarys

    def sees(self, served: Served) -> None:
        """A pod that is being taken away was sent nobody while it was a canary's."""
        self._served = served
        self.looks_again()

    def looks_again(self) -> None:
        """At what users get, which is too much from one moment on where somebody takes it back."""
        release, served = self._ledger.release, self._served
        if release is None or served is None or not self._ledger.is_routed_by_us:
            return
        for shares in (served.newcomers, served.users):
            self._sees_share(release, shares)
        copied = sum(served.copies.values(), Fraction(0))
        if copied > release.copies:
            told = f"{float(copied):.0%} of the requests, and {float(release.copies):.0%} were asked for"
            self._ledger.violated("nobody is copied to the canary beyond its share", told)
        for who, there, shares in (
            ("testers with the header", release.testers, served.testers),
            ("users who have seen the canary", bool(release.cookie), served.kept.get(release.cookie, {})),
        ):
            lost = [name for name in shares if there and self._ledger.is_of(name, release.stable)]
            if lost:
                self._ledger.violated("whoever is to get the canary keeps it", f"{who} are sent to {', '.join(lost)}")

    def _sees_share(self, release: Release, shares: Shares) -> None:
        if release.share is None or release.going == "promote":
            return
        if release.stable_by_policy != release.stable and self._is_taken_back():
            return  # the stable version's own Service loses its pods to those that the policy makes
        if release.canary == release.stable:
            return  # admission made the version that is out of the one that was asked for, and the hold goes at once
        canary = (name for name in shares if self._ledger.is_of(name, release.canary))
        found, most = sum(map(shares.__getitem__, canary), Fraction(0)), release.share
        if found > most:
            told = f"{float(found):.0%} of the requests, and {float(most):.0%} were asked for"
            self._ledger.violated("nobody gets the canary beyond its share", told)

    def _is_taken_back(self) -> bool:
        governed = self._ledger.history.governed
        undoes = any(one.ask.verb in ("undo", "release") for one in self._ledger.calls.values())
        return governed is not None and governed.begins <= self._ledger.store.timeline.now and undoes

    def promised(self, release: Release, call: Called, result: Outcome) -> None:
        """What a start has told of the routes, unless somebody takes users from the canary meanwhile."""
        exposure = result.extra.get("exposure")
        others = (one.ask for one in self._ledger.calls.values() if one.ended is None and one is not call)
        if call.ask.verb not in ("start", "resume") or exposure is None or any(map(takes_users, others)):
            return
        if release.going != "hold":
            return
        release.testers, release.cookie = exposure["header"] is not None, self._cookie() if exposure["sticky"] else ""

    def _cookie(self) -> str:
        """By which users keep the canary."""
        store = self._ledger.store
        route = store.get("httproutes", NAME) or store.get("virtualservices", NAME)
        if route is None:
            return nginx.cookie_of_canary(store.of("ingresses").values())
        kept = (route["metadata"].get("annotations") or {}).get(KEPT)
        return canary_cookie(Kept.decode(kept).token) if kept else ""

    def are_back(self) -> None:
        """The user's route and his Service, and nothing beside them."""
        (route,) = (one for kind in ROUTES if (one := self._ledger.store.get(kind, NAME)))
        service, rules = self._ledger.store.of("services")[NAME], route["spec"].get("rules") or route["spec"]["http"]
        # Nobody hears of what a request makes long after its call has ended; it goes with the Deployment.
        late = {
            change.name
            for change in self._ledger.store.log
            if change.kind in ("services", "ingresses")
            and change.by in self._ledger.calls
            and change.at > (self._ledger.calls[change.by].ended or change.at)
        }
        left = [
            name
            for kind in ("services", "ingresses")
            for name in self._ledger.store.of(kind)
            if name not in {NAME, *late}
        ]
        if (
            left
            or rules not in (RULES, nginx.PATHS, istio.HTTP, grpc.GRPC_RULES, alb.PATHS)
            or service["spec"]["selector"] != LABELS
        ):
            self._ledger.violated("routes are exactly back", f"{', '.join(left)} {rules}")
        theirs: tuple[object, ...] = (None, {}, nginx.AFFINITY, alb.ANNOTATIONS)
        if any(one["metadata"].get("annotations") not in theirs for one in (route, service)):
            self._ledger.violated("routes are exactly back", "an annotation is left")


def _hash_of(service: Json | None) -> str:
    return str(service["spec"]["selector"].get(HASH_LABEL, "")) if service else ""
