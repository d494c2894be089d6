# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest means what it means to kubectl: to its decoder, which reads thousands of texts, and to itself."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.kubectl_yaml import NotYaml, documents
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.manifest import read_definition
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.cluster.semantics import Semantics
from tests.toolchain.sampled import sampled
from tests.unit.frontdoor.test_kubectl_yaml import DOCUMENTS, KEYS, SCALARS

NUMBERS = ["00", "0x", "0X", "0o", "0O", "0b", "0B", "2026-03-01", *"012789.-+eE_aF:TZ"]
ATOMS = [
    "e8", "e-3", "0x", "0o", "on", "off", "yes", "No", "null", ".5", ".inf", ".nan", "<<", "T10:20:30Z", "22:22", "1.5", "Gi",
    *"018-+E_:any~=<m%/@|!&*`'\"#,[]{}é²٣\\",
]  # fmt: skip
PIECES = [
    "a", "b", "k", "1", "on", "- ", ": ", ":\t", "\t", " ", "  ", "\n", "\n  ", "\n- ", "\n---\n", "# c", "{", "}", "[", "]",
    ", ", '"', "'", "&x ", "*x", "<<: *x", "|\n  ", "> \n  ", "!!str ", "!!int ", "!!float ", "!foo ", "? ", "~", "'q'",
    '"d\\t"', "...\n",
]  # fmt: skip
TEXTS = 4000


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Semantics:
    return Semantics.built(tmp_path_factory.mktemp("semantics"))


def made(seed: int) -> list[str]:
    """Texts in every place of which something odd may stand."""
    chance = random.Random(seed)

    def some(atoms: list[str], most: int) -> str:
        return "".join(chance.choice(atoms) for _ in range(chance.randint(1, most)))

    shapes = [
        lambda: f"v: {some(NUMBERS, 6)}\n",
        lambda: f"{some(NUMBERS, 6)}: 1\n",
        lambda: f"v: {some(ATOMS, 4)}\nk: 1\n",
        lambda: f"{some(ATOMS, 4)}: v\n",
        lambda: f"v: [{some(ATOMS, 4)}, {{k: {some(ATOMS, 3)}}}]\n",
        lambda: some(PIECES, 14),
    ]
    return [chance.choice(shapes)() for _ in range(TEXTS)]


def ours(text: str) -> Any:
    try:
        return documents(text)
    except NotYaml:
        return None


def same(one: Any, other: Any) -> bool:
    """A text is no number, and a boolean is none either."""
    return json.dumps(_floats(one), sort_keys=True) == json.dumps(_floats(other), sort_keys=True)


def _floats(value: Any) -> Any:
    """Go writes large numbers in digits that are not all meant."""
    if isinstance(value, dict):
        return {key: _floats(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("seed", sampled(range(5)))
def test_what_is_read_is_what_kubectl_reads_or_nothing(seed: int, kubernetes: Semantics) -> None:
    """kubectl leaves out what follows the first object of a document, and reads `%` at its place: we refuse both."""
    texts = made(seed)
    read = [(text, ours(text), theirs) for text, theirs in zip(texts, kubernetes.objects(texts), strict=True)]
    wrong = [one for one in read if one[1] is not None and one[2] is not None and not same(one[1], one[2])]
    assert not wrong, wrong[:5]
    assert sum(found is not None for _text, found, _theirs in read) > TEXTS / 2
    one_line = [one for one in read if one[0].count("\n") == 1 and one[0].startswith("v: ")]
    refused = [one for one in one_line if one[1] is None and one[2] is not None]
    assert not [one for one in refused if one[2][0]["v"] is None or isinstance(one[2][0]["v"], str | int | float)], (
        refused
    )


def test_the_texts_of_the_unit_tests_are_as_kubectl_reads_them(kubernetes: Semantics) -> None:
    texts = {
        **{f"v: {written}\nw: [1]\n": [{"v": value, "w": [1]}] for written, value in SCALARS.items()},
        **{f"{written}: v\n": [{key: "v"}] for written, key in KEYS.items()},
        **dict(DOCUMENTS.values()),
    }
    wrong = [
        (text, found, theirs)
        for (text, found), theirs in zip(texts.items(), kubernetes.objects(texts), strict=True)
        if not same(found, theirs)
    ]
    assert not wrong


HEAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
ODD = (
    "  template:\n    metadata:\n      labels: {app: web}\n      annotations:\n        on: \"yes\"\n        2026-03-01: at\n"
    "        since: 2026-03-01T10:20:30Z\n        =: =\n        0o17: octal\n    spec:\n      containers:\n      - name: web\n"
    "        image: nginx:1\t# a tab\n        args: [2222:22, =, 1.2.3]\n        ports: &ports\n        - containerPort: 0o400\n"
    "          hostPort: 1_0\n        livenessProbe: {initialDelaySeconds: 1e2, httpGet: {port: 0x50}}\n"
    "        resources: {limits: {memory: 1e8, cpu: .5}}\n      - {name: other, image: 'nginx:2', ports: *ports}\n"
)  # fmt: skip
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
LISTED = f"apiVersion: v1\nkind: List\nitems:\n- {SERVICE.strip().replace(chr(10), chr(10) + '  ')}\n- "
FILES: dict[str, bytes] = {
    "odd scalars": (HEAD + ODD).encode(),
    "UTF-16": (HEAD + ODD).encode("utf-16"),
    "a byte order mark": (HEAD + ODD).encode("utf-8-sig"),
    "line breaks of Windows": (HEAD + ODD).replace("\n", "\r\n").encode(),
    "JSON with tabs": json.dumps(documents(HEAD + ODD)[0], indent="\t").encode(),
    "a List": (LISTED + (HEAD + ODD).strip().replace("\n", "\n  ") + "\n").encode(),
    "among others": f"# words\n---\n{SERVICE}---\n{HEAD}{ODD}---\n".encode(),
    "in two namespaces": "---\n".join(
        HEAD.replace("{name: web}", f"{{name: web, namespace: {space}}}") + ODD.replace("nginx:1", f"nginx:{space}")
        for space in ("elsewhere", "default")
    ).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_template_that_kubectl_gives(name: str, lab: Lab | ForeignCluster, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_bytes(FILES[name])
    said = lab.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", str(file))
    items = [each for printed in documents(said) for each in printed.get("items", [printed])]
    found = [each for each in items if each["kind"] == "Deployment" and each["metadata"]["namespace"] == "default"]
    assert len(found) == 1
    assert read_definition(str(file), "web", "default")["spec"]["template"] == found[0]["spec"]["template"]
