# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An autoscaler that KEDA makes of a ScaledObject, and puts back whenever somebody else writes to it: paused by its own switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER, PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import Forbidden
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import SCALED_OBJECT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.ending import accounted
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import AutoscalerPolicy
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.moving.autoscaling import (
    given_back_unless_held,
    pin,
)
from tests.sim.faults import Fault, Planned
from tests.sim.history import Ask, End, History, Script
from tests.sim.keda import SWITCHES, VERSION, scaled_object
from tests.sim.objects import AUTOSCALER_NAME, NAME
from tests.sim.stage import Stage
from tests.sim.world import World
from tests.situations import Web, silent
from tests.toolchain.sampled import sampled

RESOURCE = "scaledobjects.keda.sh"
IN, OUT = SWITCHES["scaleDown"], SWITCHES["scaleUp"]
HOLD, PIN, IGNORE = AutoscalerPolicy.HOLD, AutoscalerPolicy.PIN, AutoscalerPolicy.IGNORE


def stage_of(web: Web) -> Stage:
    assert isinstance(web.world, Stage)
    return web.world


def path(web: Web) -> str:
    return f"/apis/keda.sh/v1alpha1/namespaces/{web.namespace}/scaledobjects/queue"


def marks(web: Web) -> dict[str, str]:
    return dict(web.admin.get(path(web))["metadata"].get("annotations") or {})


def scaled(web: Web, minimum: int = 2, given: Mapping[str, str] | None = None) -> Web:
    made = scaled_object("queue", minimum, 9, web.name, autoscaler=f"{web.name}-hpa", annotations=given)
    web.admin.create(path(web).rpartition("/")[0], made)
    web.until(lambda: stage_of(web).store.get("horizontalpodautoscalers", f"{web.name}-hpa"), "KEDA has made it")
    return web


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    return scaled(new().make(4))


