# SPDX-License-Identifier: GPL-3.0-or-later
"""An option that is misspelt is named, before ansible-core tells of the one that is missing because of that."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import bake, start, verify
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.shapes import misshapen

WEB = {"name": "web", "namespace": "shop"}


@pytest.mark.parametrize(
    ("verb", "given", "said"),
    [
        (start.VERB, {"image": {"app": "web:2"}}, "the task has no option image: write images, or leave it out"),
        (bake.VERB, {"second": 5}, "the task has no option second: write seconds, or leave it out"),
        (
            verify.VERB,
            {"checks": [{"http": {"prt": 80}}]},
            "checks[0].http has no option prt: write port, or leave it out",
        ),
        (bake.VERB, {"seconds": 5}, None),
        (bake.VERB, {"seconds": 5, "second": 5}, None),
        (bake.VERB, {"colour": "blue"}, None),
    ],
    ids=["top", "required", "nested", "right", "the right one is there", "close to none"],
)
def test_it_is_named_with_what_was_meant(verb: Verb, given: dict[str, Any], said: str | None) -> None:
    assert misshapen(verb.arguments.argument_spec, {**WEB, **given}) == said
