# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HorizontalPodAutoscalers and their controller: refused, pinned and given back, or left alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.release.policies import End, Through
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import AUTOSCALER, LIVE, RECORD
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    InfoRequest,
    NewTemplate,
    OwnerCheck,
    Size,
    StartRequest,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.release_calls import asked, failed, released
from tests.sim.faults import Fault, Faults, Planned
from tests.sim.history import Ask, Befalls, History, Incident, Script
from tests.sim.objects import Json
from tests.sim.server import Admission
from tests.sim.stage import Stage
from tests.sim.world import World
from tests.situations import Web, image, silent

PIN, IGNORE = AutoscalerPolicy.PIN, AutoscalerPolicy.IGNORE


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    """4 replicas, and an autoscaler that allows 2 to 9."""
    web = new().make(4)
    web.autoscaler(2, 9)
    return web


def marked(web: Web) -> bool:
    found = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["metadata"]
    return AUTOSCALER in (found.get("annotations") or {})


def write_bounds(web: Web, minimum: int, maximum: int) -> None:
    body = {"spec": {"minReplicas": minimum, "maxReplicas": maximum}}
    web.admin.patch(f"{web.autoscalers}/{web.name}-hpa", body, PatchKind.MERGE)


def _sets_bounds(kind: str, before: Json | None, after: Json) -> Json:
    del before
    bounds = {"minReplicas": 3, "maxReplicas": 9}
    return {**after, "spec": {**after["spec"], **bounds}} if kind == "horizontalpodautoscalers" else after


def _drops_our_notes(kind: str, before: Json | None, after: Json) -> Json:
    del before
    notes = {name: said for name, said in after["metadata"].get("annotations", {}).items() if name != AUTOSCALER}
    return {**after, "metadata": {**after["metadata"], "annotations": notes}} if kind != "deployments" else after


@pytest.mark.parametrize("policy", [PIN, AutoscalerPolicy.HOLD])
@pytest.mark.parametrize("admits", [_sets_bounds, _drops_our_notes])
def test_a_pin_of_which_admission_makes_something_else_is_refused_before_it_is_written(
    admits: Admission, policy: AutoscalerPolicy
) -> None:
    stage = Stage()
    web = stage.web().make(4)
    web.autoscaler(2, 9)
    stage.server.admission.append(admits)
    with pytest.raises(VerbFailure, match="would change what keeps HorizontalPodAutoscaler ") as refused:
        web.start(autoscaler=policy)
    assert not refused.value.changed and refused.value.code == "admission"
    found = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"]
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 9)


@pytest.mark.parametrize("ending", ["promote", "undo"])
def test_a_pinned_autoscaler_is_given_back_after_the_release(ending: str, web: Web) -> None:
    web.start(autoscaler=PIN)
    assert web.bounds() == (4, 4) and marked(web) and web.info()["autoscaler"] == f"{web.name}-hpa"
    getattr(web, ending)()
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.fixture
def late(new: Callable[..., Web]) -> Web:
    """A canary beside 10 replicas, and then an autoscaler that allows 2 to 4 and has scaled."""
    web = new().make(10)
    web.start()
    web.autoscaler(2, 4)
    web.until(lambda: web.split() == {"v1": 4, "v2": 1}, "scaled down")
    return web


SCALED = "somebody scaled the Deployment from 10 to 4 replicas"


@pytest.mark.parametrize("pods", [1, 2])
def test_one_that_came_during_the_hold_is_refused(pods: int, late: Web) -> None:
    before = late.get()
    with pytest.raises(VerbFailure) as refused:
        late.start(pods=pods, autoscaler=AutoscalerPolicy.REFUSE)
    assert refused.value.code == "autoscaler" and late.get() == before


@pytest.mark.parametrize("ending", ["promote", "undo"])
@pytest.mark.parametrize(("policy", "bounds"), [(PIN, (4, 4)), (AutoscalerPolicy.HOLD, (4, 4))])
@pytest.mark.parametrize("pods", [1, 2])
def test_one_that_came_during_the_hold_is_kept_until_the_end(
    pods: int, policy: AutoscalerPolicy, bounds: tuple[int, int], ending: str, late: Web
) -> None:
    told = late.start(pods=pods, surge=pods, autoscaler=policy)
    assert any("came while the canary was held" in one for one in told.warnings), told.warnings
    assert any(SCALED in one for one in told.warnings), told.warnings
    assert marked(late) and late.bounds() == bounds and late.info()["autoscaler"] == f"{late.name}-hpa"
    assert not late.start(pods=pods, surge=pods, autoscaler=policy).changed
    getattr(late, ending)()
    assert late.bounds() == (2, 4) and not marked(late)


