# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised of traffic, each case on a real proxy: what was done, the figures, and whether they are as they must be."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import sqrt
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Entry, Knock, knock
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import KEPT, Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.httproute import PROBE_HEADER, PROBE_PATH
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Header, PromoteBy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.gateway.server import DEFAULT, SWIFT, Gateway, add_gateway
from tests.cluster.lab import Lab
from tests.faults.proxy import silent_from
from tests.gateways.gates import EVERYTHING, STREAMS, behind_a_proxy, ending, hearing_late
from tests.gateways.shop import Shop
from tests.gateways.users import Tally
from tests.integration.releases import CONTAINER, image
from tests.integration.victims import End, ended, run
from tests.situations import until

# Of users, requests in a second.
RATE = 200
TESTER, TESTERS = Header("x-canary", "always"), "x-canary: always"
# Traefik takes its backends in turn: a share is exact, but for the turn in which the counting begins and ends.
SHARES, COUNTED, EXACT_TO = (Fraction(1, 1000), Fraction(5, 100), Fraction(1, 4), Fraction(1, 2)), 10_000, 1
# Envoy draws each request: of a thousand counts one is so many standard deviations off.
DEVIATIONS = 3.29
RACES, CHANGES, MOST_DEATHS = 20, 20, 40
OVERHEAD_SECONDS = 0.15


@dataclass
class Case:
    """One line of the report. `wrong`: what is not as it must be."""

    name: str
    must: str
    figures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def told(self, figure: str, right: bool = True) -> None:
        self.figures.append(figure)
        if not right:
            self.wrong.append(figure)

    def none_failed(self, what: str, users: Tally, most: int = 0) -> None:
        right = users.sent > 0 and users.failed <= most
        self.told(f"{what}: {users.failed} of {users.sent} failed" + ("" if right else f" ({users.why})"), right)

    def own(self, shop: Shop) -> None:
        """Everything is the owner's again."""
        try:
            shop.assert_own()
        except AssertionError as error:
            self.wrong.append(f"not everything is as it was: {str(error)[:300]}")


