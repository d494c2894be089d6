# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs: verdicts over several checks, reasons, silence, steps, bounds, results and their continuation."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.judgement.buckets import BucketRule
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import BoundCheck, Check, Plan, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.evidence import Promise
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.report import as_result, history_of
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import Count, NoData, Reading, Sample
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import JudgementError, Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.trial import Trial
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import Rule, RunVerdict, Verdict

TOLERANCE = Tolerance(max_ratio=1.5, max_increase=0.005)


def plan(*checks: Check, **options: object) -> Plan:
    return Plan(checks or (RateCheck("http", TOLERANCE),), **options)  # type: ignore[arg-type]


def run(
    trial: Trial,
    rates: dict[str, tuple[float, float]],
    until: float,
    begin: float = 0,
    requests: int = 100,
    seed: int = 7,
) -> RunVerdict:
    """A sample a check every 5 seconds with `requests` in each version, until decided or the time is up."""
    chance = random.Random(seed)
    at = begin
    while at < until:
        at += 5
        for name, (canary, stable) in rates.items():
            bad = [float(sum(chance.random() < rate for _ in range(requests))) for rate in (canary, stable)]
            trial.observe(name, Sample(at, Count(bad[0], requests), Count(bad[1], requests)))
        if trial.look(at):
            break
    return trial.report(at)


