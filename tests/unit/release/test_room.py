# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer about room means for a release."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.headroom.finding import Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import Headroom, OnUnknown, Policies
from ansible_collections.coalmine.canary.plugins.module_utils.release.room import MEANING, Go, Refuse, rule

EXISTING, NEW, REPORT = Headroom.REQUIRE_EXISTING_NODES, Headroom.ALLOW_NEW_NODES, Headroom.REPORT
WARN, FAIL = OnUnknown.WARN, OnUnknown.FAIL


def answer(verdict, hourly=None):
    return {"verdict": verdict, "summary": ["it says so.", "and why."], "cost": {"hourly_max": hourly}}


@pytest.mark.parametrize("policy", [EXISTING, NEW, REPORT])
def test_every_verdict_has_a_meaning(policy):
    assert set(MEANING[policy]) == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize(
    ("policy", "verdict", "hourly", "most", "on_unknown", "goes", "tells"),
    [
        (EXISTING, "fits", None, None, FAIL, True, False),
        (EXISTING, "needs_nodes", 0.1, 9, WARN, False, True),
        (EXISTING, "unknown", None, None, WARN, True, True),
        (EXISTING, "unknown", None, None, FAIL, False, True),
        (EXISTING, "fits_after_preemption", None, None, FAIL, False, True),
        (EXISTING, "quota_exceeded", None, None, WARN, False, True),
        (NEW, "fits", None, 0.0, FAIL, True, False),
        (NEW, "needs_nodes", 0.1, None, FAIL, True, True),
        (NEW, "needs_nodes", 0.1, 0.1, FAIL, True, True),
        (NEW, "needs_nodes", 0.11, 0.1, WARN, False, True),
        (NEW, "needs_nodes", None, 0.1, WARN, True, True),
        (NEW, "needs_nodes", None, 0.1, FAIL, False, True),
        (NEW, "needs_nodes", None, None, FAIL, True, True),
        (NEW, "cannot_fit", None, None, WARN, False, True),
        (REPORT, "cannot_fit", None, None, FAIL, True, True),
        (REPORT, "fits", None, None, FAIL, True, True),
    ],
)
def test_what_an_answer_means(policy, verdict, hourly, most, on_unknown, goes, tells):
    ruled = rule(answer(verdict, hourly), Policies(headroom=policy, max_hourly_cost=most, on_unknown=on_unknown))
    assert isinstance(ruled, Go if goes else Refuse)
    said = ruled.told if isinstance(ruled, Go) else ruled.why
    assert (said[:2] == ("it says so.", "and why.")) is tells


@pytest.mark.parametrize(
    ("policies", "verdict", "hourly", "remedy"),
    [
        (Policies(), "needs_nodes", 0.2, "headroom: allow_new_nodes would let an autoscaler add them."),
        (Policies(headroom=NEW, max_hourly_cost=0.1), "needs_nodes", 0.2, "max_hourly_cost allows 0.1 an hour."),
        (
            Policies(headroom=NEW, max_hourly_cost=0.1, on_unknown=FAIL),
            "needs_nodes",
            None,
            "A price is not known, and max_hourly_cost is set.",
        ),
        (Policies(on_unknown=FAIL), "unknown", None, "on_unknown is fail."),
    ],
)
def test_a_refusal_says_which_option_stands_in_the_way(policies, verdict, hourly, remedy):
    assert remedy in rule(answer(verdict, hourly), policies).why
