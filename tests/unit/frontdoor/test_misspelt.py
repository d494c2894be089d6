# SPDX-License-Identifier: GPL-3.0-or-later
"""An option that is misspelt is named, before ansible-core tells of the one that is missing because of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import bake, fleet, release, start, verify
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
        (release.VERB, {"reject": False}, "reject must be text, but it is a boolean"),
        (release.VERB, {"steps": [{"verify_tasks": True}]}, "steps[0].verify_tasks must be text, but it is a boolean"),
    ],
    ids=[
        "top",
        "required",
        "nested",
        "right",
        "the right one is there",
        "close to none",
        "a condition",
        "a nested one",
    ],
)
def test_it_is_named_with_what_was_meant(verb: Verb, given: dict[str, Any], said: str | None) -> None:
    assert misshapen(verb.arguments.argument_spec, {**WEB, **given}) == said


def of_start(traffic: Any) -> str | None:
    return misshapen(start.VERB.arguments.argument_spec, {**WEB, "traffic": traffic})


def of_release(traffic: Any) -> str | None:
    """What the role is asked by, too."""
    return misshapen(release.VERB.arguments.argument_spec, {**WEB, "traffic": traffic})


def of_fleet(traffic: Any) -> str | None:
    return misshapen(fleet.MEMBER, {**WEB, "traffic": traffic})


@pytest.mark.parametrize("of", [of_start, of_release, of_fleet])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "traefik",
            "A TraefikService or an IngressRoute is not rewritten. Traefik also serves HTTPRoutes: give gateway_api; and",
        ),
        ("TraefikService", "A TraefikService or an IngressRoute is not rewritten."),
        (
            "TCPRoute",
            "A TCPRoute has connections, and no requests that could be told apart. Where its users speak HTTP, give gateway_api",
        ),
        ("tls_route", "A TLSRoute has connections"),
        ("appMesh", "AWS App Mesh ended on 2026-09-30. Its successors go by Gateway API"),
        (
            "linkerd",
            "The own objects of Linkerd are not rewritten. Where it serves HTTPRoutes of Gateway API, give gateway_api",
        ),
        ("smi", "SMI was given up for Gateway API"),
        ("nginx", "Write ingress_nginx for Ingresses by the annotations of ingress-nginx"),
        ("Ingress", "Ingresses are rewritten by the annotations of their controller: write ingress_nginx or alb"),
        ("ingress-nginx", "Write ingress_nginx"),
        ("Gateway API", "Write gateway_api"),
        ("HTTPRoute", "Write gateway_api for HTTPRoutes"),
        ("VirtualService", "Write istio for VirtualServices"),
    ],
)
def test_a_kind_of_traffic_that_there_is_elsewhere_is_refused_with_what_to_give_instead(
    of: Callable[[Any], str | None], kind: str, said: str
) -> None:
    refused = of({"kind": kind})
    assert (
        refused is not None
        and f"must be one of: gateway_api, service_selector, ingress_nginx, istio, alb, gateway_api_grpc. {said}"
        in refused
    )
    assert of(f"kind={kind!r}") == refused


def test_of_what_is_no_kind_at_all_nothing_is_repeated() -> None:
    assert of_start({"kind": "hunter2"}) == (
        "traffic.kind must be one of: gateway_api, service_selector, ingress_nginx, istio, alb, gateway_api_grpc"
    )
