# SPDX-License-Identifier: GPL-3.0-or-later
"""The option definition, in each of its forms."""

from __future__ import annotations

import sys
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.manifest import (
    check_read_elsewhere,
    encoding_of,
    path_in,
    read_definition,
)

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
        pytest.param(f"{TEXT}---\n{TEXT}  namespace: elsewhere\n", id="beside one of another namespace"),
        pytest.param({"kind": "List", "items": [{"kind": "Service"}, MANIFEST]}, id="in a List"),
        pytest.param([{**MANIFEST, "apiVersion": "example.com/v1"}, MANIFEST], id="beside a Deployment of another API"),
        pytest.param(
            "kind: DeploymentList\nitems: [{kind: Deployment, metadata: {name: web}}]\n", id="in a List of its kind"
        ),
        pytest.param('{\t"kind": "Deployment",\t"metadata": {"name": "web"}\t}', id="JSON with tabs"),
    ],
)
def test_every_form_gives_the_manifest(definition: object) -> None:
    assert read_definition(definition, "web", "shop") == MANIFEST


def test_a_file_gives_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(TEXT, encoding="utf-8")
    assert read_definition(str(tmp_path / "web.yml"), "web", "shop") == MANIFEST


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_begin_with_a_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(TEXT, encoding=encoding)
    assert read_definition(str(tmp_path / "web.yml"), "web", "shop") == MANIFEST
    assert encoding_of(str(tmp_path / "web.yml")) == encoding.removesuffix("-sig")


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_bytes("kind: é".encode("latin-1"))
    with pytest.raises(ArgumentError, match=r"names the file /.*web\.yml, which is neither UTF-8 nor UTF-16"):
        read_definition(str(tmp_path / "web.yml"), "web", "shop")


NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
READ_BY_ANSIBLE: dict[str, tuple[object, str]] = {
    "a time": (
        {"metadata": {"annotations": {"since": NOON}}},
        r"definition\.metadata\.annotations\.since is a date or a time",
    ),
    "a time in a list": ([{"spec": {"args": ["a", NOON]}}], r"definition\[0\]\.spec\.args\[1\] is a date or a time"),
    "a boolean key": (
        {"metadata": {"labels": {True: "x"}}},
        r"definition\.metadata\.labels has a key that is a boolean",
    ),
    "a null key": ({None: 1}, r"definition has a key that is null"),
    "a date as a key": ({NOON.date(): 1}, r"definition has a key that is a date"),
}


@pytest.mark.parametrize(("value", "words"), READ_BY_ANSIBLE.values(), ids=READ_BY_ANSIBLE)
def test_what_ansible_has_read_otherwise_than_kubectl_would_is_refused(value: object, words: str) -> None:
    with pytest.raises(ArgumentError, match=words + ".* put it in quotes, or give definition as the path of a file"):
        check_read_elsewhere({"name": "web", "definition": value})
    with pytest.raises(ArgumentError, match=words.replace("definition", "pod_template_patch")):
        check_read_elsewhere({"pod_template_patch": value})


@pytest.mark.parametrize(
    ("option", "named"), [("definition", "definition"), ("kubeconfig", "an option"), ("s3cret", "an option")]
)
def test_a_depth_that_python_cannot_follow_is_refused_before_anything_walks_it(option: str, named: str) -> None:
    deep: Any = 0
    for _level in range(sys.getrecursionlimit() * 2):
        deep = {"a": [deep]}
    with pytest.raises(ArgumentError, match=f"^{named} is nested more than a hundred levels deep"):
        check_read_elsewhere({"name": "web", option: deep})


def test_what_ansible_reads_without_a_loss_is_taken() -> None:
    check_read_elsewhere(
        {"definition": {"a": date(2026, 3, 1), "b": [1, 1.5, True, None], 8080: "x"}, "images": {True: 1}}
    )
    check_read_elsewhere({"definition": TEXT})


def test_an_unquoted_date_stays_what_was_written() -> None:
    text = f"{TEXT}  annotations: {{since: 2026-11-23}}\n"
    assert read_definition(text, "web", "shop")["metadata"]["annotations"] == {"since": "2026-11-23"}


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("", "is not a manifest"),
        (7, "is not a manifest"),
        ([], "is not a manifest"),
        ("- a\n- b\n", "is not a manifest"),
        (
            "~nobody-is-called-so/web.yml",
            "names the file ~nobody-is-called-so/web.yml, which cannot be read on this host",
        ),
        ("/nowhere/web.yml", "names the file /nowhere/web.yml, which cannot be read on this host"),
        (f"{SERVICE}---\n{SERVICE}", "several objects, and 0 of them are a Deployment called web in namespace shop"),
        (f"{TEXT}---\n{TEXT}", "several objects, and 2 of them are a Deployment called web in namespace shop"),
        ("kind: Deployment\n\tmetadata", "not valid YAML at line 2, column 1"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(definition: object, words: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        read_definition(definition, "web", "shop")
    assert words in str(refused.value)


def test_a_refusal_of_bad_yaml_does_not_quote_it() -> None:
    with pytest.raises(ArgumentError) as refused:
        read_definition("password: hunter2: oops\n  - x", "web", "shop")
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
