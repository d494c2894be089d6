# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws histories. A kind says what goes wrong in it; the seed decides everything else, and each seed has one kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import Any, TypeVar

from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import (
    ALB,
    GATEWAY_API,
    GATEWAY_API_GRPC,
    INGRESS_NGINX,
    ISTIO,
    SERVICE_SELECTOR,
    Can,
    Proof,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.routers import ROUTERS

from .controllers import Pace
from .faults import Fault, Planned, PlannedStream, StreamFault
from .foreign import WRITES
from .gateway import Lags
from .governing import RIGHTS, Governed, Hook
from .history import MADE_AGAIN, Ask, Befalls, End, Foreign, History, Incident, Script
from .pods import Nature
from .shipping import first_start, shipped
from .users import HEADER

_Drawn = TypeVar("_Drawn")

_STATUSES = (500, 502, 503, 504)
STRATEGIES = (("25%", "25%"), (1, 0), ("50%", 0), (2, 1), (0, 1), ("100%", "0%"))
# Roughly as many requests as a release has.
_REQUESTS = 70
_AFTER_REST = 8.0
# One history in so many has templates of the same hash.
COLLIDING = 17
# In this part of the histories a policy begins in mid-release to change what is written.
LATER = 0.12
# In this part of those with a gateway that can be asked it is not.
UNASKED = 0.1
# By what users are split, and how often.
SPLITS = {GATEWAY_API: 10, SERVICE_SELECTOR: 4, INGRESS_NGINX: 3, ISTIO: 3, GATEWAY_API_GRPC: 2, ALB: 2}


def draw(seed: int) -> History:
    return _governed_later(seed, shipped(seed, by_verbs(seed)))


def by_verbs(seed: int) -> History:
    """Most of it verb by verb."""
    chance = random.Random(seed)
    history = KINDS[_kind(seed, chance)][1](seed, chance)
    return replace(history, colliding=seed % COLLIDING == 1)


def kind_of(seed: int) -> str:
    return _kind(seed, random.Random(seed))


def _kind(seed: int, chance: random.Random) -> str:
    """Every fifth has routes, so that the others are what they were before there were any."""
    drawn = chance.choices(list(KINDS), [weight for weight, _draw in KINDS.values()])[0]
    return "routed" if seed % 5 == 4 else drawn


# What there is.


def _base(seed: int, chance: random.Random) -> History:
    surge, unavailable = chance.choice(STRATEGIES)
    return History(
        seed=seed,
        replicas=chance.choices((1, 2, 3, 4, 5, 8), (2, 3, 4, 5, 2, 1))[0],
        max_surge=surge,
        max_unavailable=unavailable,
        min_ready=chance.choice((0, 0, 0, 2)),
        history_limit=chance.choice((10, 10, 2, 1, 0)),
        change_cause=chance.random() < 0.2,
        natures={"v1": _good(chance), "v2": _good(chance), "v3": _good(chance)},
        end=chance.choice(tuple(End)),
    )


def _good(chance: random.Random) -> Nature:
    soonest = chance.choice((0.05, 0.5, 3.0))
    return Nature(soonest, soonest + chance.choice((0.1, 1.0, 4.0)), ends_in=chance.choice((0.05, 1.0, 20.0)))


def _bad(chance: random.Random) -> Nature:
    return chance.choice(
        (
            Nature(never_ready=True),
            Nature(waits="CrashLoopBackOff"),
            Nature(waits="ImagePullBackOff"),
            Nature(homeless=True),
            Nature(restarts=True),
        )
    )


def _paces(chance: random.Random) -> dict[str, Any]:
    """Controllers lag, and stop together: they are one process. When it comes back, pods are counted before anybody acts on
    the counts (measured: docs/decisions/0001-hold-by-availability.md)."""
    if chance.random() < 0.4:
        return {}
    latest, begins = chance.choice((0.05, 0.5, 3.0)), chance.uniform(_AFTER_REST, 25.0)
    ends = begins + chance.uniform(1.0, 40.0)
    stops = chance.random() < 0.5
    return {
        "deployments": Pace(0.002, latest, ((begins, ends + 2 * latest),) if stops else ()),
        "replica_sets": Pace(0.002, latest, ((begins, ends),) if stops else ()),
    }


# What is asked.


def _start(chance: random.Random, history: History, **more: Any) -> Ask:
    n = history.replicas
    surge = chance.choices((0, 1, 2, n), (1, 5, 2, 1))[0]
    if n == 1:
        surge = max(1, surge)
    pods = chance.randint(1, max(1, min(n, n - 1 + surge)))
    asked = Ask("start", surge=surge, pods=pods, timeout=chance.choice((30.0, 120.0, 120.0)))
    if chance.random() < 0.15:
        asked = Ask("start", surge=surge, pods=None, weight=chance.randint(1, 60))
    if surge and chance.random() < 0.2:
        asked = replace(asked, max_unavailable=1)
    return replace(asked, **more)


def release(chance: random.Random, history: History, **more: Any) -> list[Ask]:
    """What a person or a role does with one version: start, grow, look, freeze, and an end."""
    first = _start(chance, history, **more)
    asks = [first]
    if chance.random() < 0.1:
        asks.insert(0, replace(first, verb="headroom"))
    if chance.random() < 0.3 and first.pods is not None:
        asks.append(replace(first, pods=min(history.replicas, first.pods + 1)))
    between = ("bake", "info", "info of all", "pause", "resume", "rollback", "start", "verify", "headroom")
    for verb in chance.choices(between, k=chance.randint(0, 3)):
        asks.append(
            replace(first, verb=verb)
            if verb in ("start", "headroom")
            else Ask(verb, seconds=chance.choice((0.0, 5.0, 40.0)))
        )
        if verb == "pause" and chance.random() < 0.7:
            asks.append(Ask("resume"))
    end = chance.choice(("promote", "promote", "undo", "undo", "none"))
    if end != "none":
        reason = "too many errors" if end == "undo" and chance.random() < 0.3 else ""
        asks.append(Ask(end, reason=reason, wait=chance.random() < 0.85, timeout=chance.choice((20.0, 120.0))))
        if end == "promote" and not asks[-1].wait:
            asks += [Ask("guard", seconds=chance.choice((5.0, 60.0))), Ask("promote")]
    if chance.random() < 0.15:
        asks.insert(chance.randrange(len(asks)), replace(chance.choice(asks), check=True))
    return [replace(ask, think=chance.choice((0.0, 0.1, 3.0))) for ask in asks]


def _script(chance: random.Random, history: History, name: str = "ana", **more: Any) -> Script:
    asks = release(chance, history, **more)
    if chance.random() < 0.25:
        asks += release(chance, history, **{**more, "version": chance.choice(("v2", "v3"))})
    return Script(name, _AFTER_REST, asks=tuple(asks), names=chance.choice(("", "hash", "run", "both")))


def _machine(chance: random.Random) -> str:
    return chance.choice(("here", "there"))


# What goes wrong.


def _planned(chance: random.Random, kinds: Sequence[Fault], rate: float) -> tuple[Planned, ...]:
    return tuple(
        Planned(number, chance.choice(kinds), chance.choice((0.3, 2.0, 10.0)), chance.choice(_STATUSES))
        for number in range(_REQUESTS)
        if chance.random() < rate
    )


def _streams(chance: random.Random, rate: float) -> tuple[PlannedStream, ...]:
    return tuple(
        PlannedStream(number, chance.choice(tuple(StreamFault)), chance.choice((0.2, 2.0, 10.0)))
        for number in range(8)
        if chance.random() < rate
    )


_DEADLY = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)
_SURVIVED = tuple(fault for fault in Fault if fault not in _DEADLY)


