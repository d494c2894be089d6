# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `definition`: a Deployment manifest as a dictionary, as YAML text, or in a file.

This module is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from .arguments import ArgumentError


def read_definition(definition: object, name: str) -> dict[str, Any]:
    """The manifest of the Deployment `name`. Raises ArgumentError.

    Of several YAML documents the one that is this Deployment is taken; a single one is taken as it is, so that the
    verb can say what is wrong with it.
    """
    documents = [definition] if isinstance(definition, Mapping) else _documents(definition)
    if len(documents) > 1:
        documents = [each for each in documents if _is_deployment(each, name)]
        if len(documents) != 1:
            raise ArgumentError(
                f"definition has several documents, and {len(documents)} of them are a Deployment called {name}: "
                "give the manifest of exactly one"
            )
    if not documents or not isinstance(documents[0], Mapping):
        raise ArgumentError("definition is no manifest: give a dictionary, YAML text, or the path of a YAML file")
    return plain(documents[0])


def path_in(definition: object) -> str | None:
    """The path, when `definition` is one: a line that YAML reads as a text instead of a mapping."""
    if not isinstance(definition, str) or "\n" in definition.strip():
        return None
    try:
        documents = _parse(definition)
    except ArgumentError:
        return None
    return definition.strip() if len(documents) == 1 and isinstance(documents[0], str) else None


def quotable(path: str) -> str:
    """The path, unless it may be something else that somebody has put into the wrong place."""
    return (
        f"the file {path}" if path.endswith((".yml", ".yaml", ".json")) else "a file (not shown: it is called no .yml)"
    )


def _documents(definition: object) -> list[Any]:
    path = path_in(definition)
    if path is not None:
        return _parse(_read(path))
    if isinstance(definition, str):
        return _parse(definition)
    return list(definition) if isinstance(definition, list) else []


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"definition names {quotable(path)}, which cannot be read on this host: {type(error).__name__}. "
            "Give a path that exists there, or the manifest itself"
        ) from None


def _parse(text: str) -> list[Any]:
    # Imported here: modules must be importable without it (ansible-test), and most calls do not need it.
    try:
        import yaml
    except ImportError as error:
        raise ArgumentError(
            "definition is text, and the Python that runs this has no PyYAML: install it, or give a dictionary"
        ) from error
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        # The error's own text would quote the manifest, which may hold secrets.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ArgumentError(f"definition is no valid YAML{where}: correct it") from None


def _is_deployment(document: object, name: str) -> bool:
    if not isinstance(document, Mapping) or document.get("kind") != "Deployment":
        return False
    metadata = document.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("name") == name


def plain(value: Any) -> Any:
    """`value` as JSON would carry it: YAML turns an unquoted date into an object, which no API takes."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    return value.isoformat() if isinstance(value, date) else value