class TestVerdicts:
    def test_a_bad_version_fails_early(self) -> None:
        verdict = run(Trial(plan()), {"http": (0.05, 0.005)}, until=600)
        assert verdict.verdict is Verdict.FAIL
        assert verdict.after < 150
        (check,) = verdict.checks
        assert (check.verdict, check.rule) == (Verdict.FAIL, Rule.EVIDENCE)
        assert check.decided_after == verdict.after
        assert check.decided_on == 2 * 100 * verdict.after / 5
        assert "worse than tolerated" in verdict.reason and "1.5 times stable + 0.5 %" in verdict.reason

    def test_a_good_version_passes_before_the_window_ends(self) -> None:
        verdict = run(Trial(plan()), {"http": (0.005, 0.005)}, until=1200)
        assert verdict.verdict is Verdict.PASS
        assert verdict.after < 600

    @pytest.mark.parametrize("stable", [0.7, 1.0])
    def test_beside_a_stable_that_fails_itself_none_passes(self, stable: float) -> None:
        """Of requests: nobody fails more than all of them. A pod may have more than one event in a second."""
        tolerance = Tolerance(1.5, 0.005, of_requests=True)
        verdict = run(Trial(plan(RateCheck("http", tolerance))), {"http": (1.0, stable)}, until=300)
        assert verdict.verdict is Verdict.INCONCLUSIVE
        assert re.search(r"in \d+ of \d+ looks stable was so bad itself that no canary could be told", verdict.reason)
        events = run(Trial(plan()), {"http": (stable / 2, stable)}, until=300)
        assert events.verdict is Verdict.PASS

    def test_an_outage_that_is_over_keeps_nobody_from_a_pass(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(1.5, 0.005, of_requests=True))))
        run(trial, {"http": (1.0, 1.0)}, until=60)
        assert run(trial, {"http": (0.005, 0.005)}, until=1200, begin=60).verdict is Verdict.PASS

    @pytest.mark.parametrize(("slow", "passes"), [((0.8, 0.05), True), ((0.8, 0.9), False)])
    def test_a_bound_that_most_of_stable_takes_longer_than_keeps_no_other_from_a_pass(
        self, slow: tuple[float, float], passes: bool
    ) -> None:
        tolerance = Tolerance(1.5, 0.01, of_requests=True)
        trial = Trial(plan(RateCheck("latency", tolerance, streams=("0.05 s", "0.25 s"))))
        for at in range(5, 605, 5):
            for stream, rate in zip(("0.05 s", "0.25 s"), slow, strict=True):
                trial.observe("latency", Sample(at, Count(1000 * rate, 1000), Count(1000 * rate, 1000)), stream)
        verdict = trial.report(600)
        assert verdict.verdict is (Verdict.PASS if passes else Verdict.INCONCLUSIVE)
        assert passes or "looks stable was so bad itself" in verdict.reason

    def test_an_undecided_check_names_the_bound_that_is_farthest_from_a_pass(self) -> None:
        tolerance = Tolerance(1.5, 0.01, of_requests=True)
        trial = Trial(plan(RateCheck("latency", tolerance, streams=("0.05 s", "0.25 s"))))
        for look, slow in enumerate((670, 670, 670, 640, 640)):
            for stream, bad in (("0.05 s", slow), ("0.25 s", 1)):
                trial.observe("latency", Sample(60.0 * (look + 1), Count(bad, 1000), Count(bad, 1000)), stream)
        assert re.search("at 0.05 s: .*; in 3 of 5 looks stable was so bad itself", trial.report(300).reason)

    def test_a_window_too_short_says_so(self) -> None:
        verdict = run(Trial(plan()), {"http": (0.005, 0.005)}, until=30)
        assert verdict.verdict is Verdict.INCONCLUSIVE
        assert verdict.checks[0].rule is Rule.WINDOW_ENDED
        assert "undecided" in verdict.reason and "look" not in verdict.reason

    @pytest.mark.parametrize(("rows", "counted"), [(1, "counted in 1 look,"), (2, "counted in 2 looks,"), (3, "")])
    def test_too_few_looks_to_decide_are_told(self, rows: int, counted: str) -> None:
        trial = Trial(plan())
        for row in range(rows):
            trial.observe("http", Sample(60.0 * (row + 1), Count(10**6, 10**6), Count(0, 10**6)))
        verdict = trial.report(300)
        assert verdict.verdict is (Verdict.INCONCLUSIVE if counted else Verdict.FAIL)
        assert counted in verdict.reason

    def test_the_interval_holds_the_truth_and_the_estimate(self) -> None:
        estimate = run(Trial(plan()), {"http": (0.05, 0.005)}, until=600).checks[0].streams[0].estimate
        assert estimate.low is not None and estimate.high is not None and estimate.value is not None
        assert estimate.low <= 0.05 - 1.5 * 0.005 <= estimate.high
        assert estimate.low <= estimate.value <= estimate.high
        # A fail at the limit excludes the tolerance at twice the error, so the low end is just about there.
        assert estimate.low == pytest.approx(0.005, abs=0.01)

    def test_a_ratio_to_nothing_has_no_upper_end(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_ratio=2))))
        verdict = run(trial, {"http": (0.0, 0.0)}, until=100)
        estimate = verdict.checks[0].streams[0].estimate
        assert (estimate.value, estimate.low, estimate.high) == (None, 0.0, None)
        assert verdict.verdict is Verdict.INCONCLUSIVE

    def test_a_failed_run_counts_nothing_more(self) -> None:
        trial = Trial(plan())
        run(trial, {"http": (0.5, 0.005)}, until=600)
        with pytest.raises(JudgementError, match="has failed"):
            trial.observe("http", Sample(900, Count(0, 1), Count(0, 1)))


