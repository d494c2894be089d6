# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease of a Deployment (coordination.k8s.io/v1): which run may write to it, and until when it will be back.

Nobody beats between two tasks, so a holder says how long it may stay away. Times are the API server's: they are compared with its
own Date, never with the clock of a machine that asks. This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from enum import Enum
from typing import Any, Mapping

from ..values import dataclass
from .fields import Fields
from .record import ANNOTATIONS_BYTES

# Who holds it, in words, and in which process: what a Lease has no field for.
HOLDER = "coalmine.canary/holder"
_PREFIX = "coalmine-canary-"
# apimachinery, pkg/util/validation: DNS1123SubdomainMaxLength
LONGEST_NAME = 253
# Date has whole seconds, and several API servers of one cluster are not quite of one mind about the time.
GRACE_SECONDS = 5.0


class Standing(Enum):
    """Of a Lease, for one run."""

    FREE = "free"
    MINE = "mine"
    THEIRS = "theirs"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Between:
    """How a run keeps it between two calls: for so many `seconds`, and no longer than this `process` lives (empty: from any it may come
    back)."""

    seconds: int
    process: str = ""


@dataclass(frozen=True)
class Claim:
    """`run` holds it (empty: nobody), for `seconds` since `renewed`; None: it does not say how long. `by`: who that is and where, for
    people. `process`: the one with which it is over, where there is one. `between`: how it is kept once this call has ended; None: it does
    not say. `since` and `renewed` are RFC 3339."""

    run: str
    by: str = ""
    process: str = ""
    since: str = ""
    renewed: str = ""
    seconds: int | None = None
    between: Between | None = None

    def __str__(self) -> str:
        of = f" of {self.by}" if self.by else ""
        return f"run {self.run}{of}, since {self.since or 'a moment that it does not tell'}"


@dataclass(frozen=True)
class Lease:
    """As it is stored. `owner`: the uid of its Deployment. `transitions`: how often it went from one run to another."""

    uid: str
    version: str
    owner: str
    claim: Claim
    transitions: int = 0

    @classmethod
    def parse(cls, item: Any) -> Lease:
        """Raises Malformed."""
        whole = Fields(item, "Lease")
        meta, spec = whole.within("metadata"), whole.within("spec")
        note = _note(meta.texts("annotations").get(HOLDER, ""))
        claim = Claim(
            run=spec.text("holderIdentity"),
            by=note.get("by", ""),
            process=note.get("process", ""),
            since=spec.text("acquireTime"),
            renewed=spec.text("renewTime"),
            seconds=spec.count("leaseDurationSeconds"),
            between=_between(note),
        )
        owners = meta.each("ownerReferences")
        return cls(
            uid=meta.text("uid"),
            version=meta.text("resourceVersion"),
            owner=owners[0].text("uid") if owners else "",
            claim=claim,
            transitions=spec.count("leaseTransitions") or 0,
        )


def _note(text: str) -> dict[str, str]:
    """What cannot be read tells nothing: it is for people, and to know a dead process by."""
    if not text or len(text) > ANNOTATIONS_BYTES:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {name: said for name, said in found.items() if isinstance(said, str)} if isinstance(found, dict) else {}


def _between(note: Mapping[str, str]) -> Between | None:
    seconds = note.get("between", "")
    known = seconds.isascii() and seconds.isdigit() and len(seconds) < 10
    return Between(int(seconds), note.get("returns", "")) if known else None


@dataclass(frozen=True)
class Owner:
    """The Deployment."""

    name: str
    uid: str


def name_of(deployment: str) -> str:
    """The Lease of a Deployment, whose name may be as long as a Lease's."""
    name = _PREFIX + deployment
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(deployment.encode()).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - 1 - len(digest)].rstrip('-.')}-{digest}"


def standing(lease: Lease | None, owner: str, run: str, age: float | None, *, ended: bool) -> Standing:
    """`owner`: the uid of the Deployment as it is now; what a Lease says of another one that had its name is over.

    `age`: seconds since it was renewed, by the server's clock; None where it does not say. `ended`: its process has.
    """
    if lease is None or not lease.claim.run or (lease.owner and lease.owner != owner):
        return Standing.FREE
    if lease.claim.run == run:
        return Standing.MINE
    seconds = lease.claim.seconds
    over = age is not None and seconds is not None and age > seconds + GRACE_SECONDS
    return Standing.EXPIRED if over or ended else Standing.THEIRS


def kept(lease: Lease | None, claim: Claim) -> Claim:
    """A claim of the run that has it already is as old as it was."""
    mine = lease is not None and lease.claim.run == claim.run and lease.claim.since
    return replace(claim, since=lease.claim.since if lease is not None and mine else claim.renewed)


def between(lease: Lease | None, run: str, asked: int | None, usual: Between) -> Between:
    """How this run keeps it from now on. What one of its calls has said holds until another says something else: where it comes back from
    any process, that one of them comes from the same one is no news."""
    said = lease.claim.between if lease is not None and lease.claim.run == run else None
    if said is None:
        return usual if asked is None else replace(usual, seconds=asked)
    return Between(said.seconds if asked is None else asked, usual.process or said.process)


def manifest(owner: Owner, claim: Claim) -> dict[str, Any]:
    """The Lease where there is none. It goes with its Deployment."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name_of(owner.name),
            "annotations": {HOLDER: _annotation(claim)},
            "ownerReferences": [_reference(owner)],
        },
        "spec": _spec(claim, 0),
    }


def patch(lease: Lease, owner: Owner, claim: Claim) -> list[dict[str, Any]]:
    """The JSON patch after which it is of that claim, and which holds only for the Lease as it was read."""
    transitions = lease.transitions + (claim.run != lease.claim.run)
    return [
        {"op": "test", "path": "/metadata/uid", "value": lease.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": lease.version},
        {"op": "add", "path": "/metadata/ownerReferences", "value": [_reference(owner)]},
        {"op": "add", "path": "/metadata/annotations", "value": {HOLDER: _annotation(claim)}},
        {"op": "add", "path": "/spec", "value": _spec(claim, transitions)},
    ]


def _spec(claim: Claim, transitions: int) -> Mapping[str, Any]:
    return {
        "holderIdentity": claim.run,
        "acquireTime": claim.since,
        "renewTime": claim.renewed,
        "leaseDurationSeconds": claim.seconds,
        "leaseTransitions": transitions,
    }


def _annotation(claim: Claim) -> str:
    said = {"by": claim.by, "process": claim.process}
    if claim.between is not None:
        said |= {"between": str(claim.between.seconds), "returns": claim.between.process}
    return json.dumps({name: text for name, text in said.items() if text}, sort_keys=True, separators=(",", ":"))


def _reference(owner: Owner) -> Mapping[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.name, "uid": owner.uid}
