# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demonstration makes of what its load generator counted: a request that is lost fails it, one that a busy machine answers late
does not, and each is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.traffic import Answers, none_failed

RIGHT: dict[str, Any] = {"sent": 100, "failed": 0, "versions": {}, "failed_by_version": {}, "errors": {}, "slow": 0}


@pytest.mark.parametrize(
    ("counted", "said", "right"),
    [
        ({}, ["0 of 100 requests in all failed"], True),
        ({"slow": 7}, ["0 of 100 requests in all failed", "7 answered after more than 10 s"], True),
        (
            {"failed": 1, "codes": {"200": 99}, "errors": {"no answer within 1m0s": 1}, "slow": 7},
            ["1 of 100 requests in all failed", "1 x no answer within 1m0s", "7 answered after more than 10 s"],
            False,
        ),
        ({"failed": 1, "codes": {"200": 99}, "errors": {"connection reset": 1}}, ["1 x connection reset"], False),
        ({"failed": 2, "codes": {"200": 98, "503": 2}}, ["2 of 100 requests in all failed"], False),
        ({"codes": {"200": 97, "404": 3}}, ["3 of 100 requests in all failed"], False),
        ({"sent": 0, "codes": {}}, ["0 of 0 requests"], False),
    ],
    ids=["all right", "late", "never answered", "reset", "refused by the proxy", "not found", "nothing sent"],
)
def test_a_lost_request_fails_it_and_a_late_answer_is_told(
    counted: dict[str, Any], said: list[str], right: bool
) -> None:
    fact, holds = none_failed(Answers.whole({"codes": {"200": 100}, **RIGHT, **counted}), "in all")
    assert holds is right and all(text in fact for text in said), fact
