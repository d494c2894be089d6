# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer as the documented return value, and as a few lines for a person.

Amounts are written as Kubernetes writes them. Prices are numbers with the currency beside them; null means unknown, never free.
This module is private to the collection.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Iterable, Mapping

from ..wording import count_of
from .bill import Bill, Position, bill
from .finding import Advice, Answer, PeakAnswer, Question, Strategy, Verdict
from .pod_request import Parts, pod_requests
from .quantity import THOUSAND, Amounts, written

_WORDS = {
    Verdict.FITS: "fits on the nodes that are there",
    Verdict.FITS_AFTER_PREEMPTION: "fits only after pods of lower priority are evicted",
    Verdict.NEEDS_NODES: "does not fit on the nodes that are there; new nodes would hold it",
    Verdict.QUOTA_EXCEEDED: "is stopped by a quota",
    Verdict.REFUSED: "is refused at admission",
    Verdict.CANNOT_FIT: "fits neither on an existing node nor on a new node of any known group",
    Verdict.DEPENDS_ON_PLACEMENT: "fits or not depending on which nodes the scheduler prefers and which old pods go first",
    Verdict.UNKNOWN: "cannot be decided from what can be read",
}


def headroom(question: Question, answer: Answer, read: Mapping[str, Any]) -> dict[str, Any]:
    """The return value `headroom`. `read` is what reading the cluster cost."""
    first = answer.deciding
    owed = bill(question, answer)
    return {
        "verdict": answer.verdict.value,
        "exactness": answer.exactness.value,
        "server_version": f"1.{question.minor}",
        "surge": _surge(question, answer),
        "pod_request": _pod_request(question, answer.parts),
        "fit": _fit(question, first),
        "peaks": [_peak(one) for one in answer.peaks],
        "rejected_nodes": dict(first.rejected) if first else {},
        "nearest_miss": _nearest_miss(first),
        "quota": _quota(answer),
        "refusals": list(question.refusals) + [text for one in answer.peaks[:1] for text in one.quota.refusals],
        "new_nodes": [_new_node(one) for one in owed.positions],
        "cost": _cost(owed),
        "advice": _advice(answer.advice, question.rollout.replicas),
        "unknown": list(answer.unknown),
        "assumptions": list(answer.assumptions),
        "read": dict(read),
    }


def summary(question: Question, answer: Answer, name: str) -> list[str]:
    """The reasoning in a few lines that a person understands."""
    lines = [f"{name}: {_at(answer)}{_WORDS[answer.verdict]}."]
    first = answer.deciding
    if first is not None:
        if first.verdict is not Verdict.FITS and first.rejected:
            reasons = ", ".join(f"{count}x {reason}" for reason, count in list(first.rejected.items())[:4])
            lines.append(f"{first.fit.least} of {first.peak.to_place} new pods find a node; the others: {reasons}.")
        lines.extend(_quota_lines(first))
    homeless = sum(question.scene.waiting.get(owner, 0) for owner in question.owners)
    if homeless:
        lines.append(f"Pending today already, before anything changes: {count_of(homeless, 'pod')} of the Deployment.")
    lines.extend(question.refusals)
    lines.extend(_nodes_lines(bill(question, answer)))
    if any(one.waits for one in answer.peaks):
        lines.append("Some new pods stay Pending until old ones have ended; an autoscaler may add a node meanwhile.")
    if answer.unknown:
        lines.append(f"Unknown: {', '.join(answer.unknown)}.")
    lines.extend(_advice_lines(answer.advice, question.rollout.replicas))
    return lines


def _at(answer: Answer) -> str:
    if answer.deciding is None:
        return "nothing to place (no replicas): "
    return f"{answer.deciding.peak.moment.value} ({answer.deciding.peak.why}) "


def _surge(question: Question, answer: Answer) -> dict[str, Any]:
    by_moment = {one.peak.moment.value: one.peak for one in answer.peaks}
    start = by_moment.get("start")
    promotion = by_moment.get("promotion")
    return {
        "pods": start.more if start else 0,
        "from": start.why if start else "the Deployment has no replicas",
        "peak_with_terminating": promotion.more if promotion else 0,
        "steady_state_delta": _steady_delta(question),
    }


def _steady_delta(question: Question) -> dict[str, str] | None:
    """How much more all pods of the new version ask for than all of the old; None when the old template is not known."""
    if question.old_pod is None:
        return None
    new = pod_requests(question.pod, question.minor, running=False)
    old = pod_requests(question.old_pod, question.minor, running=False)
    total = question.rollout.replicas
    return {
        name: written(name, (new.get(name, 0) - old.get(name, 0)) * total)
        for name in sorted({*new, *old, "cpu", "memory"})
    }


def _pod_request(question: Question, parts: Parts) -> dict[str, Any]:
    return {
        **_written(parts.total),
        "source": question.pod_source.value,
        "parts": {
            "containers": _written(parts.containers),
            "sidecars": _written(parts.sidecars),
            "init_peak": _written(parts.init_peak),
            "pod_level": _written(parts.pod_level),
            "overhead": _written(parts.overhead),
        },
    }


def _written(amounts: Amounts) -> dict[str, str]:
    return {name: written(name, amount) for name, amount in sorted(amounts.items())}


def _fit(question: Question, first: PeakAnswer | None) -> dict[str, Any]:
    nodes = len(question.scene.nodes)
    return {
        "placeable": first.fit.least if first else 0,
        "min": first.fit.least if first else 0,
        "max": first.fit.most if first else 0,
        "method": first.fit.method.value if first else None,
        "candidates": first.candidates if first else 0,
        "nodes_total": nodes if question.cluster_known else None,
        "after_preemption": first.rescued if first else None,
        "competing_pending": question.scene.pending,
    }