class TestSeveralChecks:
    checks = (RateCheck("http", TOLERANCE), RateCheck("logs", TOLERANCE), RateCheck("pods", TOLERANCE))
    equal = (0.005, 0.005)

    def test_one_bad_check_fails_the_run_and_is_named(self) -> None:
        rates = {"http": self.equal, "logs": (0.2, 0.005), "pods": self.equal}
        verdict = run(Trial(plan(*self.checks)), rates, until=600)
        assert verdict.verdict is Verdict.FAIL
        assert verdict.reason.startswith("logs: the canary is worse than tolerated")
        assert [check.verdict for check in verdict.checks if check.name != "logs"] == [Verdict.INCONCLUSIVE] * 2

    def test_a_mean_without_a_convict_names_a_suspect(self) -> None:
        trial = Trial(plan(*self.checks))
        for at in range(5, 200, 5):
            for check in self.checks:
                trial.observe(check.name, Sample(at, Count(8, 100), Count(2, 100)))
            if trial.look(at):
                break
        verdict = trial.report(at)
        assert verdict.verdict is Verdict.FAIL
        assert [check.suspect for check in verdict.checks] == [True, False, False]
        assert verdict.checks[0].rule is Rule.MEAN_EVIDENCE
        assert "suspected" in verdict.reason

    def test_all_must_pass(self) -> None:
        trial = Trial(plan(*self.checks))
        verdict = run(trial, {"http": self.equal, "logs": self.equal}, until=600)
        assert verdict.verdict is Verdict.INCONCLUSIVE
        assert [check.verdict for check in verdict.checks] == [Verdict.PASS, Verdict.PASS, Verdict.INCONCLUSIVE]

    def test_streams_of_a_check_are_averaged_to_fail_and_must_all_pass(self) -> None:
        trial = Trial(plan(RateCheck("slow", TOLERANCE, streams=("0.1", "0.5"))))
        for at in range(5, 600, 5):
            trial.observe("slow", Sample(at, Count(0, 100), Count(0, 100)), "0.1")
            trial.observe("slow", Sample(at, Count(10, 100), Count(1, 100)), "0.5")
            if trial.look(at):
                break
        verdict = trial.report(at)
        assert verdict.verdict is Verdict.FAIL
        assert "at 0.5: canary" in verdict.reason

    @pytest.mark.parametrize(
        ("case", "make", "says"),
        [
            ("no check", lambda: Plan(()), "at least one check"),
            ("a name twice", lambda: plan(RateCheck("a"), RateCheck("a")), "twice: a"),
            ("a negative warmup", lambda: plan(warmup=-1), "warmup"),
            ("no weight", lambda: RateCheck("a", weight=0), "weight"),
            ("no streams", lambda: RateCheck("a", streams=()), "bounds"),
            ("no bound", lambda: BoundCheck("a"), "min and max are the bounds"),
            ("bounds swapped", lambda: BoundCheck("a", 2, 1), "swap"),
            ("a ratio of 0", lambda: Tolerance(max_ratio=0), "max_ratio"),
            ("a negative increase", lambda: Tolerance(max_increase=-0.1), "max_increase"),
        ],
    )
    def test_a_plan_that_cannot_be_is_refused(self, case: str, make, says: str) -> None:
        with pytest.raises(JudgementError, match=says):
            make()


