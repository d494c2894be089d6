# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`owner_check`: a tool that manages the Deployment is told of, refused, or passed over, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Ending
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    NewTemplate,
    OwnerCheck,
    Size,
    StartRequest,
    Wait,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import Outcome, VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.start import start
from tests.release_calls import asked, failed, released
from tests.situations import Web, image, silent

ARGO = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}


@pytest.fixture
def web(new: Callable[..., Web]) -> Web:
    web = new().make(4)
    web.patch({"metadata": {"annotations": ARGO}})
    return web


def begin(
    web: Web, check: OwnerCheck, version: str = "v2", *, only_check: bool = False, released_ok: bool = False
) -> Outcome:
    call, template = replace(web.call, check=only_check), NewTemplate(images={"app": image(version)})
    request = StartRequest(call, template, Size(1), owner_check=check, released_ok=released_ok)
    return start(web.api, request, silent)


@pytest.mark.parametrize("only_check", [False, True])
def test_fail_starts_nothing_and_writes_nothing(web: Web, only_check: bool) -> None:
    with web.unchanged():
        said = web.refused(lambda: begin(web, OwnerCheck.FAIL, only_check=only_check), "owned")
    assert "Argo CD (seen by the annotation argocd.argoproj.io/tracking-id)" in said
    assert "suspend it until the release has ended" in said


@pytest.mark.parametrize(
    ("check", "told"), [(OwnerCheck.WARN, True), (OwnerCheck.IGNORE, False)], ids=["warn", "ignore"]
)
def test_warn_tells_it_and_ignore_does_not(web: Web, check: OwnerCheck, told: bool) -> None:
    warnings = begin(web, check).warnings
    assert any("Argo CD manages" in warning for warning in warnings) is told
    web.undo()


def test_what_an_earlier_release_has_left_is_cleaned_up_all_the_same(new: Callable[..., Web]) -> None:
    web = new().make(4)
    web.patch({"metadata": {"annotations": ARGO}})
    before = web.spec
    begin(web, OwnerCheck.IGNORE)
    replace(web, wait=Wait(enabled=False)).promote()
    web.until(lambda: web.split() == {"v2": 4}, "its pods have moved")
    web.settle()
    with web.unchanged():
        web.refused(lambda: begin(web, OwnerCheck.FAIL, "v3", only_check=True), "owned")
    with pytest.raises(VerbFailure) as raised:
        begin(web, OwnerCheck.FAIL, "v3")
    assert raised.value.code == "owned" and raised.value.changed
    web.assert_clean(before, "v2")


def test_what_is_released_already_needs_nobodys_leave(web: Web) -> None:
    assert begin(web, OwnerCheck.FAIL, "v1", released_ok=True).message.startswith("already released")


@pytest.mark.parametrize("only_check", [False, True])
@pytest.mark.parametrize("check", [OwnerCheck.WARN, OwnerCheck.FAIL])
def test_of_what_is_released_already_nobody_is_warned(web: Web, check: OwnerCheck, only_check: bool) -> None:
    web.settle()
    heard: list[str] = []
    call, template = replace(web.call, check=only_check), NewTemplate(images={"app": image("v1")})
    begun = StartRequest(call, template, Size(1), owner_check=check, released_ok=True)
    assert not start(web.api, begun, heard.append).warnings
    assert not heard


@pytest.mark.parametrize("policy", [AutoscalerPolicy.PIN, AutoscalerPolicy.REFUSE])
def test_it_is_told_before_the_first_write(web: Web, policy: AutoscalerPolicy) -> None:
    pins = policy is AutoscalerPolicy.PIN
    if pins:
        web.autoscaler()

    def stands() -> tuple[Any, ...]:
        return web.spec, web.bounds() if pins else None

    before, then = stands(), list[Any]()

    def hears(told: str) -> None:
        if "Argo CD manages" in told:
            then.append(stands())

    request = StartRequest(web.call, NewTemplate(images={"app": image("v2")}), Size(1), autoscaler=policy)
    start(web.api, request, hears)
    assert then == [before]
    web.undo()


def test_a_canary_that_is_held_already_grows(web: Web) -> None:
    begin(web, OwnerCheck.WARN)
    assert not begin(web, OwnerCheck.FAIL).changed


@pytest.mark.parametrize("only_check", [False, True])
def test_a_whole_release_is_refused_before_its_first_write(web: Web, only_check: bool) -> None:
    request = asked(replace(web, checking=only_check))
    request = replace(request, start=replace(request.start, owner_check=OwnerCheck.FAIL))
    with web.unchanged():
        failure, release = failed(web, request)
    assert failure.code == "owned" and not failure.changed
    assert release.outcome.value == Ending.REFUSED.value


def test_a_whole_release_that_is_out_already_is_no_failure(web: Web) -> None:
    request = asked(web, "v1")
    request = replace(request, start=replace(request.start, owner_check=OwnerCheck.FAIL))
    _outcome, release = released(web, request)
    assert release.outcome.value == Ending.ALREADY_RELEASED.value


def test_a_rollback_tells_who_would_bring_back_what_it_has_left(web: Web) -> None:
    begin(web, OwnerCheck.IGNORE)
    web.promote()
    told = [warning for warning in web.rollback(image("v1")).warnings if "Argo CD" in warning]
    assert told == [
        f'Argo CD manages Deployment "{web.name}" and will bring the version that was left back: change its manifest to the version '
        "that runs now"
    ]
    assert not web.rollback(image("v1")).warnings