def _peak(one: PeakAnswer) -> dict[str, Any]:
    return {
        "at": one.peak.moment.value,
        "why": one.peak.why,
        "new_pods": one.peak.more,
        "old_pods_gone": one.peak.settled_gone if one.waits else one.peak.old_gone,
        "waits_for_ending_pods": one.waits,
        "verdict": one.verdict.value,
        "min": one.fit.least,
        "max": one.fit.most,
        "after_preemption": one.rescued,
        "quota_allows": one.quota.most,
    }


def _nearest_miss(first: PeakAnswer | None) -> dict[str, Any] | None:
    if first is None or first.nearest_miss is None:
        return None
    node, short = first.nearest_miss
    return {
        "node": node,
        "short_of": {name: written(name, amount if name == "cpu" else amount * THOUSAND) for name, amount in short},
    }


def _quota(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "name": one.quota,
            "resource": one.resource,
            "used": written(one.resource, one.used),
            "hard": written(one.resource, one.hard),
            "per_pod": written(one.resource, one.per_pod),
            "max_pods": one.most,
        }
        for one in (answer.deciding.quota.allowances if answer.deciding else ())
    ]


def _quota_lines(first: PeakAnswer) -> Iterable[str]:
    yield from first.quota.refusals
    if first.verdict is not Verdict.QUOTA_EXCEEDED:
        return
    for one in first.quota.allowances:
        if one.most < first.peak.more:
            used, hard, each = (written(one.resource, amount) for amount in (one.used, one.hard, one.per_pod))
            yield f"Quota {one.quota}: {one.resource} {used} of {hard} used, {each} a pod: room for {one.most} of {first.peak.more} more."


def _new_node(one: Position) -> dict[str, Any]:
    group, price = one.purchase.group, one.price
    return {
        "group": group.name,
        "count": one.purchase.count,
        "count_most": one.purchase.most,
        "pods_per_node": one.purchase.per_node,
        "group_room": group.room,
        "instance_type": group.instance_type,
        "capacity_type": group.capacity_type,
        "hourly_each": None if price.hourly is None else float(price.hourly),
        "currency": price.currency,
        "price_source": price.source,
        "price_time": price.time,
    }


def _cost(owed: Bill) -> dict[str, Any]:
    amounts = {"hourly_min": owed.least, "hourly_max": owed.most, "estimate": owed.estimate}
    return {
        **{name: None if amount is None else round(float(amount), 6) for name, amount in amounts.items()},
        "currency": owed.currency,
        "together": owed.together,
        "stays": owed.stays,
        "basis": owed.basis,
    }


def _nodes_lines(owed: Bill) -> Iterable[str]:
    also = "And " if owed.together else "Or "
    for number, one in enumerate(owed.positions):
        bought = one.purchase
        kind = " ".join(part for part in (bought.group.instance_type, bought.group.capacity_type) if part)
        price = "price unknown"
        if one.hourly is not None:
            price = f"{_money(one.hourly)} {one.price.currency or ''} an hour".replace("  ", " ")
        room = "" if bought.group.room is None else f", of {bought.group.room} that may still be added"
        hasty = f"; an autoscaler may add {bought.most} while old pods are still ending" if bought.hasty else ""
        yield (
            f"{also if number else ''}{count_of(bought.count, 'new node')} of {bought.group.name}{f' ({kind})' if kind else ''}"
            f" would hold the rest: {price}{room}{hasty}."
        )
    if owed.positions and owed.stays:
        yield "They stay, because the new version asks for more than the old one."
    elif owed.positions and owed.estimate is not None:
        yield f"About {_money(owed.estimate)} {owed.currency or ''} in all: {owed.basis}.".replace("  ", " ")


def _advice(advice: Advice | None, replicas: int) -> dict[str, Any] | None:
    if advice is None:
        return None
    return {
        "surge_now": advice.surge_now,
        "best": None if advice.best is None else _strategy(advice.best, replicas),
        "strategies": [_strategy(one, replicas) for one in advice.strategies],
    }


def _strategy(one: Strategy, replicas: int) -> dict[str, Any]:
    return {
        "surge": one.surge,
        "max_unavailable": one.max_unavailable,
        "fits": one.completes,
        "waves": one.waves,
        "seconds": one.seconds,
        "lowest_ready_percent": round(100 * one.lowest_ready / replicas, 1) if replicas else 0.0,
        "own": one.is_own,
    }


def _advice_lines(advice: Advice | None, replicas: int) -> Iterable[str]:
    if advice is None or not advice.strategies:
        return
    own = next((one for one in advice.strategies if one.is_own), None)
    if advice.best is None:
        yield "No rolling update that was tried completes on the nodes that are there."
    elif own is None or own != advice.best:
        best = advice.best
        time = "" if best.seconds is None else f", about {round(best.seconds)} s"
        yield (
            f"Advice: maxSurge {best.surge}, maxUnavailable {best.max_unavailable} completes on the nodes that are there in "
            f"{count_of(best.waves, 'wave')}{time}, never below {best.lowest_ready} of {replicas} Ready."
        )
    if own is not None and not own.completes:
        yield f"The Deployment's own strategy (maxSurge {own.surge}, maxUnavailable {own.max_unavailable}) would get stuck."


def _money(amount: Fraction) -> str:
    return f"{float(amount):.4f}".rstrip("0").rstrip(".")
