# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values of a task must never be shown, and what may be shown of its arguments.

A kubeconfig or a manifest is not hidden as a whole, because every string in it (a context called "web", say) would then be
cut out of unrelated results; only its secret leaves are (kubernetes.core issue 870).

This module is private to the collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from itertools import chain
from traceback import format_exception
from typing import Any

from ..cluster.connection import Connection, is_content, with_environment
from ..cluster.secrets import secrets_in, values_in, without
from .arguments import SEVERAL, Options

# All texts but these may be what somebody put into the wrong option.
_SHOWN = frozenset({"name", "namespace"})
_OBJECTS = ("definition", "pod_template_patch")
_NUMBERS = frozenset({"int", "float", "bool"})
# What a playbook, a later call or a person goes by: codes, names of things, the versions, and what the task itself said in the open. No text
# of others comes there; but a variable of the template may have any of them for its value.
STEERS = frozenset(
    (
        *("failure", "phase", "stage", "outcome", "verdict", "rule", "exactness", "what", "of", "waits_for", "noticed"),
        *("name", "namespace", "cluster", "run", "hash", "replica_set", "images", "ip", "node", "stable"),
        *("kind", "service", "routes", "autoscaler", "began", "outgrown", "to_verify", "stood"),
    )
)
# What the task says in the open: no value is a secret that stands in one of these, too.
_OPEN = ("name", "namespace", "context", "kubeconfig", "run", "expect", "verify_tasks")
NOT_SHOWN = "(not shown)"


class Secrets:
    """What must not be shown, growing while it becomes known, and how it is cut out of everything."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: set[str] = set()
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        self._texts.update(text for text in texts if text.strip())

    def cut_from(self, value: Any) -> Any:
        return without(value, self._texts)

    def cut_from_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Of a task: what is told, and not what steers. A password such as `a` is found in nearly all names, and a task without `failed`
        counts as done; and whoever takes up a release goes by what this says of it."""
        cut: dict[str, Any] = without(result, self._texts, STEERS)
        return cut

    @contextmanager
    def cut_from_errors(self) -> Iterator[None]:
        """What is raised by mistake is raised all the same, but says nothing secret."""
        try:
            yield
        except Exception as error:
            told = "".join(format_exception(error))
            shown = self.cut_from(told)
            if shown != told:
                raise RuntimeError(shown) from None
            raise


def secrets_of(arguments: Mapping[str, Any]) -> frozenset[str]:
    """All that is secret in a task's arguments as they were given, whatever their types."""
    tasks = list(_of_releases(arguments))
    given = [text for task in tasks for text in map(task.get, _OPEN) if isinstance(text, str) and not is_content(text)]
    try:
        confided = {value for task in tasks for name in _OBJECTS for value in values_in(task.get(name))}
        return secrets_in(arguments) | {value for value in confided if not any(value in text for text in given)}
    except RecursionError:
        # It is nested too deeply for anything, which is refused before any of it is read or shown.
        return frozenset()


def _of_releases(arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the task is given, and what each of several releases is."""
    lists = [given if isinstance(given, list | tuple) else [given] for given in map(arguments.get, SEVERAL)]
    for one in (arguments, arguments.get("defaults"), *chain.from_iterable(lists)):
        if isinstance(one, Mapping):
            yield one


def secrets_of_connection(connection: Connection) -> frozenset[str]:
    """What the environment adds to a connection."""
    settings = with_environment(connection, os.environ)
    return secrets_in({option.name: getattr(settings, option.name) for option in fields(settings)})


def shown(parameters: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """The parameters as a result's `invocation` may carry them: numbers and the target; of all else, that it was given."""
    return {
        name: value if value is None or _may_be_shown(name, value, options) else NOT_SHOWN
        for name, value in parameters.items()
        if name in options
    }


def _may_be_shown(name: str, value: object, options: Options) -> bool:
    if name in _SHOWN:
        return isinstance(value, str)
    return options.get(name, {}).get("type") in _NUMBERS and isinstance(value, bool | int | float)