def _incidents(chance: random.Random, most: int = 4) -> tuple[Incident, ...]:
    return tuple(
        Incident(
            chance.uniform(_AFTER_REST, 40.0),
            chance.choice(tuple(Befalls)),
            chance.choice(("v1", "v2")),
            chance.randrange(4),
            chance.choice((0.5, 5.0, 30.0)),
        )
        for _incident in range(chance.randint(1, most))
    )


def _calm(seed: int, chance: random.Random) -> History:
    """Only pods and controllers take their time."""
    history = _base(seed, chance)
    natures = {**history.natures, **({"v2": _bad(chance)} if chance.random() < 0.3 else {})}
    return replace(history, natures=natures, **_paces(chance), scripts=(_script(chance, history),))


def _faulty(seed: int, chance: random.Random) -> History:
    """Requests and streams fail."""
    history = _calm(seed, chance)
    script = history.scripts[0]
    faults = _planned(chance, _SURVIVED, chance.choice((0.03, 0.1, 0.3)))
    faulty = replace(script, faults=faults, streams=_streams(chance, 0.3))
    return replace(history, scripts=(faulty,))


def _deadly(seed: int, chance: random.Random) -> History:
    """The process is killed, and another does it all again."""
    history = _calm(seed, chance)
    script = history.scripts[0]
    dies = Planned(chance.randrange(40), chance.choice(_DEADLY))
    again = replace(script, name="again", begins=script.begins + chance.uniform(0.5, 30.0), machine=_machine(chance))
    return replace(history, scripts=(replace(script, faults=(dies,)), again))


