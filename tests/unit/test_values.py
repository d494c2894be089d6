# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each class is made twice, by the standard library and by this collection, and nobody can tell which is which."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils import values

PLUGINS = Path(__file__).parents[2] / "plugins"
T = TypeVar("T")
Maker = Callable[[Any], Any]
FEW, MANY = 20, 100


def plain(make: Maker) -> Any:
    @make
    class Pair:
        """Of two."""

        left: int
        right: str = "r"

    return Pair


def single(make: Maker) -> Any:
    @make
    class Single:
        only: float

    return Single


def empty(make: Maker) -> Any:
    @make
    class Empty:
        pass

    return Empty


def with_factory(make: Maker) -> Any:
    @make
    class Made:
        left: int
        names: list[str] = field(default_factory=list)
        hidden: str = field(default="secret", repr=False)
        aside: int = field(default=0, compare=False)
        unhashed: int = field(default=0, hash=False)

    return Made


def by_name(make: Maker) -> Any:
    @make
    class ByName:
        left: int = 1
        _: KW_ONLY
        right: int
        names: tuple[int, ...] = field(default_factory=tuple, kw_only=True)

    return ByName


def checked(make: Maker) -> Any:
    @make
    class Checked:
        left: int

        def __post_init__(self) -> None:
            if self.left < 0:
                raise ValueError("left is negative")

    return Checked


def inherited(make: Maker) -> Any:
    @make
    class Child(plain(make)):  # type: ignore[misc]
        third: int = 3

    return Child


def own_methods(make: Maker) -> Any:
    @make
    class Own:
        left: int

        def __repr__(self) -> str:
            return "own"

        def __hash__(self) -> int:
            return 7

    return Own


def generic(make: Maker) -> Any:
    @make
    class Box(Generic[T]):
        held: T

    return Box


def text(make: Maker) -> Any:
    @make
    class Text(str):
        told: str
        more: int = 0

        def __new__(cls, told: str, *_more: Any, **_others: Any) -> Any:
            return super().__new__(cls, told)

    return Text


CALLS: list[tuple[Callable[[Maker], Any], tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, "x"), {}),
    (plain, (), {"left": 2, "right": "y"}),
    (plain, (), {}),
    (plain, (1, 2, 3), {}),
    (plain, (1,), {"left": 1}),
    (plain, (1,), {"unknown": 1}),
    (single, (float("inf"),), {}),
    (empty, (), {}),
    (with_factory, (1,), {}),
    (with_factory, (1, ["a"], "other", 2, 3), {}),
    (by_name, (2,), {"right": 3}),
    (by_name, (2,), {"right": 3, "names": (1,)}),
    (by_name, (2, 3), {}),
    (checked, (1,), {}),
    (checked, (-1,), {}),
    (inherited, (1, "x", 4), {}),
    (own_methods, (1,), {}),
    (generic, ("held",), {}),
    (text, ("said",), {"more": 2}),
]


def standard(cls: Any) -> Any:
    return dataclass(frozen=True)(cls)


def ours(cls: Any) -> Any:
    return values.dataclass(frozen=True)(cls)


def tried(what: Callable[[], Any]) -> Any:
    try:
        return what()
    except (TypeError, ValueError, FrozenInstanceError) as error:
        return type(error), re.sub(r"^.*<locals>\.", "", str(error))


def parameters(cls: Any) -> list[tuple[str, Any, bool]]:
    signature = inspect.signature(cls.__init__)
    return [(name, each.kind, each.default is each.empty) for name, each in signature.parameters.items()]