class TestWatched:
    """Checks that need not pass, such as restarts: evidence that they are rare takes hours."""

    watched = RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False)

    def seen(self, trial: Trial, at: float, restarts: float) -> None:
        trial.observe("pods", Sample(at, Count(restarts, 15), Count(0, 150)))

    def test_they_stand_in_no_way_of_a_pass(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched))
        for at in (15, 30, 45, 60):
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
            self.seen(trial, at, 0)
        assert trial.look(60) is Verdict.PASS
        assert trial.report(60).checks[1].rule is Rule.WATCHED

    @pytest.mark.parametrize(("restarts", "rule"), [(0, Rule.WATCHED), (2, Rule.WATCHED), (3, Rule.WINDOW_ENDED)])
    def test_what_an_open_bucket_saw_is_counted_when_the_window_ends(self, restarts: float, rule: Rule) -> None:
        trial = Trial(plan(self.watched))
        self.seen(trial, 12, restarts)  # a bucket of theirs is 15 seconds long
        verdict = trial.report(12)
        (check,) = verdict.checks
        assert check.rule is rule and check.streams[0].canary.bad == restarts
        assert ("counted in 1 look, and at least 3 decide" in verdict.reason) is (rule is Rule.WINDOW_ENDED)

    def test_nothing_passes_early_by_closed_buckets_alone(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched))
        for at in (15, 30, 45, 60):
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
        trial.observe("pods", Sample(60, Count(3, 10), Count(0, 100)))
        trial.observe("pods", Sample(14 + 60, Count(0, 10), Count(0, 100)))
        assert trial.look(74) is None
        assert trial.report(74).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("steps", [0, 1], ids=["not announced", "announced"])
    @pytest.mark.parametrize("step", [0, 1], ids=["the first", "a later"])
    def test_no_other_check_hides_a_watch_that_speaks_against_the_canary(self, step: int, steps: int) -> None:
        """By its own speed, by the mean with it, or by what was good in a step before."""
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched, fresh_starts=steps))
        if step:
            assert self.busy(trial, 0) == (Verdict.PASS, 20)
            trial.begin_step(20)
        verdict, at = self.busy(trial, 20 * step, *[2] * 60)
        assert verdict is Verdict.FAIL and at <= 20 * step + 75

    def test_what_only_a_mean_hides_is_no_pass(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched, fresh_starts=1))
        assert self.busy(trial, 0, *[2] * 12) == (Verdict.INCONCLUSIVE, 300)
        (_http, pods) = trial.report(300).checks
        assert pods.rule is Rule.WINDOW_ENDED and "by this step alone it would fail" in pods.reason

    @pytest.mark.parametrize(("restarts", "at"), [(2, 20), (12, 300)])
    def test_one_look_that_speaks_against_the_canary_is_looked_at_to_the_end(self, restarts: float, at: float) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched))
        assert self.busy(trial, 0, restarts) == (Verdict.PASS, at)
        assert trial.report(at).checks[1].rule is Rule.WATCHED

    def busy(self, trial: Trial, begin: float, *restarts: float) -> tuple[Verdict, float]:
        """Beside requests that pass at once; `restarts` of 5 seconds each, then none. When it was decided, or the window of 300 s ended."""
        for n in range(60):
            at = begin + 5 * (n + 1)
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
            bad = restarts[n] if n < len(restarts) else 0
            trial.observe("pods", Sample(at, Count(bad, 20), Count(0, 40), pods=12))
            if trial.look(at):
                break
        return trial.report(at).verdict, at

    def test_alone_they_pass_only_at_the_end(self) -> None:
        trial = Trial(plan(self.watched))
        self.seen(trial, 15, 0)
        assert trial.look(15) is None
        assert trial.report(15).verdict is Verdict.PASS

    def test_without_data_they_do_stand_in_the_way(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.watched))
        for at in (15, 30, 45, 60):
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
        assert trial.look(60) is None
        assert trial.report(60).verdict is Verdict.INCONCLUSIVE

    def test_a_restart_a_minute_fails_after_four_minutes(self) -> None:
        trial = Trial(plan(self.watched))
        for at in range(15, 600, 15):
            self.seen(trial, at, 1 if at % 60 == 0 else 0)
            if trial.look(at):
                break
        assert (trial.report(at).verdict, at) == (Verdict.FAIL, 240)


