# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What never comes into force, and what somebody else does meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from tests.cluster.gateway.manifests import gateway_of_class
from tests.cluster.gateway.server import add_gateway
from tests.cluster.objects import create
from tests.faults.proxy import silent_from
from tests.gateways.gates import EVERYTHING, STREAMS, behind_a_proxy, ending
from tests.gateways.shop import Shop
from tests.integration.releases import CONTAINER, image

from .bench import RATE, Bench, Case


def never_programmed(bench: Bench) -> Case:
    case = Case("a write that never comes into force", "not_programmed, users unaffected, everything taken back")
    silence = threading.Event()
    with TemporaryDirectory() as folder, behind_a_proxy(bench.lab, Path(folder), "deaf") as (proxy, kubeconfig):
        proxy.go_wrong(EVERYTHING, *[silent_from(silence)] * STREAMS)
        deaf = add_gateway(bench.lab, name="deaf", kubeconfig=kubeconfig)
        with ending(bench.lab, deaf), bench.shop(deaf) as shop, shop.users.coming(RATE) as users:
            silence.set()
            _refused(case, "a gateway that hears of nothing any more", shop, "not_programmed", seconds=5)
            shop.undo()
            case.own(shop)
        case.none_failed("its users", users)
    stopped = add_gateway(bench.lab, name="stopped")
    with bench.shop(stopped) as shop:
        stopped.end(bench.lab)
        _refused(case, "a gateway that has stopped", shop, "not_programmed")
        case.own(shop)
    return case


def _refused(case: Case, what: str, shop: Shop, code: str, **traffic: Any) -> None:
    try:
        shop.start(weight=Fraction(1, 4), **traffic)
    except VerbFailure as failure:
        case.told(f"{what}: {failure.code}", failure.code == code)
    else:
        case.told(f"{what}: it was started", right=False)


def foreign_edits(bench: Bench) -> Case:
    case = Case("what somebody else does at 25 %", "users of the stable version never notice; any verb heals")
    with bench.shop() as shop:
        with shop.users.coming(RATE) as users:
            shop.start(pods=2, weight=Fraction(1, 4))
            where, rules = shop.rules_of(shop.before)
            back = [{"op": "replace", "path": where, "value": rules}]
            shop.api.patch(f"{shop.routes}/web", back, PatchKind.JSON, field_manager="argocd-controller")
            again = shop.start(pods=2, weight=Fraction(1, 4))
            told = any("argocd-controller" in warning for warning in again.warnings)
            shop.undo()
        case.none_failed("the route was put back, started again", users)
        case.told(f"whoever did it {'was' if told else 'was not'} named", told)
        case.own(shop)
        shop.start(pods=2, weight=Fraction(1, 4))
        third = {"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, "image": image("v3")}]}}}}
        shop.api.patch(shop.release.path, third, PatchKind.STRATEGIC)
        shop.undo()
        with shop.users.coming(RATE) as users:
            time.sleep(2)
        case.none_failed("a third version was rolled out, undone: afterwards", users)
        case.own(shop)
    return case


def unserved(bench: Bench) -> Case:
    """Beside the one by which users come; and one alone, which nobody comes by."""
    case = Case("a Gateway that does not serve the route", "not_programmed, users unaffected, everything taken back")
    for what, name, of_class, takes in (
        ("its class is unknown", "strange", "nobody-knows-it", "All"),
        ("its listener takes no routes of this namespace", "closed", bench.gateway.name, "Same"),
    ):
        create(bench.lab, [gateway_of_class(name, bench.gateway.port, of_class, takes)])
        with bench.shop(beside=[name]) as shop, shop.users.coming(RATE) as users:
            _refused(case, f"{what}, beside another", shop, "not_programmed")
            case.own(shop)
        case.none_failed("users of the other", users)
        with bench.shop(replace(bench.gateway, name=name), served=False) as shop:
            _refused(case, "alone, proof: prefer", shop, "not_programmed", proof="prefer", seconds=5)
            shop.undo()
            case.own(shop)
    return case


def without_a_grant(bench: Bench) -> Case:
    """Another rule of the route sends to another namespace, which has not agreed to it."""
    case = Case("a grant is missing for another rule of the route", "users unaffected, shares as said")
    foreign = {"name": "web", "namespace": "default", "port": 80}
    rules = [
        {"backendRefs": [{"name": "web", "port": 80}]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/foreign"}}], "backendRefs": [foreign]},
    ]
    with bench.shop(rules=rules) as shop:
        with shop.users.coming(RATE) as users:
            shop.start(weight=Fraction(1, 4))
            got = shop.users.send(2000)
            shop.undo()
        case.none_failed("start, undo", users)
        case.told(f"25 %: {got.of('v2')} of {got.sent}", abs(got.of("v2") - 500) <= 100)
        case.own(shop)
    return case
