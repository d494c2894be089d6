# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was given for the options has the shape that the argument spec wants, told without repeating any of it.

ansible-core checks the same, but quotes what it does not understand, which may be a secret in the wrong place; it takes
lists for text, and fails with a traceback for numbers such as `inf`. So this comes before its checks, for both doors.

This module is private to the collection.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, DecimalException
from typing import Any

from ansible.module_utils.common.validation import check_type_dict

from .arguments import Options, spellings

# Names that may be repeated: no option has digits in its name, and hardly any credential has none.
_NAME = re.compile(r"[A-Za-z_-]{1,32}")
# Kubernetes' own whole numbers end here, and no float of ours is used in a way that larger ones would not break.
LARGEST_WHOLE = 2**31 - 1
LARGEST_NUMBER = 1e15
MOST_LEVELS = 100
# Whatever is longer was not meant to be one.
LONGEST_CHOICE = 40
# Of two names: image and images are 0.91, second and seconds 0.92, prt and port 0.86.
ALIKE = 0.8
TOO_DEEP = "is nested more than a hundred levels deep: nothing that Kubernetes takes is"
_SURROGATE = re.compile("[\ud800-\udfff]")
_BOOLEANS = frozenset({"1", "0", "y", "n", "t", "f", "yes", "no", "on", "off", "true", "false"})
_Spec = Mapping[str, Any]


def misshapen(options: Options, given: Mapping[str, Any], within: str = "") -> str | None:
    """What is wrong with the first option that has not its shape, in a sentence for its user; None when all have. `within`: where the
    options stand, with what parts it from their names, such as `releases[0].`."""
    return next(_wrong_in(options, given, within, whole=True), None)


def _wrong_in(
    options: Options, given: Mapping[str, Any], within: str, *, was_text: bool = False, whole: bool = False
) -> Iterator[str]:
    known = {spelt: options[name] for spelt, name in spellings(options).items()}
    for name, value in given.items():
        if name not in known:
            place = within.rstrip(".") or "the task"
            if was_text or not isinstance(name, str) or not _NAME.fullmatch(name):
                yield f"{place} has an option that is none (its name is not repeated here): {_listed(options)}"
            elif close := _close_to(name, known.keys() - given.keys()):
                # Before ansible-core would tell of an option that is missing, because its name is misspelt.
                yield f"{place} has no option {name}: write {close}, or leave it out"
            elif not whole:
                yield f"{place} has no option {name}: {_listed(options)}"
        elif value is not None:
            # A whole value at once, and again what was made of a text; not each of its parts, and each part's parts.
            for problem in _unreadable(value) if was_text or whole else ():
                yield f"{within}{name} {problem}"
            yield from _wrong(known[name], value, within + name)


def _close_to(name: str, unset: Iterable[str]) -> str:
    """The one that was meant, as far as anybody can tell; empty where none is close."""
    from difflib import get_close_matches  # of use to nobody who spells right

    return next(iter(get_close_matches(name, sorted(unset), n=1, cutoff=ALIKE)), "")


def _listed(options: Options) -> str:
    return "options are " + ", ".join(sorted(options))


def _wrong(spec: _Spec, value: object, where: str) -> Iterator[str]:
    kind = spec.get("type", "str")
    if kind == "list":
        yield from _wrong_list(spec, value, where)
    elif kind == "dict":
        yield from _wrong_mapping(spec, value, where)
    elif kind != "raw":
        is_one, words = _SCALARS[kind]
        if not is_one(value) or (isinstance(value, bool) and is_one is _is_text and "choices" not in spec):
            yield f"{where} must be {words}, but it is {_kind_of(value)}"
        elif "choices" in spec and str(value) not in spec["choices"]:
            yield f"{where} {_no_choice(spec['choices'], str(value), where.rpartition('.')[2])}"


def _no_choice(choices: Sequence[str], given: str, option: str) -> str:
    from .instead import instead_of  # of use to nobody who gives one

    alike = "" if len(given) > LONGEST_CHOICE else _close_to(given.lower(), choices)
    said = f"write {alike}" if alike else instead_of(option, given[: LONGEST_CHOICE + 1])
    return f"must be one of: {', '.join(choices)}{f'. {said[0].upper()}{said[1:]}' if said else ''}"


