# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verb acts on the release that is meant, or on none: whoever does what in between, also right before its patch arrives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Meant, RollbackRequest, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import (
    CheckAsked,
    PodsAsked,
    RateCheck,
    Tolerance,
    VerifyRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.rollback import rollback
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.verify import verify
from tests.situations import Web

PODS = CheckAsked(RateCheck("pods", Tolerance(max_increase=1 / 3600), must_pass=False), PodsAsked())


def meant_by(outcome: Outcome) -> Meant:
    return Meant(outcome.canary["canary"]["hash"], outcome.canary["run"])


def judged(web: Web, **options: Any) -> Outcome:
    return verify(
        web.api, VerifyRequest(web.call, (PODS,), **{"duration": 1.0, "interval": 0.1, **options}), web.report
    )


def swapped(web: Web) -> None:
    """Somebody takes the canary back and holds another."""
    web.undo()
    web.start("v3", run="somebody")


BETWEEN: dict[str, tuple[str, bool, Callable[[Web], Any], str, dict[str, int], str]] = {
    # verb, whether it names what it means, what somebody does, how it ends, what then runs, the phase
    "promote, another canary": ("promote", True, swapped, "other_release", {"v1": 3, "v3": 1}, "held"),
    "promote, another canary than at the first look": (
        "promote", False, swapped, "other_release", {"v1": 3, "v3": 1}, "held",
    ),
    "promote, undone": ("promote", True, Web.undo, "other_release", {"v1": 3}, "none"),
    "promote, promoted": ("promote", True, Web.promote, "already promoted", {"v2": 3}, "none"),
    "undo, another canary": ("undo", True, swapped, "other_release", {"v1": 3, "v3": 1}, "held"),
    "undo, another canary than at the first look": (
        "undo", False, swapped, "other_release", {"v1": 3, "v3": 1}, "held",
    ),
    "undo, undone": ("undo", True, Web.undo, "somebody else has taken the canary back", {"v1": 3}, "none"),
    "undo, promoted": ("undo", True, Web.promote, "other_release", {"v2": 3}, "none"),
    "promote, taken over by another run": (
        "promote", True, lambda web: web.start(run="another"), "other_release", {"v1": 3, "v2": 1}, "held",
    ),
    "pause, another canary": ("pause", True, swapped, "other_release", {"v1": 3, "v3": 1}, "held"),
}  # fmt: skip


@pytest.mark.parametrize("cell", BETWEEN)
def test_what_somebody_does_right_before_the_patch_arrives(cell: str, new: Callable[..., Web]) -> None:
    verb, named, act, ends, runs, phase = BETWEEN[cell]
    web = new().make(3)
    meant = meant_by(web.start(run="ours")) if named else meant_by(web.start()) and Meant()
    ours = replace(web, meant=meant)
    ours.api = web.world.right_before(web, [lambda: act(replace(web, takeover=True))])
    if ends == "other_release":
        with pytest.raises(VerbFailure) as raised:
            getattr(ours, verb)()
        assert (raised.value.code, raised.value.changed) == (ends, False), raised.value.message
    else:
        done = getattr(ours, verb)()
        assert ends in done.message and not done.changed and done.extra["hash"] == meant.hash
    assert (web.split(), web.phase) == (runs, phase)


def every_verb(web: Web) -> tuple[Callable[[], Any], ...]:
    grow, judge = (lambda: web.start(pods=2)), (lambda: judged(web))
    return (web.promote, web.undo, web.pause, web.resume, web.bake, judge, grow)


