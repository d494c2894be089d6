# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of rights and of other writers is what their sources say (tests/sim shows that these are right)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.toolchain import writers
from tests.toolchain.rights import MANIFESTS, manifest, rules, written


@pytest.mark.parametrize(("path", "text"), written().items(), ids=lambda one: one.name if isinstance(one, Path) else "")
def test_it_is_as_make_rights_writes_it(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run make rights"


def test_the_page_of_writers_is_as_make_writers_writes_it() -> None:
    assert writers.PAGE.read_text(encoding="utf-8") == writers.page(), "run make writers"


def test_every_rule_of_a_role_is_in_its_manifest() -> None:
    given = [
        (rule["apiGroups"], rule["resources"], rule["verbs"])
        for name in MANIFESTS
        for document in yaml.safe_load_all(manifest(name))
        for rule in document.get("rules", ())
    ]
    wanted = [
        ([rule.group], list(rule.resources), list(rule.verbs)) for rule in rules() if rule.role != "cluster_reader"
    ]
    assert sorted(given) == sorted(wanted)


def test_only_reading_is_granted_for_the_whole_cluster() -> None:
    assert {verb for rule in rules() if rule.where != "namespace" for verb in rule.verbs} <= {"get", "list", "watch"}