def _crowded(seed: int, chance: random.Random) -> History:
    """Several processes at once, of the same version and of others."""
    history = _base(seed, chance)
    scripts = []
    for name in ("ana", "ben", "eve")[: chance.choice((2, 2, 3))]:
        script = _script(chance, history, name, version=chance.choice(("v2", "v2", "v3")))
        faults = _planned(chance, tuple(Fault), chance.choice((0.0, 0.0, 0.05)))
        begins = _AFTER_REST + chance.choice((0.0, 0.1, 5.0))
        if chance.random() < 0.2:
            script = replace(script, asks=(Ask("release", version=script.asks[0].version, pods=2),))
        # Whoever takes over does so with each of its calls.
        takes = chance.random() < 0.15
        asks = tuple(replace(ask, takeover=takes) for ask in script.asks)
        skew = chance.choice((0.0, -4000.0, 4000.0))
        crowd = replace(script, begins=begins, faults=faults, machine=_machine(chance), asks=asks, skew=skew)
        scripts.append(crowd)
    return replace(history, **_paces(chance), scripts=tuple(scripts))


def _stormy(seed: int, chance: random.Random) -> History:
    """Pods crash, are evicted and deleted, quota is short; requests fail."""
    history = _faulty(seed, chance)
    quota = history.replicas + chance.choice((0, 1, 2)) if chance.random() < 0.3 else None
    return replace(history, incidents=_incidents(chance), quota=quota)


def _scaled(seed: int, chance: random.Random) -> History:
    """An autoscaler is there, its owner's or one that KEDA makes: pinned, held, or a start refuses."""
    history = _base(seed, chance)
    bounds = (chance.randint(1, history.replicas), history.replicas + chance.randint(0, 4))
    load = tuple((chance.uniform(0.0, 60.0), chance.randint(1, 9)) for _step in range(chance.randint(0, 4)))
    policy = chance.choice(("pin", "pin", "pin", "refuse"))
    script = _script(chance, history, autoscaler=policy)
    if chance.random() < 0.2:
        script = replace(script, asks=(first_start(script.asks, verb="release"),))
    scripts = [script]
    if chance.random() < 0.5:
        faults = _planned(chance, tuple(Fault), 0.05)
        scripts = [replace(script, faults=faults)]
    if chance.random() < 0.3:
        scripts.append(_script(chance, history, "ben", autoscaler=chance.choice(("pin", "refuse"))))
    if seed % 3 == 0:
        scripts = [_may_scale_up(chance, script, history.replicas) for script in scripts]
    keda = chance.random() < 0.3
    load = tuple(sorted(load))
    return replace(history, bounds=bounds, keda=keda, load=load, scripts=tuple(scripts), **_paces(chance))


def _may_scale_up(chance: random.Random, script: Script, replicas: int) -> Script:
    """What was to pin it holds it, with sizes that stand a scale-up; half of them are shares of all pods, which grow with it."""
    shares = sorted(chance.choices(range(5, 50), k=len(script.asks))) if chance.random() < 0.5 else []
    beside: dict[str, Any] = {"autoscaler": "hold", "surge": replicas, "max_unavailable": None}
    asks = list[Ask]()
    for number, ask in enumerate(script.asks):
        pods = max(1, min(ask.pods or 1, replicas - 1))
        size: dict[str, Any] = {"pods": None, "weight": shares[number]} if shares else {"pods": pods, "weight": None}
        asks.append(replace(ask, **beside, **size) if ask.autoscaler == "pin" else ask)
    return replace(script, asks=tuple(asks))


