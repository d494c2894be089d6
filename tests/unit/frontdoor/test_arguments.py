# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may write, and the request that comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import (
    info,
    pause,
    promote,
    resume,
    rollback,
    start,
    undo,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import (
    ArgumentError,
    Verb,
    call,
    connection,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.undo import Restore
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import (
    AutoscalerPolicy,
    Call,
    InfoRequest,
    Meant,
    NewTemplate,
    PauseRequest,
    PromoteRequest,
    ResumeRequest,
    RollbackRequest,
    Size,
    StartRequest,
    Target,
    UndoRequest,
    Wait,
)

CALL = Call(Target("web"), Wait(), check=False, actor="ann")
IMAGE = {"images": {"app": "app:2"}}
NEW_IMAGE = NewTemplate(images={"app": "app:2"})


def validated(verb: Verb, arguments: dict[str, Any]) -> dict[str, Any]:
    spec = verb.arguments
    result = ArgumentSpecValidator(
        spec.argument_spec, mutually_exclusive=spec.mutually_exclusive, required_one_of=spec.required_one_of
    ).validate(arguments)
    if result.error_messages:
        raise ArgumentError(result.errors.msg)
    return result.validated_parameters


def asked(verb: Verb, arguments: dict[str, Any], *, check: bool = False) -> Any:
    return verb.arguments.to_request(validated(verb, arguments), check, "ann")


@pytest.mark.parametrize(
    ("verb", "arguments", "request_"),
    [
        pytest.param(start, IMAGE, StartRequest(CALL, NEW_IMAGE), id="one pod unless a size is given"),
        pytest.param(
            start, {**IMAGE, "weight": "25"}, StartRequest(CALL, NEW_IMAGE, Size(None, 25)), id="a weight alone"
        ),
        pytest.param(
            start,
            {**IMAGE, "pods": 3, "surge": 0, "max_unavailable": 2, "autoscaler": "pin"},
            StartRequest(CALL, NEW_IMAGE, Size(3), 0, 2, AutoscalerPolicy.PIN),
            id="all about sizes",
        ),
        pytest.param(
            start,
            {"pod_template_patch": {"metadata": {"labels": {"tier": "x"}}}},
            StartRequest(CALL, NewTemplate(patch={"metadata": {"labels": {"tier": "x"}}})),
            id="a patch",
        ),
        pytest.param(
            start,
            {"definition": "kind: Deployment\nmetadata: {name: web}"},
            StartRequest(CALL, NewTemplate(definition={"kind": "Deployment", "metadata": {"name": "web"}})),
            id="a manifest",
        ),
        pytest.param(pause, {}, PauseRequest(CALL), id="pause"),
        pytest.param(resume, {}, ResumeRequest(CALL), id="resume"),
        pytest.param(promote, {}, PromoteRequest(CALL), id="promote"),
        pytest.param(
            promote,
            {"namespace": "shop", "wait": "no", "wait_timeout": "20", "wait_terminated": True},
            PromoteRequest(Call(Target("web", "shop"), Wait(False, 20.0, True), actor="ann")),
            id="all about waiting",
        ),
        pytest.param(undo, {}, UndoRequest(CALL), id="undo"),
        pytest.param(undo, {"reason": "slow"}, UndoRequest(CALL, "slow"), id="undo says why"),
        pytest.param(
            undo,
            {"restore": {"max_surge": "25%", "max_unavailable": "1", "min_ready_seconds": 5}},
            UndoRequest(CALL, "", Restore(5, None, "25%", 1)),
            id="counts stay counts, also as text",
        ),
        pytest.param(
            promote,
            {"expect": "7c6d", "run": "awx-42"},
            PromoteRequest(Call(Target("web"), Wait(), actor="ann", meant=Meant("7c6d", "awx-42"))),
            id="which release is meant",
        ),
        pytest.param(
            start, {**IMAGE, "run": "awx-42"}, StartRequest(CALL, NEW_IMAGE, run="awx-42"), id="a run that begins"
        ),
        pytest.param(
            start,
            {**IMAGE, "run": "awx-42", "expect": "7c6d"},
            StartRequest(
                Call(Target("web"), Wait(), actor="ann", meant=Meant("7c6d", "awx-42")), NEW_IMAGE, run="awx-42"
            ),
            id="a run that goes on",
        ),
        pytest.param(rollback, {"to": " 5d5f "}, RollbackRequest(CALL, "5d5f"), id="rollback"),
    ],
)
def test_arguments_become_one_frozen_request(verb: Any, arguments: dict[str, Any], request_: object) -> None:
    assert asked(verb.VERB, {"name": "web", **arguments}) == request_


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ({}, InfoRequest(None, None)),
        ({"namespace": "shop"}, InfoRequest(None, "shop")),
        ({"name": "web"}, InfoRequest("web", "default")),
        ({"name": "web", "namespace": "shop"}, InfoRequest("web", "shop")),
    ],
)
def test_info_asks_the_whole_cluster_only_without_a_name(arguments: dict[str, Any], request_: InfoRequest) -> None:
    assert asked(info.VERB, arguments) == request_


