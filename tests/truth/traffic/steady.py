# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No request of users who come all the time fails, whatever a release does, and wherever it dies."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteBy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from tests.cluster.gateway.server import DEFAULT, SWIFT, add_gateway
from tests.gateways.gates import ending, hearing_late
from tests.gateways.shop import Shop
from tests.integration.victims import End, ended, run
from tests.situations import until

from .bench import RATE, Bench, Case

RACES, LATE_SECONDS, CHANGES, MOST_DEATHS = 20, 0.7, 20, 40
KEEP_SECONDS, WATCHING = 120.0, "watching the canary"


def releases(bench: Bench) -> Case:
    case = Case("users at 200 requests a second", "0 failed, with pods that finish what they were sent")
    with bench.shop() as shop:
        version = 1
        for by in PromoteBy:
            version += 1
            with shop.users.coming(RATE) as users:
                for pods, weight in ((1, 5), (2, 25), (4, 50)):
                    shop.start(f"v{version}", pods=pods, weight=Fraction(weight, 100))
                shop.promote(by)
            case.none_failed(f"start, 25 %, 50 %, promote by {by.value}", users)
        with shop.users.coming(RATE) as users:
            shop.start("v1", pods=2, weight=Fraction(1, 2))
            shop.undo()
        case.none_failed("start, undo", users)
        case.own(shop)
    return case


def vanishing(bench: Bench) -> Case:
    case = Case("pods that vanish at once", "undo at most 1 failed, promote by weights 0")
    with bench.shop(drain_ms=0) as shop:
        for most, what, end in (
            (1, "undo", shop.undo),
            (0, "promote by weights", lambda: shop.promote(PromoteBy.WEIGHTS)),
        ):
            with shop.users.coming(RATE) as users:
                shop.start(pods=4, weight=Fraction(1, 2))
                end()
            case.none_failed(what, users, most)
        case.own(shop)
    return case


def races(bench: Bench) -> Case:
    case = Case(f"a proxy that hears of endpoints {LATE_SECONDS:g} s after routes", f"{RACES} starts: 0 failed")
    with (
        TemporaryDirectory() as folder,
        hearing_late(bench.lab, Path(folder), "late", bench.proxy, LATE_SECONDS) as late,
        bench.shop(late) as shop,
    ):
        with shop.users.coming(RATE) as users:
            for _time in range(RACES):
                shop.start(weight=Fraction(1, 4))
                shop.undo()
        case.none_failed(f"{RACES} starts and undos", users)
        case.own(shop)
    return case


def crashes(bench: Bench) -> Case:
    case = Case("killed after every write, and taken up by any verb", "0 failed, and everything is the owner's again")
    for after in ("start", "promote", "undo"):
        with bench.shop() as shop, shop.users.coming(RATE) as users:
            deaths = _dies_and_is_followed(bench, shop, (after,))
            case.own(shop)
        case.none_failed(f"{deaths} deaths, each followed by {after}", users)
    return case


def crashes_in_turn(bench: Bench) -> Case:
    """Where each write takes its seconds, or where the other cases show more of them."""
    case = Case("killed after every write, and taken up by a verb", "0 failed, and everything is the owner's again")
    with bench.shop() as shop, shop.users.coming(RATE) as users:
        deaths = _dies_and_is_followed(bench, shop, ("start", "promote", "undo"))
        case.own(shop)
    case.none_failed(f"{deaths} deaths, followed by start, promote and undo in turn", users)
    return case


def _dies_and_is_followed(bench: Bench, shop: Shop, verbs: Sequence[str]) -> int:
    """A start that dies one write later each time; whatever is left is taken up by one of the verbs, in turn."""
    deaths = 0
    for write in range(1, MOST_DEATHS):
        verb = verbs[write % len(verbs)]
        asked = shop.start_request(weight=Fraction(1, 4))
        code = ended(run(str(bench.lab.kubeconfig), "start", asked, End(write, writes=True, settles=bench.settles)))
        deaths += code == -signal.SIGKILL
        if verb == "undo":
            shop.undo()
        elif verb == "start" or code:
            shop.start(weight=Fraction(1, 4))
        if verb == "promote":
            shop.promote()
            shop.start("v1", weight=Fraction(1, 4))
        if shop.release.deployment()["metadata"]["annotations"].get("coalmine.canary/record"):
            shop.undo() if verb != "promote" else shop.promote()
        if not code:
            return deaths
    raise AssertionError(f"start has not come to its end after {MOST_DEATHS} writes")


