# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML and JSON mean what they mean to kubectl: tests/integration/test_manifests.py asks it for these and many more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.kubectl_yaml import NotYaml, documents, text_of

SCALARS: dict[str, Any] = {
    # texts
    "2026-03-01T10:20:30Z": "2026-03-01T10:20:30Z", "2026-03-01": "2026-03-01", "22:22": "22:22", "=": "=", "1.2.3": "1.2.3",
    "0x": "0x", "1e400": "1e400", "_1": "_1", "0o8": "0o8", "1Gi": "1Gi", "'8080'": "8080", '"on"': "on", "!!str 1": "1",
    "!local 1": "1", "- 1": None, "٣": "٣", "a\tb": "a\tb",
    "9" * 5000: "9" * 5000, "-" + "9" * 5000: "-" + "9" * 5000,
    # numbers
    "0o400": 256, "0400": 256, "0b11": 3, "-0b11": -3, "0x1F": 31, "1_000": 1000, "08": 8, "1e8": 100000000, "1E3": 1000,
    "1.0": 1, ".5": 0.5, "5.": 5, "-.5e1": -5, "1e30": 1e30, "18446744073709551615": 18446744073709551615, "+1": 1,
    "1.5": 1.5, "!!float 1": 1, "!!int 0o17": 15, "\t7\t# seven": 7,
    # booleans and null
    "y": True, "on": True, "Off": False, "NO": False, "yEs": "yEs", "~": None, "": None, "Null": None, "nUll": "nUll",
}  # fmt: skip
SCALARS.pop("- 1")

KEYS: dict[str, str] = {
    "on": "true", "n": "false", "8080": "8080", "0o17": "15", "1.5": "1.5", "1e6": "1e+06", "16777217.0": "1.6777216e+07", "2026-03-01": "2026-03-01",
    "=": "=", "'on'": "on",
}  # fmt: skip

DOCUMENTS: dict[str, tuple[str, Any]] = {
    "JSON with tabs": ('{\t"a":\t[1.0,\t"\\u00e9"]\t}\n', [{"a": [1, "é"]}]),
    "a stream of JSON": ('{"a": 1}\n{"b": 1e3}', [{"a": 1}, {"b": 1000}]),
    "JSON with a comma too many is YAML": ('{"a": 1,}', [{"a": 1}]),
    "empty documents": ("---\n---\na: 1\n---\n# only words\n", [{"a": 1}]),
    "a byte order mark for each file": ("\ufeffa: 1\n---\n\ufeffb: 2\n", [{"a": 1}, {"b": 2}]),
    "the last of equal keys": ("a: 1\na: 2\n", [{"a": 2}]),
    "a merge counts at its place": ("p: &x {a: 1, b: 1}\nq: {b: 2, <<: *x}\nr: {<<: *x, b: 2}\n",
                                    [{"p": {"a": 1, "b": 1}, "q": {"a": 1, "b": 1}, "r": {"a": 1, "b": 2}}]),
    "of several merges the first": ("x: {<<: [{a: 1}, {a: 2, b: 2}]}\n", [{"x": {"a": 1, "b": 2}}]),
    "an anchor that is given again": ("a: &x 1\nb: &x 2\nc: *x\n", [{"a": 1, "b": 2, "c": 2}]),
    "a set": ("!!set {a, b}\n", [{"a": None, "b": None}]),
    "a binary value that is a text": ("a: !!binary aGk=\n", [{"a": "hi"}]),
    "no line break at the end": ("a: |\n  x", [{"a": "x\n"}]),
    "a colon in the flow": ("{a: b:c, d: [e:]}\n", [{"a": "b:c", "d": ["e:"]}]),
}  # fmt: skip


@pytest.mark.parametrize(("written", "value"), SCALARS.items(), ids=[repr(written)[:50] for written in SCALARS])
def test_a_scalar_is_what_kubectl_reads(written: str, value: Any) -> None:
    found = documents(f"v: {written}\nw: [1]\n")
    assert json.dumps(found) == json.dumps([{"v": value, "w": [1]}])


@pytest.mark.parametrize(("written", "key"), KEYS.items())
def test_a_key_is_the_text_that_kubectl_makes_of_it(written: str, key: str) -> None:
    assert documents(f"{written}: v\n") == [{key: "v"}]


@pytest.mark.parametrize(("text", "found"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_are_those_that_kubectl_reads(text: str, found: Any) -> None:
    assert documents(text) == found


REFUSED: dict[str, tuple[str, str]] = {
    "a number that JSON does not know": ("a: .inf\n", r"a number that JSON does not know at line 1, column 4"),
    "a key that is null": ("a: {~: s3cret}\n", r"a key that is no text at line 1, column 5"),
    "a key that is a list": ("[a]: s3cret\n", r"a key that is no text"),
    "a value not of its tag": ("a: !!int s3cret\n", r"not of its tag's type"),
    "a vaulted value": ("a: !vault s3cret\n", r"a vaulted value at line 1"),
    "a merge of a text": ("a: {<<: s3cret}\n", r"merges \(<<\) what is not a mapping"),
    "an alias of nothing": ("a: *s3cret\n", r"is not valid YAML at line 1, column 4"),
    "an alias that contains itself": ("a: &x [*x]\n", r"an alias that contains itself"),
    "a tab as indentation": ("a:\n\tb: s3cret\n", r"is not valid YAML at line 2, column 1"),
    "half a character": ('a: "\\ud800"\n', r"half a character"),
    "deeper than anybody means": ("[" * 20000, r"nested too deeply|not valid YAML"),
    "a small text of very many nodes": (
        "\n".join(["a0: &a0 [1,1,1,1,1,1,1,1,1]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))]),
        r"too many aliases",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_kubectl_does_not_take_is_refused_without_a_word_of_it(text: str, words: str) -> None:
    with pytest.raises(NotYaml, match=words) as refused:
        documents(text)
    assert "s3cret" not in str(refused.value) and refused.value.__cause__ is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_be_in_the_encodings_that_kubectl_takes(encoding: str) -> None:
    assert text_of("a: é".encode(encoding)) == "a: é"


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(NotYaml, match="save it as UTF-8"):
        text_of("a: é".encode("latin-1"))
