# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty runs at once on one Deployment of a real cluster: one wins, and the others write nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.situations import Web

RUNS = 20
SLOW = {"lab.coalmine/ready-after": "5000"}
Act = Callable[[Web], Any]


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


def at_once(web: Web, acts: Sequence[Act]) -> list[Outcome | VerbFailure | ApiError]:
    """How each of them ended. They share connections, and nothing else."""
    barrier, ended = threading.Barrier(len(acts)), list[Any](acts)

    def does(number: int) -> None:
        own = replace(web, admin=web.admin.sibling())
        barrier.wait()
        try:
            ended[number] = acts[number](own)
        except (VerbFailure, ApiError) as error:
            ended[number] = error

    threads = [threading.Thread(target=does, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def started(version: str) -> Act:
    """As a run of its own, which would go on with it."""
    return lambda web: web.start(version, annotations=SLOW, run=f"run-{threading.get_ident()}")


CASES: dict[str, tuple[bool, list[Act], list[dict[str, int]]]] = {
    # Whether a canary is held before, what is done, and the splits one of which is there afterwards.
    "one version": (False, [started("v2")] * RUNS, [{"v1": 4, "v2": 1}]),
    "two versions": (False, [started("v2"), started("v3")] * (RUNS // 2), [{"v1": 4, "v2": 1}, {"v1": 4, "v3": 1}]),
    "promote against undo": (True, [Web.promote, Web.undo] * (RUNS // 2), [{"v1": 4}, {"v2": 4}]),
    "promote against undo against a start": (
        True, [Web.promote, Web.undo, started("v3"), Web.promote] * (RUNS // 4), [{"v1": 4}, {"v2": 4}, {"v1": 4, "v3": 1}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_of_twenty_runs_at_once_one_wins(case: str, new: Callable[..., Web]) -> None:
    held, acts, splits = CASES[case]
    web = new().make(4)
    if held:
        web.start("v2")
    ended = at_once(web, acts)
    told = Counter(end.code if isinstance(end, VerbFailure) else str(getattr(end, "changed", end)) for end in ended)
    print(case, dict(told))
    assert not [end for end in ended if isinstance(end, ApiError)], told
    winners = [end for end in ended if isinstance(end, Outcome) and end.changed]
    # A start may follow once whoever came first has ended the release before it.
    assert len(winners) == 1 or (case.endswith("a start") and len(winners) == 2), told
    assert not any(end.changed for end in ended if isinstance(end, VerbFailure)), told
    assert told["locked"] >= 1, told
    assert web.split() in splits


def test_the_lease_is_as_it_is_said_and_goes_with_the_deployment(new: Callable[..., Web]) -> None:
    web = new().make(2)
    web.start(run="ours")
    path = f"/apis/coordination.k8s.io/v1/namespaces/{web.namespace}/leases/coalmine-canary-{web.name}"
    lease = web.admin.get(path)
    assert lease["spec"]["holderIdentity"] == "ours" and lease["spec"]["leaseDurationSeconds"] == 300
    assert lease["metadata"]["ownerReferences"][0]["uid"] == web.get()["metadata"]["uid"]
    message = web.refused(web.undo, "locked")
    assert "held by another run: run ours of tests" in message
    taken = replace(web, takeover=True).undo()
    assert taken.changed and "taken over" in " ".join(taken.warnings)
    leases = web.admin.list(path.rpartition("/")[0])["items"]
    assert not [one for one in leases if one["metadata"]["name"].endswith(web.name)]
