# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every verb has in common on Ansible's side: the shape of an argument spec, and the options that verbs share.

A verb's own options stand in a file of its own next to this one; module and action plugin of a verb use the same
`ArgumentSpec`, so that they cannot differ.

This module is private to the collection.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from ..cluster.connection import CONTENT, Connection, is_content, with_environment
from ..display.lines import Display
from ..values import dataclass
from ..verbs.call.orders import Call, LeaseAsked, Meant, Ownership, Target, Wait
from ..verbs.call.outcome import Outcome, Report

Options = Mapping[str, Mapping[str, Any]]
Parameters = Mapping[str, Any]

# kubernetes.core's names and aliases (its plugins/module_utils/args_common.py). They have no `fallback` here because
# cluster/connection.py reads K8S_AUTH_* itself.
CONNECTION: Options = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    # The path of a key, which is no secret: stated, because the name looks like one.
    "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {
        "type": "dict",
        "options": {
            "proxy_basic_auth": {"type": "str", "no_log": True},
            "basic_auth": {"type": "str", "no_log": True},
            "user_agent": {"type": "str"},
        },
    },
    "persist_config": {"type": "bool"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}
TARGET: Options = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "default"},
}
WAIT: Options = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
}
# Options that are lists of releases, each of which may have a manifest of its own.
SEVERAL = ("releases", "others")
# How much is shown of what goes on.
DISPLAY: Options = {"display": {"type": "str", "choices": [each.value for each in Display], "default": "picture"}}
WAIT_FOR_NODES: Options = {"wait_for_nodes": {"type": "int", "default": 0}}
# Which release is meant: canary_start says what to give.
EXPECT: Options = {"expect": {"type": "str"}}
RUN: Options = {"run": {"type": "str"}}
IDENTITY: Options = {**EXPECT, **RUN}
# One run at a time writes to a Deployment.
LONGEST_LEASE = 86_400
LEASE: Options = {
    "takeover": {"type": "bool", "default": False},
    "lease_seconds": {"type": "int"},
}
OWNERSHIP: Options = {
    "field_ownership": {
        "type": "str",
        "choices": [each.value for each in Ownership],
        "default": Ownership.GIVE_BACK.value,
    }
}
# apimachinery, pkg/util/validation: DNS1123Subdomain, what a Deployment may be called; DNS1123Label, a namespace and a container.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# No separators and no line ends: it is shown in messages and kept in the record.
_NAME_OF_RUN = re.compile(r"[!-~]{1,128}")
WAIT_TERMINATED: Options = {"wait_terminated": {"type": "bool", "default": False}}


class ArgumentError(Exception):
    """An argument that the spec's types let through and that still makes no sense: what, why, what to do. The text begins with the
    option that it is about, by its path as its caller wrote it."""


_FIRST_WORD = re.compile(r"[a-z_]+")


def renamed(told: str, names: Mapping[str, str]) -> str:
    """`told`, which begins with the name of an option, by what its caller calls this: pods is 0 -> steps[1].pods is 0. What begins with
    no option stays."""
    first = _FIRST_WORD.match(told)
    return names[first[0]] + told[first.end() :] if first and first[0] in names else told


@contextmanager
def within(
    place: str, options: Iterable[str], *refusals: type[Exception], elsewhere: Mapping[str, str] = MappingProxyType({})
) -> Iterator[None]:
    """What ArgumentError, and those others, tell of an option of those at `place` is told of its whole path; what they tell of no single one,
    of the place. `elsewhere`: the paths of those that were written at another place."""
    refused: tuple[type[Exception], ...] = (ArgumentError, *refusals)
    try:
        yield
    except refused as error:
        told = renamed(str(error), {**{name: f"{place}.{name}" for name in options}, **elsewhere})
        raise ArgumentError(told if told != str(error) else f"{place}: {told}") from error


@dataclass(frozen=True)
class ArgumentSpec:
    """The arguments of one verb, and how they become its request.

    `options` leaves the connection out, which every verb has; `build` makes the request from validated parameters and
    raises ArgumentError.
    """

    options: Options
    build: Callable[[Parameters, bool, str], Any]
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()

    @property
    def argument_spec(self) -> dict[str, dict[str, Any]]:
        """As AnsibleModule and ArgumentSpecValidator take it."""
        return {name: dict(option) for name, option in {**self.options, **CONNECTION}.items()}

    def to_request(self, parameters: Parameters, check: bool, actor: str) -> Any:
        """The frozen request; after it no mapping of parameters is passed on. Raises ArgumentError."""
        must_be_names(parameters)
        return self.build(parameters, check, actor)


@dataclass(frozen=True)
class Verb:
    """A verb as both doors know it: its name without the collection's, its arguments, and what does it.

    `perform` gets the way to the cluster that the task names, or, where `clusters` tells of a request which it is about, a crew
    that works in all of these (cluster/crew.py).
    `refused`: what a call returns besides its message where it did not come so far, from that message and the parameters. `takes`: what
    its request takes of the door beside the parameters, by the door's own names: `ask`, by which a person is asked, or `cut_off`.
    `settles`: the parameters, with what an earlier call has settled for them. Raises ArgumentError.
    """

    name: str
    arguments: ArgumentSpec
    perform: Callable[[Any, Any, Report], Outcome]
    clusters: Callable[[Any], tuple[Connection, ...]] | None = None
    refused: Callable[[str, Parameters], dict[str, Any]] = lambda why, parameters: {}
    takes: tuple[str, ...] = ()
    settles: Callable[[Parameters], Parameters] = lambda parameters: parameters


