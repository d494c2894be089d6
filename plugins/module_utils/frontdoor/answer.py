# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a verb and its result as Ansible returns it, the same whichever door the task came through.

This module is private to the collection.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..cluster.api import Api
from ..cluster.connection import Connection, connect
from ..cluster.errors import ApiError
from ..display.lines import MOST_KEPT, Display, Lately, line
from ..display.news import Kind, News, news
from ..foreign import LONGEST_TOLD, printable, told
from ..values import dataclass
from ..verbs.call.orders import Ask, Withdrawn, nobody, stands
from ..verbs.call.outcome import API_ERROR, Outcome, VerbFailure
from .actor import actor
from .arguments import ArgumentError, Parameters, Verb, connection
from .masking import secrets_of, secrets_of_connection, shown

if TYPE_CHECKING:
    from ..cluster.crew import Threads

# How many of its last lines of progress a failure carries.
LAST_LINES = 10
# What a refusal of arguments carries besides its message.
REFUSED = {"failure": "invalid", "changed": False}


@dataclass(frozen=True)
class Door:
    """What the two doors do differently.

    `show` takes everything that is told, where somebody draws it: then states are no lines.
    `hide` is told what must be cut out of results and lines, before anything could show it; `tell` shows a line at once, and is
    None where nobody would see it. `check` and `diff` are the task's. `ask` asks a person, where the door has one.
    `cut_off` says why the task is to end now, and is empty as long as it may go on.
    """

    check: bool
    diff: bool
    hide: Callable[[frozenset[str]], None]
    tell: Callable[[str], None] | None
    show: Callable[[News], None] | None = None
    ask: Ask = nobody
    cut_off: Withdrawn = stands


@dataclass(frozen=True)
class Answer:
    """`result` is what the task returns, secrets not yet cut out; `owned` is what its diff is made of."""

    failed: bool
    result: dict[str, Any]
    warnings: tuple[str, ...] = ()
    owned: Outcome | VerbFailure | None = None


def conduct(verb: Verb, parameters: Parameters, door: Door, connector: Callable[[Connection], Api] = connect) -> Answer:
    """Runs `verb` with validated parameters. What a user can do something about comes back as a failed answer.

    Everything told is printable, whoever wrote it: the result, warnings, lines of progress.
    """
    answer = _conducted(verb, parameters, replace(door, hide=_hiding(door)), connector)
    invocation = {"invocation": {"module_args": shown(parameters, verb.arguments.argument_spec)}}
    warnings = tuple(printable(warning, LONGEST_TOLD) for warning in answer.warnings)
    return Answer(answer.failed, {**invocation, **told(answer.result), **_diff(answer.owned, door)}, warnings)


def _hiding(door: Door) -> Callable[[frozenset[str]], None]:
    """A secret is also hidden as it looks once it is printable."""
    return lambda secrets: door.hide(secrets | frozenset(filter(None, map(printable, secrets))))


def _conducted(verb: Verb, parameters: Parameters, door: Door, connector: Callable[[Connection], Api]) -> Answer:
    result: dict[str, Any] = {"changed": False}
    try:
        parameters = verb.settles(parameters)
        where = connection(parameters)
        door.hide(secrets_of(parameters) | secrets_of_connection(where))
        request = verb.arguments.to_request(parameters, door.check, actor(os.environ))
        connected = _reached(verb, request, where, door, connector)
    except (ArgumentError, ApiError) as error:
        code = "invalid" if isinstance(error, ArgumentError) else API_ERROR
        told_besides = verb.refused(str(error), parameters)
        return Answer(failed=True, result={**result, "msg": str(error), "failure": code, **told_besides})
    if verb.takes:
        request = replace(request, **{name: getattr(door, name) for name in verb.takes})
    with connected as api:
        teller = Teller.of(parameters, door)
        answer = _asked(verb, request, api, teller)
    # What the server itself warned of, such as fields that it does not know; nothing that was said already.
    warnings = tuple(text for text in dict.fromkeys((*answer.warnings, *api.warnings)) if text not in teller.warned)
    return replace(answer, result={**result, "requests": api.requests, **answer.result}, warnings=warnings)


