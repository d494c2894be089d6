# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How sentences are made: a number agrees with its noun, and a sentence ends with one mark."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.wording import count_of

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "plugins").rglob("*.py"))
NOUNS = "pods|nodes|replicas|waves|times|releases|canaries|checks|steps|patches|ReplicaSets"
# A number in braces, or `of` one, that a plural follows at once. After `of` or `all` it is told of a whole: 1 of 1 pods.
PLURAL = re.compile(rf" (?:(?:canary|stable|new|old|more|further) )*(?:{NOUNS})\b")
OF_A_WHOLE = re.compile(r"\b(?:of|all|than the) $")


def odd(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\b[a-z]+\(e?s\)", node.value)
        if not isinstance(node, ast.JoinedStr):
            continue
        texts = [text(part) for part in node.values]
        for before, number, after in zip(["", *texts], node.values, [*texts[1:], ""], strict=False):
            if isinstance(number, ast.FormattedValue) and PLURAL.match(after) and not OF_A_WHOLE.search(before):
                yield f"{{{ast.unparse(number.value)}}}{after}"


def text(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else ""


def test_a_number_and_its_noun_agree_in_every_sentence() -> None:
    # Of more than one, whatever happens; and factors.
    many = {
        "{ATTEMPTS} times while this was decided",
        "{len(found)} ReplicaSets",
        "{SILENT_LOOKS} times in a row",
        "{len(canaries)} canaries are",
        "{ratio / 1000} times its request",
        "{tolerance.ratio} times ",
    }
    found = {(path.name, phrase) for path in SOURCES for phrase in odd(ast.parse(path.read_text(encoding="utf-8")))}
    left = sorted(f"{name}: {phrase}" for name, phrase in found if phrase not in many)
    assert not left, "\n".join(left)


@pytest.mark.parametrize("source", ['f"{n} old pods are left"', '"1 pod(s)"', 'f"for {n} more new pods"'])
def test_what_does_not_agree_is_found(source: str) -> None:
    assert list(odd(ast.parse(source)))


@pytest.mark.parametrize("source", ['f"{n} of {all} pods"', 'f"all {n} pods"', 'f"{n} per cent"'])
def test_what_agrees_is_not(source: str) -> None:
    assert not list(odd(ast.parse(source)))


@pytest.mark.parametrize(("count", "says"), [(0, "0 new pods are"), (1, "1 new pod is"), (2, "2 new pods are")])
def test_a_number_with_its_noun(count: int, says: str) -> None:
    assert count_of(count, "new pod", "is", "are") == says


@pytest.mark.parametrize(
    ("what", "remedy", "says"),
    [
        ("it is gone", "Look", "it is gone. Look."),
        ("it is gone.", "Look.", "it is gone. Look."),
        ("it is gone", "Did you mean web?", "it is gone. Did you mean web?"),
        ("is it gone?", "Look!", "is it gone? Look!"),
    ],
)
def test_a_sentence_ends_with_one_mark(what: str, remedy: str, says: str) -> None:
    assert str(Refusal(Code.NOT_FOUND, what, remedy)) == says
