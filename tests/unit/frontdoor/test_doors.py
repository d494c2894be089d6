# SPDX-License-Identifier: GPL-3.0-or-later
"""Both doors are given the same arguments and must answer with the same result."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import Api
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import asked
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ConfigError, Timeout
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import promote
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import ArgumentSpec, Verb
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import Surroundings, run_in_process
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import run_module
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import PromoteRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import (
    Kind,
    News,
    Outcome,
    Report,
    VerbFailure,
)
from tests.unit.frontdoor.apart import apart

ACTION = "coalmine.canary.canary_promote"
SECRET = "s3cret-t0ken"
KUBECONFIG = {
    "current-context": "web",
    "clusters": [{"name": "web", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "web", "context": {"cluster": "web", "user": "web"}}],
    "users": [{"name": "web", "user": {"token": SECRET}}],
}
ARGUMENTS = {"name": "web", "kubeconfig": KUBECONFIG}

Perform = Callable[[Api, Any, Report], Any]


def done(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    report(f"about to patch with {SECRET}")
    return Outcome(
        changed=not request.call.check,
        message=f"promoted {request.call.target.name}, not {SECRET}",
        canary={"phase": "promoting", "replicas": 3},
        before={"spec": {"paused": True}},
        after={"spec": {"paused": False}},
        warnings=(f"{SECRET} is old",),
        extra={"hash": "7c6d9f54b"},
    )


def failed(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    for second in range(20):
        report(f"{second} s: 1 of 3 pods is ready")
    raise VerbFailure(
        f"pod web-1 crashes: {SECRET}",
        code="stuck",
        changed=True,
        canary={"phase": "held"},
        before={"a": 1},
        after={"a": 2},
        extra={"verify": {"verdict": "fail", "reason": SECRET}},
    )


def refused_by_server(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    raise ConfigError(f"no cluster for {SECRET}")


def unanswered(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    raise Timeout(asked("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web"), "no answer in time")


def unanswered_reading(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    raise Timeout(asked("GET", "/apis/apps/v1/namespaces/shop/deployments/web"), "no answer in time")


def found(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    return Outcome(changed=False, message="1 canary is live", extra={"canaries": [{"name": "web"}]})


def verb_that(perform: Perform) -> Verb:
    return Verb("canary_promote", promote.VERB.arguments, perform)


def through_module(perform: Perform, arguments: dict[str, Any], **mode: bool) -> Any:
    """In a process of its own, as Ansible does it: warnings pile up for the life of a process."""
    # A test file that imports the controller's side of ansible-core makes modules warn as the controller does, in all that follow.
    assert not _internal.is_controller
    result = json.loads(apart(printed_by_module, perform, arguments, mode))
    result["warnings"] = [
        each if isinstance(each, str) else each["event"]["msg"] for each in result.get("warnings", [])
    ]
    return result


def printed_by_module(perform: Perform, arguments: dict[str, Any], mode: dict[str, bool]) -> str:
    internal = {f"_ansible_{name}": value for name, value in mode.items()}
    args = {**arguments, **internal, "_ansible_module_name": ACTION}
    output = io.StringIO()
    with patch_module_args(args), contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        run_module(verb_that(perform))
    return output.getvalue()


class Spoken:
    """What a task said besides its result."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.deprecations: list[str] = []


def through_process(verb: Verb, arguments: dict[str, Any], **mode: bool) -> tuple[Any, Spoken]:
    spoken = Spoken()
    around = Surroundings(
        action=ACTION,
        check=mode.get("check_mode", False),
        diff=mode.get("diff", False),
        tell=spoken.lines.append,
        warn=spoken.warnings.append,
        deprecated=lambda text, *rest, **more: spoken.deprecations.append(text),
    )
    return {**run_in_process(verb, arguments, around), "warnings": spoken.warnings}, spoken


@pytest.mark.parametrize(
    ("perform", "arguments", "mode"),
    [
        pytest.param(done, {}, {}, id="success"),
        pytest.param(done, {}, {"check_mode": True}, id="check mode"),
        pytest.param(done, {}, {"diff": True}, id="diff mode"),
        pytest.param(failed, {}, {"diff": True}, id="failure of the verb"),
        pytest.param(refused_by_server, {}, {}, id="failure of the server"),
        pytest.param(done, {"wait_timeout": 0}, {}, id="argument without sense"),
        pytest.param(done, {"wait_timeout": "soon"}, {}, id="argument of the wrong type"),
        pytest.param(done, {"nmae": "web"}, {}, id="unknown argument"),
        pytest.param(done, {"proxy_headers": {"cookie": "x"}}, {}, id="unknown argument within another"),
        pytest.param(done, {"validate_certs": True, "verify_ssl": False}, {}, id="argument and its alias"),
        pytest.param(done, {"api_key": "an-api-key", "impersonate_user": "an-api-key"}, {}, id="secret option"),
        pytest.param(done, {"context": "elsewhere"}, {}, id="unknown context"),
        pytest.param(done, {"kubeconfig": [SECRET]}, {}, id="no kubeconfig"),
    ],
)
def test_both_doors_answer_the_same(perform: Perform, arguments: dict[str, Any], mode: dict[str, bool]) -> None:
    given = {**ARGUMENTS, **arguments}
    here, spoken = through_process(verb_that(perform), given, **mode)
    there = through_module(perform, given, **mode)
    assert here == there
    if given["kubeconfig"] == KUBECONFIG:
        assert SECRET not in json.dumps([here, spoken.lines, spoken.warnings])


