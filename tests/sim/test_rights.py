# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Role of docs/rbac.yaml: with it everything works, and there is no right in it that nothing needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    InfoRequest,
    NewTemplate,
    Size,
    StartRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.integration.releases import CONTAINER, Release, annotated, image, silent
from tests.integration.shipped_role import MANIFEST
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.world import World
from tests.situations import Right, Web


def shipped() -> list[Right]:
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    rules = next(document["rules"] for document in documents if document["kind"] == "Role")
    return [right for rule in rules for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])]


def released(web: Web, rights: Sequence[Right]) -> Release:
    """Two pods of v1 and an autoscaler, made by the administrator, and asked for by somebody with these rights."""
    web.make(2).autoscaler(2, 4)
    return Release(web.world.account(web, rights), web.namespace, web.name)


def everything(release: Release) -> str:
    """All that a release can ask for: lists, a patched template beside a pinned autoscaler, an undo, a crash and its log, a timeout.

    Returns what was said of rights on the way.
    """
    info(release.api, InfoRequest(namespace=release.namespace))
    info(release.api, InfoRequest(release.name, release.namespace))
    patch = {"metadata": {"annotations": {"asked": "by-patch"}}}
    wanted = StartRequest(release.call, NewTemplate(patch=patch), Size(1), autoscaler=AutoscalerPolicy.PIN)
    start(release.api, wanted, silent)
    undone = release.undo()
    crashing = replace(wanted, template=NewTemplate(images={CONTAINER: image("crash")}))
    with pytest.raises(VerbFailure) as crashed:
        start(release.api, crashing, silent)
    release.undo()
    slow = replace(wanted, template=NewTemplate(patch=annotated(never_ready="true")))
    with pytest.raises(VerbFailure) as late:
        start(release.api, replace(slow, call=replace(wanted.call, wait=Wait(timeout=1.0))), silent)
    release.undo()
    return " ".join([*undone.warnings, crashed.value.message, late.value.message])


def test_the_shipped_rights_suffice_for_everything(new: Callable[..., Web]) -> None:
    crash = everything(released(new(), shipped()))
    assert "restarted" in crash
    assert "Missing right" not in crash


def test_who_ignores_autoscalers_needs_no_right_to_them(new: Callable[..., Web]) -> None:
    blind = released(new(), [right for right in shipped() if right[1] != "horizontalpodautoscalers"])
    wanted = StartRequest(
        blind.call, NewTemplate(images={CONTAINER: image("v2")}), Size(1), autoscaler=AutoscalerPolicy.IGNORE
    )
    start(blind.api, wanted, silent)
    assert blind.promote().changed
    assert not blind.promote().changed
    assert not blind.undo().changed


# Only where requests are shared out.
OF_TRAFFIC = frozenset({"httproutes", "services", "endpointslices", "gateways"})
ALWAYS = [right for right in shipped() if right[1] not in OF_TRAFFIC | {"leases"}]


@pytest.mark.parametrize("right", ALWAYS, ids=" ".join)
def test_it_does_not_work_without_the_right(right: Right, new: Callable[..., Web]) -> None:
    _group, resource, verb = right
    try:
        complaint = everything(released(new(), [other for other in shipped() if other != right]))
    except (ApiError, VerbFailure) as error:
        complaint = str(error)
    named = resource.partition("/")[0]
    assert named in complaint
    assert verb in complaint
    assert "Missing right" in complaint or "log cannot be read" in complaint


@pytest.mark.parametrize("right", [right for right in shipped() if right[1] in OF_TRAFFIC], ids=" ".join)
def test_without_a_right_to_what_routes_requests_it_is_named(right: Right) -> None:
    group, name, verb = right
    resource = f"{name}.{group}" if group else name
    switches = (name, verb) == ("services", "patch")
    start = Ask("start", pods=4, surge=4, share="0", kind="service_selector") if switches else Ask("start", share="5")
    asks = (start, Ask("promote", think=1.0))
    ana = Script("ana", 8.0, asks=asks, forbidden=frozenset({(verb, resource)}))
    played = World(History(scripts=(ana,), end=End.UNDO, gateway=Lags())).play()
    assert not played.violations
    told = [call.told() for call in played.calls]
    told += [text for call in played.calls if isinstance(call.result, Outcome) for text in call.result.warnings]
    assert f"Missing right: {verb} {resource} in namespace shop" in " ".join(told)


GROW = Ask("start", pods=2)
OF_LEASES = {
    # verb: what is done, and what is said of the right.
    "create": ((Ask("start"),), True),
    "get": ((Ask("start"), Ask("info")), True),
    "patch": ((Ask("start"), Ask("bake", seconds=200.0), GROW), True),
    # What cannot be deleted is left to nobody.
    "delete": ((Ask("start"), Ask("promote")), False),
}


@pytest.mark.parametrize("verb", OF_LEASES)
def test_without_a_right_to_leases_a_release_goes_on_and_names_it(verb: str) -> None:
    asks, told = OF_LEASES[verb]
    ana = Script("ana", 8.0, names="run", asks=asks, forbidden=frozenset({(verb, "leases.coordination.k8s.io")}))
    played = World(History(scripts=(ana,), end=End.UNDO)).play()
    assert not played.violations
    results = [call.result for call in played.calls if call.actor == "ana"]
    assert all(isinstance(result, Outcome) for result in results), results
    said = " ".join(text for result in results if isinstance(result, Outcome) for text in result.warnings)
    assert (f"Missing right: {verb} leases.coordination.k8s.io in namespace shop" in said) is told


def test_the_rights_to_leases_are_all_that_one_run_at_a_time_needs() -> None:
    assert {verb for _group, resource, verb in shipped() if resource == "leases"} == OF_LEASES.keys()