def test_check_mode_is_part_of_the_request() -> None:
    assert asked(promote.VERB, {"name": "web"}, check=True).call.check


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        (start, {}, "one of the following is required: images, pod_template_patch, definition"),
        (start, {"images": {}}, "say what the canary is to run"),
        (start, {"images": {"app": None}}, "gives container app no image"),
        (start, {"images": {"app": " "}}, "gives container app no image"),
        (start, {**IMAGE, "definition": {}}, "mutually exclusive: definition|images"),
        (start, {**IMAGE, "pods": 1, "weight": 5}, "mutually exclusive: pods|weight"),
        (start, {**IMAGE, "pods": 0}, "pods is 0: it must be 1 or more"),
        (start, {**IMAGE, "weight": 0}, "weight is 0: it must be 1 or more"),
        (start, {**IMAGE, "weight": 100}, "canary_promote is what gives a new version all pods"),
        (start, {**IMAGE, "surge": -1}, "surge is -1: it must be 0 or more"),
        (start, {**IMAGE, "max_unavailable": -1}, "max_unavailable is -1: it must be 0 or more"),
        (
            start,
            {**IMAGE, "autoscaler": "keep"},
            "value of autoscaler must be one of: refuse, pin, hold, ignore, got: keep",
        ),
        (start, {**IMAGE, "wait_timeout": 0}, "wait_timeout is 0: it must be 1 or more"),
        (undo, {"lease_seconds": 86_401}, "lease_seconds is 86401: it must be 86400"),
        (pause, {"lease_seconds": -1}, "lease_seconds is -1: it must be 0 or more"),
        (undo, {"restore": {"max_surge": "1" * 5000}}, "restore.max_surge is neither: give a count"),
        (undo, {"restore": {"max_surge": "a few"}}, "restore.max_surge is neither: give a count"),
        (undo, {"restore": {"max_surge": True}}, "restore.max_surge is neither: give a count"),
        (undo, {"restore": {"min_ready_seconds": -1}}, "min_ready_seconds is -1"),
        (rollback, {"to": " "}, "to is empty"),
    ],
)
def test_arguments_without_sense_are_refused_with_the_remedy(verb: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        asked(verb.VERB, {"name": "web", **arguments})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, Connection()),
        (
            {"verify_ssl": "no", "ssl_ca_cert": "/ca", "cert_file": "/crt", "key_file": "/key"},
            Connection(validate_certs=False, ca_cert="/ca", client_cert="/crt", client_key="/key"),
        ),
        ({"impersonate_groups": "a,b"}, Connection(impersonate_groups=("a", "b"))),
        ({"proxy_headers": {"user_agent": "x"}}, Connection(proxy_headers={"user_agent": "x"})),
        ({"kubeconfig": {"users": []}}, Connection(kubeconfig={"users": []})),
    ],
)
def test_connection_options_have_the_names_that_users_of_kubernetes_core_know(
    arguments: dict[str, Any], expected: Connection
) -> None:
    assert connection(validated(info.VERB, arguments)) == expected


