# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The new version alone: plain bounds and plain counts, and never a promise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.alone import LoneTrial
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import BoundCheck, Check, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.report import as_result
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, NoData
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError, Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import Rule, Verdict

PODS = RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False)
HTTP = RateCheck("http", Tolerance(1.5, 0.005))
QUEUE = BoundCheck("queue", maximum=100)


def trial(*checks: Check, going_on: set[str] | None = None) -> LoneTrial:
    names = {check.name for check in checks} if going_on is None else going_on
    return LoneTrial(checks, frozenset(names))


# Bad events in one look of so many pod-seconds; tolerated is one an hour and pod.
@pytest.mark.parametrize(
    ("events", "pod_seconds", "verdict"),
    [
        (0, 600, Verdict.PASS),
        (2, 60, Verdict.PASS),
        (3, 60, Verdict.FAIL),
        (3, 3 * 3600, Verdict.PASS),
        (4, 3 * 3600, Verdict.FAIL),
    ],
)
def test_three_events_that_are_more_than_tolerated_fail(events: int, pod_seconds: float, verdict: Verdict) -> None:
    alone = trial(PODS)
    alone.observe("pods", 60, Count(events, pod_seconds))
    assert alone.fails(60) is (verdict is Verdict.FAIL)
    told = alone.report(60)
    assert told.verdict is verdict
    assert told.checks[0].rule is Rule.EVENTS
    assert f"{events} bad events in {pod_seconds:.0f} pod-seconds" in told.reason


def test_events_add_up_over_looks_and_tell_when_it_was_decided() -> None:
    alone = trial(PODS)
    failed_at = []
    for look in range(1, 6):
        alone.observe("pods", 10 * look, Count(1, 40))
        failed_at += [10 * look] if alone.fails(10 * look) else []
    told = alone.report(50)
    assert failed_at[0] == told.checks[0].decided_after == 30
    assert [point["value"] for point in as_result(told)["checks"][0]["bound"]["series"]] == [0.025] * 5


@pytest.mark.parametrize("check", [PODS, HTTP, QUEUE], ids=lambda check: check.name)
@pytest.mark.parametrize(
    ("unready", "ready", "fails"),
    [
        (range(10, 71, 5), (), True),
        (range(10, 61, 5), (65,), False),
        ((590, 595, 600), (), True),
        ((595, 600), (), False),
        ((10, 70), (), False),
    ],
    ids=["a minute", "less than that", "at the end", "hardly seen at the end", "not seen in between"],
)
def test_a_version_of_which_no_pod_is_ready_fails_however_few_pods_it_has(
    unready: Iterable[int], ready: Iterable[int], fails: bool, check: Check
) -> None:
    """One that has two pods loses their readiness twice, which is no event too many, and after that there is nothing to count; by whatever it
    is guarded."""
    alone = trial(check, going_on={"pods", "queue"} & {check.name})
    if check is not HTTP:
        alone.observe(check.name, 5, Count(2, 10) if check is PODS else 1.0)
    for at in sorted((*unready, *ready)):
        alone.serves(at, at in ready)
        if check is PODS:
            alone.miss("pods", NoData(at, "no pod is Ready"))
    last = max((*unready, *ready))
    assert alone.fails(last) is (fails and len(list(unready)) > 3)
    told = alone.report(last)
    assert told.verdict is (Verdict.FAIL if fails else Verdict.INCONCLUSIVE)
    assert ("nobody is served" in told.reason) is fails


def test_nothing_is_promised_and_rates_are_left_out() -> None:
    alone = trial(HTTP, PODS, going_on={"pods"})
    alone.observe("pods", 10, Count(0, 40))
    told = as_result(alone.report(10))
    assert (told["verdict"], told["confidence"], told["evidence"], told["limit"]) == ("pass", None, None, None)
    assert told["checks"][0]["rule_text"] == "no stable pod was left to compare with"
    with pytest.raises(JudgementError, match="'http' does not go on"):
        alone.observe("http", 20, Count(1, 10))


def test_plain_bounds_go_on_as_they_were() -> None:
    alone = trial(QUEUE, PODS)
    for look in range(3):
        alone.observe("pods", look, Count(0, 40))
        alone.observe("queue", look, 250.0)
    assert alone.fails(3)
    assert "queue: 3 readings in a row outside at most 100" in alone.report(3).reason


@pytest.mark.parametrize("silent", [True, False])
def test_a_source_that_is_silent_is_inconclusive(silent: bool) -> None:
    alone = trial(QUEUE)
    for look in range(3):
        alone.observe("queue", look, 1.0)
    if silent:
        alone.miss("queue", NoData(3, "it is away"))
    assert alone.report(3).verdict is (Verdict.INCONCLUSIVE if silent else Verdict.PASS)


def test_without_a_check_that_can_go_on_nothing_is_known() -> None:
    told = trial(HTTP, going_on=set()).report(0)
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "give pods" in told.reason