def test_what_it_scaled_meanwhile_is_told_by_whoever_looks(late: Web) -> None:
    told = info(late.admin, InfoRequest(late.name, late.namespace))
    for outcome in (told, late.bake(), late.start(pods=2, autoscaler=IGNORE)):
        assert any(SCALED in one for one in outcome.warnings), outcome


def test_one_that_came_beside_the_one_that_is_pinned_is_refused(web: Web) -> None:
    web.start(autoscaler=PIN)
    made = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")
    web.admin.create(web.autoscalers, {"metadata": {"name": "other", "namespace": web.namespace}, "spec": made["spec"]})
    with pytest.raises(VerbFailure, match="Keep one of them") as refused:
        web.start(pods=2, autoscaler=PIN)
    assert refused.value.code == "autoscaler"
    web.undo()
    assert web.bounds() == (2, 9)


def test_the_controller_keeps_the_size_while_it_is_pinned(web: Web) -> None:
    web.start(autoscaler=PIN)
    web.scale(7)
    web.until(lambda: web.spec["replicas"] == 4 and sum(web.split().values()) == 5, "scaled back")
    web.undo()


def test_a_second_start_changes_nothing(web: Web) -> None:
    web.start(autoscaler=PIN)
    before = web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"]
    assert not web.start(autoscaler=PIN).changed
    assert web.admin.get(f"{web.autoscalers}/{web.name}-hpa")["spec"] == before


