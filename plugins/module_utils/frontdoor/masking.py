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

from ..cluster.connection import Connection, with_environment
from ..cluster.secrets import secrets_in, values_in, without
from .arguments import Options
from .manifest import SEVERAL

# All texts but these may be what somebody put into the wrong option.
_SHOWN = frozenset({"name", "namespace"})
_OBJECTS = ("definition", "pod_template_patch")
_NUMBERS = frozenset({"int", "float", "bool"})
_CODES = ("failure",)
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
        """Of a task. Its own names, and the codes of failures, are no secrets, and playbooks go by them: a password such as `a` is
        found in nearly all of them, and a task without `failed` counts as done."""
        cut = dict(zip(result, self.cut_from(list(result.values())), strict=True))
        return {**cut, **{name: result[name] for name in _CODES if name in result}}

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
    try:
        return secrets_in(arguments).union(*map(values_in, _objects(arguments)))
    except RecursionError:
        # It is nested too deeply for anything, which is refused before any of it is read or shown.
        return frozenset()


def _objects(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Those of the task, and of each of several releases."""
    lists = [given if isinstance(given, list | tuple) else [given] for given in map(arguments.get, SEVERAL)]
    for one in (arguments, arguments.get("defaults"), *chain.from_iterable(lists)):
        if isinstance(one, Mapping):
            yield from (one.get(name) for name in _OBJECTS)


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
