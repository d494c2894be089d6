# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins of autoscalers: whose each of them is, and when it is given back.

Who gives one back reads the autoscaler first and then the Deployment, and the patch holds only for that autoscaler. A start
writes the autoscaler once more after its first patch. So either the reader sees the release, or its patch is refused, or
the start sees that its pin is gone and pins again. This module is private to the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

from ...cluster.errors import Forbidden, NotFound
from ...rollout import autoscaler as autoscalers
from ...rollout.autoscaler import Claim
from ...rollout.phase import Phase, Situation, diagnose
from ...rollout.record import Record, same_release
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Autoscaler, Picture
from ..call.ending import Account
from ..call.guarded import guarded
from .ownership import disown_autoscaler


def claim(account: Account, release: int = 0) -> Claim:
    api = account.site.api
    return Claim(account.run, api.processes.this_process(), int(api.clock.wall()), release)


def serve(account: Account, name: str, record: Record, replicas: int) -> None:
    """After the first patch of a release: its pin is there, and is that of this release."""
    scales_up = record.may_scale_up
    site, claimed = account.site, claim(account, record.generation)
    try:
        found = site.autoscaler(name)
        sent = guarded(
            found,
            lambda current: autoscalers.serve(current, replicas, claimed, scales_up=scales_up) or None,
            lambda _current, operations: site.patch_autoscaler(name, operations),
            lambda: site.autoscaler(name),
            _busy(name, "pinned"),
            permitted=lambda: site.mine_for(record.generation),
        )
    except NotFound:
        account.warn(f'HorizontalPodAutoscaler "{name}", which was pinned for this release, no longer exists')
        return
    account.changed = account.changed or sent.change is not None
    if sent.change is not None and autoscalers.bounds(sent.before) is None:
        account.warn(
            f'somebody gave HorizontalPodAutoscaler "{name}" back while the release began: it was pinned again'
        )


def give_back_of(account: Account, record: Record, name: str, picture: Picture) -> None:
    """At the end of a release, as long as that is live: the next one may pin the same autoscaler."""

    def of_this_release(_found: Autoscaler) -> bool:
        now = _fresh(account, picture)
        return now.record is not None and same_release(now.record, record)

    try:
        _give_back(account, account.site.autoscaler(name), of_this_release)
        # Whoever gave it back may have died since.
        disown_autoscaler(account, name)
    except NotFound:
        account.warn(f'HorizontalPodAutoscaler "{name}", which was pinned for this release, no longer exists')


def give_back_orphans(account: Account, picture: Picture, *, check: bool) -> None:
    """Gives back autoscalers that an interrupted run left pinned although no release is live.

    Who may not list them has pinned none: that right is needed for `autoscaler: pin` and `refuse` alone.
    """
    try:
        found = account.site.autoscalers()
    except Forbidden:
        return
    for autoscaler in found:
        if autoscalers.bounds(autoscaler) is not None and not check:
            give_back_orphan(account, autoscaler, picture)


def give_back_orphan(account: Account, autoscaler: Autoscaler, picture: Picture) -> bool:
    """Whether it was given back: not where a release is live after all, or another run is about to begin one."""

    def left(found: Autoscaler) -> bool:
        note = autoscalers.bounds(found)
        if note is None or _fresh(account, picture).phase is not Phase.NONE:
            return False
        ended = account.site.api.processes.has_ended(note.claim.process)
        if autoscalers.free(note, account.run, account.site.clock.wall(), ended):
            return True
        account.warn(
            f'HorizontalPodAutoscaler "{found.name}" is pinned by another run, which is about to begin a release, and was left '
            f"to it. Should that run have died, this verb gives it back {autoscalers.STALE_SECONDS // 60} minutes after the pin"
        )
        return False

    given = _give_back(account, autoscaler, left)
    if given:
        disown_autoscaler(account, autoscaler.name)
    return given


def _fresh(account: Account, picture: Picture) -> Situation:
    """Whether a release is live is told by the Deployment alone."""
    return diagnose(replace(picture, deployment=account.site.deployment()))


def _give_back(account: Account, autoscaler: Autoscaler, allowed: Callable[[Autoscaler], bool]) -> bool:
    """Puts back the bounds of a pinned autoscaler; nothing for one that is not pinned, or no longer to be given back."""
    name, site = autoscaler.name, account.site

    def decide(found: Autoscaler) -> list[dict[str, Any]] | None:
        operations = autoscalers.give_back(found)
        return operations if operations and allowed(found) else None

    given = guarded(
        autoscaler,
        decide,
        lambda _found, operations: site.patch_autoscaler(name, operations),
        lambda: site.autoscaler(name),
        _busy(name, "given back"),
        permitted=site.mine,
    )
    if given.change is None:
        return False
    account.changed = True
    stands = {
        "minReplicas": f"minReplicas {given.state.min_replicas}",
        "maxReplicas": f"maxReplicas {given.state.max_replicas}",
        "behavior": "behavior",
    }
    if theirs := autoscalers.changed(given.before):
        account.warn(
            f'somebody changed HorizontalPodAutoscaler "{name}" while it was pinned: what was changed was left as it is '
            f"({', '.join(stands[field] for field in theirs)})"
        )
    return True


def _busy(name: str, done: str) -> Refusal:
    what = f'HorizontalPodAutoscaler "{name}" kept changing while it was to be {done}'
    return Refusal(Code.BUSY, what, "Run this again")
