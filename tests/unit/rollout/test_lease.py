# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a Lease is: every state of it, for a run that has it and for one that has not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import Malformed
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.lease import (
    GRACE_SECONDS,
    HOLDER,
    LONGEST_NAME,
    Between,
    Claim,
    Lease,
    Owner,
    Standing,
    between,
    kept,
    manifest,
    name_of,
    patch,
    standing,
)

SINCE, LATER = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:00.000000Z"
OWNER = Owner("web", "u1")
CLAIM = Claim("r1", by="ana@here", process="m.1.2", since=SINCE, renewed=SINCE, seconds=120)
LEASE = Lease("l1", "7", "u1", CLAIM)
FREE = replace(LEASE, claim=replace(CLAIM, run=""))
ENDLESS = replace(LEASE, claim=replace(CLAIM, seconds=None))


@pytest.mark.parametrize(
    ("lease", "run", "age", "ended", "expected"),
    [
        (None, "r2", None, False, Standing.FREE),
        (FREE, "r2", 0.0, False, Standing.FREE),
        (LEASE, "r1", 0.0, False, Standing.MINE),
        # Whoever is late with his own is not locked out by it.
        (LEASE, "r1", 9999.0, True, Standing.MINE),
        (LEASE, "r2", 0.0, False, Standing.THEIRS),
        (LEASE, "r2", 120.0, False, Standing.THEIRS),
        (LEASE, "r2", 120.0 + GRACE_SECONDS, False, Standing.THEIRS),
        (LEASE, "r2", 121.0 + GRACE_SECONDS, False, Standing.EXPIRED),
        (LEASE, "r2", 0.0, True, Standing.EXPIRED),
        # A server whose clock went back, or no time to compare.
        (LEASE, "r2", -50.0, False, Standing.THEIRS),
        (LEASE, "r2", None, False, Standing.THEIRS),
        (ENDLESS, "r2", 9999.0, False, Standing.THEIRS),
    ],
)
def test_whose_it_is(lease: Lease | None, run: str, age: float | None, ended: bool, expected: Standing) -> None:
    assert standing(lease, "u1", run, age, ended=ended) is expected


@pytest.mark.parametrize(("owner", "expected"), [("u1", Standing.THEIRS), ("u2", Standing.FREE)])
def test_what_it_says_of_a_deployment_that_is_gone_is_over(owner: str, expected: Standing) -> None:
    assert standing(LEASE, owner, "r2", 0.0, ended=False) is expected


def test_a_claim_is_as_old_as_that_of_the_same_run() -> None:
    again = Claim("r1", renewed=LATER)
    assert kept(LEASE, again).since == SINCE
    for before in (None, FREE, replace(LEASE, claim=replace(CLAIM, run="r0"))):
        assert kept(before, again).since == LATER


def stored(body: dict[str, Any], version: str = "7") -> Lease:
    meta = {**body["metadata"], "uid": "l1", "resourceVersion": version}
    return Lease.parse({**body, "metadata": meta})


def test_what_is_written_is_what_is_read() -> None:
    assert stored(manifest(OWNER, CLAIM)) == LEASE
    quiet = Claim("r1", since=SINCE, renewed=LATER, seconds=300)
    assert stored(manifest(OWNER, quiet)).claim == quiet


@pytest.mark.parametrize(("run", "transitions"), [("r1", 3), ("r2", 4)])
def test_it_is_patched_only_as_it_was_read_and_counts_who_had_it(run: str, transitions: int) -> None:
    operations = patch(replace(LEASE, transitions=3), OWNER, replace(CLAIM, run=run))
    tests = {one["path"]: one["value"] for one in operations if one["op"] == "test"}
    assert tests == {"/metadata/uid": "l1", "/metadata/resourceVersion": "7"}
    spec = next(one["value"] for one in operations if one["path"] == "/spec")
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == (run, transitions)


@pytest.mark.parametrize("note", ["", "no JSON", "[" * 5000, "[1]", '{"by":7}', "x" * 300_000])
def test_a_note_that_cannot_be_read_tells_nothing(note: str) -> None:
    body = manifest(OWNER, CLAIM)
    body["metadata"]["annotations"] = {HOLDER: note}
    found = stored(body).claim
    assert (found.run, found.by, found.process) == ("r1", "", "")


def test_a_lease_of_somebody_else_is_read_as_it_is() -> None:
    bare = Lease.parse({"metadata": {"name": "x"}, "spec": {"holderIdentity": "leader"}})
    assert (bare.owner, bare.claim) == ("", Claim("leader"))
    with pytest.raises(Malformed):
        Lease.parse({"spec": {"holderIdentity": 7}})


@pytest.mark.parametrize("length", [1, 63, 237, 238, 253])
def test_a_name_for_every_deployment(length: int) -> None:
    names = {name_of("a" * (length - 1) + last) for last in "bc"}
    assert len(names) == 2 and all(len(name) <= LONGEST_NAME for name in names)
    assert all(name.startswith("coalmine-canary-a" if length > 1 else "coalmine-canary-") for name in names)


def test_the_annotation_holds_nothing_but_who_and_where() -> None:
    (note,) = manifest(OWNER, CLAIM)["metadata"]["annotations"].values()
    assert json.loads(note) == {"by": "ana@here", "process": "m.1.2"}


NAMED, UNNAMED = Between(300), Between(300, "m.1.2")


@pytest.mark.parametrize(
    ("said", "of", "asked", "usual", "expected"),
    [
        (None, "r1", None, NAMED, NAMED),
        (None, "r1", 60, UNNAMED, Between(60, "m.1.2")),
        (Between(1800), "r1", None, NAMED, Between(1800)),
        (Between(1800), "r1", 60, NAMED, Between(60)),
        (Between(1800, "m.1.2"), "r1", None, NAMED, Between(1800, "m.1.2")),
        # It goes on in another job.
        (Between(1800, "m.1.2"), "r1", None, Between(300, "m.7.8"), Between(1800, "m.7.8")),
        (Between(0), "r1", None, NAMED, Between(0)),
        # What another run said is its own.
        (Between(1800, "m.1.2"), "r0", None, NAMED, NAMED),
        (Between(1800, "m.1.2"), "r0", 60, UNNAMED, Between(60, "m.1.2")),
    ],
)
def test_what_a_run_has_said_holds_until_it_says_something_else(
    said: Between | None, of: str, asked: int | None, usual: Between, expected: Between
) -> None:
    lease = replace(LEASE, claim=replace(CLAIM, run=of, between=said))
    assert between(lease, "r1", asked, usual) == expected
    assert between(None, "r1", asked, usual) == (usual if asked is None else replace(usual, seconds=asked))


@pytest.mark.parametrize("note", ["", "-1", "1e3", "\u0663", "9" * 400, "soon"])
def test_what_makes_no_sense_says_nothing_of_how_it_is_kept(note: str) -> None:
    body = manifest(OWNER, replace(CLAIM, between=Between(300, "m.1.2")))
    assert stored(body).claim.between == Between(300, "m.1.2")
    noted = {**json.loads(body["metadata"]["annotations"][HOLDER]), "between": note}
    body["metadata"]["annotations"][HOLDER] = json.dumps(noted)
    assert stored(body).claim.between is None
