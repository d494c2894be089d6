# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a result is written down, and is what the code makes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import SCHEMA, Ending, Release
from ansible_collections.coalmine.canary.plugins.module_utils.release.rulings import Stage
from tests.toolchain.venvs import ROOT
from tests.unit.release.results import WHOLE

SHAPE = json.loads(Path(ROOT, "docs", "release.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("release", [WHOLE, Release(run="r")], ids=["whole", "just begun"])
def test_a_result_has_the_shape_that_is_written_down(release: Release) -> None:
    jsonschema.validate(release.to_json(), SHAPE)


def test_the_shape_names_every_ending_and_stage() -> None:
    properties = SHAPE["properties"]
    assert properties["schema"]["const"] == SCHEMA
    assert properties["outcome"]["enum"] == [ending.value for ending in Ending]
    assert properties["stage"]["enum"] == [stage.value for stage in Stage]
    assert SHAPE["required"] == list(WHOLE.to_json())