class TestSilence:
    """Not knowing is neither good nor bad."""

    def test_a_dead_source(self) -> None:
        trial = Trial(plan())
        for at in (5, 10):
            trial.observe("http", NoData(at, "connection refused"))
        verdict = trial.report(10)
        assert (verdict.verdict, verdict.checks[0].rule) == (Verdict.INCONCLUSIVE, Rule.NO_DATA)
        assert verdict.reason == "http: no data to judge by (2 times), the last time: connection refused"

    def test_a_source_that_was_never_asked(self) -> None:
        assert Trial(plan()).report(0).reason == (
            "http: nothing was counted: the source was not asked, or only during the warmup"
        )

    @pytest.mark.parametrize(("canary", "stable", "idle"), [(0, 50, "the canary"), (50, 0, "stable")])
    def test_no_traffic(self, canary: float, stable: float, idle: str) -> None:
        trial = Trial(plan())
        trial.observe("http", Sample(60, Count(0, canary), Count(0, stable)))
        verdict = trial.report(60)
        assert (verdict.verdict, verdict.checks[0].rule) == (Verdict.INCONCLUSIVE, Rule.NO_TRAFFIC)
        assert f"{idle} had no traffic" in verdict.reason

    def test_a_source_that_fell_silent_lets_nothing_pass_until_it_speaks_again(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05))))
        for at in (5, 10, 15, 20, 25):
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
        trial.observe("http", NoData(30, "timed out"))
        assert trial.look(30) is None
        assert trial.report(30).checks[0].rule is Rule.NO_DATA
        trial.observe("http", Sample(35, Count(0, 500), Count(0, 500)))
        assert trial.look(35) is Verdict.PASS

    def test_warmup_is_told_apart_by_time_and_not_counted(self) -> None:
        trial = Trial(plan(warmup=30))
        for at in range(5, 31, 5):
            trial.observe("http", Sample(at, Count(100, 100), Count(0, 100)))
        assert trial.look(30) is None
        (stream,) = trial.report(30).checks[0].streams
        assert stream.canary.total == 0
        assert sum(bucket.canary.bad for bucket in stream.warmup_series) == 600


class TestBounds:
    bound = BoundCheck("cpu", maximum=1.5, in_a_row=3)

    @pytest.mark.parametrize(
        ("values", "verdict"),
        [
            ([1, 1, 1], Verdict.PASS),
            ([2, 2, 2], Verdict.FAIL),
            ([2, 1, 2, 1, 2], Verdict.INCONCLUSIVE),
            ([2, 2, 1, 1, 1], Verdict.PASS),
            ([1, 1], Verdict.INCONCLUSIVE),
        ],
    )
    def test_so_many_readings_in_a_row_decide(self, values: list[float], verdict: Verdict) -> None:
        trial = Trial(plan(self.bound))
        for at, value in enumerate(values):
            trial.observe("cpu", Reading(at, value))
        assert trial.report(len(values)).verdict is verdict

    @pytest.mark.parametrize("value", [1, 2])
    def test_what_is_read_in_a_warmup_tells_nothing(self, value: float) -> None:
        trial = Trial(plan(self.bound, warmup=10.0))
        for at in range(10):
            trial.observe("cpu", Reading(at, value))
            assert trial.look(at) is None
        assert trial.report(10).verdict is Verdict.INCONCLUSIVE
        trial.begin_step(20)
        for at in range(20, 33):
            trial.observe("cpu", Reading(at, value if at < 30 else 3 - value))
        assert trial.report(33).verdict is (Verdict.FAIL if value == 1 else Verdict.PASS), "of the three after it"

    def test_a_bound_claims_no_promise(self) -> None:
        trial = Trial(plan(self.bound))
        for at in range(3):
            trial.observe("cpu", Reading(at, 2))
        (check,) = trial.report(3).checks
        assert check.rule is Rule.BOUND and "without an error promise" in check.rule.value

    def test_bounds_alone_never_pass_before_the_end(self) -> None:
        trial = Trial(plan(self.bound))
        for at in range(9):
            trial.observe("cpu", Reading(at, 1))
            assert trial.look(at) is None

    def test_a_gap_starts_the_count_again(self) -> None:
        trial = Trial(plan(self.bound))
        for at, observation in enumerate((Reading(0, 2), Reading(1, 2), NoData(2, "empty answer"), Reading(3, 2))):
            trial.observe("cpu", observation)
            assert trial.look(at) is None

    def test_a_bound_fails_a_run_that_the_evidence_would_pass(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), self.bound))
        for at in (5, 10, 15):
            trial.observe("http", Sample(at, Count(0, 500), Count(0, 500)))
            trial.observe("cpu", Reading(at, 2))
        assert trial.look(15) is Verdict.FAIL


