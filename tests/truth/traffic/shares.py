# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each request gets what was said: shares, testers, users who keep their version, and what is nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Header, PromoteBy
from tests.gateways.browsers import Crowd
from tests.situations import until

from .bench import RATE, Bench, Case

TESTER, TESTERS = Header("x-canary", "always"), "x-canary: always"
SHARES, COUNTED = (Fraction(1, 1000), Fraction(5, 100), Fraction(1, 4), Fraction(1, 2)), 10_000
CROWD, DRAIN_MS = 300, 5_000


def shares(bench: Bench) -> Case:
    case = Case("share of requests", f"{COUNTED} requests: {bench.exact}")
    with bench.shop(replicas=6) as shop:
        for weight in SHARES:
            shop.start(pods=3, weight=weight)
            got = shop.users.send(COUNTED)
            right = bench.is_exact(weight, got) and not got.failed
            case.told(f"{100 * float(weight):g} %: {got.of('v2')} of {got.sent}", right)
        shop.undo()
        case.own(shop)
    return case


def other_backends(bench: Bench) -> Case:
    """A rule that sends a quarter elsewhere, one that sends everything elsewhere, a filter, a timeout."""
    case = Case("rules and backends of others", "their shares stay exact to 1; the route comes back to the byte")
    legacy = {"name": "legacy", "port": 80}
    added = {"name": "x-added", "value": "yes"}
    rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [added]}}],
            "backendRefs": [{"name": "web", "port": 80, "weight": 3}, legacy],
            "timeouts": {"request": "10s"},
        },
        {"backendRefs": [{"name": "web", "port": 80}]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}], "backendRefs": [legacy]},
    ]
    with bench.shop(rules=rules) as shop:
        shop.add_other("legacy", "v3")
        shop.start(weight=Fraction(1, 5))
        for path, expected in (
            ("/api", {"v1": 2400, "v2": 600, "v3": 1000}),
            ("/", {"v1": 3200, "v2": 800}),
            ("/old", {"v3": 4000}),
        ):
            got = shop.users.send(4000, path=path)
            right = all(abs(got.of(version) - count) <= 1 for version, count in expected.items())
            case.told(f"{path}: {', '.join(f'{version} {got.of(version)}' for version in expected)}", right)
        shop.promote()
        case.own(shop)
    return case


def header(bench: Bench) -> Case:
    case = Case("requests with the header", "0 wrong of 1,000 in each stage, and few at the end of a promotion")
    with bench.shop() as shop:
        stages: list[tuple[str, Callable[[], object]]] = [
            ("0 %", lambda: shop.start(weight=Fraction(0), header=TESTER)),
            ("5 %", lambda: shop.start(weight=Fraction(5, 100))),
            ("25 %", lambda: shop.start(pods=2, weight=Fraction(1, 4))),
        ]
        for stage, reach in stages:
            reach()
            got = shop.users.send(1000, header=TESTERS)
            case.told(f"{stage}: {got.sent - got.of('v2')} wrong", got.of("v2") == got.sent)
        with shop.users.coming(500, header=TESTERS) as testers:
            shop.promote()
        # At the very end their rule is gone, and the proxy has yet to hear that the old pods are ending.
        right = testers.of("v1") <= testers.sent // 20
        case.told(f"while it is promoted by pods: {testers.of('v1')} of {testers.sent} wrong", right)
        until(lambda: shop.users.send(200).of("v2") == 200, "everybody has the new version")
        shop.start("v3", weight=Fraction(0), header=TESTER)
        shop.undo()
        got = shop.users.send(1000, header=TESTERS)
        case.told(f"undone: {got.sent - got.of('v2')} wrong", got.of("v2") == got.sent)
    return case


def sticky(bench: Bench) -> Case:
    case = Case(f"{CROWD} users who keep their version", "none goes back before an undo, 0 failed")
    with bench.shop(annotations=bench.kind.keeps_users, drain_ms=DRAIN_MS) as shop:
        crowd = Crowd.of(CROWD, shop.gateway.address, shop.host)
        with shop.users.coming(RATE) as users:
            shop.start(weight=Fraction(1, 5), sticky=True)
            shown = [crowd.ask(), crowd.ask()]
            shop.start(pods=4, weight=Fraction(1, 2), sticky=True)
            shown += [crowd.ask(), crowd.ask()]
            shop.promote(PromoteBy.WEIGHTS)
            if bench.kind.keeps_users:
                until(lambda: _everybody_moved(crowd), "the proxy has heard that the old pods have ended")
            shown.append(crowd.ask())
        told = "20 %: {}, again {}; 50 %: {}, again {}; promoted: {}".format(*shown)
        case.told(f"{told}; went back: {crowd.back}", not crowd.back and shown == sorted(shown))
        case.none_failed("meanwhile", users)
        case.own(shop)
    return case


def _everybody_moved(crowd: Crowd) -> bool:
    """The cookie of a proxy's own names a pod, to which it sends its users until it has heard that this has ended, a moment after it has."""
    try:
        return crowd.ask() == len(crowd.users)
    except AssertionError:
        return False
