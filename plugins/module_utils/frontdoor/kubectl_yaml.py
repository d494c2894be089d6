# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML and JSON as kubectl reads them, so that a file means the same here as there.

kubectl reads a stream of JSON objects, else YAML by sigs.k8s.io/yaml, which is go.yaml.in/yaml/v2 and then JSON (its
resolve.go and decode.go are followed here): `y`, `on` and `NO` are booleans also as keys, `0o17`, `017` and `0b1` are whole
numbers, `1e8` is one too, and dates, `22:22` and `=` are texts. Tabs may stand between tokens, and a merge (`<<`) is worth
as much as a key at its place. Of equal keys the last one counts.

PyYAML only splits the text into nodes here. It is imported late: modules must be importable without it (ansible-test).
This module is private to the collection.
"""

from __future__ import annotations

import base64
import codecs
import json
import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **{word: float("nan") for word in (".nan", ".NaN", ".NAN")},
}
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, tuple[type, ...]] = {
    _TAG + "bool": (bool,), _TAG + "int": (int,), _TAG + "float": (float, int), _TAG + "null": (type(None),),
}  # fmt: skip
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)|0b[+-][01]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_LOOSE_UNDERSCORE = re.compile(r"(?<![0-9])_|_(?![0-9])", re.ASCII)
# Longer ones are larger, or begin with zeros that nobody writes; Python refuses to read very long ones.
_LONGEST_INTEGER = 100
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
# From here on Go writes a float with an exponent.
_PLAIN_BELOW = 1e21
# ... in a key, as an exponent of ten.
_KEY_PLAIN_BELOW = 6
# Aliases may make little of a text, and much of nodes: go-yaml refuses documents that are nearly all aliases.
_FREE_ALIASES, _FREE_NODES = 100, 1000
_SMALL_DOCUMENT, _LARGE_DOCUMENT = 400_000, 4_000_000
# The byte order mark of a file, or of one that was appended to another.
_MARK = re.compile("(^|\n---[ \t]*\n)\ufeff")
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotYaml(ValueError):
    """The text is neither YAML nor JSON, or kubectl would not take it. The message quotes nothing of it but a place."""


def text_of(data: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 with a byte order mark, as editors under Windows write it. Raises NotYaml."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise NotYaml("is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8") from None


def documents(text: str) -> list[Any]:
    """Each document of the text but empty ones, of JSON's own types. Raises NotYaml."""
    if _SURROGATE.search(text):
        raise NotYaml("is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8")
    text = _MARK.sub(r"\1", text)
    try:
        found = _json_stream(text) if text.lstrip().startswith("{") else None
        found = _yaml_documents(text) if found is None else found
        return [_checked(each) for each in found if each is not None]
    except RecursionError:
        raise NotYaml("is nested too deeply: flatten it") from None


def _json_stream(text: str) -> list[Any] | None:
    """Objects one after the other; None where that is not what the text is."""
    decoder = json.JSONDecoder(parse_float=lambda text: _number(float(text)), parse_constant=_no_constant)
    found, at = [], 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            return None
        found.append(value)
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def _yaml_documents(text: str) -> list[Any]:
    try:
        import yaml
    except ImportError as error:
        raise NotYaml(
            "is text, and the Python that runs this has no PyYAML: install it, or give a dictionary"
        ) from error
    try:
        loader = _loader()(text if text.endswith("\n") else text + "\n")
        nodes = []
        while loader.check_node():
            nodes.append(loader.get_node())
        return [_Document().value(node) for node in nodes]
    except yaml.YAMLError as error:
        # The error's own text would quote the manifest, which may hold secrets.
        raise NotYaml(f"is not valid YAML{_place(getattr(error, 'problem_mark', None))}: correct it") from None


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


