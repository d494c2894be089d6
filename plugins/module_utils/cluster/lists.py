# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a big list: its objects are made one after another, of each no more than is wanted, and nothing is kept.

What is wanted is said by a TypedDict. Where msgspec is installed it skips what nobody asked for without building it, which is several
times as fast, and leaves a field that is Annotated with LATER in the bytes of the page until somebody reads it: most objects are only
compared with their neighbours. Without it, the standard library builds each object whole and the rest is dropped. Both make
the same objects of the same bytes, to be read like dictionaries.

This module is private to the collection.
"""

from __future__ import annotations

import collections.abc
import json
import re
from functools import lru_cache, partial, reduce
from operator import attrgetter
from types import UnionType
from typing import (
    Any,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Protocol,
    Sequence,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from ..values import dataclass

Object = Mapping[str, Any]
LATER = "later"
# Where the API server has written what it says of the list as a whole, which comes before the items.
_HEAD_BYTES = 65536
_BLANK = re.compile(r"[ \t\r\n]*")
_SCAN = json.JSONDecoder()


class NotAList(ValueError):
    """The body is not a list as an API server writes it."""


class Body(Protocol):
    """Of an answer, perhaps still packed."""

    def beginning(self, count: int) -> bytes:
        """At most so many bytes of it."""

    def whole(self) -> bytes:
        """All of it."""


def parser() -> str:
    """Which library big lists are decoded with."""
    return "json" if _msgspec() is None else "msgspec"


class Page:
    """`moment` is the resourceVersion that the page was read at, `position` where the list goes on ("" at its end).

    Raises NotAList.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._unpacked: bytes | None = None
        metadata = self._metadata()
        self.moment = str(metadata.get("resourceVersion") or "")
        self.position = str(metadata.get("continue") or "")

    def unpack(self) -> None:
        """Makes ready for `objects`, on any thread."""
        if self._unpacked is None:
            self._unpacked = self._body.whole()

    def objects(self, wanted: type) -> Iterator[Object]:
        """The items, once. Fields that the TypedDict `wanted` does not name are left out. Raises NotAList."""
        make = _maker(wanted)
        try:
            yield from make(self._taken())
        except _malformed() as error:
            raise NotAList(str(error)) from error

    def _taken(self) -> bytes:
        """The body, which is not kept while its objects are looked at."""
        self.unpack()
        body, self._unpacked = self._unpacked, b""
        return body or b""

    def _metadata(self) -> Object:
        """What the list says of itself, without a look at its items where they come last."""
        try:
            try:
                found = _before_items(self._body.beginning(_HEAD_BYTES).decode("utf-8", "ignore"))
            except (ValueError, IndexError):
                found = None
            if found is None:
                self.unpack()
                found = json.loads(self._unpacked or b"").get("metadata")
        except (ValueError, AttributeError) as error:
            raise NotAList(str(error)) from error
        return found if isinstance(found, dict) else {}


def _malformed() -> tuple[type[Exception], ...]:
    """What reading a broken body raises. Errors of msgspec are no ValueError before its version 0.19."""
    msgspec = _msgspec()
    return (ValueError, IndexError, AttributeError, *((msgspec.MsgspecError,) if msgspec is not None else ()))


def _msgspec() -> Any:
    try:
        import msgspec
    except ImportError:
        return None
    return msgspec


@dataclass(frozen=True)
class Glances:
    """How to look at objects that are too many to be read by key.

    `fields` makes of two or more paths such as "spec.nodeName" what takes the values at them out of an object, all at once. They may be
    compared; an absent one is false, and where the object that it should be in is absent AttributeError may be raised.
    `mentions` makes of a word what tells whether the text of it may be a field of an object in such a value, which is a list.
    """

    fields: Callable[[Sequence[str]], Callable[[Object], tuple[Any, ...]]]
    mentions: Callable[[str], Callable[[Any], bool]]


def glances() -> Glances:
    """Those for the objects that are made here."""
    return BY_KEY if _msgspec() is None else BY_ATTRIBUTE


def _at(paths: Sequence[str]) -> Callable[[Object], tuple[Any, ...]]:
    ways = [path.split(".") for path in paths]
    return lambda one: tuple(reduce(_inside, way, one) for way in ways)


def _inside(value: Any, name: str) -> Any:
    return value and value.get(name)


def _among_values(word: str) -> Callable[[Any], bool]:
    return lambda ones: any(word in one.values() for one in ones or ())


def _among_bytes(word: str) -> Callable[[Any], bool]:
    sought = word.encode()
    return lambda unread: bool(unread) and sought in bytes(unread)


BY_KEY = Glances(_at, _among_values)
BY_ATTRIBUTE = Glances(lambda paths: attrgetter(*paths), _among_bytes)


def kept(value: Any) -> Any:
    """The same in dictionaries and lists of its own: what is unread holds the memory of a whole page."""
    if isinstance(value, list):
        return list(map(kept, value))
    return {name: kept(inner) for name, inner in value.items()} if hasattr(value, "items") else value


@lru_cache(maxsize=16)
def _maker(wanted: type) -> Callable[[bytes], Iterator[Object]]:
    """What makes the items of a page from its body."""
    return by_json(wanted) if _msgspec() is None else by_msgspec(wanted)


def by_msgspec(wanted: type) -> Callable[[bytes], Iterator[Object]]:
    """All items of a page at once, but of each only what is wanted."""
    msgspec = _msgspec()
    whole = msgspec.defstruct("List", [("items", Union[list[_record(wanted)], None], None)])  # type: ignore[misc]
    decode = msgspec.json.Decoder(whole).decode
    return lambda body: _let_go(decode(body).items or [])


def _record(wanted: Any) -> Any:
    """The type with a struct for each TypedDict in it, which is half as large as a dictionary, and made and compared faster."""
    if get_origin(wanted) in (Union, UnionType):
        return Union[tuple(map(_record, get_args(wanted)))]
    if get_origin(wanted) is list:
        return list[_record(get_args(wanted)[0])]  # type: ignore[misc]
    return _struct(wanted) if is_typeddict(wanted) else wanted


def _struct(wanted: type) -> Any:
    """The fields are attributes, or read by key, like those of the dictionary that it stands for."""
    msgspec = _msgspec()
    absent, unread = msgspec.UNSET, msgspec.Raw
    kinds = get_type_hints(wanted, include_extras=True)
    late = {name: kind.__origin__ for name, kind in kinds.items() if LATER in getattr(kind, "__metadata__", ())}
    read = {name: msgspec.json.Decoder(_record(kind)).decode for name, kind in late.items()}
    fields = [
        (name, Union[unread if name in late else _record(kind), msgspec.UnsetType], absent)
        for name, kind in kinds.items()
    ]

    def get(record: Any, name: str, default: Any = None) -> Any:
        found = getattr(record, name) if name in kinds else absent
        if found is absent:
            return default
        return read[name](found) if name in late else found

    def value(record: Any, name: str) -> Any:
        found = get(record, name, absent)
        if found is absent:
            raise KeyError(name)
        return found

    def names(record: Any) -> Iterator[str]:
        return (name for name in kinds if getattr(record, name) is not absent)

    like_a_dictionary = {
        **{name: getattr(collections.abc.Mapping, name) for name in ("keys", "items", "values")},
        "get": get,
        "__getitem__": value,
        "__contains__": lambda record, name: get(record, name, absent) is not absent,
        "__iter__": names,
        "__len__": lambda record: sum(1 for _name in names(record)),
    }
    return msgspec.defstruct(wanted.__name__, fields, namespace=like_a_dictionary, gc=False)


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
        raise NotAList("the answer is not an object")
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
