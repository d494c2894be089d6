# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a big list: its objects are made one after another, of each no more than is wanted, and nothing is kept.

Where msgspec is installed it skips what nobody asked for without building it, which is five times as fast. Without it, the standard
library builds each object whole and the rest is dropped. Both make the same objects of the same bytes.

This module is private to the collection.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from types import UnionType
from typing import (
    Any,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Object = Mapping[str, Any]
# Where the API server has written what it says of the list as a whole, which comes before the items.
_HEAD_BYTES = 65536
_BLANK = re.compile(r"[ \t\r\n]*")
_SCAN = json.JSONDecoder()


class NotAList(ValueError):
    """The body is not a list as an API server writes it."""


def parser() -> str:
    """Which library big lists are decoded with."""
    return "json" if _msgspec() is None else "msgspec"


class Page:
    """`moment` is the resourceVersion that the page was read at, `position` where the list goes on ("" at its end).

    Raises NotAList.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        metadata = _metadata(body)
        self.moment = str(metadata.get("resourceVersion") or "")
        self.position = str(metadata.get("continue") or "")

    def objects(self, wanted: type) -> Iterator[Object]:
        """The items, once. `wanted` is a TypedDict: fields that it does not name are left out. Raises NotAList."""
        try:
            yield from _maker(wanted)(self._taken())
        except (ValueError, IndexError, AttributeError) as error:  # msgspec's own errors are of the first kind
            raise NotAList(str(error)) from error

    def _taken(self) -> bytes:
        """The body, which is not kept while its objects are looked at."""
        body, self._body = self._body, b""
        return body


def _msgspec() -> Any:
    try:
        import msgspec
    except ImportError:
        return None
    return msgspec


@lru_cache(maxsize=16)
def _maker(wanted: type) -> Callable[[bytes], Iterator[Object]]:
    """What makes the items of a page from its body."""
    return by_json(wanted) if _msgspec() is None else by_msgspec(wanted)


def by_msgspec(wanted: type) -> Callable[[bytes], Iterator[Object]]:
    """All items of a page at once, but of each only what is wanted."""
    msgspec = _msgspec()
    whole = msgspec.defstruct("List", [("items", Union[list[wanted], None], None)])  # type: ignore[valid-type]
    decode = msgspec.json.Decoder(whole).decode
    return lambda body: _let_go(decode(body).items or [])


def _let_go(items: list[Object]) -> Iterator[Object]:
    """Each item in its turn, and then nothing holds it any more: what is freed at once is still in the processor's cache."""
    items.reverse()
    while items:
        yield items.pop()


def by_json(wanted: type) -> Callable[[bytes], Iterator[Object]]:
    """Item after item: never two of them at once."""
    return lambda body: map(_pruner(wanted), _one_by_one(body.decode()))


def _pruner(wanted: Any) -> Callable[[Any], Any]:
    """What leaves of a value only the fields that its type names. Types are those of a TypedDict: see headroom/fields.py."""
    if get_origin(wanted) in (Union, UnionType):
        (wanted,) = (one for one in get_args(wanted) if one is not type(None))
    if is_typeddict(wanted):
        fields = {name: _pruner(kind) for name, kind in get_type_hints(wanted).items()}
        return partial(_only, fields)
    if get_origin(wanted) is list:
        return partial(_each, _pruner(get_args(wanted)[0]))
    return _whole


def _only(fields: Mapping[str, Callable[[Any], Any]], value: Object | None) -> Object | None:
    return value and {name: fields[name](inner) for name, inner in value.items() if name in fields}


def _each(prune: Callable[[Any], Any], values: list[Any] | None) -> list[Any] | None:
    return values and list(map(prune, values))


def _whole(value: Any) -> Any:
    return value


def _metadata(body: bytes) -> Object:
    """What the list says of itself, without a look at its items where they come last."""
    try:
        try:
            found = _before_items(body[:_HEAD_BYTES].decode("utf-8", "ignore"))
        except (ValueError, IndexError):
            found = None
        if found is None:
            found = json.loads(body).get("metadata")
    except (ValueError, AttributeError) as error:
        raise NotAList(str(error)) from error
    return found if isinstance(found, dict) else {}


def _before_items(text: str) -> Object | None:
    """The list's metadata when it stands before the items."""
    for key, at in _fields(text):
        if key == "metadata":
            found: Object = _SCAN.raw_decode(text, at)[0]
            return found
        if key == "items":
            return None
    return None


def _one_by_one(text: str) -> Iterator[Object]:
    """Each item as it is reached."""
    for key, at in _fields(text):
        if key == "items" and text[at] == "[":
            end = yield from _elements(text, at + 1)
            _after(text, end, "}")
            return


def _fields(text: str) -> Iterator[tuple[str, int]]:
    """The keys of the outermost object, and where the value of each begins. The values in between are passed over."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise NotAList("the answer is no object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _SCAN.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            raise NotAList(f"no colon after {key!r}")
        at = _skip(text, at + 1)
        yield key, at
        at = _after(text, _SCAN.raw_decode(text, at)[1], "}")


def _elements(text: str, at: int) -> Generator[Object, None, int]:
    """The members of an array, and in the end where it ends."""
    at = _skip(text, at)
    while text[at] != "]":
        value, at = _SCAN.raw_decode(text, at)
        yield value
        at = _after(text, at, "]")
    return at + 1


def _after(text: str, at: int, end: str) -> int:
    """Where the next member begins after one that ended at `at`, or where `end` stands."""
    at = _skip(text, at)
    if text[at] == ",":
        return _skip(text, at + 1)
    if text[at] != end:
        raise NotAList(f"neither a comma nor {end} at {at}")
    return at


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
