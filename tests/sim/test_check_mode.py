# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode tells what the same call then does: whether it changes anything, and which fields; and it changes nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome
from tests.situations import Web

Step = Callable[[Web], object]

NO_WAIT = Wait(enabled=False)


def left_after(verb: str) -> Step:
    """What a job leaves that died after the pods had moved and before it cleaned up."""

    def leave(web: Web) -> None:
        web.start()
        getattr(replace(web, wait=NO_WAIT), verb)()
        web.settle()

    return leave


def stable_hash(web: Web) -> str:
    return str(web.info()["stable"]["hash"])


def promoted(web: Web) -> None:
    web.start()
    web.promote()


def go_back(web: Web) -> Outcome:
    first = min(web.replica_sets(), key=lambda rs: rs["metadata"]["creationTimestamp"])
    return web.rollback(first["metadata"]["name"])


CASES: dict[str, tuple[Step, Callable[[Web], Outcome]]] = {
    "start": (lambda web: None, Web.start),
    "start in steps": (lambda web: None, lambda web: web.start(pods=2)),
    "start again": (Web.start, Web.start),
    "a larger canary": (Web.start, lambda web: web.start(pods=2)),
    "pause": (Web.start, Web.pause),
    "resume": (lambda web: (web.start(), web.pause()), Web.resume),
    "promote": (Web.start, Web.promote),
    "promote nothing": (lambda web: None, Web.promote),
    "undo": (Web.start, Web.undo),
    "undo nothing": (lambda web: None, Web.undo),
    "rollback": (promoted, go_back),
    "rollback to what runs": (promoted, lambda web: web.rollback(stable_hash(web))),
    "promote what moved": (left_after("promote"), Web.promote),
    "undo what moved": (left_after("undo"), Web.undo),
    "start over what was promoted": (left_after("promote"), lambda web: web.start("v3")),
    "start over what was undone": (left_after("undo"), lambda web: web.start("v3")),
}


@pytest.mark.parametrize("case", CASES)
def test_check_mode_tells_what_the_call_does(case: str, new: Callable[..., Web]) -> None:
    before, verb = CASES[case]
    web = new().make(3, minReadySeconds=1)
    before(web)
    marks = web.annotations
    with web.unchanged():
        foretold = verb(replace(web, checking=True))
    assert web.annotations == marks
    done = verb(web)
    assert (foretold.changed, dict(foretold.before), dict(foretold.after)) == (
        done.changed, dict(done.before), dict(done.after),
    )  # fmt: skip


OVERTAKEN = "somebody has rolled out another pod template since"


@pytest.mark.parametrize("verb", ["promote", "undo"])
@pytest.mark.parametrize("next_verb", ["promote", "undo", "start"])
def test_a_release_without_its_clean_up_is_no_trap_for_what_is_rolled_out_after_it(
    verb: str, next_verb: str, new: Callable[..., Web]
) -> None:
    web = new().make(2, strategy={"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}})
    before = web.spec
    left_after(verb)(web)
    web.set_image("v3")
    web.settle()
    assert web.phase == "foreign"
    if next_verb == "start":
        outcome = web.start("v4")
        web.undo()
    else:
        outcome = getattr(web, next_verb)()
    assert any(OVERTAKEN in warning for warning in outcome.warnings)
    web.assert_clean(before, "v3")
    web.until(lambda: web.phase == "none", "nothing is left")