@pytest.mark.parametrize(("perform", "changed"), [(unanswered, True), (unanswered_reading, False)])
def test_what_may_have_been_carried_out_is_not_called_unchanged(perform: Perform, changed: bool) -> None:
    result, _spoken = through_process(verb_that(perform), ARGUMENTS)
    assert (result["failed"], result["failure"], result["changed"]) == (True, "api_error", changed)


def test_a_result_carries_what_is_documented() -> None:
    result = through_module(done, ARGUMENTS)
    assert result["msg"] == "promoted web, not ********"
    assert (result["changed"], result["canary"], result["requests"]) == (True, {"phase": "promoting", "replicas": 3}, 0)
    assert "diff" not in result


def test_a_diff_is_small_yaml_and_only_there_when_asked_for() -> None:
    result = through_module(done, ARGUMENTS, diff=True)
    assert result["diff"] == {"before": "spec:\n  paused: true\n", "after": "spec:\n  paused: false\n"}


def test_a_failure_says_what_was_changed_and_what_happened_last() -> None:
    result = through_module(failed, ARGUMENTS)
    assert (result["failed"], result["failure"], result["changed"]) == (True, "stuck", True)
    assert result["canary"] == {"phase": "held"}
    assert result["progress"] == [f"web: {second} s: 1 of 3 pods is ready" for second in range(10, 20)]


def test_lines_of_progress_are_shown_while_the_verb_runs_in_process() -> None:
    _, spoken = through_process(verb_that(done), ARGUMENTS)
    assert spoken.lines == ["web: about to patch with ********"]


def test_what_only_some_verbs_return_is_returned_by_its_name_whether_they_fail_or_not() -> None:
    assert through_module(done, ARGUMENTS)["hash"] == "7c6d9f54b"
    assert through_module(failed, ARGUMENTS)["verify"] == {"verdict": "fail", "reason": "********"}


def test_what_is_about_no_one_deployment_has_no_canary() -> None:
    result = through_module(found, ARGUMENTS)
    assert (result["msg"], result["canaries"]) == ("1 canary is live", [{"name": "web"}])
    assert "canary" not in result


def test_an_alias_that_will_go_is_said_to_go() -> None:
    spec = ArgumentSpec(
        options={
            "name": {
                "type": "str",
                "aliases": ["deployment"],
                "deprecated_aliases": [
                    {"name": "deployment", "version": "3.0.0", "collection_name": "coalmine.canary"}
                ],
            }
        },
        build=lambda parameters, check, actor: None,
    )
    _, spoken = through_process(Verb("canary_info", spec, found), {"deployment": "web", "kubeconfig": KUBECONFIG})
    assert spoken.deprecations == ["Alias 'deployment' is deprecated. See the module docs for more information"]


def test_the_system_log_is_told_the_target_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.log", lambda self, msg, log_args=None: logged.append(msg)
    )
    printed_by_module(done, ARGUMENTS, {})
    assert logged == ["Invoked for Deployment default/web"]


def test_a_bug_is_not_hidden() -> None:
    def broken(api: Api, request: PromoteRequest, report: Report) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        through_process(verb_that(broken), ARGUMENTS)


def warns(api: Api, request: PromoteRequest, report: Report) -> Outcome:
    report(News("Helm manages it", Kind.WARNING))
    return Outcome(changed=False, message="done", warnings=("Helm manages it", "it is old"))


def test_a_warning_is_shown_when_it_matters_and_not_again_at_the_end() -> None:
    result, spoken = through_process(verb_that(warns), ARGUMENTS)
    assert (spoken.lines, result["warnings"]) == (["web: warning: Helm manages it"], ["it is old"])
    result, spoken = through_process(verb_that(warns), {**ARGUMENTS, "display": "quiet"})
    assert (spoken.lines, result["warnings"]) == ([], ["Helm manages it", "it is old"])
    assert through_module(warns, ARGUMENTS)["warnings"][-2:] == ["Helm manages it", "it is old"]


def test_what_is_drawn_holds_no_secret_and_is_no_line() -> None:
    def works(api: Api, request: PromoteRequest, report: Report) -> Outcome:
        report(News(f"pods of {SECRET}", Kind.STATE, details=(f"  {SECRET}",), elapsed=1.0))
        report(f"moved {SECRET}")
        return Outcome(changed=False, message="done")

    lines: list[str] = []
    drawn: list[dict[str, Any]] = []
    around = Surroundings(ACTION, False, False, lines.append, lines.append, lambda *_, **__: None, drawn.append)
    run_in_process(verb_that(works), ARGUMENTS, around)
    assert lines == ["web: moved ********"]
    assert [(one["deployment"], one["text"]) for one in drawn] == [
        ("web", "pods of ********"),
        ("web", "moved ********"),
    ]
    assert SECRET not in json.dumps(drawn)