def behavior(web: Web) -> dict[str, Any]:
    return dict(web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"].get("behavior") or {})


@pytest.mark.parametrize("ending", ["promote", "undo"])
@pytest.mark.parametrize(("policy", "switches"), [(HOLD, {IN}), (PIN, {IN, OUT})], ids=["hold", "pin"])
def test_its_own_switches_are_set_and_given_back(
    policy: AutoscalerPolicy, switches: set[str], ending: str, web: Web
) -> None:
    started = web.start(autoscaler=policy)
    assert started.canary["autoscaler"] == "ScaledObject/queue"
    assert {switch for switch in SWITCHES.values() if marks(web).get(switch) == "true"} == switches
    assert {side for side, rules in behavior(web).items() if rules["selectPolicy"] == "Disabled"} == {
        side for side, switch in SWITCHES.items() if switch in switches
    }
    assert web.bounds() == (2, 9), "its autoscaler is KEDA's"
    getattr(web, ending)()
    assert marks(web) == {}
    web.until(lambda: not behavior(web), "KEDA has taken them away again")
    managers = {entry["manager"] for entry in web.admin.get(path(web))["metadata"].get("managedFields") or ()}
    assert FIELD_MANAGER not in managers


def test_what_its_owner_had_switched_stays_so(new: Callable[..., Web]) -> None:
    web = scaled(new().make(4), given={IN: "false", OUT: "true"})
    web.start(autoscaler=PIN)
    assert marks(web)[IN] == marks(web)[OUT] == "true"
    web.undo()
    assert marks(web) == {IN: "false", OUT: "true"}


# To KEDA whatever is no word for false is true, and it looks for no other annotation than its own.
@pytest.mark.parametrize("word", ["true", "True", "yes"])
@pytest.mark.parametrize("policy", [HOLD, PIN])
def test_what_its_owner_had_paused_is_written_to_by_nobody(
    policy: AutoscalerPolicy, word: str, new: Callable[..., Web]
) -> None:
    owners = {IN: word, OUT: word}
    web = scaled(new().make(4), given=owners)
    web.start(autoscaler=policy)
    assert marks(web) == owners
    assert not web.undo().warnings
    assert marks(web) == owners
    web.admin.patch(path(web), {"metadata": {"annotations": dict.fromkeys(owners)}}, PatchKind.MERGE)
    web.until(lambda: not behavior(web), "it scales again")
    assert "pinned" not in str(web.start(autoscaler=IGNORE).warnings)


def test_what_its_owner_had_switched_on_by_another_word_is_given_back_at_once(new: Callable[..., Web]) -> None:
    web = scaled(new().make(4), given={OUT: "yes"})
    web.start(autoscaler=PIN)
    assert not web.undo().warnings
    assert marks(web) == {OUT: "yes"}


@pytest.mark.parametrize("owners", [{}, {"team": "shop"}], ids=["none", "another"])
def test_a_switch_that_somebody_changed_meanwhile_is_left_and_told_once(
    owners: Mapping[str, str], new: Callable[..., Web]
) -> None:
    web = scaled(new().make(4), given=owners)
    web.start(autoscaler=HOLD)
    web.admin.patch(path(web), {"metadata": {"annotations": {IN: "false"}}}, PatchKind.MERGE)
    web.until(lambda: not behavior(web), "KEDA has taken it over")
    outcome = web.undo()
    assert marks(web) == {**owners, IN: "false"}
    assert any('somebody changed ScaledObject "queue" while it was pinned' in told for told in outcome.warnings)
    # Its autoscaler has the copy of a note still, which was taken away without a switch.
    with pytest.raises(VerbFailure) as refused:
        web.start(check=True)
    assert "pinned" not in str(refused.value.warnings)
    assert "pinned" not in str(web.start(autoscaler=IGNORE).warnings)


def made_again(web: Web) -> None:
    """By its owner, by its name; whoever collects garbage deletes its autoscaler with it."""
    web.admin.delete(path(web), web.admin.get(path(web))["metadata"]["uid"])
    web.kubectl("delete", "hpa", f"{web.name}-hpa")
    scaled(web)


def test_one_that_its_owner_has_made_again_while_a_canary_is_held_is_refused_or_kept_as_one_that_came(web: Web) -> None:
    web.start(autoscaler=PIN)
    made_again(web)
    with pytest.raises(VerbFailure) as refused:
        web.start(pods=2)
    assert refused.value.code == "autoscaler" and not marks(web)
    grown = web.start(pods=2, autoscaler=PIN)
    assert any("came while the canary was held" in text for text in grown.warnings), grown.warnings
    assert marks(web)[IN] == marks(web)[OUT] == "true"
    again = web.start(pods=2)
    assert not again.changed and not again.warnings
    web.undo()
    assert marks(web) == {}


def test_a_pin_of_its_autoscaler_would_be_put_back_at_once(web: Web) -> None:
    body = {"spec": {"minReplicas": 4, "maxReplicas": 4}}
    web.admin.patch(f"{web.autoscalers}/{web.name}-hpa", body, PatchKind.MERGE)
    web.until(lambda: web.bounds() == (2, 9), "KEDA has put it back")


def test_it_does_not_scale_to_zero_past_its_autoscaler(new: Callable[..., Web]) -> None:
    web = scaled(new().make(4), minimum=0)
    web.start(autoscaler=HOLD)
    keda = stage_of(web).keda
    keda.idle_at = 0.0
    keda.wake()
    web.bake(60.0)
    assert web.split() == {"v1": 4, "v2": 1}
    web.undo()
    web.until(lambda: web.spec["replicas"] == 0, "then it does")


@pytest.mark.parametrize("policy", [HOLD, PIN])
def test_one_that_does_not_know_the_switches_is_refused_and_they_are_taken_away(
    policy: AutoscalerPolicy, web: Web
) -> None:
    keda = stage_of(web).keda
    keda.version, keda.tells = (2, 17, 0), "main"
    age(web, None)
    said = web.refused(lambda: web.start(autoscaler=policy), "autoscaler")
    assert "KEDA 2.18.2 or later is needed, and its operator has to run" in said
    assert marks(web) == {}


OLD = (2, 18, 1)


def age(web: Web, own: str | None) -> None:
    """KEDA writes its version on its autoscaler, unless the ScaledObject has a label of its own."""
    if own:
        web.admin.patch(path(web), {"metadata": {"labels": {VERSION: own}}}, PatchKind.MERGE)
    keda = stage_of(web).keda
    stage_of(web).store.remove("horizontalpodautoscalers", f"{web.name}-hpa", "somebody")
    keda.wake()
    web.until(lambda: stage_of(web).store.get("horizontalpodautoscalers", f"{web.name}-hpa"), "KEDA has made it anew")


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("policy", [HOLD, PIN])
def test_a_keda_that_gives_nothing_back_is_refused_before_anything_is_written(
    policy: AutoscalerPolicy, check: bool, web: Web
) -> None:
    stage_of(web).keda.version = OLD
    age(web, None)
    said = web.refused(lambda: web.start(autoscaler=policy, check=check), "autoscaler")
    assert "is of KEDA 2.18.1" in said and "Upgrade KEDA to 2.18.2 or later" in said
    assert marks(web) == {} and not behavior(web)
    assert web.start(autoscaler=IGNORE).changed


@pytest.mark.parametrize("version", ["main", "1.4.0"], ids=["no version", "a label of the application"])
def test_a_keda_that_does_not_tell_its_age_is_told_of_where_it_gave_nothing_back(
    version: str, new: Callable[..., Web]
) -> None:
    # Of one without any annotation it would give back all at once.
    web = scaled(new().make(4), given={"team": "shop"})
    keda = stage_of(web).keda
    keda.version = OLD
    keda.tells = "main" if version == "main" else ""
    age(web, version if version != "main" else None)
    web.start(autoscaler=PIN)
    outcome = web.undo()
    assert marks(web) == {"team": "shop"} and behavior(web)
    (told,) = [warning for warning in outcome.warnings if "has not taken that over" in warning]
    assert "behavior.scaleDown.selectPolicy and behavior.scaleUp.selectPolicy still reads Disabled" in told
    age(web, None)
    assert not behavior(web), "as the warning says"


def test_an_application_that_is_younger_than_keda_is_not_taken_for_it(web: Web) -> None:
    age(web, "1.4.0")
    web.start(autoscaler=HOLD)
    assert not web.undo().warnings
    assert marks(web) == {} and not behavior(web)


def test_metrics_for_which_a_tolerance_is_needed_are_refused(web: Web) -> None:
    metric = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "9"}}}
    stage = stage_of(web)
    scaler = stage.store.get("horizontalpodautoscalers", f"{web.name}-hpa")
    assert scaler is not None
    stage.store.put(
        "horizontalpodautoscalers", {**scaler, "spec": {**scaler["spec"], "metrics": [metric]}}, "keda-operator"
    )
    said = web.refused(lambda: web.start(autoscaler=HOLD), "autoscaler")
    assert "KEDA has no switch against that" in said and marks(web) == {}


