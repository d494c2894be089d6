# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose answers are not always what its API says: a verb may fail then, with a code, and never with an error of its own.

python -m tests.sim.hostile --calls 10000        # make fuzz
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.exchange import Exchange, Request
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.watch import Streams, Watched

from .gateway import Lags
from .history import Ask, History, Script
from .network import Network, SimulatedStreams, _Arrived
from .world import Played, World

DEEP: Any = 0
for _level in range(300):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 10**400, "", "x", "\u00b2", "\ud800", "../x", [], [[]], {}, {"x": 1}, [None], "'; touch x; '",
    "x" * 100_000, "\u202e\x1b[2J", "2026-99-99T00:00:00Z", "1e999999999", "-5%", DEEP, {"": None},
)  # fmt: skip
# What nobody who asks these may change.
READING = frozenset({"info", "info of all", "bake", "verify", "guard", "headroom"})
# Rules that hold whatever a server says.
ALWAYS = frozenset({"no verb ends in an error of its own", "every call comes to an end"})


def _by_weights(kind: str, names: str = "", **second: Any) -> History:
    """Two releases by the weights of such routes: one that is drained, goes on and is promoted, and a `second` that is undone."""
    return History(
        gateway=Lags(),
        scripts=(
            Script("ana", 8.0, names=names, asks=(
                Ask("start", share="5", kind=kind), Ask("start", pods=3, surge=3, share="50", kind=kind), Ask("pause", drain=True),
                Ask("resume"), Ask("info"), Ask("promote", by="weights"),
                Ask("start", version="v3", share="10", kind=kind, **second), Ask("undo"),
            )),
        ),
    )  # fmt: skip


SCENES: Mapping[str, History] = {
    "pods and an autoscaler": History(
        bounds=(2, 9),
        change_cause=True,
        scripts=(
            Script("ana", 8.0, asks=(
                Ask("headroom"), Ask("start", pods=2, autoscaler="pin"), Ask("info"), Ask("pause"), Ask("resume"),
                Ask("bake", seconds=2.0), Ask("verify", seconds=20.0), Ask("promote"), Ask("guard", seconds=5.0),
                Ask("start", version="v3"), Ask("undo", reason="slow"), Ask("rollback", to="v1"), Ask("info of all"),
                Ask("release", version="v4", pods=2),
            )),
        ),
    ),
    "routes": _by_weights("gateway_api", names="run", sticky=True),
    "copies": History(
        gateway=Lags(),
        scripts=(
            Script("ana", 8.0, asks=(
                Ask("start", share="0", mirror="20"), Ask("pause", drain=True), Ask("resume"), Ask("info"),
                Ask("start", share="0", mirror="10"), Ask("undo"),
                Ask("release", version="v3", mirror="20", shares=("20",), by="pods"),
            )),
        ),
    ),
    "copies by a VirtualService": History(
        gateway=Lags(),
        scripts=(
            Script("ana", 8.0, asks=(
                Ask("start", share="0", mirror="20", kind="istio"), Ask("info"), Ask("promote", by="pods"),
                Ask("start", version="v3", share="0", mirror="10", kind="istio"), Ask("undo"),
            )),
        ),
    ),
    "an Ingress": _by_weights("ingress_nginx", header="x-canary"),
    "a VirtualService": _by_weights("istio", header="x-canary"),
    "an Ingress of a load balancer": _by_weights("alb", header="x-canary"),
    "a GRPCRoute": History(
        gateway=Lags(),
        scripts=(
            Script("ana", 8.0, asks=(
                Ask("start", share="5", header="x-canary", kind="gateway_api_grpc"), Ask("promote", by="pods"),
                Ask("start", version="v3", share="10", kind="gateway_api_grpc"), Ask("undo"),
            )),
        ),
    ),
    "a Service that is switched": History(
        gateway=Lags(),
        scripts=(
            Script("ana", 8.0, asks=(
                Ask("start", pods=4, surge=4, share="0", kind="service_selector"),
                Ask("start", pods=4, surge=4, share="100", kind="service_selector"), Ask("info"), Ask("undo"),
                Ask("release", version="v3", shares=("0",), by="weights", kind="service_selector", keep=5.0),
            )),
        ),
    ),
}  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in it, as its holder and the key there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield value, key
        yield from places(item)