@pytest.mark.parametrize(("shape", "given", "named"), CALLS)
def test_it_is_called_as_the_standard_librarys(
    shape: Callable[[Maker], Any], given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    theirs, mine = shape(standard), shape(ours)
    told = []
    for cls in (theirs, mine):
        made = [tried(lambda cls=cls: cls(*given, **named)) for _time in range(MANY)]
        told.append([(one if isinstance(one, tuple) else vars(one), tried(lambda one=one: repr(one))) for one in made])
        assert parameters(theirs) == parameters(cls), "after many calls"
    assert told[0] == told[1]


def test_nothing_is_compiled_for_the_few_that_a_task_makes() -> None:
    cls = plain(ours)
    made = [cls(1) for _time in range(FEW)]
    assert [name for name, _kind, _default in parameters(cls)] == ["self", "given", "named"]
    assert made == [cls(left=1, right="r")] * FEW


def test_its_fields_are_worked_out_when_they_are_first_asked_for_and_only_once() -> None:
    made = inherited(ours)
    parent = made.__mro__[1]
    assert [type(vars(each)["__dataclass_fields__"]).__name__ for each in (made, parent)] == ["_Fields"] * 2
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _number: [each.name for each in fields(made)], range(40)))
    assert asked == [["left", "right", "third"]] * 40
    assert [type(vars(each)["__dataclass_fields__"]) for each in (made, parent)] == [dict] * 2


@pytest.mark.parametrize(
    ("shape", "given"), [(plain, (1,)), (single, (1.5,)), (empty, ()), (inherited, (1,)), (generic, ("x",))]
)
def test_its_instances_are_values(shape: Callable[[Maker], Any], given: tuple[Any, ...]) -> None:
    theirs, mine = shape(standard), shape(ours)
    one, other = mine(*given), mine(*given)
    assert one == other and hash(one) == hash(other) and one is not other
    assert hash(one) == hash(theirs(*given)), "as the standard library counts it"
    assert (one == theirs(*given)) is False, "of another class"
    assert mine.__match_args__ == theirs.__match_args__
    assert [each.name for each in fields(mine)] == [each.name for each in fields(theirs)]
    assert copy.deepcopy(one) == one == replace(one)


def test_only_what_is_compared_makes_a_difference() -> None:
    cls = with_factory(ours)
    assert cls(1, (), "a", 1) == cls(1, (), "a", 2) and hash(cls(1, (), "a", 1)) == hash(cls(1, (), "a", 2))
    assert cls(1, (), "a", 1, 1) != cls(1, (), "a", 1, 2)
    assert hash(cls(1, (), "a", 1, 1)) == hash(cls(1, (), "a", 1, 2)), "it counts in comparison, not in the hash"
    assert cls(1).names is not cls(1).names, "a factory makes one for each"
    assert "secret" not in repr(cls(1))


@pytest.mark.parametrize("name", ["left", "right", "new"])
def test_nothing_of_it_can_be_changed(name: str) -> None:
    for cls in (plain(standard), plain(ours)):
        one = cls(1)
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, 2)
        with pytest.raises(FrozenInstanceError):
            delattr(one, name)
        assert one == cls(1)


def test_what_is_not_frozen_or_has_slots_is_the_standard_librarys() -> None:
    @values.dataclass
    class Loose:
        left: int = 1

    @values.dataclass(frozen=True, slots=True)
    class Slotted:
        left: int = 1

    loose = Loose()
    loose.left = 2
    assert loose == Loose(2)
    assert Slotted.__slots__ == ("left",) and Slotted() == Slotted(1)


@values.dataclass(frozen=True)
class Sent:
    """To another process, which has made none by then."""

    left: int


def test_it_goes_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Sent(1))) == Sent(1)


def test_equal_ones_without_eq_stay_two() -> None:
    @values.dataclass(frozen=True, eq=False)
    class Apart:
        left: int

    assert Apart(1) != Apart(1)


def test_every_room_makes_its_dataclasses_here() -> None:
    """Or it takes part in what an import costs again."""
    others = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    rooms = set((PLUGINS / "module_utils").rglob("*.py")) - {Path(values.__file__).resolve()}
    assert [file for file in rooms if others.search(file.read_text())] == []