def test_bounds_that_leave_replicas_outside_are_pinned_where_the_controller_puts_them(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.autoscaler(6, 9)
    outcome = web.start(autoscaler=PIN)
    replicas = web.spec["replicas"]
    assert replicas in (4, 6) and web.bounds() == (replicas, replicas)
    assert outcome.canary["phase"] == "held" and web.split() == {"v1": replicas, "v2": 1}
    web.undo()
    assert web.bounds() == (6, 9)


def test_an_autoscaler_without_min_replicas_gets_the_default_back(new: Callable[..., Web]) -> None:
    web = new().make(3)
    web.autoscaler(None, 5)
    web.start(autoscaler=PIN)
    assert web.bounds() == (3, 3)
    web.undo()
    assert web.bounds() == (1, 5)


def test_bounds_that_somebody_changed_meanwhile_are_left_and_told(web: Web) -> None:
    web.start(autoscaler=PIN)
    write_bounds(web, 3, 12)
    outcome = web.undo()
    assert web.bounds() == (3, 12) and not marked(web)
    assert (
        f'somebody changed HorizontalPodAutoscaler "{web.name}-hpa" while it was pinned: what was changed was left as it is '
        "(minReplicas 3, maxReplicas 12)"
    ) in outcome.warnings


def test_a_maximum_that_alone_is_applied_again_stays_and_the_minimum_is_given_back(web: Web) -> None:
    """As a manifest without minReplicas is, for which its owner's pipeline has seen a difference."""
    web.start(autoscaler=PIN)
    write_bounds(web, 4, 9)
    outcome = web.undo()
    assert web.bounds() == (2, 9) and not marked(web)
    assert any("left as it is (maxReplicas 9)" in warning for warning in outcome.warnings)


def test_an_autoscaler_that_its_owner_makes_anew_under_the_pin_is_treated_as_one_that_comes(web: Web) -> None:
    web.start(autoscaler=PIN)
    web.kubectl("delete", "hpa", f"{web.name}-hpa")
    web.autoscaler(2, 9)
    with pytest.raises(VerbFailure, match=r'HorizontalPodAutoscaler "\S+-hpa" scales Deployment'):
        web.start(pods=2)
    assert not marked(web)
    grown = web.start(pods=2, autoscaler=PIN)
    assert marked(web) and any("came while the canary was held: pinning it to 4" in one for one in grown.warnings)
    web.undo()
    assert not marked(web)


def test_one_that_its_owner_has_given_another_name_is_kept_in_the_place_of_the_one_before(web: Web) -> None:
    web.start(autoscaler=PIN)
    web.kubectl("delete", "hpa", f"{web.name}-hpa")
    web.autoscaler(2, 9, "other")
    grown = web.start(pods=2, autoscaler=PIN)
    gone, came = (one for one in grown.warnings if "HorizontalPodAutoscaler" in one)
    assert gone == f'HorizontalPodAutoscaler "{web.name}-hpa", which was pinned for this release, no longer exists'
    assert 'HorizontalPodAutoscaler "other" came while the canary was held: pinning it to 4' in came
    assert web.info()["autoscaler"] == "other" and web.bounds("other") == (4, 4)
    assert not web.start(pods=2, autoscaler=PIN).warnings
    assert not web.undo().warnings and web.bounds("other") == (2, 9)


def test_one_that_came_while_the_one_before_scales_another_deployment_is_refused(web: Web) -> None:
    """That one is still pinned, and is given back at the end."""
    web.start(autoscaler=PIN)
    target = {"spec": {"scaleTargetRef": {"name": "another"}}}
    web.admin.patch(f"{web.autoscalers}/{web.name}-hpa", target, PatchKind.MERGE)
    web.autoscaler(2, 9, "other")
    with pytest.raises(VerbFailure, match=f"beside {web.name}-hpa, which this release keeps"):
        web.start(pods=2, autoscaler=PIN)
    web.undo()
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize(("first", "then"), [(PIN, AutoscalerPolicy.HOLD), (AutoscalerPolicy.HOLD, PIN)])
def test_a_step_that_asks_for_another_way_to_keep_it_is_refused(
    first: AutoscalerPolicy, then: AutoscalerPolicy, web: Web
) -> None:
    web.start(autoscaler=first)
    with pytest.raises(VerbFailure, match=f"began with autoscaler={first.value} .* {then.value} was asked for"):
        web.start(pods=2, autoscaler=then)
    assert web.split() == {"v1": 4, "v2": 1}


def test_an_autoscaler_that_was_deleted_meanwhile_is_told(web: Web) -> None:
    web.start(autoscaler=PIN)
    web.kubectl("delete", "hpa", f"{web.name}-hpa")
    outcome = web.undo()
    assert (
        f'HorizontalPodAutoscaler "{web.name}-hpa", which was pinned for this release, no longer exists'
        in outcome.warnings
    )


def test_check_mode_pins_nothing(web: Web) -> None:
    assert web.start(autoscaler=PIN, check=True).changed
    assert web.bounds() == (2, 9) and not marked(web)


REFUSED: dict[str, Callable[[Web], Any]] = {
    "same_template": lambda web: web.start("v1", autoscaler=PIN),
    "impossible_size": lambda web: web.start(pods=9, autoscaler=PIN),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_start_that_is_refused_leaves_the_autoscaler_as_it_was(code: str, web: Web) -> None:
    web.refused(lambda: REFUSED[code](web), code)
    assert web.bounds() == (2, 9) and not marked(web)


def test_a_start_that_the_server_refuses_gives_the_autoscaler_back(web: Web) -> None:
    """Its pods are not allowed to go: the Deployment accepts only so many characters of annotations."""
    annotations = {"much": "x" * (256 * 1024)}
    with web.unchanged(), pytest.raises(Exception, match="Too long"):
        web.start(annotations=annotations, autoscaler=PIN)
    assert web.bounds() == (2, 9) and not marked(web)


def several(web: Web) -> None:
    web.autoscaler(2, 9, "one")
    web.autoscaler(2, 9, "two")


def owned(web: Web) -> None:
    owner = {"apiVersion": "example.org/v1", "kind": "Scaler", "name": "queue", "uid": "1", "controller": True}
    web.autoscaler(2, 9, ownerReferences=[owner])


CANNOT_BE_PINNED: dict[str, tuple[Callable[[Web], Any], str]] = {
    "several": (several, r'2 HorizontalPodAutoscalers \(one, two\) scale Deployment "NAME"\. Keep one of them\.'),
    "minReplicas 0": (
        lambda web: web.autoscaler(0, 9),
        r'"NAME-hpa" with minReplicas 0 scales Deployment "NAME"\. Set minReplicas to 1 or more for the time of the release: '
        r"after a scale to zero every pod would be a canary\.",
    ),
    "owned": (
        owned,
        r'"NAME-hpa", which belongs to Scaler/queue, scales Deployment "NAME"\. Its owner would put its own values '
        r"back: keep it from scaling there, then use autoscaler=ignore\.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CANNOT_BE_PINNED)
def test_what_cannot_be_pinned_is_refused(what: str, new: Callable[..., Web]) -> None:
    web = new().make(4)
    made, message = CANNOT_BE_PINNED[what]
    made(web)
    said = web.refused(lambda: web.start(autoscaler=PIN), "autoscaler")
    assert re.search(message.replace("NAME", web.name), said), said


def test_a_note_that_cannot_be_read_is_refused_with_what_to_do(web: Web) -> None:
    web.kubectl("annotate", "hpa", f"{web.name}-hpa", f"{AUTOSCALER}=nonsense")
    for policy in (PIN, AutoscalerPolicy.REFUSE):
        with pytest.raises(VerbFailure, match=r"cannot be read.*Put its minReplicas and maxReplicas back by hand"):
            web.start(autoscaler=policy)


def test_an_autoscaler_that_writes_its_target_in_lower_case_scales_it_and_is_found(new: Callable[..., Web]) -> None:
    """Its controller looks the kind up by group and kind, and knows each kind in lower case too."""
    web = new().make(4)
    name = web.autoscaler(2, 9)
    target = {"apiVersion": "apps/v1beta1", "kind": "deployment", "name": web.name}
    web.admin.patch(f"{web.autoscalers}/{name}", {"spec": {"scaleTargetRef": target}}, PatchKind.MERGE)
    write_bounds(web, 5, 9)
    web.until(lambda: web.spec["replicas"] == 5, "the controller scales up")
    web.settle()
    web.refused(web.start, "autoscaler")
    web.start(autoscaler=PIN)
    assert web.bounds() == (5, 5) and web.info()["autoscaler"] == name
    web.undo()
    assert web.bounds() == (5, 9)


def test_ignored_an_autoscaler_is_not_touched_and_its_scaling_is_told(web: Web) -> None:
    web.start(autoscaler=IGNORE)
    write_bounds(web, 6, 9)
    web.until(lambda: web.spec["replicas"] == 6 and sum(web.split().values()) == 7, "the controller scales up")
    again = web.start(autoscaler=IGNORE)
    assert any("from 4 to 6 replicas since the start" in warning for warning in again.warnings)
    web.undo()
    assert web.split() == {"v1": 6} and web.bounds() == (6, 9)


def leave_pinned(web: Web) -> None:
    """As a run leaves it that died between the pin and the first patch."""
    note = '{"maxReplicas":9,"minReplicas":2,"pinned":4}'
    web.kubectl("annotate", "hpa", f"{web.name}-hpa", f"{AUTOSCALER}={note}")
    write_bounds(web, 4, 4)


@pytest.mark.parametrize("verb", ["undo", "promote"])
def test_what_a_crash_left_pinned_is_given_back_by_a_later_run(verb: str, web: Web) -> None:
    leave_pinned(web)
    assert getattr(web, verb)().changed
    assert web.bounds() == (2, 9) and not marked(web)
    assert not getattr(web, verb)().changed


def test_a_start_goes_on_with_the_originals_of_an_interrupted_pin(web: Web) -> None:
    leave_pinned(web)
    web.start(autoscaler=PIN)
    assert web.bounds() == (4, 4)
    web.undo()
    assert web.bounds() == (2, 9)


def test_a_start_takes_for_the_owners_what_was_applied_over_an_interrupted_pin(web: Web) -> None:
    leave_pinned(web)
    write_bounds(web, 3, 50)
    web.start(autoscaler=PIN)
    assert web.bounds() == (4, 4)
    web.undo()
    assert web.bounds() == (3, 50)


def test_a_refused_start_gives_back_what_an_interrupted_one_pinned(web: Web) -> None:
    leave_pinned(web)
    web.refused(web.start, "autoscaler", changed=True)
    assert web.bounds() == (2, 9) and not marked(web)


REFUSED_STARTS: dict[str, Callable[[Web], Any]] = {
    **REFUSED,
    "autoscaler": lambda web: web.start(autoscaler=AutoscalerPolicy.HOLD, surge=0, max_unavailable=1),
}


@pytest.mark.parametrize("code", REFUSED_STARTS)
def test_a_start_that_is_refused_before_it_pins_gives_back_what_an_interrupted_one_pinned(code: str, web: Web) -> None:
    leave_pinned(web)
    web.refused(lambda: REFUSED_STARTS[code](web), code, changed=True)
    assert web.bounds() == (2, 9) and not marked(web)


def test_in_check_mode_a_start_that_is_refused_gives_nothing_back(web: Web) -> None:
    leave_pinned(web)
    web.refused(lambda: web.start("v1", autoscaler=PIN, check=True), "same_template")
    assert web.bounds() == (4, 4) and marked(web)


@pytest.mark.parametrize("policy", [PIN, AutoscalerPolicy.HOLD])
def test_what_is_released_already_leaves_no_autoscaler_that_an_interrupted_run_pinned(
    policy: AutoscalerPolicy, web: Web
) -> None:
    leave_pinned(web)
    template = NewTemplate(images={"app": image("v1")})
    outcome = start(web.api, StartRequest(web.call, template, Size(1), autoscaler=policy, released_ok=True), silent)
    assert outcome.message.startswith("already released") and outcome.changed
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize("number", range(3, 12))
def test_a_start_that_breaks_off_tells_that_it_gave_back_what_an_interrupted_one_pinned(
    number: int, stage: Stage
) -> None:
    web = stage.web().make(4)
    web.autoscaler(2, 9)
    leave_pinned(web)
    ana = stage.api("ana", faults=Faults({number: Planned(number, Fault.BROKEN_BEFORE)}))
    try:
        replace(web, admin=ana).start(autoscaler=PIN)
    except VerbFailure as failure:
        assert failure.changed or web.bounds() == (4, 4), failure
    except ApiError as error:
        assert web.bounds() == (4, 4), error


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.LOST_AFTER, Fault.BROKEN_AFTER])
def test_whoever_does_not_know_whether_it_gave_back_says_that_it_may_have(fault: Fault, stage: Stage) -> None:
    web = stage.web().make(4)
    web.autoscaler(2, 9)
    leave_pinned(web)
    # From the patch on nothing is heard, and so it is never known.
    ana = stage.api("ana", faults=Faults({number: Planned(number, fault) for number in range(9, 18)}))
    request = asked(web, "v1")
    request = replace(request, start=replace(request.start, autoscaler=PIN))
    outcome, told = released(replace(web, admin=ana), request)
    assert told.outcome is Ending.ALREADY_RELEASED and outcome.changed
    assert web.bounds() == (2, 9)
    assert any("It may still be pinned; canary_undo" in warning for warning in outcome.warnings), outcome.warnings


@pytest.mark.parametrize("ending", ["promote", "undo"])
def test_what_a_crash_left_pinned_stays_so_for_a_start_that_ignores_it_and_its_end_gives_it_back(
    ending: str, web: Web
) -> None:
    leave_pinned(web)
    started = web.start(autoscaler=IGNORE)
    assert web.bounds() == (4, 4) and started.canary["autoscaler"] == f"{web.name}-hpa"
    assert any("still pinned by an earlier run" in warning for warning in started.warnings)
    getattr(web, ending)()
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize("code", REFUSED)
def test_a_start_that_ignores_it_and_is_refused_gives_back_what_a_crash_left_pinned(code: str, web: Web) -> None:
    leave_pinned(web)
    call = {"same_template": lambda: web.start("v1", autoscaler=IGNORE)}
    web.refused(call.get(code, lambda: web.start(pods=9, autoscaler=IGNORE)), code, changed=True)
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize("policy", AutoscalerPolicy)
def test_a_start_that_is_refused_for_a_tool_gives_back_what_a_crash_left_pinned(
    policy: AutoscalerPolicy, web: Web
) -> None:
    web.patch({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}})
    leave_pinned(web)
    template = NewTemplate(images={"app": image("v2")})
    request = StartRequest(web.call, template, Size(1), autoscaler=policy, owner_check=OwnerCheck.FAIL)
    checked = replace(request, call=replace(web.call, check=True))
    web.refused(lambda: start(web.api, checked, silent), "owned")
    assert web.bounds() == (4, 4) and marked(web)
    web.refused(lambda: start(web.api, request, silent), "owned", changed=True)
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize("policy", [AutoscalerPolicy.REFUSE, PIN, AutoscalerPolicy.HOLD])
def test_a_release_that_is_refused_while_it_plans_tells_of_what_a_crash_left_pinned(
    policy: AutoscalerPolicy, web: Web
) -> None:
    web.patch({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}})
    leave_pinned(web)
    request = asked(web)
    begin = replace(request.start, autoscaler=policy, owner_check=OwnerCheck.FAIL)
    with web.unchanged():
        failure, _release = failed(web, replace(request, start=begin))
    assert not failure.changed and any("perhaps by a run that died" in told for told in failure.warnings)
    assert web.bounds() == (4, 4) and marked(web)