def _governed(seed: int, chance: random.Random) -> History:
    """Admission changes or denies what is written, or rights are missing."""
    history = chance.choice((_calm, _faulty, _deadly, _crowded, _scaled))(seed, chance)
    lacks = frozenset(chance.sample(RIGHTS, chance.randint(0, 2)))
    scripts = tuple(replace(script, forbidden=lacks) for script in history.scripts)
    begins = _AFTER_REST + chance.uniform(0.0, 20.0)
    denied = Governed(Hook.DENIES, begins, begins + chance.uniform(0.1, 40.0))
    hooks = (None, Governed(Hook.ANNOTATES), Governed(Hook.ANNOTATES_IN_EARNEST), denied)
    return replace(history, governed=chance.choice(hooks), scripts=scripts)


def _governed_later(seed: int, history: History) -> History:
    """A policy that changes templates begins in the middle of a release, or before its end: drawn by itself, whatever else goes wrong."""
    chance = random.Random(f"policies that begin in {seed}")
    if history.governed is not None or chance.random() > LATER:
        return history
    begins = _AFTER_REST + chance.choice((1.0, 10.0, 60.0)) * chance.random()
    ends = begins + chance.choice((1.0, 20.0, inf))
    hook = chance.choice((Hook.ANNOTATES, Hook.ANNOTATES, Hook.ANNOTATES, Hook.ANNOTATES_IN_EARNEST))
    return replace(history, governed=Governed(hook, begins, ends))


def _routed(seed: int, chance: random.Random) -> History:
    """Requests are split by routes or switched by a Service, and the proxy hears late."""
    return routed(seed, chance, chance.choices(list(SPLITS), list(SPLITS.values()))[0])


def routed(seed: int, chance: random.Random, kind: str) -> History:
    """`kind`: of what splits them."""
    kinds = (_calm, _faulty, _deadly, _crowded, _crowded, _scaled, _foreign, _replaced, _governed)
    history = chance.choice(kinds)(seed, chance)
    asks = [shared(chance, history, one.asks, kind) for one in history.scripts]
    lags = _lags(chance, kind)
    # By itself, whatever else is drawn.
    if ROUTERS[kind].proof is Proof.ASKED and random.Random(f"proof in {seed}").random() < UNASKED:
        lags = replace(lags, forgets=False)
        asks = [tuple(replace(ask, proof="none") for ask in some) for some in asks]
    scripts = tuple(replace(one, asks=some) for one, some in zip(history.scripts, asks, strict=True))
    return replace(history, gateway=lags, scripts=scripts)


def _lags(chance: random.Random, kind: str) -> Lags:
    """Where nobody asks a proxy it forgets nothing, and of a Service that is switched it is as late as was measured, and more
    (verbs/routing/switching.py). Only a gateway of the Gateway API may do nothing about expressions and filters."""
    routes, forgets, plain = chance.choice((0.1, 2.0, 5.0)), chance.random() < 0.5, chance.random() < 0.1
    endpoints = chance.choice((0.1, 1.0) if kind == SERVICE_SELECTOR else (0.1, 2.0, 5.0))
    asked = ROUTERS[kind].proof is Proof.ASKED
    return Lags(routes, endpoints, forgets=forgets and asked, plain=plain and kind == GATEWAY_API)


