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
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.yaml import yaml_dump

from ..cluster.api import Api
from ..cluster.connection import Connection, connect
from ..cluster.errors import ApiError
from ..verbs.outcome import API_ERROR, InfoOutcome, Outcome, Report, VerbFailure
from .actor import actor
from .arguments import ArgumentError, Parameters, Verb, connection
from .masking import secrets_of_checks, secrets_of_connection, secrets_of_source, shown

# How many of its last lines of progress a failure carries.
LAST_LINES = 10


@dataclass(frozen=True)
class Door:
    """What the two doors do differently.

    `hide` is told what must be cut out of results and lines, before anything could show it; `tell` passes a line of
    progress on. `check` and `diff` are the task's.
    """

    check: bool
    diff: bool
    hide: Callable[[frozenset[str]], None]
    tell: Report


@dataclass(frozen=True)
class Answer:
    """`result` is what the task returns, secrets not yet cut out."""

    failed: bool
    result: dict[str, Any]
    warnings: tuple[str, ...] = ()


def conduct(verb: Verb, parameters: Parameters, door: Door, connector: Callable[[Connection], Api] = connect) -> Answer:
    """Runs `verb` with validated parameters. What a user can do something about comes back as a failed answer."""
    result: dict[str, Any] = {"invocation": {"module_args": shown(parameters)}, "changed": False}
    try:
        where = connection(parameters)
        door.hide(secrets_of_connection(where) | secrets_of_checks(parameters.get("checks")))
        door.hide(secrets_of_source(parameters.get("price_metrics")))
        request = verb.arguments.to_request(parameters, door.check, actor(os.environ))
        connected = connector(where)
    except (ArgumentError, ApiError) as error:
        code = "invalid" if isinstance(error, ArgumentError) else API_ERROR
        return Answer(failed=True, result={**result, "msg": str(error), "failure": code})
    with connected as api:
        answer = _asked(verb, request, api, door)
    # What the server itself warned of, such as fields that it does not know, unless the verb has said it already.
    warnings = tuple(dict.fromkeys((*answer.warnings, *api.warnings)))
    return Answer(answer.failed, {**result, "requests": api.requests, **answer.result}, warnings)


def _asked(verb: Verb, request: Any, api: Api, door: Door) -> Answer:
    last: deque[str] = deque(maxlen=LAST_LINES)

    def report(line: str) -> None:
        last.append(line)
        door.tell(line)

    try:
        outcome = verb.perform(api, request, report)
    except VerbFailure as failure:
        told = {"msg": failure.message, "failure": failure.code, "changed": failure.changed, "progress": list(last)}
        result = {**told, **_diff(failure, door)}
        if failure.canary is not None:
            result["canary"] = failure.canary
        if failure.verify is not None:
            result["verify"] = failure.verify
        return Answer(failed=True, result=result, warnings=failure.warnings)
    except ApiError as error:
        return Answer(failed=True, result={"msg": str(error), "failure": API_ERROR, "progress": list(last)})
    if isinstance(outcome, InfoOutcome):
        return _information(outcome, one=request.name is not None)
    result = {"msg": outcome.message, "changed": outcome.changed, "canary": outcome.canary, **_diff(outcome, door)}
    if door.check and "pods" in outcome.after:
        result["planned"] = outcome.after["pods"]
    if outcome.hash:
        result["hash"] = outcome.hash
    if outcome.verify is not None:
        result["verify"] = outcome.verify
    if outcome.headroom is not None:
        result["headroom"] = outcome.headroom
    if outcome.steps:
        result["steps"] = list(outcome.steps)
    return Answer(failed=False, result=result, warnings=outcome.warnings)


def _information(outcome: InfoOutcome, one: bool) -> Answer:
    result: dict[str, Any] = {"canaries": list(outcome.canaries)}
    if one:
        result["canary"] = outcome.canaries[0]
    return Answer(failed=False, result=result, warnings=outcome.warnings)


def _diff(told: Outcome | VerbFailure, door: Door) -> dict[str, Any]:
    if not door.diff:
        return {}
    return {"diff": {"before": _yaml(told.before), "after": _yaml(told.after)}}


def _yaml(owned: Mapping[str, Any]) -> str:
    return yaml_dump(dict(owned), default_flow_style=False) if owned else ""
