# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One size of the canary in a release: asked of canary_start as this release asks it, and watched. This module is private to the
collection.
"""

from __future__ import annotations

from dataclasses import replace

from ...release.rulings import Stage
from ...rollout.refusal import Code
from ...rollout.steady import FirstLook
from ..bake import bake
from ..call.orders import BakeRequest, Meant, StartRequest
from ..call.outcome import VerbFailure
from ..start import start
from .course import Course, StepAsked


def start_of(course: Course, step: StepAsked, meant: Meant, *, check: bool) -> StartRequest:
    call, run = course.call(meant, check=check), course.release.run
    return replace(course.request.start, call=call, size=step.size, run=run, traffic=step.traffic, step=course.step)


def hold(course: Course, step: StepAsked, at: tuple[int, int] | None = None) -> None:
    """`at`: which of how many steps the canary is told to be at where none is going on."""
    # Where steps are behind a canary, it is that one which grows, and no other is begun at this size.
    meant = course.ours if course.release.stage is Stage.HELD else Meant(course.release.outgrown.get("hash", ""))
    asked = start_of(course, step, meant, check=False)
    asked = replace(asked, step=course.step or at)
    stood = course.release.stood
    held = course.did("start", start(course.api, asked, course.report, stood=stood))
    canary, stable = ((held.canary[version] or {}).get("hash", "") for version in ("canary", "stable"))
    another = course.release.stage is Stage.HELD and canary != course.release.hash
    course.release = replace(course.release, stage=Stage.HELD, stable=stable)
    if another or not canary:
        # Between the last look of the start and its end, which its routes may take long for.
        raise VerbFailure(
            f"somebody changed the canary while its requests were shared out: {held.canary['why'] or 'its ReplicaSet is gone'}.",
            code=Code.OTHER_RELEASE.value,
        )
    course.release = replace(course.release, hash=canary, began={**course.release.began, "uid": held.uid})
    baked = bake(course.api, BakeRequest(course.call(), step.bake), course.heard, course.seen_last, stood=stood)
    course.did("bake", baked, say=step.bake > 0)
    if baked.seen is not None:
        course.release = replace(course.release, stood=FirstLook.of(baked.seen))
