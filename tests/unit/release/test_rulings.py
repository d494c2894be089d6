# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a release that fails: rows of a table, and laws that hold for every row there can be."""

from __future__ import annotations

from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import OnFailure
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import (
    AGAINST_A_PROMOTION,
    AGAINST_WHAT_IS_OUT,
    CAUSES,
    NOTHING_CHANGED,
    RULES,
    Act,
    Cause,
    Failed,
    Stage,
    cause_of,
    ruling,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code

PHASES = (*Phase, None)
EVERY = [Failed(*row) for row in product(Stage, Cause, PHASES, (True, False), OnFailure, *[(True, False)] * 4)]


@pytest.mark.parametrize(
    ("stage", "cause", "phase", "ours", "expected"),
    [
        (Stage.HELD, Cause.PODS, Phase.STARTING, True, Act.UNDO),
        (Stage.HELD, Cause.PODS, Phase.STEPPING, True, Act.UNDO),
        (Stage.HELD, Cause.JUDGED, Phase.HELD, True, Act.UNDO),
        (Stage.HELD, Cause.REJECTED, Phase.HELD, True, Act.UNDO),
        (Stage.HELD, Cause.UNDECIDED, Phase.HELD, True, Act.UNDO),
        (Stage.HELD, Cause.SERVER, Phase.HELD, True, Act.UNDO),
        (Stage.HELD, Cause.CHANGED, Phase.FOREIGN, True, Act.UNDO),
        (Stage.HELD, Cause.CHANGED, Phase.DAMAGED, True, Act.UNDO),
        (Stage.HELD, Cause.CHANGED, Phase.FROZEN, True, Act.LEAVE),
        (Stage.HELD, Cause.CHANGED, Phase.UNDOING, True, Act.LEAVE),
        (Stage.HELD, Cause.CHANGED, Phase.PROMOTING, True, Act.LEAVE),
        (Stage.HELD, Cause.CHANGED, Phase.HELD, False, Act.LEAVE),
        (Stage.HELD, Cause.CHANGED, Phase.NONE, False, Act.LEAVE),
        (Stage.HELD, Cause.SERVER, None, False, Act.LEAVE),
        (Stage.PROMOTING, Cause.PODS, Phase.PROMOTING, True, Act.UNDO),
        (Stage.PROMOTING, Cause.JUDGED, Phase.PROMOTING, True, Act.UNDO),
        (Stage.PROMOTING, Cause.CHANGED, Phase.HELD, True, Act.UNDO),
        (Stage.PROMOTING, Cause.SERVER, Phase.PROMOTING, True, Act.LEAVE),
        (Stage.PROMOTING, Cause.REFUSED, Phase.PROMOTING, True, Act.LEAVE),
        (Stage.PROMOTING, Cause.SERVER, Phase.NONE, True, Act.LEAVE),
        (Stage.PROMOTING, Cause.WAVE, Phase.NONE, True, Act.ROLL_BACK),
        (Stage.PROMOTING, Cause.WAVE, Phase.NONE, False, Act.LEAVE),
        (Stage.HELD, Cause.WAVE, Phase.NONE, True, Act.LEAVE),
        (Stage.PROMOTING, Cause.REFUSED, Phase.HELD, True, Act.LEAVE),
        (Stage.PROMOTED, Cause.JUDGED, Phase.NONE, True, Act.ROLL_BACK),
        (Stage.PROMOTED, Cause.JUDGED, Phase.NONE, False, Act.LEAVE),
        (Stage.PROMOTED, Cause.SERVER, Phase.NONE, True, Act.LEAVE),
        (Stage.PROMOTED, Cause.REJECTED, Phase.NONE, True, Act.LEAVE),
        (Stage.HELD, Cause.WAVE, Phase.HELD, True, Act.UNDO),
        (Stage.HELD, Cause.WAVE, Phase.FROZEN, True, Act.LEAVE),
        (Stage.PROMOTING, Cause.WAVE, Phase.PROMOTING, True, Act.UNDO),
        (Stage.PROMOTED, Cause.WAVE, Phase.NONE, True, Act.ROLL_BACK),
        (Stage.PROMOTED, Cause.WAVE, Phase.NONE, False, Act.LEAVE),
        (Stage.PROMOTED, Cause.WAVE, Phase.HELD, False, Act.LEAVE),
        (Stage.ASKED, Cause.REFUSED, Phase.NONE, False, Act.LEAVE),
        (Stage.WAITING, Cause.PODS, Phase.NONE, False, Act.LEAVE),
        (Stage.UNKNOWN, Cause.REJECTED, Phase.PROMOTING, False, Act.LEAVE),
        (Stage.UNKNOWN, Cause.REJECTED, Phase.NONE, False, Act.LEAVE),
        (Stage.UNKNOWN, Cause.REJECTED, Phase.HELD, True, Act.UNDO),
    ],
)
def test_what_becomes_of_a_failure(stage, cause, phase, ours, expected):
    assert ruling(Failed(stage, cause, phase, ours)).act is expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause.JUDGED, Act.FREEZE),
        (Cause.PODS, Act.FREEZE),
        (Cause.REJECTED, Act.FREEZE),
        (Cause.WAVE, Act.FREEZE),
        (Cause.SERVER, Act.LEAVE),
    ],
)
def test_a_promotion_that_is_not_taken_back_stops_where_it_is(cause: Cause, expected: Act) -> None:
    assert ruling(Failed(Stage.PROMOTING, cause, Phase.PROMOTING, True, OnFailure.HOLD)).act is expected