PLAN_OF_HISTORY = Plan((RateCheck("http", Tolerance(1.5, 0.01)),), fresh_starts=2)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def a_result() -> dict[str, Any]:
    """Of a run of a minute, as playbooks keep it."""
    trial = Trial(PLAN_OF_HISTORY)
    for second in range(5, 61, 5):
        trial.observe("http", Sample(float(second), Count(1, 100), Count(1, 100)))
    return dict(json.loads(json.dumps({**as_result(trial.report(60.0)), "hash": "5d5f7c6d"})))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in it, as where it stands and under what."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


class TestSteps:
    def test_a_pass_before_a_step_is_void_after_it(self) -> None:
        trial = Trial(plan(RateCheck("http", Tolerance(max_increase=0.05)), fresh_starts=1))
        assert run(trial, {"http": (0.0, 0.0)}, until=600).verdict is Verdict.PASS
        trial.begin_step(100)
        assert trial.look(100) is None

    def test_a_canary_that_turns_bad_after_a_step_is_caught(self) -> None:
        trial = Trial(plan(fresh_starts=1))
        run(trial, {"http": (0.005, 0.005)}, until=300)
        trial.begin_step(300)
        assert run(trial, {"http": (0.06, 0.005)}, begin=300, until=600).verdict is Verdict.FAIL

    def test_a_run_goes_on_from_its_own_result(self) -> None:
        """A later call of the same run reaches the very same evidence as one long call."""
        the_plan = plan(fresh_starts=1)
        whole, first = Trial(the_plan), Trial(the_plan)
        for trial in (whole, first):
            run(trial, {"http": (0.01, 0.01)}, until=60)
        result = json.loads(json.dumps(as_result(first.report(60))))
        second = Trial(the_plan, history_of(result))
        for trial in (whole, second):
            trial.begin_step(60)
        verdicts = [
            run(trial, {"http": (0.02, 0.01)}, begin=60, until=100, seed=3).checks[0].streams[0]
            for trial in (whole, second)
        ]
        assert verdicts[0].to_fail == pytest.approx(verdicts[1].to_fail)
        assert verdicts[0].to_pass == pytest.approx(verdicts[1].to_pass)
        assert verdicts[0].series == verdicts[1].series

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"begin": None}, "without a number for begin"),
            ({"begin": "soon"}, "without a number for begin"),
            ({"canary_bad": True}, "without a number for canary_bad"),
            ({"canary_bad": -1}, "without a number for canary_bad"),
            ({"canary_total": math.nan}, "without a number for canary_total"),
            ({"stable_total": math.inf}, "without a number for stable_total"),
            ({"stable_total": 10**400}, "without a number for stable_total"),
            ({"squares": 1e308}, "without a number for squares"),
            ({"time": 1e11}, "without a number for time"),
            ({"begin": 50}, "times or steps that cannot be"),
            ({"step": 1e9}, "times or steps that cannot be"),
            ({"step": 0.5}, "times or steps that cannot be"),
            ({"canary_total": 0}, "counts without exposure"),
            ({"stable_total": 1e-300}, "counts without exposure"),
            ({"canary_total": 0, "canary_bad": 0}, "counts without exposure"),
        ],
    )
    def test_a_row_that_was_changed_is_refused(self, change: dict[str, Any], says: str) -> None:
        result = a_result()
        result["checks"][0]["streams"][0]["series"][0].update(change)
        with pytest.raises(JudgementError, match=says):
            history_of(result)

    @pytest.mark.parametrize(
        ("result", "says"),
        [
            (["http"], "it should be a mapping"),
            ({"checks": {"http": 1}}, "checks should be a list"),
            ({"checks": ["http"]}, "checks should be a mapping"),
            ({"checks": [{"name": 1}]}, "the name of a check"),
            ({"checks": [{"name": "\x1b[31m"}]}, "the name of a check"),
            ({"checks": [{"name": "http", "streams": "all"}]}, "streams of check http should be a list"),
            ({"checks": [{"name": "http", "streams": [{"name": ""}]}]}, "series of check http should be a list"),
            ({"checks": [{"name": "http", "streams": [{"name": "", "series": []}] * 2}]}, "the same stream twice"),
            ({"checks": [], "hash": {"a": "b"}}, "its hash is none"),
            ({"checks": [], "samples": "all"}, "samples should be a list"),
            ({"checks": [], "samples": [1]}, "the name of a list of samples"),
            ({"checks": [], "hash": "{{ lookup('pipe', 'id') }}"}, "its hash is none"),
        ],
    )
    def test_what_is_no_result_is_refused(self, result: Any, says: str) -> None:
        with pytest.raises(JudgementError, match=says):
            history_of(result)

    def test_a_series_that_goes_back_in_time_is_refused(self) -> None:
        result = a_result()
        result["checks"][0]["streams"][0]["series"].reverse()
        with pytest.raises(JudgementError, match="goes back in time"):
            history_of(result)

    @given(st.data())
    def test_whatever_was_put_in_its_place_it_is_taken_or_refused(self, data: st.DataObject) -> None:
        result = a_result()
        place, key = data.draw(st.sampled_from(list(_places(result))))
        place[key] = data.draw(_JSON)
        try:
            history = history_of(result)
            trial = Trial(PLAN_OF_HISTORY, history)
            trial.begin_step(max((bucket.end for buckets in history.values() for bucket in buckets), default=0.0))
        except JudgementError:
            return
        trial.look(1e3)
        as_result(trial.report(1e3))


