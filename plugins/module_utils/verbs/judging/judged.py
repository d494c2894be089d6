# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a judgement ends for its caller: a rehearsal in check mode, or a failure that carries everything that was counted.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Sequence

from ...rollout.phase import Situation
from ...rollout.refusal import Code, Refusal
from ..call.ending import Account
from ..call.outcome import Outcome, VerbFailure
from .checks import VerifyRequest
from .comparing import Comparison

JUDGED_FAIL, JUDGED_INCONCLUSIVE = "judged_fail", "judged_inconclusive"


def check_judges(situation: Situation, found: str, request: VerifyRequest) -> None:
    """Raises Refusal where this version (a pod-template-hash) is not the one that is meant, or not the one that the history is of."""
    name = situation.deployment.name
    expected = request.call.meant.hash
    if expected and expected != found:
        raise Refusal(
            Code.OTHER_RELEASE,
            f'canary {expected} of Deployment "{name}" was expected, and {found} is what would be judged',
            "canary_info shows what runs. Leave expect out to judge the version that is there",
        )
    was = request.history.get("hash")
    if request.history and was != found:
        raise Refusal(
            Code.OTHER_RELEASE,
            f'the history is of {was or "nobody knows which version"}, and {found} of Deployment "{name}" would be judged',
            "Leave history out to judge the version that is there, from the beginning",
        )


def rehearsed(account: Account, run: Comparison) -> Outcome:
    """Every source was reached once, and what is known of the traffic was told."""
    gaps = run.begin()
    names = [asked.check.name for asked in run.request.checks]
    outcome = rehearsal(account, names, gaps, run.forecasts)
    return replace(outcome, warnings=(*outcome.warnings, *run.warnings))


def rehearsal(
    account: Account, names: list[str], gaps: Mapping[str, str], forecasts: Mapping[str, Any] | None = None
) -> Outcome:
    account.warn(*(f"{name}: {reason}" for name, reason in gaps.items()))
    reached = [name for name in names if name not in gaps]
    answered = ", ".join(reached) or "none"
    said = f"nothing was judged in check mode; sources that answered: {answered}"
    return account.outcome(said).returning(verify=_no_verdict(reached, gaps, forecasts))


def unjudged(account: Account, why: str) -> Outcome:
    """There was no canary to ask a source about, and that is no failure."""
    return account.outcome(f"{why}; nothing was judged").returning(verify=_no_verdict())


def _no_verdict(
    reached: Sequence[str] = (), gaps: Mapping[str, str] | None = None, forecasts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "verdict": None,
        "reached": list(reached),
        "unreached": dict(gaps or {}),
        "forecasts": dict(forecasts or {}),
    }


def failed(account: Account, message: str, code: str, result: Mapping[str, Any]) -> VerbFailure:
    """It carries everything that was counted."""
    return account.failure(message, code, extra={"verify": result})
