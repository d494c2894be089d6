# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists that somebody has to keep by hand agree with what is there."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.toolchain.venvs import ROOT

RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())


def verbs_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("canary_*.py"))


def test_the_action_group_is_all_modules() -> None:
    assert RUNTIME["action_groups"]["canary"] == verbs_in(ROOT / "plugins" / "modules")


def test_every_verb_has_both_doors() -> None:
    assert verbs_in(ROOT / "plugins" / "action") == verbs_in(ROOT / "plugins" / "modules")


def pins(requirements: Path) -> set[str]:
    """The exact pins of the file; a name may be written with _ or -."""
    return {line.replace("_", "-").lower() for line in requirements.read_text().splitlines() if "==" in line}


def test_the_closure_of_an_environment_has_the_versions_that_were_asked_for() -> None:
    for source in (ROOT / "requirements").glob("*.in"):
        assert pins(source) <= pins(source.with_suffix(".txt")), source.name
