# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may write for canary_headroom_info, and the request that comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.headroom import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Size
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.headroom import HeadroomRequest

URL = "https://prometheus.example/api"


def asked(**options: Any) -> HeadroomRequest:
    given = {"name": "web", "images": {"app": "app:2"}, **options}
    result = ArgumentSpecValidator(VERB.arguments.argument_spec).validate(given)
    if result.error_messages:
        raise ArgumentError(result.errors.msg)
    request = VERB.arguments.to_request(result.validated_parameters, False, "ann")
    assert isinstance(request, HeadroomRequest)
    return request


def test_prices_come_from_nowhere_unless_it_is_said() -> None:
    assert (asked().prices, asked().price_metrics, asked().assume_replicas) == (None, None, "current")


def test_a_source_of_prices_is_reached_as_one_of_checks_is() -> None:
    metrics = asked(
        price_metrics={"url": URL, "token": "t", "headers": {"X-Scope-OrgID": 7}, "timeout": 3, "currency": "CNY"}
    ).price_metrics
    assert metrics is not None
    assert (metrics.web.url, metrics.web.token, metrics.web.headers) == (URL, "t", {"X-Scope-OrgID": "7"})
    assert (metrics.web.timeout, metrics.web.validate_certs, metrics.currency) == (3.0, True, "CNY")
    assert "t" not in str(metrics).replace(URL, "").split("'")


def test_several_sizes_are_asked_for_as_steps() -> None:
    assert asked(steps=[{}, {"pods": 2}, {"weight": "50"}]).steps == (
        Size(pods=1),
        Size(pods=2),
        Size(pods=None, weight=50),
    )
    assert (asked().steps, asked(steps=[]).steps, asked(pods=3).size) == ((), (), Size(pods=3))


@pytest.mark.parametrize(("given", "replicas"), [("max", "max"), ("12", 12), (0, 0)])
def test_replicas_are_assumed_by_word_or_number(given: object, replicas: object) -> None:
    assert asked(assume_replicas=given).assume_replicas == replicas


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"price_metrics": {}}, "missing required arguments: url"),
        ({"price_metrics": {"url": "prometheus:9090"}}, "price_metrics.url must begin with http"),
        ({"price_metrics": {"url": "http://ann:pw@p"}}, "price_metrics.url .http://p. holds a user"),
        (
            {"price_metrics": {"url": URL, "token": "t", "username": "ann"}},
            "price_metrics.token and username are both given",
        ),
        ({"price_metrics": {"url": URL, "key": "t"}}, "key. Supported parameters include"),
        ({"steps": [{"pods": 0}]}, "pods is 0"),
        ({"steps": [{"weight": 100}]}, "weight is 100: it must be 99 or less"),
        ({"steps": [{"pods": 1, "weight": 5}]}, "mutually exclusive: pods|weight"),
        ({"steps": [{"bake": 1}]}, "bake. Supported parameters include"),
        ({"assume_replicas": "1" * 5000}, "assume_replicas is none of these"),
        ({"assume_replicas": "-3"}, "assume_replicas is none of these: give current, max, or a number of pods"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ArgumentError, match=why):
        asked(**options)


def test_others_are_asked_for_as_releases_of_their_own() -> None:
    others = asked(
        others=[{"name": "search", "namespace": "shop", "images": {"app": "s:2"}, "steps": [{"pods": 3}]}]
    ).others
    assert [(one.call.target.name, one.call.target.namespace, one.steps) for one in others] == [
        ("search", "shop", (Size(pods=3),))
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"name": "se/arch", "images": {"app": "s:2"}}, r"others\[0\].name"),
        ({"name": "search", "images": {"app": "s:2"}, "pods": 0}, r"others\[0\].pods is 0"),
        ({"name": "search"}, "one of the following is required"),
        ({"name": "search", "images": {"app": "s:2"}, "pods": 1, "weight": 2}, "mutually exclusive"),
    ],
)
def test_others_that_make_no_sense_are_refused_with_their_place(other: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        asked(others=[other])
