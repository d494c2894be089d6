# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guard says before it looks; how it looks is tested where a real promotion runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.clock import SYSTEM
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import LIVE, Intent
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.ending import Account
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Call, Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    PodsAsked,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.guard import NO_WAY_BACK, guard
from tests.unit.rollout.objects import ordinary, pod, record, replica_set, situation

PODS = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())


def promoting(**spec: Any) -> Situation:
    promotion = record(intent=Intent.PROMOTE)
    return situation(
        ordinary("v2", record=promotion, labels={LIVE: "true"}, **spec),
        replica_set("v2", 1, 2),
        replica_set("v1", 3, 1),
        pods=(pod("new", "v2"), pod("old", "v1")),
    )


def promoted(**spec: Any) -> Situation:
    return situation(ordinary("v2", **spec), replica_set("v2", 4, 2), pods=(pod("new", "v2"),))


@pytest.mark.parametrize(("now", "phase"), [(promoting, Phase.PROMOTING), (promoted, Phase.NONE)])
@pytest.mark.parametrize(
    ("spec", "warned"), [({"revisionHistoryLimit": 0}, 1), ({"revisionHistoryLimit": 1}, 0), ({}, 0)]
)
def test_a_promotion_without_a_way_back_is_warned_of(now: Any, phase: Phase, spec: dict[str, int], warned: int) -> None:
    told: list[str] = []
    situation_now = now(**spec)
    assert situation_now.phase is phase
    # In check mode nobody is asked: pods are known already.
    site: Any = SimpleNamespace(api=SimpleNamespace(warnings=()), clock=SYSTEM, target=Target("web"), holding=None)
    request = VerifyRequest(Call(Target("web", "shop"), check=True), (PODS,), guard=True)
    outcome = guard(Account(site), situation_now, request, told.append)
    assert outcome.warnings.count(NO_WAY_BACK) == told.count(NO_WAY_BACK) == warned