@pytest.mark.parametrize("cause", [Cause.WAVE, Cause.REJECTED])
@pytest.mark.parametrize(("froze_it", "expected"), [(True, Act.UNDO), (False, Act.LEAVE)])
def test_what_the_run_froze_itself_is_nobodys_decision(cause: Cause, froze_it: bool, expected: Act) -> None:
    assert ruling(Failed(Stage.HELD, cause, Phase.FROZEN, True, froze_it=froze_it)).act is expected


def test_laws_of_every_failure():
    for failed in EVERY:
        told = ruling(failed)
        taken_back = told.act in (Act.UNDO, Act.ROLL_BACK)
        decided = failed.phase is Phase.FROZEN and not failed.froze_it
        assert not (taken_back and (failed.on_failure is OnFailure.HOLD or decided)), failed
        assert not (taken_back and not failed.ours), f"only what this run began is taken back: {failed}"
        if told.act is Act.UNDO:
            assert failed.stage in (Stage.HELD, Stage.PROMOTING, Stage.UNKNOWN), failed
            assert failed.stage is not Stage.PROMOTING or failed.cause in AGAINST_A_PROMOTION, failed
        if told.act is Act.ROLL_BACK:
            assert failed.is_out, f"an undo works as long as the promotion is not finished: {failed}"
            assert failed.cause in AGAINST_WHAT_IS_OUT, f"only evidence takes back what is out: {failed}"
        if told.act is Act.FREEZE:
            assert failed.promotes and failed.on_failure is OnFailure.HOLD, failed
        left_alone = told.why.startswith("It was left as it is")
        assert not (left_alone and failed.promotes), f"a promotion is no state to be left in: {failed}"
        goes_on = "promotion goes on" in told.why
        assert not goes_on or failed.phase is Phase.PROMOTING, f"nothing goes on by itself but what pods do: {failed}"
        assert bool(told.why) is (told.act is Act.LEAVE), f"what is left as it is, is told: {failed}"
        assert not (failed.changed and told.why == NOTHING_CHANGED), failed
        assert failed.ours or "the new version stays" not in told.why, f"what stays was seen to run: {failed}"


def test_every_rule_decides_something():
    decided = {next(rule.when for rule in RULES if rule.applies(failed)) for failed in EVERY}
    assert decided == {rule.when for rule in RULES}


def test_causes_are_named_by_codes_that_verbs_give():
    beside_refusals = {"stuck", "timeout", "judged_fail", "judged_inconclusive", "api_error", "rejected", "wave_failed"}
    assert set(CAUSES) - beside_refusals <= {code.value for code in Code}
    assert cause_of("stuck") is Cause.PODS
    assert cause_of("same_template") is Cause.REFUSED