def odd(answer: Any, chance: random.Random) -> Any:
    """The answer with something else in one place, or without it, or in the place of all of it."""
    changed = copy.deepcopy(answer)
    found = list(places(changed))
    if not found or chance.random() < 0.05:
        return copy.deepcopy(chance.choice(ODD))
    holder, key = chance.choice(found)
    if isinstance(holder, dict) and chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
    return changed


class OddNetwork(Network):
    """One in `one_in` of its answers is odd."""

    one_in: int
    oddness: random.Random

    def _send(self, request: Request) -> Exchange:
        arrived = cast(_Arrived, super()._send(request))
        is_json = isinstance(arrived.content, dict)  # and no log
        if is_json and self.oddness.random() < 1 / self.one_in:
            arrived.content = odd(arrived.content, self.oddness)
        return arrived

    def streams(self, watches: Sequence[Watched]) -> Streams:
        streams = cast(SimulatedStreams, super().streams(watches))
        tell = streams._tell

        def tell_oddly(watched: Watched, type_: str, obj: Mapping[str, Any]) -> None:
            changed = odd(obj, self.oddness) if self.oddness.random() < 1 / self.one_in else obj
            # By its metadata the stream itself selects.
            is_like_it = isinstance(changed, dict) and changed.get("metadata") == obj["metadata"]
            tell(watched, type_, changed if is_like_it else obj)

        streams._tell = tell_oddly  # type: ignore[method-assign]
        return cast(Streams, streams)


class OddWorld(World):
    """Scripts are told odd things; whoever brings a history to its end is told the truth."""

    def __init__(self, history: History, one_in: int) -> None:
        self._one_in = one_in
        super().__init__(history)

    def network(self, *given: Any) -> Network:
        made = OddNetwork(*given)
        made.one_in, made.oddness = self._one_in, random.Random(self.history.seed * 31 + self._one_in)
        return made


@dataclass
class Found:
    """`ended`: how calls have ended, by failure code or "done". `wrong`: what must never be, with the scene and its seed."""

    calls: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        self.calls += other.calls
        self.ended += other.ended
        self.wrong += other.wrong


def play(scene: str, seed: int, one_in: int) -> Found:
    played = OddWorld(replace(SCENES[scene], seed=seed), one_in).play()
    found = Found()
    for call in played.calls:
        if call.actor == "last":
            continue
        found.calls += 1
        code = getattr(call.result, "code", "api_error" if isinstance(call.result, Exception) else "done")
        found.ended[code] += 1
        if call.ask.verb in READING and call.writes and not call.meant.run:
            found.wrong.append(f"{scene} {seed}/{one_in}: {call.user} ({call.ask.verb}) has written")
    found.wrong += [f"{scene} {seed}/{one_in}: {one}" for one in _broken(played)]
    return found


def _broken(played: Played) -> list[str]:
    return [str(one) for one in played.violations if one.rule in ALWAYS]


# How many of the answers of a call are odd, on average one in so many.
RARELY, OFTEN = 40, 8


def play_some(first: int, seeds: int = 20) -> Found:
    found = Found()
    for seed in range(first, first + seeds):
        for scene in SCENES:
            for one_in in (RARELY, OFTEN):
                found.add(play(scene, seed, one_in))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    wanted, found, first = parser.parse_args().calls, Found(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        while found.calls < wanted and not found.wrong:
            for part in pool.map(partial(play_some, seeds=5), range(first, first + 40, 5)):
                found.add(part)
            first += 40
    for line in found.wrong:
        print(line)
    ended = ", ".join(f"{code} {count}" for code, count in found.ended.most_common())
    print(f"{found.calls} calls of verbs with odd answers: {len(found.wrong)} have done what none may. Ended: {ended}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
