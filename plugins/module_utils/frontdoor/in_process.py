# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other door: a verb inside the process that ansible-playbook forked for the task.

What Ansible does around modules is done here for it: arguments are validated by the same spec with the same words, and
secrets are cut out of results, warnings and lines of progress.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.errors import UnsupportedError

from ..cluster.api import Api
from ..cluster.crew import Meanwhile, Threads
from ..display.news import News
from ..values import dataclass
from ..verbs.call.orders import Withdrawn, stands
from ..verbs.call.outcome import Outcome, Report
from .answer import REFUSED, Door, conduct
from .arguments import Verb
from .manifest import plain
from .masking import Secrets, secrets_of, shown
from .shapes import misshapen


def unasked(question: str) -> None:
    """Where nobody can be asked."""


@dataclass(frozen=True)
class Surroundings:
    """What the task brings along: the action as the user called it, the two modes, and where words go.

    `tell` is None where no line may be shown. `show` takes news as plain values, where somebody draws them. `ask` asks whoever sits
    at the terminal. `deprecated` takes what `AnsibleModule.deprecate` takes. `cut_off` says why the task is to end now.
    """

    action: str
    check: bool
    diff: bool
    tell: Callable[[str], None] | None
    warn: Callable[[str], None]
    deprecated: Callable[..., None]
    show: Callable[[dict[str, Any]], None] | None = None
    ask: Callable[[str], str | None] = unasked
    cut_off: Withdrawn = stands


def _asked_beside(ask: Callable[[str], str | None], question: str, meanwhile: Meanwhile) -> str | None:
    """Whoever waits for a person does so beside what is to be done meanwhile. What ends that ends the task, and nobody waits for the answer."""
    answers: list[str | None] = []
    Threads([]).all([lambda: answers.append(ask(question))], 1, meanwhile)
    return answers[0]


def only_connects(verb: Verb) -> Verb:
    """Of a verb its arguments, its connections, and one request, from a thread as streams have: what may stand still in a process that was
    forked (plugin_utils/forked.py)."""
    return replace(verb, perform=_asks_once)


def _asks_once(api: Api | Threads, _request: object, _report: Report) -> Outcome:
    crew = api if isinstance(api, Threads) else Threads([api])

    def ask() -> None:
        crew.api(0).get("/version")

    crew.all([ask], 1)
    return Outcome(changed=False, message="connected")


def run_in_process(verb: Verb, arguments: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    """The task's result, secrets cut out. `arguments` are of Python's own types."""
    secrets = Secrets(secrets_of(arguments))
    with secrets.cut_from_errors():
        result = _run(verb, arguments, around, secrets)
    return secrets.cut_from_result(result)


def _run(verb: Verb, arguments: Mapping[str, Any], around: Surroundings, secrets: Secrets) -> dict[str, Any]:
    spec = verb.arguments
    refusal = misshapen(spec.argument_spec, arguments)
    if refusal:
        return _refused(verb, refusal, arguments)
    validator = ArgumentSpecValidator(
        spec.argument_spec,
        mutually_exclusive=spec.mutually_exclusive,
        required_one_of=spec.required_one_of,
    )
    validated = validator.validate(plain(arguments))
    parameters = validated.validated_parameters
    _pass_on(validated, around)
    if validated.error_messages:
        return _refused(verb, _first_error(validated, around.action), parameters)

    # The same private attribute as AnsibleModule reads: ansible-core has no public way to them.
    secrets.add(validated._no_log_values)
    door = Door(
        check=around.check,
        diff=around.diff,
        hide=secrets.add,
        tell=None if around.tell is None else _masked(around.tell, secrets),
        show=None if around.show is None else _masked_news(around.show, secrets),
        ask=partial(_asked_beside, around.ask),
        cut_off=around.cut_off,
    )
    answer = conduct(verb, parameters, door)
    for warning in answer.warnings:
        around.warn(secrets.cut_from(warning))
    return {**answer.result, **({"failed": True} if answer.failed else {})}


def _masked(tell: Callable[[str], None], secrets: Secrets) -> Callable[[str], None]:
    return lambda line: tell(secrets.cut_from(line))


def _masked_news(show: Callable[[dict[str, Any]], None], secrets: Secrets) -> Callable[[News], None]:
    return lambda heard: show(secrets.cut_from(heard.to_json()))


def _refused(verb: Verb, why: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    invocation = {"module_args": shown(parameters, verb.arguments.argument_spec)}
    return {**REFUSED, **verb.refused(why, parameters), "failed": True, "invocation": invocation, "msg": why}


def _first_error(validated: ValidationResult, action: str) -> str:
    """In AnsibleModule's words (ansible/module_utils/basic.py)."""
    message = validated.errors.msg
    if isinstance(validated.errors[0], UnsupportedError):
        return f"Unsupported parameters for ({action}) module: {message}"
    return message


def _pass_on(validated: ValidationResult, around: Surroundings) -> None:
    for both in validated._warnings:
        around.warn(f"Both option {both['option']} and its alias {both['alias']} are set.")
    for old in validated._deprecations:
        around.deprecated(old["msg"], old.get("version"), date=old.get("date"), collection_name=old["collection_name"])