VERBS = (info, pause, promote, resume, start, undo)
NO_NAMES = ["", "a/b", "web/scale", "../web", "a b", "Web", "-a", "a_b", "é", "a\n", "x" * 254, "{{ x }}"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("given", NO_NAMES)
def test_what_nothing_is_called_is_no_name_and_no_path(verb: Any, given: str) -> None:
    more = IMAGE if verb is start else {}
    with pytest.raises(ArgumentError, match=r"^name is .*: give the name of a Deployment, .* - and \.$"):
        asked(verb.VERB, {"name": given, **more})
    for namespace in (given, "a.b", "x" * 64):
        with pytest.raises(ArgumentError, match=r"^namespace is .*: give the name of a namespace, .* -$"):
            asked(verb.VERB, {"name": "web.v1", "namespace": namespace, **more})


def test_a_kubeconfig_that_is_no_path_and_no_dictionary_is_refused() -> None:
    with pytest.raises(ArgumentError, match="neither a path nor a dictionary"):
        connection(validated(info.VERB, {"kubeconfig": [1]}))


@pytest.mark.parametrize("verb", [promote, undo, pause, resume])
@pytest.mark.parametrize("option", ["expect", "run"])
def test_a_release_that_is_named_by_nothing_is_not_just_any_release(verb: Any, option: str) -> None:
    with pytest.raises(ArgumentError, match=f"{option} is empty, so it names no release"):
        asked(verb.VERB, {"name": "web", option: ""})


@pytest.mark.parametrize("run", ["two words", "two\nlines", "\x1b[31m", "x" * 129, "läuft"])
def test_a_run_has_a_plain_name(run: str) -> None:
    with pytest.raises(ArgumentError, match="give a plain name"):
        asked(promote.VERB, {"name": "web", "run": run})


CLUSTERS = {
    "the default kubeconfig": ({}, {}, {}, ()),
    "a context": ({"context": "admin@prod"}, {}, {"context": "admin@prod"}, ()),
    "a file and a host": (
        {"kubeconfig": "/home/ana/it's.conf", "host": "https://h:6443"},
        {},
        {"kubeconfig": "/home/ana/it's.conf", "host": "https://h:6443"},
        (),
    ),
    "the environment": ({}, {"K8S_AUTH_CONTEXT": "prod", "KUBECONFIG": "/a:/b"}, {"context": "prod"}, ()),
    "a host beside a kubeconfig of the environment": (
        {"host": "https://h"},
        {"K8S_AUTH_KUBECONFIG": "/prod.yml", "K8S_AUTH_CONTEXT": "prod"},
        {"host": "https://h"},
        (),
    ),
    "a host and a context of a kubeconfig of the environment": (
        {"host": "https://h", "context": "eu"},
        {"K8S_AUTH_KUBECONFIG": "/prod.yml"},
        {"host": "https://h", "context": "eu", "kubeconfig": "/prod.yml"},
        (),
    ),
    "the environment of kubectl": ({}, {"KUBECONFIG": "/a:/b"}, {"kubeconfig": "/a:/b"}, ()),
    "the content of a kubeconfig": ({"kubeconfig": {"users": []}}, {}, {}, ("kubeconfig",)),
    "an address with a password": (
        {"host": "https://ana:s3cret@h", "proxy": "http://ana:s3cret@p"},
        {},
        {},
        ("host", "proxy"),
    ),
    "a host with a token": ({"host": "https://h", "api_key": "s3cret"}, {}, {"host": "https://h"}, ("api_key",)),
    "a password from the environment": (
        {"host": "https://h", "username": "ana"},
        {"K8S_AUTH_PASSWORD": "s3cret"},
        {"host": "https://h", "username": "ana"},
        ("password",),
    ),
    "another user, and no certificates": (
        {"impersonate_user": "bo", "impersonate_groups": ["a", "b"], "validate_certs": False},
        {},
        {"impersonate_user": "bo", "validate_certs": "False", "impersonate_groups": "a,b"},
        (),
    ),
}


@pytest.mark.parametrize(("given", "environ", "named", "secret"), CLUSTERS.values(), ids=CLUSTERS)
def test_a_target_says_which_cluster_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    environ: dict[str, str],
    named: dict[str, str],
    secret: tuple[str, ...],
) -> None:
    for variable, text in environ.items():
        monkeypatch.setenv(variable, text)
    parameters = {"name": "web", "namespace": "shop", "wait": True, "wait_timeout": 9, **given}
    target = call(parameters, check=False, actor="ana").target
    assert (dict(target.cluster), target.secret) == (named, secret)
