# SPDX-License-Identifier: GPL-3.0-or-later
"""A result with something in every member."""

from __future__ import annotations

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import (
    Ending,
    Judged,
    Moment,
    Release,
    WaitsFor,
)
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.steady import FirstLook, Stood

WHOLE = Release(
    run="awx-42",
    stage=Stage.HELD,
    outcome=Ending.HELD,
    why=("Step 1 of 2 is held.",),
    hash="7c6d9f54b",
    stable="5d5f8c9b7",
    reached=1,
    behind=(0,),
    left_out=1,
    outgrown={"hash": "7c6d9f54b", "run": "awx-41"},
    verdicts=(Judged("step 1", "pass", "as good as stable"),),
    rooms=({"verdict": "needs_nodes", "cost": {"hourly_max": 0.09, "currency": "EUR"}},),
    costs={"hourly_max": 0.09, "currency": "EUR"},
    canary={"stable": {"hash": "5d5f8c9b7", "images": {"app": "web:1.4"}, "counts": {"ready": 4}}, "canary": None},
    timeline=(
        Moment("2026-11-28T08:00:00Z", "start", "holding 1 canary", {"stable": 4, "canary": 1}),
        Moment(
            "2026-11-28T08:00:09Z", "start", "copied to 1 canary", {"stable": 4, "canary": 1}, 0.0, 12.5, "AWX job 42"
        ),
    ),
    evidence={"checks": []},
    waits_for=WaitsFor.CALLER,
    to_verify={"step": 1, "steps": 2, "tasks": "/srv/shop/verify.yml"},
    noticed="a-mark",
    began={"name": "web", "namespace": "shop", "context": "eu", "on_failure": "undo", "version": "0c"},
    stood=FirstLook(5, {"6f1c": Stood("web-7c6d9f54b-x2x9k", "2026-11-28T08:00:02Z")}),
)