def test_every_verb_refuses_another_release_and_writes_nothing(new: Callable[..., Web]) -> None:
    web = new().make(3)
    nothing = replace(web, meant=Meant("v2"))
    for verb in (nothing.promote, nothing.bake, nothing.pause, nothing.resume):
        assert "no release is live" in web.refused(verb, "other_release")
    first = web.start(run="r1")
    for other in (Meant("7c6d9f54b", "r1"), Meant(first.canary["canary"]["hash"], "r2")):
        them = replace(web, meant=other)
        for verb in every_verb(them):
            message = web.refused(verb, "other_release")
            assert f"canary {other.hash} of run {other.run} was expected, and there is canary" in message
            assert f"{first.canary['canary']['hash']} of run r1, which tests started" in message
        assert "was expected" in web.refused(replace(them, checking=True).promote, "other_release")
    ours = replace(web, meant=meant_by(first))
    history = judged(ours, steps=1).extra["verify"]
    assert history is not None and history["hash"] == ours.meant.hash
    assert ours.bake().canary["phase"] == "held"
    assert ours.start(pods=2).changed
    assert judged(ours, steps=1, history=history).extra["verify"]
    ours.pause()
    ours.resume()
    promoted = ours.promote()
    assert promoted.changed and promoted.extra["hash"] == ours.meant.hash
    again = ours.promote()
    assert (again.changed, again.extra["hash"]) == (False, ours.meant.hash) and "already promoted" in again.message
    assert "its version is" in web.refused(ours.undo, "other_release")
    replace(web, takeover=True).start("v3")
    assert "the history is of" in web.refused(lambda: judged(web, history=history), "other_release")
    assert "and there is canary" in web.refused(ours.promote, "other_release")
    web.promote()
    back = RollbackRequest(ours.call, ours.meant.hash)
    leaves = RollbackRequest(replace(ours.call, meant=Meant("7c6d9f54b")), ours.meant.hash)
    assert "was expected" in web.refused(lambda: rollback(web.api, leaves, web.report), "other_release")
    assert rollback(web.api, replace(back, call=web.call), web.report).changed
    assert not rollback(web.api, back, web.report).changed, "it runs already"


def test_a_run_that_gives_its_name_takes_the_canary_over_and_the_run_before_stops(new: Callable[..., Web]) -> None:
    web = new().make(3)
    first = web.start(run="r1")
    assert web.start().canary["run"] == "r1", "without a name of its own it changes nothing"
    assert "is held by another run: run r1 of tests, since 2026" in web.refused(lambda: web.start(run="r2"), "locked")
    theirs = replace(web, takeover=True).start(run="r2")
    assert theirs.changed and theirs.canary["run"] == "r2"
    for told in ("takes over the canary of run r1, which tests started", "is held by another run: run r1 of tests"):
        assert any(told in warning for warning in theirs.warnings), theirs.warnings
    assert not web.start(run="r2").changed
    before = replace(web, meant=meant_by(first))
    for verb in (lambda: before.start(pods=2, run="r1"), before.undo, before.promote):
        web.refused(verb, "other_release")
    assert replace(web, meant=meant_by(theirs)).promote().changed


@pytest.mark.parametrize(("verb", "other"), [("undo", "promote"), ("promote", "undo")])
def test_whoever_knows_his_release_by_its_run_alone_may_repeat_what_ended_it(
    verb: str, other: str, new: Callable[..., Web]
) -> None:
    web = new().make(3)
    web.start(run="ours")
    ours = replace(web, meant=Meant(run="ours"))
    assert getattr(ours, verb)().changed
    assert not getattr(ours, verb)().changed
    web.refused(getattr(ours, other), "other_release")
    web.refused(getattr(replace(web, meant=Meant(run="r2")), verb), "other_release")
    if verb == "promote":
        web.set_image("v3")
        web.refused(ours.promote, "other_release")


def test_a_start_that_is_taken_over_while_it_waits_stops(new: Callable[..., Web]) -> None:
    web = new().make(3)
    slow = {"metadata": {"annotations": {"lab.coalmine/never-ready": "true"}}}
    lines: list[str] = []

    def take_over(other: Web) -> None:
        other.until(lambda: lines, "it waits")
        replace(other, wait=Wait(enabled=False), takeover=True).start(patch=slow, run="theirs")

    ours = replace(web, report=lines.append)
    with web.world.meanwhile(web, take_over), pytest.raises(VerbFailure) as raised:
        ours.start(patch=slow, run="ours")
    assert raised.value.code == "other_release" and "of run theirs" in raised.value.message
    assert web.info()["run"] == "theirs"


def test_a_promotion_that_waits_tells_of_a_release_that_came_instead(new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.start(patch={"metadata": {"annotations": {"lab.coalmine/ready-after": "3000"}}}, run="ours")
    meant = Meant(run="ours")
    lines: list[str] = []

    def swap(other: Web) -> None:
        other.until(lambda: lines, "it waits")
        swapped(replace(other, takeover=True))

    with web.world.meanwhile(web, swap), pytest.raises(VerbFailure) as raised:
        replace(web, meant=meant, report=lines.append).promote()
    assert raised.value.changed and raised.value.code in ("other_release", "stuck"), raised.value.message
    assert re.search("of run somebody|somebody is taking the canary back|to take the canary back", raised.value.message)
    assert web.split() == {"v1": 3, "v3": 1}
