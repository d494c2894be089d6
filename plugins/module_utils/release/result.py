# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release went, as one value that a later call takes up, a report is made from, and a playbook reads.

This module is private to the collection.
"""

from __future__ import annotations

import math
from dataclasses import field, replace
from enum import Enum
from typing import Any, Mapping

from ..rollout.steady import FirstLook
from ..values import dataclass
from .room import NEEDS_NODES
from .rulings import Stage

# The shape that is documented in docs/release.schema.json; a reader of another one refuses it.
SCHEMA = 1


class Ending(Enum):
    """How a call ended. Those of FAILURES fail the task."""

    RELEASED = "released"
    ALREADY_RELEASED = "already released"
    NOTHING_TO_PROMOTE = "nothing to promote"
    CREATED = "created"
    PLANNED = "planned"
    HELD = "held"
    REFUSED = "refused"
    UNDONE = "undone"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


class WaitsFor(Enum):
    """Who is to act before a release that is held goes on.

    caller: the call that `through` or a step's own verification has ended; the next one goes on. With a failure: that call was refused,
    or reached no server, before it ruled on anything, and the next one may reject what stays. person: somebody who resumes,
    promotes or undoes the canary.
    """

    NOBODY = ""
    CALLER = "caller"
    PERSON = "person"


# How a call may end at each stage. The drawing in docs/release.md is made of it.
ENDINGS: Mapping[Stage, tuple[Ending, ...]] = {
    Stage.ASKED: (Ending.ALREADY_RELEASED, Ending.PLANNED, Ending.REFUSED),
    Stage.WAITING: (Ending.ALREADY_RELEASED, Ending.CREATED, Ending.NOTHING_TO_PROMOTE, Ending.FAILED),
    # An earlier result is taken up once more, and a later call has promoted that canary since.
    Stage.HELD: (Ending.HELD, Ending.ALREADY_RELEASED, Ending.UNDONE, Ending.FAILED),
    Stage.PROMOTING: (Ending.UNDONE, Ending.FAILED),
    Stage.PROMOTED: (Ending.RELEASED, Ending.ROLLED_BACK, Ending.FAILED),
    Stage.UNKNOWN: (Ending.FAILED,),
}
FAILURES = frozenset({Ending.REFUSED, Ending.UNDONE, Ending.ROLLED_BACK, Ending.FAILED})


@dataclass(frozen=True)
class Judged:
    """One verdict: `of` what (step 2, promotion, new version alone), and its reason."""

    of: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Moment:
    """What happened `at` (UTC, RFC 3339), how many pods of both versions were Ready then, where that is known, and the canary's per cent
    of the requests, where routes split them, with that of which it gets copies (`mirror`)."""

    at: str
    what: str
    said: str
    counts: Mapping[str, int] = field(default_factory=dict)
    share: float | None = None
    mirror: float | None = None
    by: str = ""


class UnreadableResult(ValueError):
    """What was handed on as an earlier result is none; the text says what is wrong with it."""


@dataclass(frozen=True)
class Release:
    """`hash`: pod-template-hash of the canary that this release judges, and the only one that it promotes.

    `planned`: whether every step was tried as a dry run. `reached`: how many steps were held and have stood bake and judgement.
    `evidence`: the last judgement by the release's own checks, as canary_verify gives it, for the next one to go on from. `behind`: steps,
    counted from 0, that the canary had outgrown before this run, and `left_out` how many of these an earlier run had come past; `outgrown`: the
    `hash` and `run` of that canary, empty where none was (an earlier version does not say).
    `canary`: both versions as they were seen last, `stable` and `canary`, each with hash, images and counts, or None. `costs`: of the
    dearest room that was asked for, where it takes new nodes, as canary_headroom_info tells it.
    `to_verify`: the `step` of `steps` (from 1) that the caller verifies now by a file of `tasks`; empty where none is. `noticed`: a mark of
    the last failure on the caller's side, by which his own door knows a later one. `began`: what a later call has to say as the first did,
    options by their names: the Deployment and its cluster, the policies, and `version`, the digest of the template that was asked for.
    `stood`: how the canary stood at the end of its last bake, and is to stand until it is promoted; told only while it waits for its caller.
    """

    run: str
    stage: Stage = Stage.ASKED
    outcome: Ending = Ending.PLANNED
    why: tuple[str, ...] = ()
    hash: str = ""
    stable: str = ""
    planned: bool = False
    reached: int = 0
    behind: tuple[int, ...] = ()
    left_out: int = 0
    outgrown: Mapping[str, str] = field(default_factory=dict)
    verdicts: tuple[Judged, ...] = ()
    rooms: tuple[Mapping[str, Any], ...] = ()
    costs: Mapping[str, Any] = field(default_factory=dict)
    canary: Mapping[str, Any] = field(default_factory=dict)
    timeline: tuple[Moment, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    waits_for: WaitsFor = WaitsFor.NOBODY
    to_verify: Mapping[str, Any] = field(default_factory=dict)
    noticed: str = ""
    began: Mapping[str, str] = field(default_factory=dict)
    stood: FirstLook | None = None

    @property
    def unruled(self) -> bool:
        """The last call failed before it could rule on anything: whoever takes this up may still reject it."""
        return self.outcome is Ending.FAILED and self.waits_for is WaitsFor.CALLER

    @property
    def went_out(self) -> bool:
        """All pods came to run its version while this release was at it, whoever had begun that; not where they did so before."""
        is_out = self.outcome in (Ending.RELEASED, Ending.CREATED, Ending.ALREADY_RELEASED)
        return is_out and (self.planned or bool(self.timeline))

    def without_room(self) -> Release:
        """What a failure tells, which Ansible prints whole: no answers about room, unless it was refused, which may be for want of it."""
        return self if self.outcome is Ending.REFUSED else replace(self, rooms=())

    def asked_for(self, *rooms: Mapping[str, Any]) -> Release:
        """Answers about room, one of each step."""
        dear = [room["cost"] for room in rooms if room["verdict"] == NEEDS_NODES]
        costs = [one for one in (self.costs, *dear) if one]
        return replace(self, rooms=(*self.rooms, *rooms), costs=max(costs, key=_hourly) if costs else {})

    def sees(self, versions: Mapping[str, Any]) -> Release:
        """`versions`: as the verbs describe a release."""
        seen = {name: versions.get(name) for name in ("stable", "canary")}
        kept = {name: it and {part: it[part] for part in ("hash", "images", "counts")} for name, it in seen.items()}
        return replace(self, canary=kept if versions else self.canary)

    def happened(self, moment: Moment) -> Release:
        return replace(self, timeline=(*self.timeline, moment))

    def judged(self, verdict: Judged, evidence: Mapping[str, Any] | None) -> Release:
        return replace(
            self,
            verdicts=(*self.verdicts, verdict),
            evidence=self.evidence if evidence is None else evidence,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "run": self.run,
            "stage": self.stage.value,
            "outcome": self.outcome.value,
            "why": list(self.why),
            "hash": self.hash,
            "stable": self.stable,
            "planned": self.planned,
            "reached": self.reached,
            "behind": list(self.behind),
            "left_out": self.left_out,
            "outgrown": dict(self.outgrown),
            "verdicts": [vars(judged) for judged in self.verdicts],
            "rooms": [dict(room) for room in self.rooms],
            "costs": dict(self.costs),
            "canary": dict(self.canary),
            "timeline": [{**vars(moment), "counts": dict(moment.counts)} for moment in self.timeline],
            "evidence": dict(self.evidence),
            "waits_for": self.waits_for.value,
            "to_verify": dict(self.to_verify),
            "noticed": self.noticed,
            "began": dict(self.began),
            "stood": self.stood.to_json() if self.stood else {},
        }

    @classmethod
    def from_json(cls, given: Any) -> Release:
        """Raises UnreadableResult: an earlier result is data, and is never guessed at."""
        if not isinstance(given, Mapping) or given.get("schema") != SCHEMA:
            raise UnreadableResult(f"it is not a result of canary_release with schema {SCHEMA}")
        try:
            return cls(
                run=_text(given["run"]),
                stage=Stage(given["stage"]),
                outcome=Ending(given["outcome"]),
                why=tuple(map(_text, _list(given["why"]))),
                hash=_text(given["hash"]),
                stable=_text(given["stable"]),
                planned=given.get("planned") is True,
                reached=_count(given["reached"]),
                behind=tuple(map(_count, _list(given["behind"]))),
                left_out=_count(given.get("left_out", 0)),
                outgrown={k: _text(v) for k, v in _mapping(given.get("outgrown", {})).items()},
                verdicts=tuple(Judged(**{k: _text(v) for k, v in one.items()}) for one in _list(given["verdicts"])),
                rooms=tuple(_mapping(room) for room in _list(given["rooms"])),
                costs=_mapping(given.get("costs", {})),
                canary=_mapping(given.get("canary", {})),
                timeline=tuple(_moment(one) for one in _list(given["timeline"])),
                evidence=_mapping(given["evidence"]),
                waits_for=WaitsFor(given["waits_for"]),
                to_verify=_mapping(given["to_verify"]),
                noticed=_text(given["noticed"]),
                began={_text(k): _text(v) for k, v in _mapping(given.get("began", {})).items()},
                stood=FirstLook.from_json(given["stood"]) if given.get("stood") else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            # The error's own text would quote what was given, which may be anything.
            raise UnreadableResult("a part of it is missing or of the wrong kind") from None


def _hourly(costs: Mapping[str, Any]) -> float:
    """A price that nobody knows may be any."""
    known = costs["hourly_max"]
    return math.inf if known is None else float(known)


def _moment(given: Any) -> Moment:
    counts = {_text(version): _count(pods) for version, pods in _mapping(given["counts"]).items()}
    share, mirror = (None if given[name] is None else _per_cent(given[name]) for name in ("share", "mirror"))
    by = _text(given.get("by", ""))
    return Moment(_text(given["at"]), _text(given["what"]), _text(given["said"]), counts, share, mirror, by)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("not a count")
    return value


def _per_cent(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise TypeError("not per cent")
    return float(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("not a mapping")
    return dict(value)