class _Document:
    """Nodes of one document as values. Every use of an alias is a copy, as it is in JSON."""

    def __init__(self) -> None:
        self._made = self._aliased = 0
        self._seen: set[int] = set()
        self._open: list[int] = []
        self._in_alias = 0

    def value(self, node: Any, *, as_key: bool = False) -> Any:
        """Raises NotYaml."""
        alias = id(node) in self._seen
        if id(node) in self._open:
            raise NotYaml(f"has an alias that contains itself{_place(node.start_mark)}: correct it")
        self._seen.add(id(node))
        self._open.append(id(node))
        self._in_alias += alias
        self._count(node)
        made = _scalar(node, as_key=as_key) if node.id == "scalar" else self._collection(node)
        self._in_alias -= alias
        self._open.pop()
        return made

    def _count(self, node: Any) -> None:
        self._made += 1
        self._aliased += self._in_alias > 0
        if self._aliased > _FREE_ALIASES and self._made > _FREE_NODES:
            grown = (self._made - _SMALL_DOCUMENT) / (_LARGE_DOCUMENT - _SMALL_DOCUMENT)
            if self._aliased / self._made > 0.99 - 0.89 * min(1.0, max(0.0, grown)):
                raise NotYaml(f"consists of too many aliases{_place(node.start_mark)}: write it out")

    def _collection(self, node: Any) -> Any:
        if node.id == "sequence":
            return [self.value(item) for item in node.value]
        return self._mapping(node, {})

    def _mapping(self, node: Any, into: dict[str, Any]) -> dict[str, Any]:
        for key, value in node.value:
            if key.id == "scalar" and key.value == "<<" and key.tag in ("", _TAG + "merge"):
                self._merge(value, into)
            else:
                into[_key(self.value(key, as_key=True), key)] = self.value(value)
        return into

    def _merge(self, node: Any, into: dict[str, Any]) -> None:
        if node.id == "mapping":
            self._mapping(node, into)
        elif node.id == "sequence" and all(item.id == "mapping" for item in node.value):
            for item in reversed(node.value):
                self._mapping(item, into)
        else:
            raise NotYaml(f"merges (<<) what is not a mapping{_place(node.start_mark)}: correct it")


def _key(key: Any, node: Any) -> str:
    """Keys of JSON are texts."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int):
        return str(key)
    if isinstance(key, float):
        return _written(key)
    raise NotYaml(f"has a key that is no text{_place(node.start_mark)}: put it in quotes")


def _written(number: float) -> str:
    """Go's FormatFloat(number, 'g', -1, 32), in the words of YAML."""
    if math.isnan(number):
        return ".nan"
    try:
        single = struct.pack("<f", number)
    except OverflowError:
        number = math.copysign(math.inf, number)
    if math.isinf(number):
        return ".inf" if number > 0 else "-.inf"
    number = float(struct.unpack("<f", single)[0])
    shortest = next(
        text for text in (f"{number:.{digits}e}" for digits in range(17)) if struct.pack("<f", float(text)) == single
    )
    exponent = int(shortest.partition("e")[2])
    return shortest if exponent < -4 or exponent >= _KEY_PLAIN_BELOW else f"{Decimal(shortest):f}"


def _scalar(node: Any, *, as_key: bool = False) -> Any:
    if node.tag in (_TAG + "str", "!"):
        return node.value
    if not node.tag:
        value = _resolved(node.value)
    elif node.tag in _KINDS:
        value = _resolved(node.value)
        if type(value) not in _KINDS[node.tag]:
            raise NotYaml(f"has a value that is not of its tag's type{_place(node.start_mark)}: correct it")
    elif node.tag.startswith("!vault"):
        raise NotYaml(f"has a vaulted value{_place(node.start_mark)}, which is not decrypted: vault the whole file")
    else:
        value = _bytes(node) if node.tag == _TAG + "binary" else node.value
    if as_key:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotYaml(f"has a number that JSON does not know{_place(node.start_mark)}: put it in quotes")
        return _number(value)
    return value


def _bytes(node: Any) -> str:
    try:
        return base64.b64decode("".join(node.value.split()), validate=True).decode()
    except ValueError:
        raise NotYaml(
            f"has a binary value{_place(node.start_mark)} that is not the base64 of a text: correct it"
        ) from None


def _resolved(text: str) -> Any:
    """What a scalar without quotes is."""
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isascii() or text[0] not in "+-.0123456789":
        return text
    if text[0] == "." and _LOOSE_UNDERSCORE.search(text):
        return text
    plain = text.replace("_", "")
    if text[0] != "." and _INTEGER.fullmatch(plain) and len(plain) <= _LONGEST_INTEGER:
        number = _whole(plain)
        if _SMALLEST <= number <= _LARGEST and not (number >= 2**63 and plain[0] == "+"):
            return number
    if _FLOAT.fullmatch(plain):
        real = float(plain)
        return real if math.isfinite(real) else text
    return text


