# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guarded write, against a number that others may count up meanwhile: wanted is 10."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    AdmissionDenied,
    ApiError,
    Conflict,
    ConnectionLost,
    Forbidden,
    Invalid,
    NotFound,
    Timeout,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.guarded import ATTEMPTS, Sent, guarded

PATCH = asked("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web")
WANTED = 10
# Anew for each test, since what is raised is told what went before it.
Error = Callable[[], ApiError]
OVERTAKEN: tuple[Error, ...] = (
    partial(Conflict, PATCH, "changed"),
    partial(Invalid, PATCH, "a test does not hold", bare=True),
)
LOST: tuple[Error, ...] = (partial(ConnectionLost, PATCH, "broke"), partial(Timeout, PATCH, "no answer"))
FINAL: tuple[Error, ...] = (
    partial(Forbidden, PATCH, "no"),
    partial(AdmissionDenied, PATCH, "denied the request"),
    partial(Unauthorized, PATCH, "the token is over"),
    partial(NotFound, PATCH, "there is none"),
    partial(Invalid, PATCH, "a field is wrong"),
    partial(TooManyRequests, PATCH, "busy"),
    partial(Unreachable, PATCH, ""),
)


def busy() -> Refusal:
    return Refusal(Code.BUSY, "it kept changing", "Run this again")


def name_of(error: Error) -> str:
    return type(error()).__name__


@dataclass
class Number:
    """`meets`: what the sends meet, one after the other: None goes through; an error, and whether it was written all the same."""

    meets: list[tuple[Error, bool] | None]
    reads_meet: list[Error | None] = field(default_factory=list)
    value: int = 1
    sent: int = 0

    def read(self) -> int:
        error = self.reads_meet.pop(0) if self.reads_meet else None
        if error:
            raise error()
        return self.value

    def send(self, before: int, change: int) -> int:
        self.sent += 1
        met = self.meets.pop(0) if self.meets else None
        if met is None or met[1]:
            assert before == self.value, "a guard would have refused this"
            self.value += change
        if met:
            raise met[0]()
        return self.value

    def write(self) -> Sent[int, int]:
        return guarded(self.value, lambda now: WANTED - now or None, self.send, self.read, busy())


@pytest.mark.parametrize("overtaken", OVERTAKEN, ids=name_of)
def test_overtaken_means_read_and_decide_again(overtaken: Error) -> None:
    number = Number([(overtaken, False), (overtaken, False)])
    assert (number.write(), number.sent) == (Sent(9, 1, 10, 1), 3)


@pytest.mark.parametrize("lost", LOST, ids=name_of)
def test_a_lost_answer_is_looked_up(lost: Error) -> None:
    done = Number([(lost, True)])
    assert (done.write(), done.sent) == (Sent(9, 1, 10, 10), 1), "it was done, and counts as sent"
    undone = Number([(lost, False)])
    assert (undone.write(), undone.sent) == (Sent(9, 1, 10, 1), 2), "it was not done, and is sent again"


def test_a_lost_change_that_cannot_be_what_is_found_was_not_made() -> None:
    number = Number([(LOST[0], True)])
    others = guarded(
        1, lambda now: WANTED - now or None, number.send, number.read, busy(), lambda _change, found: found == 10
    )
    assert others == Sent(None, 10, 10, 10)


@pytest.mark.parametrize(("lost", "doubt"), [(LOST[0], True), (OVERTAKEN[0], False)])
def test_a_refusal_after_a_lost_answer_says_that_something_may_have_been_written(lost: Error, doubt: bool) -> None:
    def decide(now: int) -> int:
        if now != 1:
            raise Refusal(Code.SMALLER, "it is larger already", "Leave it")
        return 1

    number = Number([(lost, True)])
    with pytest.raises(Refusal, match="larger already") as refused:
        guarded(1, decide, number.send, number.read, busy())
    assert refused.value.may_have_written is doubt


@pytest.mark.parametrize(
    ("meets", "doubt"),
    [([LOST[0]], True), ([OVERTAKEN[0]], False), ([LOST[0], OVERTAKEN[0]], True)],
)
def test_so_does_one_that_comes_of_looking_again(meets: list[Error], doubt: bool) -> None:
    number = Number([(error, False) for error in meets])

    def read() -> int:
        if number.sent < len(meets):
            return number.value
        raise Refusal(Code.BEING_DELETED, "it is being deleted", "Find out who does")

    with pytest.raises(Refusal, match="being deleted") as refused:
        guarded(1, lambda now: WANTED - now, number.send, read, busy())
    assert refused.value.may_have_written is doubt


def test_nothing_to_do_sends_nothing() -> None:
    number = Number([], value=WANTED)
    assert (number.write(), number.sent) == (Sent(None, 10, 10, 10), 0)


