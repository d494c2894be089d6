# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to write: read, decide, send what holds only for what was read; refused means read and decide again.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Callable, Generic, TypeVar

from ...cluster.errors import ApiError, Conflict, Invalid
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

    Whatever is raised after a change that got no answer says so: none of it tells what became of that one, which may have been let
    through by a right, a policy or a quota of a moment ago.
    """
    made: Change | None = None
    before = state
    try:
        for attempt in range(1, ATTEMPTS + 1):
            if made is not None and ruled_out(made, state):
                made, before = None, state
            change = decide(state)
            if change is None:
                return Sent(made, before if made is not None else state, state, state)
            permitted()
            try:
                return Sent(change, state, send(state, change), state)
            except ApiError as error:
                if not worth_another_look(error) or (error.may_have_written and attempt == ATTEMPTS):
                    raise
                if error.may_have_written:
                    made, before = change, state
            state = read()
        raise busy
    except (ApiError, Refusal) as error:
        error.may_have_written = error.may_have_written or made is not None
        raise


def worth_another_look(error: ApiError) -> bool:
    """Somebody was faster, or nobody knows whether it was written: what stands there now decides."""
    overtaken = isinstance(error, Conflict) or (isinstance(error, Invalid) and error.bare)
    return overtaken or error.may_have_written
