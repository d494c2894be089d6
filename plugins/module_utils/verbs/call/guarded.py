# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to write: read, decide, send what holds only for what was read; refused means read and decide again.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Callable, Generic, TypeVar

from ...cluster.errors import ApiError, Conflict, Forbidden, Invalid
from ...rollout.refusal import Refusal
from ...values import dataclass

ATTEMPTS = 5


def at_any_time() -> None:
    """Where nobody has to be asked."""


State = TypeVar("State")
Change = TypeVar("Change")


@dataclass(frozen=True)
class Sent(Generic[State, Change]):
    """`change` is what was sent (None: nothing had to be), `before` what it was decided for, `state` what stands there now.
    `decided` is what was last decided about: `before`, or what stands there now where nothing is left to do.

    A change whose answer was lost counts as sent when, looked at again, nothing is left to do, and nothing `rules it out`.
    """

    change: Change | None
    before: State
    state: State
    decided: State


def guarded(
    state: State,
    decide: Callable[[State], Change | None],
    send: Callable[[State, Change], State],
    read: Callable[[], State],
    busy: Refusal,
    ruled_out: Callable[[Change, State], bool] = lambda _change, _found: False,
    *,
    permitted: Callable[[], None] = at_any_time,
) -> Sent[State, Change]:
    """Sends what `decide` says of `state`, and decides anew of what `read` finds whenever somebody was faster.

    `send` must let a change through only to the state that it was decided for. A change whose answer was lost may have been
    made, or may still be on its way: reading again tells, and the guard refuses whichever comes second. `ruled_out` says that a
    change cannot have been made, because of what is found instead. `permitted` is asked before each change is sent, and raises where
    it must not be. Raises `busy` when others never let it through.
    """
    unanswered: tuple[Change | None, State] = (None, state)
    lost: ApiError | None = None
    for attempt in range(1, ATTEMPTS + 1):
        made, before = unanswered
        if made is not None and ruled_out(made, state):
            made, before, lost = None, state, None
        try:
            change = decide(state)
            if change is not None:
                permitted()
        except Refusal as refusal:
            raise refusal if made is None else refusal.in_doubt() from refusal
        except ApiError as error:
            raise lost or error from error
        if change is None:
            return Sent(made, before if made is not None else state, state, state)
        try:
            return Sent(change, state, send(state, change), state)
        except ApiError as error:
            if error.may_have_written:
                unanswered, lost = (change, state), error
            if isinstance(error, Forbidden):
                raise  # whoever has no right to it now had none a moment ago
            if not worth_another_look(error) or (error.may_have_written and attempt == ATTEMPTS):
                raise lost or error from error
            state = _read_again(read, error, lost)
    raise busy if lost is None else busy.in_doubt()


def _read_again(read: Callable[[], State], after: ApiError, lost: ApiError | None) -> State:
    """`lost`: of a change that got no answer, this one or one before it, which may have been made."""
    try:
        return read()
    except Refusal as refusal:
        raise refusal if lost is None else refusal.in_doubt() from after
    except ApiError as error:
        # That something may have been written weighs more than that it cannot be read.
        raise lost or error from error


def worth_another_look(error: ApiError) -> bool:
    """Somebody was faster, or nobody knows whether it was written: what stands there now decides."""
    overtaken = isinstance(error, Conflict) or (isinstance(error, Invalid) and error.bare)
    return overtaken or error.may_have_written