def must_be_names(parameters: Parameters) -> None:
    """Raises ArgumentError for what no Deployment or namespace is called: it would be another path of the API, or any object."""
    for option, pattern, what in (("name", NAME, "Deployment"), ("namespace", LABEL, "namespace")):
        given = parameters.get(option)
        if given is not None and not pattern.fullmatch(given):
            raise ArgumentError(
                f"{option} is {'empty' if not given else 'nothing that a ' + what + ' can be called'}: give the name of a {what}, "
                f"of lower-case letters, digits and -{' and .' if pattern is NAME else ''}"
            )


def spellings(options: Options) -> dict[str, str]:
    """What an option may be called, by its name or an alias -> its name."""
    return {spelt: name for name, option in options.items() for spelt in (name, *option.get("aliases", ()))}


def connection(parameters: Parameters) -> Connection:
    """The connection options alone; what was not given stays None."""
    given = {option.name: parameters.get(option.name) for option in fields(Connection)}
    if given["impersonate_groups"] is not None:
        given["impersonate_groups"] = tuple(given["impersonate_groups"])
    if given["proxy_headers"] is not None:
        given["proxy_headers"] = {name: text for name, text in given["proxy_headers"].items() if text} or None
    if not isinstance(given["kubeconfig"], str | Mapping | None):
        raise ArgumentError("kubeconfig is neither a path nor a dictionary: give one of these")
    if isinstance(given["kubeconfig"], str) and is_content(given["kubeconfig"]):
        raise ArgumentError(CONTENT)
    return Connection(**given)


def call(parameters: Parameters, check: bool, actor: str) -> Call:
    """What every verb with a target is told. Raises ArgumentError."""
    at_least(1, parameters, "wait_timeout")
    at_least(0, parameters, "wait_for_nodes", "lease_seconds")
    if (parameters.get("lease_seconds") or 0) > LONGEST_LEASE:
        raise ArgumentError(
            f"lease_seconds is {parameters['lease_seconds']}: it must be {LONGEST_LEASE} (a day) or less, because nobody else may write meanwhile"
        )
    wait = Wait(
        enabled=parameters["wait"],
        timeout=float(parameters["wait_timeout"]),
        terminated=parameters.get("wait_terminated", False),
        for_nodes=float(parameters.get("wait_for_nodes", 0)),
    )
    target = Target(parameters["name"], parameters["namespace"], *_cluster(parameters))
    lease = LeaseAsked(seconds=parameters.get("lease_seconds"), takeover=parameters.get("takeover", False))
    ownership = Ownership(parameters.get("field_ownership") or Ownership.GIVE_BACK.value)
    return Call(target, wait, check, actor, meant(parameters), lease, ownership)


# What says which cluster it is, and as whom, for a command that comes back to it. What else is given with them may be secret.
_REPEATED = (
    "kubeconfig",
    "context",
    "host",
    "username",
    "ca_cert",
    "client_cert",
    "client_key",
    "proxy",
    "impersonate_user",
)


def _cluster(parameters: Parameters) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The options that a later command needs to come back to this cluster, as they are in force, and the names of those that must
    not be repeated: passwords and keys, the content of a kubeconfig, an address with a password in it."""
    asked = connection(parameters)
    given = with_environment(asked, os.environ)
    if asked.host and not (asked.kubeconfig or asked.context):
        # Named in a command a kubeconfig would be meant for this host, whosever server it is of.
        given = replace(given, kubeconfig=None, context=None)
    named = {name: getattr(given, name) for name in _REPEATED}
    if not any((given.kubeconfig, given.context, given.host)):
        named["kubeconfig"] = os.environ.get("KUBECONFIG")
    secret = [name for name, value in named.items() if value and not _may_be_shown(name, value)]
    secret += [name for name in ("api_key", "password", "proxy_headers") if getattr(given, name)]
    shown = tuple((name, text) for name, text in named.items() if text and name not in secret)
    checks = () if given.validate_certs is None else (("validate_certs", str(given.validate_certs)),)
    groups = (("impersonate_groups", ",".join(given.impersonate_groups)),) if given.impersonate_groups else ()
    return (*shown, *checks, *groups), tuple(secret)


def _may_be_shown(name: str, value: Any) -> bool:
    if name == "kubeconfig":
        return isinstance(value, str) and not is_content(value)
    return name not in ("host", "proxy") or "@" not in value


def meant(parameters: Parameters) -> Meant:
    """The release that the call is about. Raises ArgumentError for an empty text, which is a variable that was not set: it must not
    mean just any release."""
    for name in ("expect", "run"):
        if parameters.get(name) == "":
            raise ArgumentError(
                f"{name} is empty, so it names no release: give what canary_start returned, or leave it out"
            )
    run = parameters.get("run") or ""
    if run and not _NAME_OF_RUN.fullmatch(run):
        raise ArgumentError(
            "run has blanks, line ends or letters beyond ASCII, or is longer than 128: give a plain name"
        )
    return Meant(hash=parameters.get("expect") or "", run=run)


def at_least(least: int, parameters: Parameters, *names: str) -> None:
    """Raises ArgumentError when one of the named numbers is given and smaller, or is none: Ansible takes nan and inf for numbers."""
    for name in names:
        value = parameters.get(name)
        if value is not None and not least <= value < math.inf:
            raise ArgumentError(f"{name} is {value}: it must be {least} or more")
