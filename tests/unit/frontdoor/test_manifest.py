# SPDX-License-Identifier: GPL-3.0-or-later
"""The option definition, in each of its forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.manifest import path_in, read_definition

MANIFEST = {"kind": "Deployment", "metadata": {"name": "web"}}
TEXT = "kind: Deployment\nmetadata:\n  name: web\n"
SERVICE = "kind: Service\nmetadata: {name: web}\n"


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param(MANIFEST, id="a dictionary"),
        pytest.param([MANIFEST], id="a list with one"),
        pytest.param(TEXT, id="text"),
        pytest.param("{kind: Deployment, metadata: {name: web}}", id="text in one line"),
        pytest.param(f"---\n{SERVICE}---\n{TEXT}---\n", id="among other documents"),
        pytest.param(f"{TEXT}---\n{TEXT.replace('web', 'api')}", id="among other Deployments"),
    ],
)
def test_every_form_gives_the_manifest(definition: object) -> None:
    assert read_definition(definition, "web") == MANIFEST


def test_a_file_gives_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(TEXT, encoding="utf-8")
    assert read_definition(str(tmp_path / "web.yml"), "web") == MANIFEST


def test_an_unquoted_date_stays_what_was_written() -> None:
    text = f"{TEXT}  annotations: {{since: 2026-11-23}}\n"
    assert read_definition(text, "web")["metadata"]["annotations"] == {"since": "2026-11-23"}


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("", "is no manifest"),
        (7, "is no manifest"),
        ([], "is no manifest"),
        ("- a\n- b\n", "is no manifest"),
        ("/nowhere/web.yml", "names the file /nowhere/web.yml, which cannot be read on this host"),
        (f"{SERVICE}---\n{SERVICE}", "several documents, and 0 of them are a Deployment called web"),
        (f"{TEXT}---\n{TEXT}", "several documents, and 2 of them are a Deployment called web"),
        ("kind: Deployment\n\tmetadata", "no valid YAML at line 2, column 1"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(definition: object, words: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        read_definition(definition, "web")
    assert words in str(refused.value)


def test_a_refusal_of_bad_yaml_does_not_quote_it() -> None:
    with pytest.raises(ArgumentError) as refused:
        read_definition("password: hunter2: oops\n  - x", "web")
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ("web.yml", "web.yml"),
        (" a/b.yml\n", "a/b.yml"),
        (TEXT, None),
        ("{a: 1}", None),
        ("{{ x", None),
        (MANIFEST, None),
    ],
)
def test_one_word_of_text_is_a_path(definition: object, path: str | None) -> None:
    assert path_in(definition) == path