def _wrong_list(spec: _Spec, value: object, where: str) -> Iterator[str]:
    if isinstance(value, str):
        value = value.split(",")
    elements = value if isinstance(value, list) else [value]
    if isinstance(value, Mapping):
        yield f"{where} must be a list, but it is a dictionary"
        return
    for number, element in enumerate(elements):
        yield from _wrong({**spec, "type": spec["elements"]}, element, f"{where}[{number}]")


def _wrong_mapping(spec: _Spec, value: object, where: str) -> Iterator[str]:
    given = value if isinstance(value, Mapping) else _parsed(value)
    if given is None:
        yield f"{where} must be a dictionary, but it is {_kind_of(value)}"
    elif "options" in spec:
        yield from _wrong_in(spec["options"], given, f"{where}.", was_text=isinstance(value, str))
        yield from _wrong_beside(spec, given, where)


def _wrong_beside(spec: _Spec, given: Mapping[str, Any], where: str) -> Iterator[str]:
    """What ansible-core would tell as well, but of a list not of which of its elements."""
    names = spellings(spec["options"])
    there = {names[name] for name, value in given.items() if value is not None}
    for name in (name for name, option in spec["options"].items() if option.get("required") and name not in there):
        yield f"{where}.{name} is missing: give it"
    for exclusive in spec.get("mutually_exclusive", ()):
        both = [name for name in exclusive if name in there]
        if len(both) > 1:
            yield f"{where}.{both[0]} and {both[1]} exclude each other: leave one of them out"
    for needed in spec.get("required_one_of", ()):
        if not there & set(needed):
            yield f"{where} needs one of {', '.join(needed)}"


def _parsed(value: object) -> Mapping[str, Any] | None:
    """Text that ansible-core reads as a dictionary: JSON, or key=value."""
    try:
        parsed = check_type_dict(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, Mapping) else None


def _unreadable(value: object) -> Iterator[str]:
    """Characters that no file name, request or JSON can carry; and what is no JSON at all."""
    if too_deep(value):
        yield TOO_DEEP
        return
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            if "\0" in node:
                yield "has a NUL character in it"
                return
            if _SURROGATE.search(node):
                yield "has half a character in it (a lone surrogate): write it in UTF-8"
                return
        elif isinstance(node, Mapping | list | tuple):
            pending += _parts(node)
        elif isinstance(node, float) and not math.isfinite(node):
            yield "has a number in it that is none (inf or nan)"
            return
        elif isinstance(node, int) and abs(node) >= 2**63:
            yield "has a number in it that is larger than any that Kubernetes knows"
            return


def too_deep(value: object) -> bool:
    """Nothing may walk it by recursion, which ends in an error of Python's own."""
    level = [value]
    for _level in range(MOST_LEVELS + 1):
        if not level:
            return False
        level = [part for node in level if not isinstance(node, str) for part in _parts(node)]
    return bool(level)


def _parts(node: object) -> Iterable[object]:
    if isinstance(node, Mapping):
        return (*node.keys(), *node.values())
    return node if isinstance(node, list | tuple) else ()


def _is_text(value: object) -> bool:
    # YAML makes dates of some texts, and `plain` makes texts of them again.
    return isinstance(value, str | int | float | date)


def _is_whole(value: object) -> bool:
    number = _decimal(value)
    return number is not None and number == number.to_integral_value() and abs(number) <= LARGEST_WHOLE


def _is_number(value: object) -> bool:
    number = _decimal(value)
    return number is not None and abs(number) <= LARGEST_NUMBER


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(value)
    except (DecimalException, ValueError):
        return None
    # Arithmetic with an exponent beyond all reason overflows.
    return number if number.is_finite() and abs(number.adjusted()) < 400 else None


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str | int | float) and str(value).lower().strip() in _BOOLEANS)


_Check = Callable[[object], bool]
_SCALARS: dict[str, tuple[_Check, str]] = {
    "str": (_is_text, "text"),
    "path": (_is_text, "the path of a file"),
    "int": (_is_whole, f"a whole number up to {LARGEST_WHOLE}"),
    "float": (_is_number, f"a number up to {LARGEST_NUMBER:g}"),
    "bool": (_is_boolean, "true or false"),
}


def _kind_of(value: object) -> str:
    names = ((bool, "a boolean"), (int | float, "a number"), (str, "text"), (Mapping, "a dictionary"), (list, "a list"))
    return next((name for kind, name in names if isinstance(value, kind)), "something else")