@dataclass
class Bench:
    """A cluster whose pods answer, its gateway, and by what kind of route users come. `draws`: the proxy draws each request."""

    lab: Lab
    gateway: Gateway
    kind: type[Shop] = Shop
    draws: bool = False

    @property
    def exact(self) -> str:
        return "within the interval of 99.9 %" if self.draws else f"exact to {EXACT_TO}"

    def is_exact(self, weight: Fraction, got: Tally) -> bool:
        off = DEVIATIONS * sqrt(got.sent * weight * (1 - weight)) if self.draws else EXACT_TO
        return abs(got.of("v2") - weight * got.sent) <= off

    @contextmanager
    def shop(self, gateway: Gateway | None = None, **given: Any) -> Iterator[Shop]:
        """Its namespace is gone afterwards."""
        namespace = self.lab.create_namespace("traffic")
        try:
            yield self.kind(self.lab, gateway or self.gateway, namespace, **given).opened()
        finally:
            self.lab.delete_namespace(namespace)


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
    case = Case("a proxy that hears of endpoints 1.5 s after routes", f"{RACES} starts: 0 failed")
    with (
        TemporaryDirectory() as folder,
        hearing_late(bench.lab, Path(folder), "late") as late,
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
            deaths = _dies_and_is_followed(bench.lab, shop, after)
            case.own(shop)
        case.none_failed(f"{deaths} deaths, each followed by {after}", users)
    return case


def _dies_and_is_followed(lab: Lab, shop: Shop, verb: str) -> int:
    """A start that dies one write later each time; whatever is left is taken up by the verb."""
    deaths = 0
    for write in range(1, MOST_DEATHS):
        asked = shop.start_request(weight=Fraction(1, 4))
        code = ended(run(str(lab.kubeconfig), "start", asked, End(write, writes=True)))
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


def effect(bench: Bench) -> Case:
    case = _effect()
    _time(case, "configurations every 0.1 s", bench)
    with ending(bench.lab, add_gateway(bench.lab, name="ordinary", throttles=(DEFAULT,))) as ordinary:
        _time(case, "every 2 s, Traefik's default", replace(bench, gateway=ordinary))
    return case


def effect_of_istio(bench: Bench) -> Case:
    case = _effect()
    _time(case, "as it comes", bench)
    return case


def _effect() -> Case:
    must = f"the data plane's own lag and at most {1000 * OVERHEAD_SECONDS:g} ms (median)"
    return Case("from the call to proven", must)


def _time(case: Case, what: str, bench: Bench) -> None:
    with bench.shop() as shop:
        lags, calls = _timed_changes(shop)
    over = median(call - lag for call, lag in zip(calls, lags, strict=True))
    case.told(
        f"{what}: lag {_ms(median(lags))}, from the call {_ms(median(calls))}, more by {_ms(over)}",
        over <= OVERHEAD_SECONDS,
    )


def _timed_changes(shop: Shop) -> tuple[list[float], list[float]]:
    """Of changes of a weight: seconds from the write to its effect, as somebody else sees it, and from the call to its return."""
    shop.start(pods=4, weight=Fraction(1, 2))
    lags, calls, patch = [], [], shop.api.patch
    written: list[float] = []

    def noted(path: str, *given: Any, **named: Any) -> Any:
        answer = patch(path, *given, **named)
        if path.startswith(shop.routes):
            written.append(time.monotonic())
        return answer

    shop.api.patch = noted  # type: ignore[method-assign]
    for change in range(CHANGES):
        # At no fixed distance from the last write: the proxy's own rhythm would decide.
        time.sleep(0.137 * (change % 7))
        seen: list[float] = []
        kept = Kept.decode(shop.route()["metadata"]["annotations"][KEPT])
        watcher = threading.Thread(target=_watch, args=(shop, kept, seen))
        watcher.start()
        began = time.monotonic()
        shop.start(pods=4, weight=Fraction(1 + change % 2, 4))
        calls.append(time.monotonic() - began)
        watcher.join()
        lags.append(seen[0] - written[-1])
    return lags, calls


def _watch(shop: Shop, kept: Kept, seen: list[float]) -> None:
    """When the proxy first tells a later write than the one that is kept."""
    host, port = shop.gateway.address.split(":")
    asked = Knock(Entry(host, int(port), shop.host), PROBE_PATH + kept.token, {PROBE_HEADER: kept.token})
    before = knock(asked).location
    while (now := knock(asked).location) == before or not now:
        time.sleep(0.005)
    seen.append(time.monotonic())


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def never_programmed(bench: Bench) -> Case:
    case = Case("a write that never comes into force", "not_programmed, users unaffected, everything taken back")
    silence = threading.Event()
    with TemporaryDirectory() as folder, behind_a_proxy(bench.lab, Path(folder), "deaf") as (proxy, kubeconfig):
        proxy.go_wrong(EVERYTHING, *[silent_from(silence)] * STREAMS)
        deaf = add_gateway(bench.lab, name="deaf", kubeconfig=kubeconfig)
        with ending(bench.lab, deaf), bench.shop(deaf) as shop, shop.users.coming(RATE) as users:
            silence.set()
            _refused(case, "a gateway that hears of nothing any more", shop, "not_programmed", seconds=5)
            shop.undo()
            case.own(shop)
        case.none_failed("its users", users)
    stopped = add_gateway(bench.lab, name="stopped")
    with bench.shop(stopped) as shop:
        stopped.end(bench.lab)
        _refused(case, "a gateway that has stopped", shop, "not_programmed")
        case.own(shop)
    return case


def _refused(case: Case, what: str, shop: Shop, code: str, **traffic: Any) -> None:
    try:
        shop.start(weight=Fraction(1, 4), **traffic)
    except VerbFailure as failure:
        case.told(f"{what}: {failure.code}", failure.code == code)
    else:
        case.told(f"{what}: it was started", right=False)


def foreign_edits(bench: Bench) -> Case:
    case = Case("what somebody else does at 25 %", "users of the stable version never notice; any verb heals")
    with bench.shop() as shop:
        with shop.users.coming(RATE) as users:
            shop.start(pods=2, weight=Fraction(1, 4))
            back = [{"op": "replace", "path": "/spec/rules", "value": shop.before["spec"]["rules"]}]
            shop.api.patch(f"{shop.routes}/web", back, PatchKind.JSON, field_manager="argocd-controller")
            again = shop.start(pods=2, weight=Fraction(1, 4))
            told = any("argocd-controller" in warning for warning in again.warnings)
            shop.undo()
        case.none_failed("the route was put back, started again", users)
        case.told(f"whoever did it {'was' if told else 'was not'} named", told)
        case.own(shop)
        shop.start(pods=2, weight=Fraction(1, 4))
        third = {"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, "image": image("v3")}]}}}}
        shop.api.patch(shop.release.path, third, PatchKind.STRATEGIC)
        shop.undo()
        with shop.users.coming(RATE) as users:
            time.sleep(2)
        case.none_failed("a third version was rolled out, undone: afterwards", users)
        case.own(shop)
    return case


OF_TRAEFIK: tuple[Callable[[Bench], Case], ...] = (
    shares,
    other_backends,
    header,
    releases,
    vanishing,
    races,
    crashes,
    replicas,
    never_programmed,
    foreign_edits,
    effect,
)

# What Traefik shows of verbs alone, whatever the proxy, is not shown again.
OF_ISTIO: tuple[Callable[[Bench], Case], ...] = (shares, header, releases, crashes, effect_of_istio)