def _whole(text: str) -> int:
    """Go's strconv.ParseInt with base 0, and what go-yaml takes beyond that: "0b-1"."""
    if text.startswith(("0b+", "0b-")):
        return int(text[2:], 2)
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("+-")
    if digits[:2].lower() in ("0x", "0o", "0b"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _number(value: float) -> float | int:
    """Go writes a whole float without a point, and JSON then reads a whole number."""
    return int(Decimal(repr(value))) if value == value // 1 and abs(value) < _PLAIN_BELOW else value


def _checked(value: Any) -> Any:
    """Raises NotYaml for half a character, which no API takes."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise NotYaml("has half a character (a lone surrogate) in it: correct it")
    elif isinstance(value, dict):
        for key, member in value.items():
            _checked(key), _checked(member)
    elif isinstance(value, list):
        for item in value:
            _checked(item)
    return value


_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = "\0 \t" + _BREAKS


class _Scanning:
    """Where PyYAML's scanner goes other ways than libyaml, of which go-yaml is a translation: tabs are blanks, and a colon ends
    a plain text only before a blank, also in the flow context. What is only declared here is PyYAML's."""

    peek: Callable[..., str]
    prefix: Callable[..., str]
    forward: Callable[..., None]
    scan_line_break: Callable[[], str]
    get_mark: Callable[[], Any]
    flow_level: int
    indent: int
    column: int
    allow_simple_key: bool
    # PyYAML's token of a scalar, and its error; both take their arguments by position.
    scalar: Callable[..., Any]
    error: Callable[..., Exception]

    def scan_to_next_token(self) -> None:
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0" + _BREAKS:
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> Any:
        chunks: list[str] = []
        spaces: list[str] = []
        start = end = self.get_mark()
        while self.peek() != "#":
            length = self._plain_length()
            if not length:
                break
            self.allow_simple_key = False
            chunks += [*spaces, self.prefix(length)]
            self.forward(length)
            end = self.get_mark()
            spaces = self._plain_spaces(start)
            if not spaces or (not self.flow_level and self.column <= self.indent):
                break
        return self.scalar("".join(chunks), True, start, end)

    def _plain_length(self) -> int:
        """How many characters of a word follow."""
        ends, length = _BLANKS + (",?[]{}" if self.flow_level else ""), 0
        while (char := self.peek(length)) not in ends and not (char == ":" and self.peek(length + 1) in _BLANKS):
            length += 1
        return length

    def _plain_spaces(self, start: Any) -> list[str]:
        """The blanks between two words, folded; none where the text ends."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        spaces = self.prefix(length)
        self.forward(length)
        if self.peek() not in _BREAKS:
            return [spaces] if spaces else []
        first, more = self.scan_line_break(), []
        self.allow_simple_key = True
        while self.peek() in " \t" + _BREAKS or self._at_marker():
            if self._at_marker():
                return []
            if self.peek() == "\t" and self.column <= self.indent:
                raise self.error("", start, "found a tab in the indentation", self.get_mark())
            if self.peek() in " \t":
                self.forward()
            else:
                more.append(self.scan_line_break())
        return [*([first] if first != "\n" else [] if more else [" "]), *more]

    def _at_marker(self) -> bool:
        """Whether a line begins that ends a document or begins one."""
        return self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in _BLANKS


@cache
def _loader() -> Any:
    """A class that splits a text into PyYAML's nodes, whose tags are only those that were written."""
    import yaml
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner, ScannerError

    class Loader(_Scanning, Reader, Scanner, Parser, Composer):
        scalar, error = yaml.ScalarToken, ScannerError

        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)

        def resolve(self, kind: type, value: str, implicit: Any) -> str:
            return "" if kind is not yaml.ScalarNode or implicit[0] else _TAG + "str"

        def descend_resolver(self, parent: Any, index: Any) -> None:
            """No tag depends on where it stands."""

        def ascend_resolver(self) -> None:
            """No tag depends on where it stands."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if not isinstance(event, yaml.AliasEvent):
                self.anchors.pop(event.anchor, None)  # a name may be given again
                event.tag = _TAG + "str" if event.tag == "!" else event.tag
            return super().compose_node(parent, index)

    return Loader
