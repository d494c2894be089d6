# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a write takes from the call until it is proven."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from fractions import Fraction
from statistics import median
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Entry, Knock, Knocked, knock
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import Kept
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.probe import PROBE_HEADER, PROBE_PATH
from tests.cluster.gateway.server import DEFAULT, add_gateway
from tests.gateways.gates import ending
from tests.gateways.shop import Shop

from .bench import Bench, Case

CHANGES, OVERHEAD_SECONDS = 20, 0.15


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
        lags, proofs, calls = _timed_changes(shop)
    over = median(proof - lag for proof, lag in zip(proofs, lags, strict=True))
    case.told(
        f"{what}: lag {_ms(median(lags))}, from the call {_ms(median(proofs))}, more by {_ms(over)}; it returns after {_ms(median(calls))}",
        over <= OVERHEAD_SECONDS,
    )


def _timed_changes(shop: Shop) -> tuple[list[float], list[float], list[float]]:
    """Of changes of a weight: seconds from the write to its effect, as somebody else sees it; from the call to the last answer of the gateway,
    which proves it; and to its return, when the record has it and the Lease is given back."""
    shop.start(pods=4, weight=Fraction(1, 2))
    lags, proofs, calls, patch, ask = [], [], [], shop.api.patch, shop.api.knock
    witnesses: list[_Witness] = []
    written: list[float] = []
    answered: list[float] = []

    def noted(path: str, *given: Any, **named: Any) -> Any:
        answer = patch(path, *given, **named)
        if path.startswith(shop.routes):
            written.append(time.monotonic())
            witnesses[-1].start()
        return answer

    def noted_answer(asked: Knock) -> Knocked:
        answer = ask(asked)
        answered.append(time.monotonic())
        return answer

    shop.api.patch = noted  # type: ignore[method-assign]
    shop.api.knock = noted_answer  # type: ignore[method-assign]
    for change in range(CHANGES):
        # At no fixed distance from the last write: the proxy's own rhythm would decide.
        time.sleep(0.137 * (change % 7))
        witnesses.append(witness := _Witness(shop))
        began = time.monotonic()
        shop.start(pods=4, weight=Fraction(1 + change % 2, 4))
        calls.append(time.monotonic() - began)
        proofs.append(answered[-1] - began)
        witness.join()
        lags.append(witness.saw - written[-1])
    return lags, proofs, calls


class _Witness(threading.Thread):
    """`saw`: when the proxy first told a later write than the one that it told before. To be started by that write: until then there is
    nothing to see, and what it asks would slow the call whose time is taken."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        host, port = shop.gateway.address.split(":")
        token = Kept.decode(shop.route()["metadata"]["annotations"][KEPT]).token
        self._asked = Knock(Entry(host, int(port), shop.host), PROBE_PATH + token, {PROBE_HEADER: token})
        self._before = knock(self._asked).location
        self.saw = 0.0

    def run(self) -> None:
        while (now := knock(self._asked).location) == self._before or not now:
            time.sleep(0.005)
        self.saw = time.monotonic()


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
