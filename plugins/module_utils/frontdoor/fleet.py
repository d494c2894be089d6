# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_fleet's arguments: the options of canary_release for each release, and in which waves they go.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..cluster.connection import Connection
from ..verbs.fleets.fleet import fleet
from ..verbs.fleets.orders import DEFAULT, FleetRequest, Member, Misplanned, Waves, WhenCrowded, tolerated
from .arguments import (
    CONNECTION,
    DISPLAY,
    RUN,
    ArgumentError,
    ArgumentSpec,
    Options,
    Parameters,
    Verb,
    at_least,
    call,
    connection,
    spellings,
    within,
)
from .manifest import plain
from .release import VERB as RELEASE
from .shapes import misshapen

# What belongs to the fleet as a whole, or to a call of its own.
OF_THE_WHOLE = ("run", "display")
NOT_OF_MEMBERS = (*OF_THE_WHOLE, "through", "previous", "reject", "verify_tasks", "held", "expect", "rescued")
_GROUP: Options = {"group": {"type": "str", "default": ""}}
MEMBER: Options = {
    **{name: option for name, option in RELEASE.arguments.argument_spec.items() if name not in NOT_OF_MEMBERS},
    **_GROUP,
}
_MAY_BE_NULL = frozenset(
    spelt
    for spelt, name in spellings(MEMBER).items()
    if MEMBER[name].get("default") is None and not MEMBER[name].get("required")
)
# Whoever names a cluster by one of these names it as a whole.
_NAMES_A_CLUSTER = ("kubeconfig", "host")
STOP = "stop"


def _request(parameters: Parameters, check: bool, actor: str) -> FleetRequest:
    at_least(1, parameters, "at_once")
    if not parameters["releases"]:
        raise ArgumentError("releases is empty: give the releases, or leave the task out")
    common = {name: parameters[name] for name in CONNECTION if parameters.get(name) is not None}
    defaults = _checked(parameters["defaults"] or {}, "defaults")
    clusters: list[Connection] = []
    members: list[Member] = []
    groups: list[str] = []
    for number, given in enumerate(parameters["releases"]):
        own = _checked(given, f"releases[{number}]")
        one = _merged(common, defaults, own, number)
        from_all = {name: f"defaults.{name}" for name in _by_name(defaults).keys() - _by_name(own).keys()}
        with within(f"releases[{number}]", MEMBER, elsewhere=from_all):
            one = _validated(one)
            members.append(_member(one, clusters, check, actor))
        groups.append(one["group"])
    _must_be_different(members)
    members = _told_apart(members, groups)
    pause = _between(parameters["between"])
    try:
        waves = Waves.parse(parameters["waves"] or DEFAULT).of(groups)
        may_fail = tolerated(parameters["max_failures"], len(members))
    except Misplanned as error:
        raise ArgumentError(str(error)) from error
    return FleetRequest(
        members=tuple(members),
        waves=waves,
        clusters=tuple(clusters),
        together=parameters["together"],
        tolerated=may_fail,
        pause=pause or 0.0,
        stops=pause is None,
        at_once=parameters["at_once"],
        when_crowded=WhenCrowded(parameters["when_crowded"]),
        run=_run(parameters, check, actor),
        check=check,
    )