def _reached(
    verb: Verb, request: Any, where: Connection, door: Door, connector: Callable[[Connection], Api]
) -> Api | Threads:
    if verb.clusters is None:
        return connector(where)
    from ..cluster.crew import Threads  # only a fleet has several clusters

    clusters = verb.clusters(request)
    for one in clusters:
        door.hide(secrets_of_connection(one))
    return Threads([connector(one) for one in clusters])


def _asked(verb: Verb, request: Any, api: Api | Threads, teller: Teller) -> Answer:
    try:
        outcome = verb.perform(api, request, teller)
    except VerbFailure as failure:
        return _failed(failure, teller.last_lines)
    except ApiError as error:
        # What may have been carried out, nobody may call unchanged.
        told = {"msg": str(error), "failure": API_ERROR, "changed": error.may_have_written}
        return Answer(failed=True, result={**told, "progress": teller.last_lines})
    progress = {"progress": teller.lines} if teller.lines else {}
    result = {"msg": outcome.message, "changed": outcome.changed, **progress, **_told_by(outcome)}
    return Answer(failed=False, result=result, warnings=outcome.warnings, owned=outcome)


class Teller:
    """Passes what a verb tells on, line by line, and keeps the last lines for the result. `name` is of the Deployment that the
    task is about, for what names none."""

    def __init__(self, door: Door, name: str, display: Display) -> None:
        self._door, self._name, self._display = door, name, display
        self._kept: deque[str] = deque(maxlen=MOST_KEPT)
        self._lately: dict[str, Lately] = {}
        # Warnings that were shown when they mattered: ansible-core would show those of a task at its end.
        self.warned: set[str] = set()

    @classmethod
    def of(cls, parameters: Parameters, door: Door) -> Teller:
        return cls(door, parameters.get("name") or "", Display(parameters.get("display") or Display.PICTURE.value))

    @property
    def lines(self) -> list[str]:
        return list(self._kept)

    @property
    def last_lines(self) -> list[str]:
        """For a failure, whose result is shown as a whole."""
        return self.lines[-LAST_LINES:]

    def __call__(self, told: str) -> None:
        heard = news(told).within(self._name)
        if self._door.show is not None and self._display is not Display.QUIET:
            self._door.show(heard)
        worth_a_line, self._lately[heard.deployment] = self._lately.get(heard.deployment, Lately()).hears(heard)
        if not worth_a_line:
            return
        text = printable(line(heard, self._display), LONGEST_TOLD)
        self._kept.append(text)
        drawn = self._door.show is not None and heard.kind is Kind.STATE
        if self._door.tell is not None and self._display is not Display.QUIET and not drawn:
            self._door.tell(text)
            for detail in heard.details if heard.kind is Kind.EVENT and self._door.show is None else ():
                indent = len(detail) - len(detail.lstrip(" "))
                self._door.tell(f"  {' ' * indent}{printable(detail, LONGEST_TOLD)}")
            self.warned |= {heard.text} if heard.kind is Kind.WARNING else set()


def _failed(failure: VerbFailure, progress: list[str]) -> Answer:
    result = {"msg": failure.message, "failure": failure.code, "changed": failure.changed, "progress": progress}
    if failure.cause:
        result["cause"] = failure.cause
    return Answer(failed=True, result={**result, **failure.shown}, warnings=failure.warnings, owned=failure)


def _told_by(outcome: Outcome) -> dict[str, Any]:
    return {**({"canary": outcome.canary} if outcome.canary else {}), **outcome.extra}


def _diff(owned: Outcome | VerbFailure | None, door: Door) -> dict[str, Any]:
    if owned is None or not door.diff:
        return {}
    return {"diff": {"before": _yaml(told(owned.before)), "after": _yaml(told(owned.after))}}


def _yaml(owned: Mapping[str, Any]) -> str:
    from ansible.module_utils.common.yaml import yaml_dump  # of use to nobody without --diff

    return yaml_dump(dict(owned), default_flow_style=False) if owned else ""