class TestResult:
    def test_it_is_plain_and_holds_what_a_report_plots(self) -> None:
        trial = Trial(plan(RateCheck("http", TOLERANCE, buckets=BucketRule(5, 5)), BoundCheck("cpu", maximum=2)))
        trial.observe("cpu", Reading(5, 1))
        result = as_result(run(trial, {"http": (0.05, 0.005)}, until=600))
        assert json.loads(json.dumps(result, allow_nan=False)) == result
        http, cpu = result["checks"]
        assert http["rule"] == "evidence" and http["verdict"] == "fail"
        (stream,) = http["streams"]
        assert {"begin", "time", "canary_bad", "canary_total", "stable_bad", "stable_total"} <= set(stream["series"][0])
        assert stream["canary"]["total"] == sum(row["canary_total"] for row in stream["series"])
        assert cpu["bound"]["series"] == [{"time": 5, "value": 1}]

    def test_the_promise_can_be_made_stricter(self) -> None:
        loose = run(Trial(plan(promise=Promise(0.8))), {"http": (0.05, 0.005)}, until=900)
        strict = run(Trial(plan(promise=Promise(0.999))), {"http": (0.05, 0.005)}, until=900)
        assert loose.verdict is strict.verdict is Verdict.FAIL
        assert loose.after < strict.after


def test_what_a_run_tells_while_it_goes_on() -> None:
    streams = RateCheck("http", TOLERANCE, buckets=BucketRule(5, 5), streams=("/a", "/b"))
    trial = Trial(plan(streams, BoundCheck("cpu", maximum=2)))
    assert [(counted.canary, counted.tolerated) for counted in trial.counted] == [((0.0, 0.0), None)]
    assert trial.readings == () and trial.least_to_pass == 1.0
    for at in (5.0, 10.0, 15.0):
        trial.observe("http", Sample(at, Count(0, 100), Count(2, 100)), "/a")
        trial.observe("http", Sample(at, Count(9, 100), Count(2, 100)), "/b")
        trial.observe("cpu", Reading(at, at))
    trial.look(15.0)
    (counted,) = trial.counted
    assert (counted.check, counted.canary, counted.stable) == ("http at /b", (27.0, 300.0), (6.0, 300.0))
    assert counted.tolerated == pytest.approx(1.5 * 0.02 + 0.005)
    assert trial.readings == ("cpu: 15, tolerated at most 2",)
