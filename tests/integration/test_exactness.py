# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts are exact and Ready pods never too few: one cell of each kind. `make exactness` runs every cell."""

from __future__ import annotations

import pytest

from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.exactness.__main__ import SLICE, run, summary

AT_ONCE = 3
SEED = 7


def test_every_promise_is_kept_as_an_onlooker_counts(lab: Lab | ForeignCluster) -> None:
    if isinstance(lab, ForeignCluster):
        pytest.skip("the images of these pods are known to fake nodes only")
    tested = list(run(lab, SLICE, AT_ONCE, SEED))
    broken = [f"{one.cell}: {line}" for one in tested for line in one.broken]
    assert not broken, summary(tested) + "\n" + "\n".join(broken)
    assert len(tested) == len(SLICE)
