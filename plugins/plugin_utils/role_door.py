# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against a call of the role coalmine.canary.canary before it begins. It is private to the collection."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import renamed
from ansible_collections.coalmine.canary.plugins.plugin_utils.reserved import PUBLIC
from ansible_collections.coalmine.canary.plugins.plugin_utils.verification import NESTED, ROLE

if TYPE_CHECKING:
    from ansible.playbook.task import Task

# What the role and the playbooks take or give beside the options of canary_release.
OTHERS = frozenset(
    (
        "context",
        "kubeconfig",
        "reason",
        "to",
        "result",
        "result_here",
        "results",
        "room",
        "release",
        "releases",
        "found",
        "undone",
        "rolled_back",
    )
)
# Which cluster it is: options of the connection that are variables, too.
CLUSTER = ("context", "kubeconfig")
# What the collection's playbooks read that call no role.
PLAYBOOKS = os.path.join(os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..")), "playbooks", "")
OF_PLAYBOOKS = ("at_once", "between", "defaults", "max_failures", "together", "watch_seconds", "waves", "when_crowded")
# What a call of the role is asked beside the stage that it goes through: every option that is a variable, too.
OF_THE_CALL = frozenset(("expect", "held", "previous", "reject", "rescued", "run", "through", "when_missing"))
# The entry points of the role that read it as a variable, of what is not read by all that it would concern.
READ_IN = {
    "expect": ("promote", "undo", "rollback"),
    "reason": ("undo", "rollback"),
    "run": ("promote", "undo"),
    "to": ("rollback",),
}
OF_SOME = OF_THE_CALL | frozenset(READ_IN)
# Of these what a source is asked, and what tasks of the caller count, is another thing at each call.
ASKED_ANEW = ("checks", "price_metrics")
# Of these a variable that is empty says nothing: an empty dictionary is no template.
SAY_NOTHING_EMPTY = frozenset(
    (
        "definition",
        "images",
        "node_group_label",
        "pod_template_patch",
        "price_metrics",
        "prices",
        "promote_by",
        "strategy",
        "traffic",
    )
)
# Of a name without its prefix: image and images are 0.91, expected and expect 0.86.
ALIKE = 0.8


@cache
def of_a_release() -> tuple[str, ...]:
    """The options of canary_release, for tasks of the role and of the playbooks: any other task gets along without what a release is made of,
    which takes longer to load than such a task does."""
    from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import VERB

    return tuple(VERB.arguments.options)


@cache
def known() -> frozenset[str]:
    """The variables of the role."""
    return frozenset(f"{PUBLIC}{name}" for name in {*of_a_release(), *OTHERS})


@cache
def known_in_playbooks() -> frozenset[str]:
    return known() | {f"{PUBLIC}{name}" for name in OF_PLAYBOOKS}


@cache
def of_variables() -> tuple[str, ...]:
    """The options that are variables of the role."""
    return tuple(name for name in of_a_release() if name not in OF_THE_CALL)


def is_of_the_role(task: Task, variables: Mapping[str, Any]) -> bool:
    """Not a task of somebody's that the role includes."""
    here = os.path.join(str(variables.get("role_path", "")), "tasks", "")
    return variables.get("ansible_role_name") == ROLE and str(task.get_path()).startswith(here)


def is_of_a_playbook(task: Task) -> bool:
    """Of the collection's own, which has no role in between."""
    return os.path.realpath(str(task.get_path())).startswith(PLAYBOOKS)


def options(variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The variables of the role by the names of the options that they are, as they were written."""
    return {name: variables[PUBLIC + name] for name in names if PUBLIC + name in variables}


def asked_once(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a call is given, what a release begins with once and for all."""
    steps = options.get("steps")
    judged = isinstance(steps, list) and any(isinstance(step, Mapping) and step.get("checks") for step in steps)
    anew = {*ASKED_ANEW, *(("steps",) if judged else ())}
    return {name: value for name, value in options.items() if name not in anew}


def as_variables(options: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the role that give these options."""
    return {PUBLIC + name: value for name, value in options.items() if value is not None}


def own_defaults(task: Task) -> Any:
    """What the caller's module_defaults say for the action of this task alone, as it was written. The tasks of the role set none in their
    place, for a name or a timeout there would be taken for what a task of the role says; a connection is to hold all the same."""
    given = (defaults.get(task.resolved_action) for defaults in reversed(task.module_defaults or ()))
    return next(filter(None, given), {})


def cluster_named(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster by the variables of the role and the playbooks, as they were written."""
    return {name: variables[PUBLIC + name] for name in CLUSTER if PUBLIC + name in variables}


def given_by(options: Mapping[str, Any]) -> dict[str, Any]:
    """What they give, once they are templated."""
    return {name: value for name, value in options.items() if value or name not in SAY_NOTHING_EMPTY}


def first_stage(variables: Mapping[str, Any], steps: Any) -> str:
    """How far the first call of a release goes. Several hosts wait for each other before any is promoted, for the case that
    any_errors_fatal ends all."""
    is_alone = len(variables.get("ansible_play_batch", ())) <= 1
    return "promoted" if is_alone else f"step {len(steps) if steps and isinstance(steps, list) else 1}"


def told(result: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """What is shown of a release at its end: nothing as long as the play has something to do about it."""
    release = result.get("release") or {}
    goes_on = release.get("waits_for") == "caller" or _is_to_be_rescued(result, arguments)
    head, *rest = result.get("summary") or [str(result.get("msg", ""))]
    return [] if goes_on else [head, *(f"  {line}" for line in rest)]


def _is_to_be_rescued(result: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    return bool(result.get("failed") and not arguments.get("rescued"))


def handed_on(result: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the role keeps of a call as canary_result and canary_room, and hands on to the job that follows: the values `result` and `rooms`,
    the former by the name of its Deployment, too, and as a statistic of the play, which takes the place of an earlier one.

    Of a call that failed, which Ansible prints whole, with a row for each pod, the rescue does, after another look, and tells the summary.
    """
    if _is_to_be_rescued(result, arguments):
        return {name: value for name, value in result.items() if name not in ("canary", "summary")}
    release = result.get("release") or {}
    began = release.get("began") or arguments
    kept = {
        "name": began.get("name"),
        "namespace": began.get("namespace"),
        "outcome": release.get("outcome", "refused"),
        "why": release.get("why", [result.get("msg", "")]),
        "verdicts": release.get("verdicts", []),
        "canary": result.get("canary"),
    }
    stats = {"data": {"canary_result": kept}, "per_host": False, "aggregate": False}
    results = {f"{kept['namespace']}/{kept['name']}": kept}
    return {**result, "result": kept, "results": results, "rooms": release.get("rooms", []), "ansible_stats": stats}


def by_variables(result: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal of an option by the name of the variable that was set for it."""
    said = str(result.get("msg", ""))
    names = {name.removeprefix(PUBLIC): name for name in known_in_playbooks() if name in variables}
    told = renamed(said, names)
    if result.get("failure") != "invalid" or told == said:
        return dict(result)
    besides: dict[str, Any] = {name: result[name] for name in ("release", "summary") if name in result}
    return {**result, **_with(besides, said.rstrip("."), told.rstrip(".")), "msg": told}


def _with(told: Any, old: str, new: str) -> Any:
    if isinstance(told, Mapping):
        return {name: _with(value, old, new) for name, value in told.items()}
    if isinstance(told, list):
        return [_with(each, old, new) for each in told]
    return told.replace(old, new) if isinstance(told, str) else told


def objection(task: Task, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """Why the role does not begin; empty: nothing speaks against it. `template` makes values of variables as they were written."""
    hosts = list(variables.get("ansible_play_hosts", ()))
    if ROLE in (variables.get("ansible_parent_role_names") or ()):
        return f"A file that verifies a canary cannot do this: {NESTED}. The canary that is being verified stays held"
    if len(hosts) > 1 and _runs_once(task):
        return (
            f"run_once holds for the role, and the play has several hosts ({', '.join(hosts)}), so this would release for one of them "
            "alone. Put run_once on include_role itself, or on a block round it, or let the play have the one host"
        )
    return unread(task, variables, template)


def unread(task: Task, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """Which variables the entry point of the task would not read although somebody has set them for it; empty: none."""
    entry = os.path.splitext(os.path.basename(str(task.get_path())))[0]
    wrong = misspelt(variables, task._role.get_default_vars() if task._role else {}, known())
    return "; ".join((*wrong, *passed_over(entry, template(of_a_call(variables)))))


def unread_by_a_playbook(variables: Mapping[str, Any]) -> str:
    """Which variables of its hosts are no variables of a playbook, and close to one that is; empty: none."""
    given = (variables["hostvars"].raw_get(host) for host in variables.get("ansible_play_hosts_all", ()))
    return "; ".join(dict.fromkeys(wrong for own in given for wrong in misspelt(own, {}, known_in_playbooks())))


def of_a_call(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What only some calls read and somebody has made variables, as they were written."""
    return {name: variables[PUBLIC + name] for name in sorted(OF_SOME) if PUBLIC + name in variables}


def passed_over(entry: str, given: Mapping[str, Any]) -> Iterable[str]:
    """An option that `entry` would pass over without a word. What is empty says nothing."""
    for name in (name for name, value in given.items() if value and entry not in READ_IN.get(name, ())):
        if name in READ_IN:
            entries = READ_IN[name]
            points = f"the entry point{'s' if entries[1:] else ''} {' and '.join(entries)}"
            yield f"{PUBLIC}{name} is for {points} of the role: leave it out here"
        else:
            yield (
                f"{PUBLIC}{name} is no variable of the role: leave it out, or give {name} to a task of "
                "coalmine.canary.canary_release"
            )


def misspelt(variables: Mapping[str, Any], defaults: Mapping[str, Any], known: frozenset[str]) -> Iterable[str]:
    """A name that is close to a known one which itself nobody has set: canary_image, where there is no canary_images. Other names with
    this prefix are their owners'."""
    unset = [name for name in known if variables.get(name) == defaults.get(name)]
    short = [name.removeprefix(PUBLIC) for name in unset]
    for name in sorted(name for name in variables if name.startswith(PUBLIC) and name not in known):
        close = difflib.get_close_matches(name.removeprefix(PUBLIC), short, n=1, cutoff=ALIKE)
        if close:
            yield f"nothing here reads {name}: write {PUBLIC}{close[0]}, or leave it out"


def _runs_once(task: Task) -> bool:
    """run_once is of the role, or of what it stands in. Round an include it is another thing: that is for one host by then."""
    parent = task._parent
    while parent is not None:
        if not getattr(parent, "statically_loaded", True):  # an include, which is dynamic
            return False
        if parent._role is not task._role and parent.run_once:
            return True
        parent = parent._parent
    return bool(task.get_play().run_once or (task._role and task._role.run_once))