def shared(chance: random.Random, history: History, asks: Sequence[Ask], kind: str) -> tuple[Ask, ...]:
    """Each start with a larger share, and as many pods as bear it, but for a few; or all of it as one release."""
    n, by, who = history.replicas, chance.choice(("", "pods", "weights")), _whoever(chance, kind)
    shares = sorted(chance.sample(("0", "5", "10", "20", "25", "50"), 3), key=int)
    if kind == SERVICE_SELECTOR:
        shares = ["0", "100", chance.choice(("0", "100"))]
    if chance.random() < 0.3:
        whole = tuple(shares[:1] if kind == SERVICE_SELECTOR else shares[: chance.randint(1, 3)])
        who |= _copied(history, kind, whole[0], "20")
        return (first_start(asks, verb="release", shares=whole, by=by, kind=kind, **who),)
    found, still, few = list[Ask](), iter(shares), chance.random() < 0.2
    if few and chance.random() < 0.6:
        who["overload"] = "warn"
    for ask in asks:
        more: dict[str, Any] = {"by": by} if ask.verb == "promote" else {}
        if ask.verb == "start":
            share = next(still, shares[-1])
            bear_it = 0 if few else ceil(int(share) * n / 100)
            pods = n if kind == SERVICE_SELECTOR else max(ask.pods or 1, bear_it)
            room = {"pods": pods, "weight": None, "surge": max(pods, ask.surge), "max_unavailable": None}
            if ask.autoscaler == "hold" and ask.pods is None and kind != SERVICE_SELECTOR:
                room = {"pods": None, "weight": None}  # as few as bear that share of the requests
            borne = str(100 * min(room["pods"], n) // n if room["pods"] else 20)
            more = {"share": share, **room, **who}
            if not who.get("sticky"):
                more |= _copied(history, kind, share, borne)
        if ask.verb == "pause":
            more = {"drain": chance.random() < 0.6}
        found.append(replace(ask, kind=kind, **more))
    return tuple(found)


def _copied(history: History, kind: str, share: str, most: str) -> dict[str, Any]:
    """Before any share a canary may get copies, `most` per cent. Drawn apart, so that nothing else is drawn another way."""
    can = Can.MIRROR in ROUTERS[kind].can and share == "0"
    return {"mirror": most} if can and random.Random(history.seed).random() < 0.4 else {}


def _whoever(chance: random.Random, kind: str) -> dict[str, Any]:
    """Who gets the canary besides a share of all: testers by a header, and users who keep it."""
    can, who = ROUTERS[kind].can, dict[str, Any]()
    if chance.random() < 0.3 and Can.HEADER in can:
        who["header"] = HEADER
    # An Ingress of ingress-nginx has one or the other.
    if chance.random() < 0.3 and Can.STICKY in can and not (kind == INGRESS_NGINX and who):
        who["sticky"] = True
    return who


def _foreign(seed: int, chance: random.Random) -> History:
    """Others write as well."""
    history = chance.choice((_calm, _faulty, _deadly, _scaled))(seed, chance)
    return replace(history, foreign=_writes(chance, history))


def _replaced(seed: int, chance: random.Random) -> History:
    """The Deployment is deleted and made again, right before any request or while nobody asks."""
    history = chance.choice((_calm, _faulty, _deadly, _crowded, _scaled))(seed, chance)
    return replace(history, foreign=tuple(_again(chance) for _time in range(chance.choice((1, 1, 2)))))


def _again(chance: random.Random) -> Foreign:
    how, gap = chance.choice(tuple(sorted(MADE_AGAIN))), chance.choice((0, 1, 4))
    if chance.random() < 0.3:
        return Foreign(chance.uniform(_AFTER_REST, 40.0), how, gap, "v1")
    return Foreign(_AFTER_REST, how, gap, "v1", chance.randrange(_REQUESTS))


def _writes(chance: random.Random, history: History) -> tuple[Foreign, ...]:
    return tuple(
        Foreign(
            # Often in the middle of what is read and written at first.
            _AFTER_REST + chance.choice((0.03, 22.0, 22.0)) * chance.random(),
            chance.choice(tuple(WRITES)),
            chance.choice((0, 1, history.replicas - 1, history.replicas + 2)),
            chance.choice(("v1", "v2", "v3")),
        )
        for _write in range(chance.randint(1, 3))
    )


_Draw = Callable[[int, random.Random], History]
# How often, beside the others.
KINDS: dict[str, tuple[int, _Draw]] = {
    "calm": (10, _calm),
    "faulty": (20, _faulty),
    "deadly": (15, _deadly),
    "crowded": (15, _crowded),
    "stormy": (15, _stormy),
    "scaled": (10, _scaled),
    "foreign": (15, _foreign),
    "governed": (10, _governed),
    "replaced": (10, _replaced),
    "routed": (0, _routed),
}