def replicas(bench: Bench) -> Case:
    case = Case("two replicas behind one address, one 2 s later", "each proof is later than both; 0 failed")
    with (
        ending(bench.lab, add_gateway(bench.lab, name="two", throttles=(SWIFT, DEFAULT))) as two,
        bench.shop(two) as shop,
        shop.users.coming(RATE) as users,
    ):
        early = 0
        for change in range(CHANGES):
            version = "v1" if change % 2 else "v2"
            shop.start(pods=4, weight=Fraction(int(version == "v2")))
            early += sum(shop.users.send(100, rate=500).of(other) for other in ("v1", "v2") if other != version)
        shop.undo()
    case.told(
        f"{CHANGES} changes from 0 to 100 % and back: {early} requests of {100 * CHANGES} by the old one", not early
    )
    case.none_failed("meanwhile", users)
    return case


def blue_green(bench: Bench) -> Case:
    """The whole second version beside the first, by the routes."""
    case = Case("blue/green by a route", "0 failed, and after each switch 0 requests by the other version")
    with bench.shop() as shop:
        _switched(case, shop)
    return case


def switched_service(bench: Bench) -> Case:
    """What every kind of route sends to is switched, so it says nothing of these."""
    case = Case(
        "blue/green by the Service's selector", "0 failed, and soon after each switch everybody is on one version"
    )
    with bench.shop() as shop:
        _switched(case, shop, kind="service_selector", proof="prefer")
    return case


def _switched(case: Case, shop: Shop, **by: Any) -> None:
    """There and back, there again, back out of a promotion that keeps the old pods, and there for good."""
    proven = not by
    with shop.users.coming(RATE) as users:
        for weight, version in ((0, "v1"), (1, "v2"), (0, "v1"), (1, "v2")):
            shop.start(pods=4, weight=Fraction(weight), **by)
            _everybody_gets(case, shop, version, proven)
        case.told(f"a promotion that keeps blue ended with {_undone_while_blue_is_kept(shop)}")
        _everybody_gets(case, shop, "v1", proven)
    case.none_failed("there, back, there, undone while blue was kept", users)
    case.own(shop)
    with shop.users.coming(RATE) as users:
        shop.start(pods=4, weight=Fraction(1), **by)
        shop.promote(PromoteBy.WEIGHTS, keep=2.0)
        _everybody_gets(case, shop, "v2", proven)
    case.none_failed("there for good", users)
    case.own(shop)


def _undone_while_blue_is_kept(shop: Shop) -> str:
    """With what the promotion ends that an undo takes the release from."""
    keeping, ends = Event(), list[str]()

    def promotes() -> None:
        try:
            asked = shop.promote_request(PromoteBy.WEIGHTS, keep=KEEP_SECONDS)
            ends.append(
                promote(shop.another_api(), asked, lambda news: keeping.set() if WATCHING in news else None).message
            )
        except VerbFailure as failure:
            ends.append(failure.code)
        keeping.set()

    promotion = Thread(target=promotes)
    promotion.start()
    keeping.wait()
    shop.undo(takeover=True)
    promotion.join()
    return ends[0]


def _everybody_gets(case: Case, shop: Shop, version: str, proven: bool) -> None:
    """At once where it is proven; nobody can ask a proxy when it has heard of endpoints."""
    if not proven:
        until(lambda: shop.users.send(100).of(version) == 100, f"everybody gets {version}")
        return
    got = shop.users.send(400)
    if got.of(version) != got.sent:
        case.told(f"{got.sent - got.of(version)} of {got.sent} did not get {version}", right=False)
