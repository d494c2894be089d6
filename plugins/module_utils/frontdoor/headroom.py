# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_headroom_info's arguments.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ..verbs.call.orders import Call, Size, Target
from ..verbs.call.outcome import Outcome, Report
from ..verbs.counting.asked import HeadroomRequest, PriceMetrics
from .arguments import TARGET, ArgumentError, ArgumentSpec, Options, Parameters, Verb, must_be_names, within
from .candidate import CANDIDATE, EXCLUSIVE, ONE_OF, check_room, new_size, new_template
from .manifest import plain
from .web import WEB, web

_RELEASE: Options = {
    **TARGET,
    **CANDIDATE,
    "surge": {"type": "int", "default": 1},
    "steps": {
        "type": "list",
        "elements": "dict",
        "options": {"pods": {"type": "int"}, "weight": {"type": "int"}},
        "mutually_exclusive": [("pods", "weight")],
    },
}
_EXCLUSIVE = (*EXCLUSIVE, ("pods", "steps"), ("weight", "steps"))


def _request(parameters: Parameters, check: bool, actor: str) -> HeadroomRequest:
    # A question is the same in check mode and whoever asks.
    del check, actor
    check_room(parameters)
    return HeadroomRequest(
        call=Call(target=Target(parameters["name"], parameters["namespace"]), check=True),
        template=new_template(parameters),
        size=new_size(parameters),
        steps=tuple(_size_of_step(number, step) for number, step in enumerate(parameters["steps"] or ())),
        surge=parameters["surge"],
        max_unavailable=parameters["max_unavailable"],
        assume_replicas=_replicas(parameters["assume_replicas"]),
        prices=plain(parameters["prices"]),
        price_metrics=_price_metrics(parameters["price_metrics"]),
        node_group_label=parameters["node_group_label"],
        others=tuple(_other(number, given) for number, given in enumerate(parameters.get("others") or ())),
    )


def _size_of_step(number: int, given: Parameters) -> Size:
    with within(f"steps[{number}]", given):
        return new_size(given)


def _other(number: int, given: Parameters) -> HeadroomRequest:
    alone = {**dict.fromkeys(("prices", "price_metrics", "node_group_label")), "assume_replicas": "current"}
    with within(f"others[{number}]", _RELEASE):
        must_be_names(given)
        return _request({**given, **alone}, True, "")


def _price_metrics(given: Parameters | None) -> PriceMetrics | None:
    if given is None:
        return None
    from ..verbs.judging.checks import Misasked

    with within("price_metrics", WEB, Misasked):
        return PriceMetrics(web(given), given["currency"] or "")


def _replicas(text: str) -> str | int:
    if text in ("current", "max"):
        return text
    # No more digits than any number of pods has, or Python reads no number at all.
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise ArgumentError("assume_replicas is none of these: give current, max, or a number of pods")


def _headroom(api: Any, request: HeadroomRequest, report: Report) -> Outcome:
    """What counts is loaded where it counts: canary_release has the same options, and may have nothing to count."""
    from ..verbs.headroom import headroom

    return headroom(api, request, report)


VERB = Verb(
    name="canary_headroom_info",
    arguments=ArgumentSpec(
        options={
            **_RELEASE,
            "others": {
                "type": "list",
                "elements": "dict",
                "options": _RELEASE,
                "mutually_exclusive": [*_EXCLUSIVE],
                "required_one_of": [*ONE_OF],
            },
            "assume_replicas": {"type": "str", "default": "current"},
            "prices": {"type": "dict"},
            "price_metrics": {"type": "dict", "options": {**WEB, "currency": {"type": "str"}}},
            "node_group_label": {"type": "str"},
        },
        build=_request,
        mutually_exclusive=_EXCLUSIVE,
        required_one_of=ONE_OF,
    ),
    perform=_headroom,
)