def test_check_mode_switches_nothing(web: Web) -> None:
    assert web.start(autoscaler=HOLD, check=True).changed
    assert marks(web) == {}


def leave_paused(web: Web) -> None:
    note = '{"switches":{"' + IN + '":null}}'
    web.admin.patch(path(web), {"metadata": {"annotations": {IN: "true", SCALED_OBJECT: note}}}, PatchKind.MERGE)
    web.until(lambda: bool(behavior(web)), "KEDA has taken it over")


@pytest.mark.parametrize("verb", ["undo", "promote"])
def test_what_a_crash_left_paused_is_given_back_by_a_later_run(verb: str, web: Web) -> None:
    leave_paused(web)
    assert getattr(web, verb)().changed and marks(web) == {}
    assert not getattr(web, verb)().changed


def test_a_refused_start_gives_back_what_a_crash_left_paused(web: Web) -> None:
    leave_paused(web)
    web.refused(web.start, "autoscaler", changed=True)
    assert marks(web) == {}


@pytest.mark.parametrize("policy", [HOLD, PIN, IGNORE])
def test_a_start_that_goes_on_with_what_a_crash_left_paused_gives_it_back(policy: AutoscalerPolicy, web: Web) -> None:
    leave_paused(web)
    web.start(autoscaler=policy)
    web.undo()
    assert marks(web) == {}


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"switches":{"a":1}}', "[" * 100000])
def test_a_note_that_cannot_be_read_is_refused_with_what_to_do(text: str, web: Web) -> None:
    web.admin.patch(path(web), {"metadata": {"annotations": {SCALED_OBJECT: text}}}, PatchKind.MERGE)
    said = web.refused(lambda: web.start(autoscaler=HOLD), "autoscaler")
    assert "cannot be read" in said and "kubectl annotate" in said


def without(web: Web, *missing: tuple[str, str]) -> None:
    """Whoever asks lacks these rights, (verb, resource)."""
    web.api = stage_of(web).api("releaser")
    stage_of(web).server.forbidden[web.api.user] = frozenset(missing)


GET, PATCH = ("get", RESOURCE), ("patch", RESOURCE)


@pytest.mark.parametrize("left", [False, True], ids=["nobody has pinned it", "an earlier run has"])
@pytest.mark.parametrize("missing", [GET, PATCH])
def test_who_may_not_pin_it_is_told_of_a_pin_only_where_there_is_one(
    missing: tuple[str, str], left: bool, web: Web
) -> None:
    if left:
        leave_paused(web)
    without(web, missing)
    site = Site(web.api, web.call.target, web.call)
    picture = site.look(autoscalers=True)
    (found,) = picture.autoscalers or ()
    with accounted(site) as account:
        with pytest.raises(Forbidden), given_back_unless_held(account, found, picture):
            pin(account, found, picture.deployment, 60.0, silent)
        assert any("It is still pinned" in told for told in account.warnings) is left, account.warnings


@pytest.mark.parametrize("missing", [GET, PATCH])
def test_an_undo_with_nothing_to_undo_goes_on_where_it_may_not_give_a_pin_back(
    missing: tuple[str, str], web: Web
) -> None:
    leave_paused(web)
    without(web, missing)
    outcome = web.undo()
    assert not outcome.changed and any("was not given back" in told for told in outcome.warnings), outcome.warnings
    assert marks(web)[IN] == "true"


