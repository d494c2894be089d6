# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `definition`: a Deployment manifest as a dictionary, as YAML or JSON text, or in a file.

Text means what it means to kubectl. This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..verbs.call.orders import API_VERSION
from .arguments import ArgumentError
from .shapes import TOO_DEEP, too_deep

# Options that are whole objects of the API.
_READ_BY_ANSIBLE = ("definition", "pod_template_patch")


def read_definition(definition: object, name: str, namespace: str) -> dict[str, Any]:
    """The manifest of the Deployment `name` in `namespace`. Raises ArgumentError.

    Of several objects (YAML documents, the items of a List) the one that is this Deployment is taken, where one without a
    namespace is in this one; a single object is taken as it is, so that the verb can say what is wrong with it.
    """
    found = [each for document in _documents(definition) for each in _objects(document)]
    if len(found) > 1:
        found = [each for each in found if _is_deployment(each, name, namespace)]
        if len(found) != 1:
            raise ArgumentError(
                f"definition has several objects, and {len(found)} of them are a Deployment called {name} in namespace "
                f"{namespace}: give the manifest of exactly one"
            )
    if not found or not isinstance(found[0], Mapping):
        raise ArgumentError("definition is not a manifest: give a dictionary, YAML text, or the path of a YAML file")
    return plain(found[0])


def path_in(definition: object) -> str | None:
    """The path, when `definition` is one: a line that YAML reads as a text instead of a mapping."""
    if not isinstance(definition, str) or "\n" in definition.strip():
        return None
    try:
        found = _parsed(definition)
    except ArgumentError:
        return None
    return definition.strip() if len(found) == 1 and isinstance(found[0], str) else None


def encoding_of(path: str) -> str:
    """The name of a file's encoding, where it says so at its beginning, else UTF-8."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def check_read_elsewhere(arguments: Mapping[str, object]) -> None:
    """Ansible reads the YAML of a playbook before anybody else, and by other rules than kubectl: what it has lost by then is
    refused instead of guessed. Raises ArgumentError."""
    for option, given in arguments.items():
        if too_deep(given):
            # What is no option of ours may be called like a secret.
            raise ArgumentError(f"{option if option in _READ_BY_ANSIBLE else 'an option'} {TOO_DEEP}")
    for option in _READ_BY_ANSIBLE:
        for path, what in _lost(arguments.get(option), option):
            raise ArgumentError(
                f"{path} {what}, as Ansible read it, and what was written is lost: put it in quotes, or give definition as "
                "the path of a file, which is read as kubectl reads it"
            )


def _lost(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, element in value.items():
            if isinstance(key, bool | date) or key is None:
                yield path, f"has a key that is {_kind(key)}"
            yield from _lost(element, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, element in enumerate(value):
            yield from _lost(element, f"{path}[{number}]")
    elif isinstance(value, datetime):  # a date without a time is written in one way only
        yield path, f"is {_kind(value)}"


def _kind(value: object) -> str:
    return {bool: "a boolean", type(None): "null"}.get(type(value), "a date or a time")


def quotable(path: str) -> str:
    """The path, unless it may be something else that somebody has put into the wrong place."""
    return (
        f"the file {path}" if path.endswith((".yml", ".yaml", ".json")) else "a file (not shown: it is called no .yml)"
    )


def _documents(definition: object) -> list[Any]:
    path = path_in(definition)
    if path is not None:
        return _parsed(_read(path))
    if isinstance(definition, str):
        return _parsed(definition)
    return [definition] if isinstance(definition, Mapping) else list(definition) if isinstance(definition, list) else []


def _objects(document: Any) -> Iterator[Any]:
    """The document, or what is in it where it is a list of objects."""
    items = document.get("items") if isinstance(document, Mapping) else None
    if isinstance(items, list) and str(document.get("kind")).endswith("List"):
        for item in items:
            yield from _objects(item)
    else:
        yield document


def _read(path: str) -> str:
    from .kubectl_yaml import NotYaml, text_of

    try:
        return text_of(Path(path).expanduser().read_bytes())
    except NotYaml as error:
        raise ArgumentError(f"definition names {quotable(path)}, which {error}") from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of a user that this host does not know
        raise ArgumentError(
            f"definition names {quotable(path)}, which cannot be read on this host: {type(error).__name__}. "
            "Give a path that exists there, or the manifest itself"
        ) from None


def _parsed(text: str) -> list[Any]:
    # Loaded by the few tasks that bring text.
    from .kubectl_yaml import NotYaml, documents

    try:
        return documents(text)
    except NotYaml as error:
        raise ArgumentError(f"definition {error}") from None


def _is_deployment(document: object, name: str, namespace: str) -> bool:
    if not isinstance(document, Mapping) or document.get("kind") != "Deployment":
        return False
    if document.get("apiVersion", API_VERSION) != API_VERSION:
        return False
    metadata = document.get("metadata")
    return (
        isinstance(metadata, Mapping)
        and metadata.get("name") == name
        and (metadata.get("namespace") or namespace) == namespace
    )


def plain(value: Any) -> Any:
    """`value` as JSON would carry it: YAML turns an unquoted date into an object, which no API takes."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    return value.isoformat() if isinstance(value, date) else value