@pytest.mark.parametrize("final", FINAL, ids=name_of)
def test_what_another_look_does_not_change_is_raised_at_once(final: Error) -> None:
    number = Number([(final, False)])
    with pytest.raises(type(final())) as raised:
        number.write()
    assert number.sent == 1 and not raised.value.may_have_written


@pytest.mark.parametrize("final", FINAL, ids=name_of)
def test_it_tells_nothing_of_a_change_before_it_that_got_no_answer(final: Error) -> None:
    """Which is on its way yet, or was done and taken back: a right, a policy, a quota, or a server that were others a moment ago let it through."""
    number = Number([(LOST[0], False), (final, False)])
    with pytest.raises(type(final()), match="got no answer before that, and may have been carried out") as raised:
        number.write()
    assert number.sent == 2 and raised.value.may_have_written


def test_so_does_a_refusal_of_what_would_come_of_it() -> None:
    """A policy that makes another template of the second attempt has perhaps not been there at the first."""
    number = Number([(LOST[0], False)])

    def send(before: int, change: int) -> int:
        if number.sent:
            raise Refusal(Code.ADMISSION, "it would become another", "Ask who owns the policy")
        return number.send(before, change)

    with pytest.raises(Refusal, match="become another") as refused:
        guarded(1, lambda now: WANTED - now, send, number.read, busy())
    assert refused.value.may_have_written


def test_others_who_never_let_it_through_are_told_of() -> None:
    number = Number([(OVERTAKEN[0], False)] * ATTEMPTS)
    with pytest.raises(Refusal, match="kept changing"):
        number.write()
    assert number.sent == ATTEMPTS


def test_an_answer_that_is_lost_at_last_stays_unknown() -> None:
    number = Number([(LOST[0], False)] * ATTEMPTS)
    with pytest.raises(ConnectionLost):
        number.write()


NO_READ = partial(Timeout, asked("GET", "/api"), "no answer")


@pytest.mark.parametrize(("sent", "doubt"), [(LOST[0], True), (OVERTAKEN[0], False)])
def test_what_cannot_be_read_tells_whether_something_may_have_been_written(sent: Error, doubt: bool) -> None:
    with pytest.raises(Timeout, match="cannot get /api") as raised:
        Number([(sent, True)], reads_meet=[NO_READ]).write()
    assert raised.value.may_have_written is doubt


@pytest.mark.parametrize(
    ("meets", "reads_meet"),
    [
        ([LOST[0], FINAL[-1]], []),
        ([LOST[0], OVERTAKEN[0]], [None, NO_READ]),
        ([LOST[0], *[OVERTAKEN[0]] * (ATTEMPTS - 1)], []),
    ],
    ids=["then nobody is there", "then it cannot be read", "then others are always faster"],
)
def test_what_was_sent_without_an_answer_may_be_made_later_whatever_the_next_one_meets(
    meets: list[Error], reads_meet: list[Error | None]
) -> None:
    number = Number([(error, False) for error in meets], reads_meet)
    with pytest.raises((ApiError, Refusal)) as raised:
        number.write()
    assert raised.value.may_have_written and number.sent == len(meets)


def test_each_change_is_permitted_right_before_it_is_sent() -> None:
    asked: list[int] = []
    number = Number([(OVERTAKEN[0], False), (LOST[0], False)])

    def permitted() -> None:
        asked.append(number.sent)

    guarded(1, lambda now: WANTED - now or None, number.send, number.read, busy(), permitted=permitted)
    guarded(WANTED, lambda now: WANTED - now or None, number.send, number.read, busy(), permitted=permitted)
    assert asked == [0, 1, 2], "not where nothing is sent"


@pytest.mark.parametrize(
    ("first", "forbids", "doubt"),
    [
        ((LOST[0], True), partial(Refusal, Code.LOCKED, "another run has it", "Wait"), True),
        ((OVERTAKEN[0], False), partial(Refusal, Code.LOCKED, "another run has it", "Wait"), False),
        ((LOST[0], False), partial(Unreachable, PATCH, "nobody can be asked"), True),
        ((OVERTAKEN[0], False), partial(Unreachable, PATCH, "nobody can be asked"), False),
    ],
)
def test_what_is_not_permitted_after_a_lost_answer_may_have_been_written(
    first: tuple[Error, bool], forbids: Callable[[], Refusal | ApiError], doubt: bool
) -> None:
    number = Number([first])

    def permitted() -> None:
        if number.sent:
            raise forbids()

    with pytest.raises((Refusal, ApiError)) as raised:
        guarded(1, lambda now: 1, number.send, number.read, busy(), permitted=permitted)
    assert raised.value.may_have_written is doubt
