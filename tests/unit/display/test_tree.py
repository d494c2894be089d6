# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn of a release: every line of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.display.tree import NEXT, headline, short, tree
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation, diagnose
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Deployment, Picture, Pod
from tests.unit.rollout.objects import deployment, ordinary, record, replica_set

AGES = {"2026-01-01T00:00:00Z": 7300.0, "2026-01-01T02:00:00Z": 12.0}


def pod(version: str, name: str, *, ready: bool = True, waiting: str = "", restarts: int = 0, **meta: Any) -> Pod:
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [
            {"name": "app", "restartCount": restarts, "state": {"waiting": {"reason": waiting}} if waiting else {}}
        ],
    }
    owner = [{"uid": f"uid-{version}", "controller": True}]
    created = "2026-01-01T00:00:00Z" if version == "v1" else "2026-01-01T02:00:00Z"
    metadata = {"name": name, "uid": name, "ownerReferences": owner, "creationTimestamp": created, **meta}
    return Pod.parse({"metadata": metadata, "spec": {"nodeName": "node-1"} if ready else {}, "status": status})


def seen(of: Deployment, *pods: Pod, canary: int = 1) -> Situation:
    return diagnose(Picture(of, (replica_set("v2", canary, 2), replica_set("v1", 4, 1)), pods))


OLD = tuple(pod("v1", f"web-v1-{letter}") for letter in "abcd")


def test_a_held_canary() -> None:
    held = seen(deployment(), *OLD[:2], pod("v2", "web-v2-x"))
    assert headline(held) == "held: canary 1 of 1 asked for Ready beside 2 stable pods, 33.3 % of all"
    assert headline(held, "5 % of the requests").endswith(", 33.3 % of all, given 5 % of the requests")
    assert tree(held, AGES.get) == [
        "started by ana at 2026-01-01T00:00:00Z",
        "├─ stable v1  2 of 2 Ready  app=app:v1",
        "│  ├─ ■ web-v1-a  Ready  0 restarts  2h  node-1",
        "│  └─ ■ web-v1-b  Ready  0 restarts  2h  node-1",
        "└─ canary v2  1 of 1 Ready  app=app:v2",
        "   └─ ■ web-v2-x  Ready  0 restarts  12s  node-1",
        "   canary_promote promotes it, canary_undo takes it back",
    ]


def test_what_is_not_ready_comes_first_and_many_pods_are_counted() -> None:
    many = tuple(pod("v1", f"web-v1-{number:02}") for number in range(12))
    bad = pod("v2", "web-v2-x", ready=False, waiting="CrashLoopBackOff", restarts=1)
    starting = seen(deployment(), *many, pod("v2", "web-v2-a"), bad)
    lines = tree(starting, AGES.get)
    assert lines[10] == "│  └─ and 4 more" and len(lines) == 15
    assert lines[12:14] == [
        "   ├─ ✖ web-v2-x  CrashLoopBackOff  1 restart   12s  no node yet",
        "   └─ ■ web-v2-a  Ready             0 restarts  12s  node-1",
    ]


def test_no_release() -> None:
    assert headline(seen(ordinary(), *OLD)) == "none: 4 of 4 pods are Ready"


def test_what_is_wrong_is_said() -> None:
    assert "damaged (" in headline(seen(deployment(record=None), *OLD, pod("v2", "x")))


def test_each_phase_but_none_says_what_may_come_next() -> None:
    assert set(NEXT) == set(Phase) - {Phase.NONE}


def test_text_of_others_neither_drives_the_terminal_nor_breaks_the_line() -> None:
    evil = deployment(record=record(started_by="\x1b[2Jana\nroot"))
    lines = tree(seen(evil, *OLD, pod("v2", "x", ready=False, waiting="\x1b]0;owned\x07")), AGES.get)
    assert all(line.isprintable() for line in lines), lines


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "?"), (-3, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (90000, "1d")]
)
def test_an_age(seconds: float | None, said: str) -> None:
    assert short(seconds) == said