@pytest.mark.parametrize(("check", "end"), [(False, End.PROMOTED), (True, End.PROMOTED), (False, End.PLAN)])
@pytest.mark.parametrize("policy", [PIN, AutoscalerPolicy.HOLD])
def test_a_release_of_what_is_released_already_gives_back_what_a_crash_left_pinned_and_a_plan_tells_of_it(
    policy: AutoscalerPolicy, check: bool, end: End, web: Web
) -> None:
    leave_pinned(web)
    request = asked(web, "v1", through=Through(end))
    begin, call = replace(request.start, autoscaler=policy), replace(request.call, check=check)
    outcome, told = released(web, replace(request, start=begin, call=call))
    assert told.outcome is Ending.ALREADY_RELEASED
    only_told = check or end is End.PLAN
    assert any("perhaps by a run that died" in told for told in outcome.warnings) is only_told
    assert outcome.changed is not only_told
    assert (web.bounds() == (4, 4) and marked(web)) if only_told else (web.bounds() == (2, 9) and not marked(web))


def test_in_check_mode_a_start_that_ignores_it_leaves_it_pinned(web: Web) -> None:
    leave_pinned(web)
    web.start(autoscaler=IGNORE, check=True)
    assert web.bounds() == (4, 4) and marked(web)


def test_a_note_that_cannot_be_read_is_told_to_who_ignores_it_and_is_in_nobodys_way(web: Web) -> None:
    web.kubectl("annotate", "hpa", f"{web.name}-hpa", f"{AUTOSCALER}=nonsense")
    started = web.start(autoscaler=IGNORE)
    assert any("cannot be read" in warning for warning in started.warnings)
    assert web.undo().changed