def _checked(given: Any, where: str) -> dict[str, Any]:
    """Options of a release that have their shapes; null gives none. Raises ArgumentError, also for a null that is no release's either:
    of an option that has a value of its own, or has to be given, and of `steps`, which nothing could stand in for unseen.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{where} is no dictionary: give the options of a release")
    given = dict(plain(given))
    # Of an inventory that says it empty, nothing is said.
    if misplaced := sorted(name for name in NOT_OF_MEMBERS if given.pop(name, None)):
        whose = f"{where} ({given['name']})" if given.get("name") else where
        raise ArgumentError(
            f"{whose} has the option {', '.join(misplaced)}, which is none of a release in a fleet: that goes on without its caller. Leave it "
            "out, or release this one by canary_release or by the role"
        )
    if problem := misshapen(MEMBER, given, f"{where}."):
        raise ArgumentError(problem)
    if strange := given.keys() - spellings(MEMBER).keys():
        raise ArgumentError(
            f"{where} has the option {', '.join(sorted(strange))}, which is none of a release in a fleet"
        )
    if given.get("steps", ()) is None:
        raise ArgumentError(
            f"{where}.steps is null, so it says nothing that the canary is to stand: give one step or more, or leave it out"
        )
    return {name: value for name, value in given.items() if value is not None or name not in _MAY_BE_NULL}


# Where one is given by an alias and the other by its name, Ansible lets the alias win, whichever was meant to.
_NAMES = spellings(CONNECTION)


def _by_name(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {_NAMES.get(name, name): value for name, value in options.items()}


def _merged(
    common: Mapping[str, Any], defaults: Mapping[str, Any], given: Mapping[str, Any], number: int
) -> dict[str, Any]:
    """Credentials go to no other server than that which they were given with: a release that names its cluster by kubeconfig or
    host takes nothing of the connection from elsewhere. An empty text is a variable that was not set, and names none."""
    ours = set(CONNECTION)
    common, defaults, given = (
        {name: value for name, value in _by_name(options).items() if value != "" or name not in ours}
        for options in (common, defaults, given)
    )
    rest = {name: value for name, value in defaults.items() if name not in ours}
    theirs = {**common, **{name: value for name, value in defaults.items() if name in ours}}
    if any(name in defaults for name in _NAMES_A_CLUSTER):
        theirs = {name: value for name, value in defaults.items() if name in ours}
    if any(name in given for name in _NAMES_A_CLUSTER):
        theirs = {}
    if "context" in given and "host" in theirs:
        raise ArgumentError(
            f"releases[{number}] names a context, and host is given for all: a host is asked whatever the context is. "
            "Give kubeconfig for all instead of host"
        )
    return {**rest, **theirs, **given}


def _validated(given: Mapping[str, Any]) -> dict[str, Any]:
    """As the options of canary_release are. Raises ArgumentError."""
    spec = RELEASE.arguments
    options = {name: dict(option) for name, option in MEMBER.items()}
    result = ArgumentSpecValidator(options, spec.mutually_exclusive, None, spec.required_one_of).validate(dict(given))
    if result.error_messages:
        raise ArgumentError(result.errors.msg)
    return dict(result.validated_parameters)


def _member(given: Mapping[str, Any], clusters: list[Connection], check: bool, actor: str) -> Member:
    """Raises ArgumentError."""
    calls = {"through": "promoted", "previous": None, "reject": "", "run": None, "rescued": False}
    alone = {"display": "quiet", "verify_tasks": "", "held": False, "expect": None, **calls}
    request = RELEASE.arguments.to_request({**given, **alone}, check, actor)
    own_tasks = [number for number, step in enumerate(request.steps) if step.verify_tasks]
    if own_tasks:
        raise ArgumentError(
            f"steps[{own_tasks[0]}].verify_tasks are tasks of the caller, and a fleet goes on without him: leave them out"
        )
    where = connection(given)
    if where not in clusters:
        clusters.append(where)
    return Member(request, clusters.index(where), given["context"] or "")


def _told_apart(members: Sequence[Member], groups: Sequence[str]) -> list[Member]:
    """Each with its cluster by the first kind of name by which people can tell the clusters apart."""
    named = [dict(member.request.call.target.cluster) for member in members]
    kinds = [
        [member.where for member in members],
        list(groups),
        *([one.get(name, "") for one in named] for name in _NAMES_A_CLUSTER),
        [f"cluster {member.cluster + 1}" for member in members],
    ]
    clusters = [member.cluster for member in members]
    is_clear = (len(set(zip(clusters, kind, strict=True))) == len(set(clusters)) == len(set(kind)) for kind in kinds)
    names = next((kind for kind, clear in zip(kinds, is_clear, strict=True) if clear), kinds[-1])
    return [replace(member, where=where) for member, where in zip(members, names, strict=True)]


def _must_be_different(members: Sequence[Member]) -> None:
    seen: dict[tuple[int, str, str], int] = {}
    for number, member in enumerate(members):
        target = member.request.call.target
        first = seen.setdefault((member.cluster, target.namespace, target.name), number)
        if first != number:
            raise ArgumentError(
                f"releases[{first}] and releases[{number}] are the same Deployment of the same cluster: leave one of them out"
            )


def _between(text: str) -> float | None:
    """Seconds; None for `stop`."""
    if text == STOP:
        return None
    if text.isascii() and text.isdigit() and len(text) < 8:
        return float(text)
    raise ArgumentError("between is neither a number of seconds nor stop")


def _run(parameters: Parameters, check: bool, actor: str) -> str:
    asked = {"name": "fleet", "namespace": "default", "wait": True, "wait_timeout": 1, "run": parameters["run"]}
    return call(asked, check, actor).meant.run


def _clusters(request: FleetRequest) -> tuple[Connection, ...]:
    return request.clusters


VERB = Verb(
    name="canary_fleet",
    arguments=ArgumentSpec(
        options={
            "releases": {"type": "list", "elements": "dict", "required": True},
            "defaults": {"type": "dict"},
            "waves": {"type": "list", "elements": "str"},
            "together": {"type": "bool", "default": True},
            "max_failures": {"type": "str", "default": "0"},
            "between": {"type": "str", "default": "0"},
            "at_once": {"type": "int", "default": 100},
            "when_crowded": {
                "type": "str",
                "choices": [each.value for each in WhenCrowded],
                "default": WhenCrowded.REFUSE.value,
            },
            **RUN,
            **DISPLAY,
        },
        build=_request,
    ),
    perform=fleet,
    clusters=_clusters,
    takes=("cut_off",),
)
