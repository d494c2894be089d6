# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary may be held while the collection is upgraded, so what one version has written to objects every later one reads. The texts
here are as they stand in clusters: none may ever be changed. A new member, or a new kind, gets a text of its own (records/ has whole records)."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.autoscaler import (
    AUTOSCALER,
    Bounds,
    Claim,
    bounds,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import (
    LAST,
    Before,
    LastRelease,
    last_ended,
    last_outcome,
    version_before,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import Kind, Record
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.scaledobject import SCALED_OBJECT, Note, note
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import Autoscaler, Deployment, ScaledObject
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.exposure import (
    Exposure,
    Kept,
    Stage,
    Sticky,
    Versions,
    Wanted,
)
from ansible_collections.coalmine.canary.plugins.module_utils.traffic.kinds import KEPT, KINDS, Header

from .objects import record


def test_where_it_is_kept_is_never_another_place() -> None:
    assert (KEPT, LAST, AUTOSCALER, SCALED_OBJECT) == (
        "coalmine.canary/route",
        "coalmine.canary/last",
        "coalmine.canary/autoscaler",
        "coalmine.canary/scaled-object",
    )


COMPANIONS = {
    "HorizontalPodAutoscaler": Kind.AUTOSCALER,
    "HorizontalPodAutoscaler that may scale up": Kind.HELD_AUTOSCALER,
    "ScaledObject": Kind.SCALED_OBJECT,
    "ScaledObject that may scale up": Kind.HELD_SCALED_OBJECT,
}


def test_every_companion_is_read_by_the_name_that_its_kind_has_had_ever_since() -> None:
    assert set(COMPANIONS.values()) == set(Kind)
    for name, kind in COMPANIONS.items():
        data: dict[str, Any] = json.loads(record().encode())
        text = json.dumps({**data, "companions": [{"kind": name, "name": "web", "uid": "u"}]})
        assert [one.kind for one in Record.decode(text).companions] == [kind]


def test_every_kind_of_traffic_is_read_by_the_name_that_it_has_had_ever_since() -> None:
    kinds = {"gateway_api", "service_selector", "ingress_nginx", "istio", "alb", "gateway_api_grpc"}
    assert set(KINDS) == kinds
    traffic = {
        "address": "", "isolating": False, "proof": "prefer", "routes": [{"name": "web", "uid": "u"}],
        "seconds": 30, "service": "web", "url": "", "verify": True,
    }  # fmt: skip
    for kind in kinds:
        data = json.loads(record().encode())
        read = Record.decode(json.dumps({**data, "version": 3, "traffic": traffic, "trafficKind": kind})).traffic
        assert read is not None and read.kind == kind


ON_A_ROUTE = {
    '{"canary":"web-c","header":{"name":"x-canary","value":"always"},"mark":7,"own":"web","owner":"uid","rules":{"api":[{"name":"web","port":80'
    '}]},"stable":"web-s","stage":"split","sticky":{"drawn":"1/10","most":"1/5","step":3},"token":"t","version":1,"warm":["web-c"],"weight":"1/20"}': Wanted(
        Stage.SPLIT,
        Exposure(Fraction(1, 20), Header("x-canary", "always"), Sticky(3, Fraction(1, 10), Fraction(1, 5))),
        ("web-c",),
        7,
    ),
    '{"canary":"web-c","cookies":true,"copies":true,"drained":{"header":null,"mirror":"1/4","weight":"0"},"header":null,"mark":null,"own":"web"'
    ',"owner":"uid","rules":{"api":[{"name":"web","port":80}]},"stable":"web-s","stage":"isolated","token":"t","version":2,"warm":[],"weight":"0"}': Wanted(
        Stage.ISOLATED, Exposure(), (), None, Exposure(mirror=Fraction(1, 4)), cookies=True, copies=True
    ),
}


@pytest.mark.parametrize(("text", "wanted"), ON_A_ROUTE.items(), ids=["split", "isolated"])
def test_what_stands_on_a_route_is_read_for_ever(text: str, wanted: Wanted) -> None:
    kept = Kept("uid", Versions("web", "web-s", "web-c"), "t", wanted, {"api": [{"name": "web", "port": 80}]})
    assert Kept.decode(text) == kept
    assert kept.encode() == text


def test_how_the_last_release_ended_is_read_for_ever() -> None:
    text = (
        '{"at":"2026-01-01T00:00:00Z","before":"v1","by":"ana","digest":"sha256:1a","generation":7,"images":{"app":"web:2"},'
        '"outcome":"promoted","reason":"","version":"v2"}'
    )
    meta = {"name": "web", "namespace": "shop", "uid": "u", "generation": 9, "annotations": {LAST: text}}
    deployment = Deployment.parse(
        {
            "metadata": meta,
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "app", "image": "web:2"}]}}},
        }
    )
    assert (last_ended(deployment), last_outcome(deployment)) == (7, "promoted by ana at 2026-01-01T00:00:00Z")
    assert version_before(deployment, "v2") == Before("v1", "sha256:1a")
    ended = LastRelease("promoted", {"app": "web:2"}, "2026-01-01T00:00:00Z", "ana", "", 7, "v2", "v1", "sha256:1a")
    assert ended.encode() == text


CLAIM = Claim("job-7", "host.1.2", 1767225600, 7)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"maxReplicas":9,"minReplicas":2,"pinned":4}', Bounds(2, 9, 4)),
        (
            '{"at":1767225600,"behavior":{"scaleDown":{"selectPolicy":"Min"}},"maxReplicas":9,"minReplicas":null,"pinned":4,"process":"host.1.2",'
            '"release":7,"run":"job-7"}',
            Bounds(None, 9, 4, CLAIM, True, {"scaleDown": {"selectPolicy": "Min"}}),
        ),
    ],
    ids=["pinned", "held"],
)
def test_what_stands_on_an_autoscaler_is_read_for_ever(text: str, kept: Bounds) -> None:
    meta = {"name": "web", "uid": "u", "annotations": {AUTOSCALER: text}}
    spec = {"maxReplicas": 4, "minReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    assert bounds(Autoscaler.parse({"metadata": meta, "spec": spec})) == kept
    assert kept.encode() == text


def test_what_stands_on_a_scaled_object_is_read_for_ever() -> None:
    text = '{"at":1767225600,"process":"host.1.2","release":7,"run":"job-7","switches":{"autoscaling.keda.sh/paused-scale-in":null}}'
    kept = Note({"autoscaling.keda.sh/paused-scale-in": None}, CLAIM)
    meta = {"name": "web", "uid": "u", "annotations": {SCALED_OBJECT: text}}
    assert note(ScaledObject.parse({"metadata": meta, "spec": {"scaleTargetRef": {"name": "web"}}})) == kept
    assert kept.encode() == text
