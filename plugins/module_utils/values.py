# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`dataclass` of the standard library, made so that a frozen one is defined in a tenth of the time.

Of each frozen dataclass Python compiles six methods where it is defined. This collection has more than two hundred, and that was half
of what its import costs, in every module and every ansible-playbook. Here they share all methods, but for an `__init__` that is compiled
where many instances are made: of most of them a task makes none or one. Nor are its fields worked out before the first.

This module is private to the collection.
"""

from __future__ import annotations

import dataclasses
import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, **asked: Any) -> Any:
        """As the standard library's, which makes those that are not frozen, or have slots."""
        if cls is None:
            return lambda named: dataclass(named, frozen=frozen, **asked)
        if frozen and not asked.get("slots"):
            return _frozen(cls, **asked)
        return dataclasses.dataclass(cls, frozen=frozen, **asked)


__all__ = ["dataclass"]

_Values = Callable[[Any], tuple[Any, ...]]
# To compile takes as long as so many instances take longer without. Most classes of a task have fewer.
_FEW = 30


def _frozen(cls: Any, eq: bool = True, **asked: Any) -> type:
    own = dict(vars(cls))
    # Python would write a docstring from the signature, which takes longer than the rest.
    cls.__doc__ = cls.__doc__ or cls.__name__
    cls.__dataclass_fields__ = _Fields(cls, asked)
    for name, method in _methods(cls, eq):
        if name not in own:
            setattr(cls, name, method)
    return cls


class _Fields:
    """In the place of the fields of a class, until somebody asks for them: the first instance, or the dataclasses module."""

    _finding = threading.RLock()

    def __init__(self, cls: Any, asked: Any) -> None:
        self._cls, self._asked = cls, asked

    def __get__(self, instance: object, owner: object) -> Any:
        with self._finding:
            # Another thread may have been faster: what Python has made of a class tells it nothing the second time.
            if vars(self._cls)["__dataclass_fields__"] is self:
                dataclasses.dataclass(self._cls, init=False, repr=False, eq=False, **self._asked)
        return vars(self._cls)["__dataclass_fields__"]


def _methods(cls: Any, eq: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield from (("__init__", _compiled_later(cls)), ("__repr__", _repr), ("__setattr__", _keep), ("__delattr__", _keep))
    if eq:
        yield from ((name, _later(cls, name, make)) for name, make in (("__eq__", _eq), ("__hash__", _hash)))


def _values(names: Iterable[str]) -> _Values:
    """Those of the fields of these names."""
    listed = tuple(names)
    if not listed:
        return lambda _value: ()
    got = attrgetter(*listed)
    return got if len(listed) > 1 else lambda value: (got(value),)


def _eq(cls: Any) -> Callable[[Any, object], bool]:
    values = _values(each.name for each in dataclasses.fields(cls) if each.compare)

    def __eq__(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(cls: Any) -> Callable[[Any], int]:
    fields = dataclasses.fields(cls)
    values = _values(each.name for each in fields if (each.compare if each.hash is None else each.hash))
    return lambda self: hash(values(self))


def _later(cls: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> Callable[..., Any]:
    """A method that is made for its first call, and takes the place of this one."""

    def first(self: Any, *given: Any) -> Any:
        made = make(cls)
        setattr(cls, name, made)
        return made(self, *given)

    return first


def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _keep(_self: object, name: str, *_value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _compiled_later(cls: Any) -> Callable[..., None]:
    made = 0

    def __init__(self: Any, *given: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        if made <= _FEW and _initialised(self, cls, given, named):
            return
        # Whoever comes second compiles the same.
        if cls.__init__ is __init__:
            cls.__init__ = _compiled(cls)
        cls.__init__(self, *given, **named)

    return __init__


def _initialised(self: Any, cls: Any, given: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """As what is compiled does it, but field by field. False, and nothing is done, for arguments that do not fit: that says which."""
    fields = dataclasses.fields(cls)
    by_position = [each.name for each in fields if each.kw_only is not True]
    values = {**dict(zip(by_position, given, strict=False)), **named}
    asked = {each.name for each in fields if each.default is each.default_factory}
    fits = len(given) + len(named) == len(values) and asked <= values.keys() <= {each.name for each in fields}
    for each in fields if fits else ():
        name = each.name
        if name not in values:
            values[name] = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        object.__setattr__(self, name, values[name])
    if fits and hasattr(cls, "__post_init__"):
        self.__post_init__()
    return fits


def _compiled(cls: Any) -> Callable[..., None]:
    """As dataclasses._init_fn: by position or name, then by name only; what has no default, then what has one."""
    known: dict[str, Any] = {"set_": object.__setattr__, "MISSING": dataclasses.MISSING}
    parameters: dict[bool, list[str]] = {False: [], True: []}
    body = []
    for each in dataclasses.fields(cls):
        name, value = each.name, each.name
        if each.default_factory is not dataclasses.MISSING:
            known[f"make_{name}"], known[f"usual_{name}"] = each.default_factory, dataclasses.MISSING
            value = f"make_{name}() if {name} is MISSING else {name}"
        elif each.default is not dataclasses.MISSING:
            known[f"usual_{name}"] = each.default
        parameters[each.kw_only is True].append(f"{name}=usual_{name}" if f"usual_{name}" in known else name)
        body.append(f" set_(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    by_name = ["*", *parameters[True]] if parameters[True] else []
    head = f"def __init__({', '.join(['self', *parameters[False], *by_name])}):"
    made: dict[str, Any] = {}
    exec("\n".join([head, *body, " return None"]), known, made)
    made["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return made["__init__"]
