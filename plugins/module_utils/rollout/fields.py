# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API objects read field by field, each as the type that the API gives it.

A server that keeps to its API never shows another type, but what answers may be no such server. Whatever JSON stands in
the place of a field, reading it gives a value of its type or raises `Malformed`. Values are never shown: they may be
secrets. This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, TypeGuard

# apimachinery, pkg/util/validation: DNS1123Subdomain, for names that are parts of paths.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
MAX_INT64 = 2**63 - 1
# What is worked out of texts that come again with every answer is kept for so many of them: a fleet of hundreds of releases has a few of
# each kind at a time for every one, and would otherwise work out each anew.
MOST_AT_ONCE = 2048
# Far deeper than any type of the API, and far less than what recursion bears.
MOST_DEPTH = 60

_TYPES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a fraction"}


class Malformed(ValueError):
    """A field of an API object is not what the API says; the text names the field and what is there instead."""

    def __init__(self, path: str, found: Any, wanted: str) -> None:
        super().__init__(f"{path} is {_TYPES.get(type(found), 'nothing')}, and not {wanted}")


_EMPTY: Mapping[str, Any] = {}


class Fields:
    """A JSON object: what is absent or null is empty. `place`: the kind of a whole object, or of which object
    this is which member, or which item of a member."""

    __slots__ = ("_place", "raw")

    def __init__(self, value: Any, place: str | tuple[Fields, str, int | None]) -> None:
        self._place = place
        self.raw: Mapping[str, Any] = _EMPTY if value is None else value
        if not isinstance(self.raw, dict):
            raise Malformed(self.path, value, "an object")

    @property
    def path(self) -> str:
        """Put together only where somebody is told of it: most fields are as they should be."""
        if isinstance(self._place, str):
            return self._place
        outer, name, item = self._place
        return outer._at(name) if item is None else f"{outer._at(name)}[{item}]"

    def within(self, name: str) -> Fields:
        return Fields(self.raw.get(name), (self, name, None))

    def each(self, name: str) -> list[Fields]:
        found = self.raw.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise Malformed(self._at(name), found, "a list")
        return [Fields(item, (self, name, i)) for i, item in enumerate(found)]

    def text(self, name: str) -> str:
        """Halves of characters, which JSON can hold and UTF-8 cannot, become U+FFFD."""
        found = self.raw.get(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise Malformed(self._at(name), found, "a text")
        return found if found.isascii() else whole(found)

    def name(self, name: str) -> str:
        found = self.text(name)
        if not NAME.fullmatch(found):
            raise Malformed(self._at(name), found, "a name that an object can have")
        return found

    def texts(self, name: str) -> dict[str, str]:
        raw = self.raw.get(name)
        if raw is None:
            return {}
        if isinstance(raw, dict) and _are_plain(raw):
            return dict(raw)
        found = self.within(name)
        return {whole(key): found.text(key) for key in found.raw}

    def words(self, name: str) -> list[str]:
        """A list of texts."""
        found = self.raw.get(name)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise Malformed(self._at(name), found, "a list of texts")
        return [whole(item) for item in found]

    def integer(self, name: str) -> int | None:
        found = self.raw.get(name)
        if found is None:
            return None
        if isinstance(found, int) and not isinstance(found, bool) and -MAX_INT64 <= found <= MAX_INT64:
            return found
        raise Malformed(self._at(name), found, "a whole number of 64 bits")

    def count(self, name: str) -> int | None:
        found = self.integer(name)
        if found is not None and found < 0:
            raise Malformed(self._at(name), found, "a number from 0 on")
        return found

    def flag(self, name: str) -> bool:
        found = self.raw.get(name)
        if found is not None and not isinstance(found, bool):
            raise Malformed(self._at(name), found, "true or false")
        return bool(found)

    def share(self, name: str) -> int | str | None:
        """IntOrString: a count or a percentage."""
        return self.text(name) if isinstance(self.raw.get(name), str) else self.count(name)

    def required(self, name: str) -> Fields:
        if self.raw.get(name) is None:
            raise Malformed(self._at(name), None, "an object")
        return self.within(name)

    def _at(self, name: str) -> str:
        """Of a name that no field has, only that there is one: it is foreign text."""
        return f"{self.path}.{name}" if re.fullmatch(r"[A-Za-z0-9_:]{1,40}", name) else f"{self.path}[...]"


def is_integer(value: Any) -> TypeGuard[int]:
    """As JSON has it: to Python, true and false are numbers as well."""
    return isinstance(value, int) and not isinstance(value, bool)


def _are_plain(texts: Mapping[str, Any]) -> bool:
    """Whether they are ASCII, names and values, and nothing but texts: as nearly always."""
    try:
        return all(map(str.isascii, texts.values())) and all(map(str.isascii, texts))
    except TypeError:
        return False


def whole(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text


def _all_whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {whole(key): _all_whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_all_whole(item) for item in value]
    return whole(value) if isinstance(value, str) else value


def items(answer: Mapping[str, Any], kind: str) -> list[Any]:
    """The items of a list as it was answered."""
    found = answer.get("items")
    if found is not None and not isinstance(found, list):
        raise Malformed(f"{kind}List.items", found, "a list")
    return found or []


# A type; a list of items of one shape; or an object with members of these shapes ("*": any other), of which one in a tuple has to be there.
Shape = Any


def must_be(value: Any, shape: Shape, place: str) -> None:
    """For objects that are passed on as they are: what is read of them is what the API says. What is absent or null is empty.

    Raises Malformed.
    """
    wanted: type[Any] = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise Malformed(place, value, _TYPES[wanted])
    if isinstance(shape, list):
        for number, item in enumerate(value):
            must_be(item, shape[0], f"{place}[{number}]")
    elif isinstance(shape, dict):
        any_other = shape.get("*")
        for name in value if any_other else shape:
            inner = shape.get(name, any_other)
            needed, inner = isinstance(inner, tuple), inner[0] if isinstance(inner, tuple) else inner
            if value.get(name) is not None or needed:
                must_be(value.get(name), inner, f"{place}.{name}")


class Template(dict[str, Any]):
    """A pod template as it was read, which nobody changes. `digest` says which one it is, once somebody has asked (template.py): a wait
    asks of the same ones again and again, at every event."""

    digest = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Of a copy, which may be changed, it says nothing: that is a plain dict."""
        return dict, (dict(self),)


def pod_template(fields: Fields) -> Template:
    """A pod template whose parts that a release looks into are what they should be; the rest may be anything."""
    plain = _check_depth(fields)
    meta = fields.within("metadata")
    meta.texts("labels")
    meta.texts("annotations")
    spec = fields.required("spec")
    if not spec.each("containers"):
        raise Malformed(f"{spec.path}.containers", spec.raw.get("containers"), "a list with a container")
    for member in ("initContainers", "containers"):
        for container in spec.each(member):
            container.name("name")
            container.text("image")
    return Template(fields.raw if plain else _all_whole(fields.raw))


def _check_depth(fields: Fields) -> bool:
    """Whether all its texts are ASCII. Raises Malformed where it is nested too deeply."""
    level, plain = [fields.raw], True
    for _depth in range(MOST_DEPTH):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                plain = plain and all(map(str.isascii, value))
            for part in value.values() if isinstance(value, dict) else value:
                if isinstance(part, str):
                    plain = plain and part.isascii()
                elif isinstance(part, (dict, list)):
                    deeper.append(part)
        if not deeper:
            return plain
        level = deeper
    raise Malformed(fields.path, fields.raw, f"one of at most {MOST_DEPTH} levels")
