# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts are exact and Ready pods never too few: a few cells. `make exactness` runs every one."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteRequest, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.exactness.__main__ import SLICE, run, summary
from tests.exactness.recorder import Recorder
from tests.integration.releases import Release, annotated, silent

AT_ONCE = 6
# Alone, in place, by steps, most of all at once. `make exactness CELLS=slice` has the others.
FEW = SLICE[::3]
SEED = 7
MOMENTS = 3


def test_every_promise_is_kept_as_an_onlooker_counts(lab: Lab | ForeignCluster) -> None:
    if isinstance(lab, ForeignCluster):
        pytest.skip("the images of these pods are known to fake nodes only")
    tested = list(run(lab, FEW, AT_ONCE, SEED))
    broken = [f"{one.cell}: {line}" for one in tested for line in one.broken]
    assert not broken, summary(tested) + "\n" + "\n".join(broken)
    assert len(tested) == len(FEW)


def test_a_promotion_that_is_taken_back_at_any_moment_keeps_what_was_promised(
    lab: Lab | ForeignCluster, namespace: str
) -> None:
    """The controller moves pods all the time then, and counts what it took from the stable ones a moment later."""
    if isinstance(lab, ForeignCluster):
        pytest.skip("the images of these pods are known to fake nodes only")
    recorder, chance = Recorder(lab), random.Random(SEED)
    try:
        with connect(Connection(kubeconfig=str(lab.kubeconfig))) as api:
            release = Release(api, namespace)
            release.make(4, strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
            for _moment in range(MOMENTS):
                # Four pods one after the other: not over before it is taken back.
                release.start(surge=0, patch=annotated(ready_after="400"))
                recorder.mark(namespace)
                promote(api, PromoteRequest(replace(release.call, wait=Wait(enabled=False))), silent)
                time.sleep(chance.uniform(0.0, 0.8))
                assert release.undo().changed
                assert recorder.since_mark(namespace).fewest >= 3
    finally:
        recorder.close()