# In every moment of a release, and whoever dies.


def world(
    *asks: Ask, faults: tuple[Planned, ...] = (), load: tuple[tuple[float, int], ...] = (), end: End = End.UNDO
) -> World:
    script = Script("ana", 8.0, asks=asks, faults=faults)
    return World(History(bounds=(2, 60), keda=True, load=load, scripts=(script,), end=end))


def assert_given_back(one: World) -> None:
    found = one.store.get("scaledobjects", "queue")
    assert found is not None and not found["metadata"].get("annotations"), found
    scaler = one.store.get("horizontalpodautoscalers", AUTOSCALER_NAME)
    assert scaler is not None and (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 60)


@pytest.mark.parametrize("autoscaler", ["hold", "pin"])
@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("moment", [8.0 + n / 2 for n in range(0, 40, 5)])
def test_in_whichever_moment_it_wants_to_scale_the_release_goes_through(
    moment: float, end: End, autoscaler: str
) -> None:
    asks = (Ask("start", autoscaler=autoscaler), Ask("bake", seconds=30.0))
    one = world(*asks, load=((0.0, 4), (moment, 9), (moment + 20.0, 2)), end=end)
    played = one.play()
    assert not played.violations, played.violations
    told = [call.told() for call in played.calls if call.actor == "ana"]
    assert all(line.startswith(("changed: holding", "ok: ")) for line in told), told
    assert_given_back(one)


@pytest.mark.parametrize("number", range(28, 32))
def test_a_server_in_trouble_for_a_moment_is_asked_again_whether_keda_has_given_back(number: int) -> None:
    broken = Planned(number, Fault.BROKEN_BEFORE, 0.3)
    undone = world(Ask("start", autoscaler="hold"), Ask("undo"), faults=(broken,)).play().calls[1].result
    assert isinstance(undone, Outcome) and not any("was not seen" in told for told in undone.warnings), undone


@pytest.mark.parametrize("number", sampled(range(26)))
@pytest.mark.parametrize("kind", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
def test_whoever_dies_leaves_a_scaled_object_that_the_next_one_gives_back(kind: Fault, number: int) -> None:
    start = Ask("start", autoscaler="hold" if number % 3 else "pin")
    one = world(
        start, Ask("undo" if number % 2 else "promote"), faults=(Planned(number, kind),), load=((0.0, 4), (20.0, 7))
    )
    played = one.play()
    assert not played.violations, played.violations
    assert_given_back(one)
    assert one.store.get("deployments", NAME) is not None


def test_a_name_that_is_none_is_no_path(web: Web) -> None:
    stage = stage_of(web)
    scaler = stage.store.get("horizontalpodautoscalers", f"{web.name}-hpa")
    assert scaler is not None
    owners = [{**scaler["metadata"]["ownerReferences"][0], "name": "../pods"}]
    odd = {**scaler, "metadata": {**scaler["metadata"], "ownerReferences": owners}}
    stage.store.remove("scaledobjects", "queue", "somebody")
    stage.store.put("horizontalpodautoscalers", odd, "somebody")
    with pytest.raises(Exception, match="a name that an object can have"):
        replace(web).start(autoscaler=HOLD)


@pytest.mark.parametrize("name", ["queue", "other"])
def test_whoever_moves_away_from_keda_in_a_release_has_his_own_autoscaler_kept(name: str, web: Web) -> None:
    web.start(autoscaler=PIN)
    web.admin.delete(path(web), web.admin.get(path(web))["metadata"]["uid"])
    web.kubectl("delete", "hpa", f"{web.name}-hpa")  # as the garbage collector does
    web.autoscaler(2, 9, name)
    grown = web.start(pods=2, autoscaler=PIN)
    assert 'ScaledObject "queue", which was pinned for this release, no longer exists' in grown.warnings
    assert web.info()["autoscaler"] == name and web.bounds(name) == (4, 4)
    assert not web.undo().warnings and web.bounds(name) == (2, 9)


@pytest.mark.parametrize("name", ["queue", "other"])
def test_whoever_moves_to_keda_in_a_release_has_its_scaled_object_kept(name: str, new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.autoscaler(2, 9, name)
    web.start(autoscaler=PIN)
    web.kubectl("delete", "hpa", name)
    scaled(web)
    grown = web.start(pods=2, autoscaler=PIN)
    assert f'HorizontalPodAutoscaler "{name}", which was pinned for this release, no longer exists' in grown.warnings
    assert web.info()["autoscaler"] == "ScaledObject/queue" and marks(web).get(OUT) == "true"
    assert not web.undo().warnings and OUT not in marks(web)