def test_what_is_not_pinned_a_start_that_ignores_it_neither_tells_nor_names(web: Web) -> None:
    started = web.start(autoscaler=IGNORE)
    assert started.canary["autoscaler"] is None and not any("pinned" in warning for warning in started.warnings)


def test_an_undo_without_a_record_still_gives_the_autoscaler_back(web: Web) -> None:
    web.start(autoscaler=PIN)
    body = {"metadata": {"annotations": {RECORD: None}, "labels": {LIVE: None}}}
    web.patch(body, PatchKind.MERGE)
    for rs in web.replica_sets():
        path = f"{web.apps}/replicasets/{rs['metadata']['name']}"
        web.admin.patch(path, {"metadata": {"annotations": {RECORD: None}}}, PatchKind.MERGE)
    web.undo(restore=Restore(0, 600, "25%", "25%"))
    assert web.bounds() == (2, 9) and not marked(web)


@pytest.mark.parametrize("autoscaler", ["pin", "hold"])
def test_a_start_that_took_its_time_pins_nothing_for_a_release_that_has_ended(autoscaler: str) -> None:
    """It looked while the canary was held, and nothing is to be written to the Deployment."""
    again = Ask("start", surge=1, autoscaler=autoscaler)
    slow = Script("eve", 30.0, asks=(again,), faults=(Planned(2, Fault.SLOW, 30.0),))
    scripts = (Script("ana", 8.0, asks=(again,)), slow, Script("ben", 30.5, asks=(Ask("undo"),)))
    played = World(History(bounds=(2, 9), scripts=scripts)).play()
    assert not played.violations, played.violations
    told = {call.actor: call.told() for call in played.calls}
    assert told["eve"].startswith("failed (busy): somebody ended the release"), told
    assert told["last"] == "ok: no canary is held: nothing to undo", told


