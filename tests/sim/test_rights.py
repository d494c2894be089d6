# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/vars/rights.yml: with it every verb works, with each right less the right is named, and nothing in it is for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    InfoRequest,
    NewTemplate,
    Size,
    StartRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.integration.releases import Release
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.rights import CLUSTER, DEEDS, HERE, Deed, Done, Right, Routed
from tests.sim.world import World
from tests.situations import Right as Granted
from tests.situations import Web, image, silent
from tests.toolchain.rights import Rule, rules
from tests.toolchain.sampled import in_turn

# Shown on a real node (tests/integration/test_port_forward.py): no tunnel is simulated.
ELSEWHERE = {"pods/portforward"}
# What cannot be deleted is left to nobody, so that nothing is to be told.
QUIET = {Right("delete", "leases.coordination.k8s.io")}
# Who ignores autoscalers is told of none.
LISTS_AUTOSCALERS = Right("list", "horizontalpodautoscalers.autoscaling")


def name(deed: Deed | Routed) -> str:
    return f"{deed.verb} {deed.option}".strip()


def uses(deed: Deed | Routed) -> set[str]:
    """The verb, with each of its options, and with all of them together."""
    return {deed.verb, *(f"{deed.verb} {option}" for option in (deed.option, *deed.option.split(", ")))}


def rights(rule: Rule) -> list[Right]:
    where = {"namespace": HERE, "cluster": CLUSTER}.get(rule.where, rule.where)
    return [Right(verb, rule.named(resource), where) for resource, verb in product(rule.resources, rule.verbs)]


def of(deed: Deed | Routed) -> dict[Right, str]:
    """What it may need, and what happens without; empty where it fails."""
    found: dict[Right, str] = {}
    for rule in rules():
        if uses(deed) & set(rule.uses):
            for right in rights(rule):
                found[right] = rule.without
    return found


@cache
def whole(deed: Deed | Routed) -> Done:
    """Done with all that it may need."""
    return deed.done(of(deed).keys() - deed.lacks)


DONE = pytest.mark.parametrize("deed", DEEDS, ids=name)


@DONE
def test_it_works_with_exactly_these_rights(deed: Deed | Routed) -> None:
    granted, done = of(deed), whole(deed)
    assert done.asked <= granted.keys(), "a right that playbooks/vars/rights.yml does not say it needs"
    assert done.worked, done.told
    missing = {right for right in granted if right.told in done.told}
    assert missing == deed.lacks


# More than there are of any.
MOST_RIGHTS = 60


# Most of what one deed needs others need as well.
@pytest.mark.parametrize(("deed", "numbers"), in_turn(DEEDS, range(MOST_RIGHTS), name, one_in=32))
def test_with_each_right_less_the_right_is_named(deed: Deed | Routed, numbers: Sequence[int]) -> None:
    granted, needed = of(deed), sorted(whole(deed).asked - deed.lacks)
    assert len(needed) < MOST_RIGHTS
    for right in (needed[number] for number in numbers if number < len(needed)):
        done = deed.done(granted.keys() - deed.lacks - {right})
        # What fails in any case may do so as before, and tells what else went wrong.
        assert done.worked is bool(granted[right]) or (deed.ends and done.worked), f"{right}: {done.told}"
        quiet = right in QUIET or (right == LISTS_AUTOSCALERS and granted[right])
        assert right.told in done.told or quiet, f"{right}: {done.told}"


def declared() -> Iterator[tuple[Right, str]]:
    for rule in rules():
        yield from product(rights(rule), rule.uses)


def test_no_right_is_for_nothing() -> None:
    asked = {(right, use) for deed in DEEDS for right in whole(deed).asked for use in uses(deed)}
    idle = [(right, use) for right, use in declared() if (right, use) not in asked and right.resource not in ELSEWHERE]
    assert idle == []


# Of what ships, in a whole release: of a real cluster, too (tests/integration/test_witnesses.py).


def shipped() -> list[Granted]:
    of_operators = [rule for rule in rules() if rule.role in ("reader", "operator")]
    return [one for rule in of_operators for one in product((rule.group,), rule.resources, rule.verbs)]


def everything(web: Web, granted: Sequence[Granted]) -> str:
    """Lists, a patched template beside a pinned autoscaler, an undo, a crash and its log. Returns what was said of rights on the way."""
    web.make(2).autoscaler(2, 4)
    release = Release(web.world.account(web, granted), web.namespace, web.name)
    info(release.api, InfoRequest(namespace=release.namespace))
    patch = {"metadata": {"annotations": {"asked": "by-patch"}}}
    wanted = StartRequest(release.call, NewTemplate(patch=patch), Size(1), autoscaler=AutoscalerPolicy.PIN)
    start(release.api, wanted, silent)
    undone = release.undo()
    crashing = replace(wanted, template=NewTemplate(images={"app": image("crash")}))
    with pytest.raises(VerbFailure) as crashed:
        start(release.api, crashing, silent)
    release.undo()
    return " ".join([*undone.warnings, crashed.value.message])


def test_the_shipped_role_suffices_for_a_release(new: Callable[..., Web]) -> None:
    told = everything(new(), shipped())
    assert "restarted" in told
    assert "Missing right" not in told


def test_who_may_not_read_logs_is_told_so(new: Callable[..., Web]) -> None:
    told = everything(new(), [right for right in shipped() if right[1] != "pods/log"])
    assert "Its log cannot be read" in told and "Missing right: get pods/log in namespace" in told


def test_who_may_not_read_routes_is_told_so_beside_how_the_release_stands() -> None:
    ana = Script("ana", 8.0, asks=(Ask("start", share="5"),))
    blind = frozenset({("get", "httproutes.gateway.networking.k8s.io")})
    ben = Script("ben", 60.0, asks=(Ask("info"),), forbidden=blind)
    played = World(History(scripts=(ana, ben), end=End.UNDO, gateway=Lags())).play()
    (seen,) = (call.result for call in played.calls if call.actor == "ben")
    assert isinstance(seen, Outcome) and seen.canary["traffic"]["given"]["weight"] == 5.0
    (warned,) = seen.warnings
    assert warned.startswith("what its routes give the canary now cannot be seen: ") and "Missing right" in warned


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
    assert {verb for rule in rules() if "leases" in rule.resources for verb in rule.verbs} == OF_LEASES.keys()
