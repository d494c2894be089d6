# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for a rollout: until every pod is of one template.

This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...rollout.identity import Meant
from ...rollout.notices import several_builds
from ...rollout.phase import Situation
from ...rollout.progress import Done, Progress, Stuck, restarted, towards_rollout, with_terminated
from ...rollout.views import Deployment, Picture
from ...rollout.words import WORDS
from ..call.ending import Account
from ..call.orders import Call
from ..call.outcome import Kind, News, Report
from ..call.pacing import Patience
from ..call.waiting import wait


def patience_with(deployment: Deployment, call: Call) -> Patience:
    """A pod that is Ready counts as progress, and then has to stay so for minReadySeconds before the next one may come."""
    seconds = call.wait.timeout + deployment.min_ready_seconds
    return Patience(seconds, per_progress=True, nodes=call.wait.for_nodes)


def tell_builds(account: Account, situation: Situation, report: Report) -> None:
    """At once, and once: somebody may want to stop it."""
    said = several_builds(situation)
    if said and said not in account.warnings:
        report(News(said, Kind.WARNING))
        account.warn(said)


def await_rollout(
    account: Account,
    picture: Picture,
    template: str,
    call: Call,
    report: Report,
    *,
    remedy: str = "",
    meant: Meant | None = None,
) -> Situation:
    """Waits, with a deadline per progress, until every pod has that template (a digest); raises VerbFailure.

    `remedy` for a rollout that is nobody's release; where one is `meant`, whoever ends or replaces it ends this, too.
    """

    def judge(situation: Situation) -> Progress:
        tell_builds(account, situation, report)
        other = meant.differs(situation) if meant and not meant.is_out(situation) else ""
        if other:
            return Stuck(other)
        taken_back = WORDS[situation.phase].ends_promotion
        if meant and taken_back:
            return Stuck(taken_back)
        return with_terminated(towards_rollout(situation, template), situation, call.wait.terminated)

    if account.changed:
        account.tell_way_back(report)
    waited = wait(
        account.site,
        replace(picture, pods=None),
        judge=judge,
        hint=lambda situation: situation.deployment.rolled_out,
        patience=patience_with(picture.deployment, call),
        report=report,
    )
    if isinstance(waited.progress, Done):
        now = waited.situation
        if now.canary is not None and (accident := restarted(now.picture.pods_of(now.canary))):
            account.warn(f"{accident.why} while the pods were replaced")
        return account.looked(now)
    if meant and not meant.is_out(waited.situation):
        meant.check(account.looked(waited.situation))
    raise account.unsuccessful(waited, remedy or WORDS[waited.situation.phase].remains)