@pytest.mark.parametrize("skew", [0.0, 172800.0, -172800.0])
def test_no_clock_of_a_machine_tells_that_the_pin_of_another_run_is_old(skew: float) -> None:
    """Neither run may use a Lease, and the start waits for a stable pod."""
    verbs = ("get", "create", "patch", "delete", "update", "list")
    forbidden = frozenset((verb, "leases.coordination.k8s.io") for verb in verbs)
    pinning = Script("ana", 8.0, asks=(Ask("start", autoscaler="pin", timeout=300.0),), forbidden=forbidden)
    other = Script("eve", 20.0, machine="there", skew=skew, asks=(Ask("undo"),), forbidden=forbidden)
    crash = Incident(7.9, Befalls.CRASH, "v1", seconds=60.0)
    played = World(History(bounds=(2, 9), scripts=(pinning, other), incidents=(crash,))).play()
    assert not played.violations, played.violations
    (started,), (undone,) = ([call for call in played.calls if call.actor == name] for name in ("ana", "eve"))
    assert (started.ended or 0.0) > (undone.ended or 0.0) and started.told().startswith("changed: holding 1 canary")
    assert undone.told() == "ok: no canary is held: nothing to undo"
    assert isinstance(undone.result, Outcome) and any(
        "is pinned by another run" in text for text in undone.result.warnings
    )
