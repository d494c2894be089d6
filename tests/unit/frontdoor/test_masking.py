# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are found wherever they come from; names of things are not taken for secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.secrets import texts_in
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import CONNECTION
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.masking import (
    Secrets,
    secrets_of,
    secrets_of_connection,
    shown,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.shapes import misshapen
from ansible_collections.coalmine.canary.plugins.module_utils.release.result import Release
from tests.unit.release.results import WHOLE

KUBECONFIG = {
    "clusters": [{"name": "web", "cluster": {"server": "https://web", "certificate-authority-data": "public"}}],
    "contexts": [{"name": "web", "context": {"user": "app", "cluster": "web"}}],
    "users": [
        {"name": "app", "user": {"token": "s-token", "tokenFile": "/run/token", "password": "s-password"}},
        {
            "name": "cert",
            "user": {"client-certificate-data": "public", "client-key-data": "s-key", "client-key": "/key"},
        },
        {
            "name": "oidc",
            "user": {
                "auth-provider": {
                    "name": "oidc",
                    "config": {
                        "id-token": "s-id",
                        "refresh-token": "s-refresh",
                        "client-secret": "s-client",
                        "client-id": "x",
                    },
                }
            },
        },
        {
            "name": "exec",
            "user": {
                "exec": {
                    "command": "aws",
                    "env": [
                        {"name": "AWS_PROFILE", "value": "prod"},
                        {"name": "AWS_SECRET_ACCESS_KEY", "value": "s-aws"},
                    ],
                }
            },
        },
    ],
}


def test_only_the_secret_leaves_of_a_kubeconfig_are_masked() -> None:
    assert secrets_of({"kubeconfig": KUBECONFIG}) == {
        "s-token", "s-password", "s-key", "s-id", "s-refresh", "s-client", "s-aws",
    }  # fmt: skip


PEM = "-----BEGIN PRIVATE KEY-----"
TEXT = "users:\n- name: app\n  user: {token: s-token-1}\n- user:\n    client-key-data: 's-key-data'\n"


@pytest.mark.parametrize(
    ("arguments", "secrets"),
    [
        pytest.param({"kubeconfig": "/root/.kube/config"}, set(), id="a path"),
        pytest.param({"kubeconfig": TEXT}, {"s-token-1", "s-key-data"}, id="a kubeconfig as text"),
        pytest.param({"kubeconfig": [KUBECONFIG["users"][0]]}, {"s-token", "s-password"}, id="part of a kubeconfig"),
        pytest.param({"api_key": ["s1", {"a": 5}]}, {"s1", "5"}, id="another type"),
        pytest.param({"proxy_headers": {"basic_auth": "ann:s-secret"}}, {"ann:s-secret", "s-secret"}, id="user:password"),
        pytest.param({"proxy_headers": '{"basic_auth": "ann:s2"}'}, {"ann:s2"}, id="JSON in text"),
        pytest.param({"proxy_headers": "basic_auth=ann:s-secret"}, {"ann:s-secret"}, id="key=value"),
        pytest.param({"proxy": "http://ann:s3@proxy:3128", "host": "https://s4@h"}, {"ann:s3", "s4"}, id="in a URL"),
        pytest.param(
            {"checks": [{"http": {"headers": {"Authorization": "Bearer abc", "X-Api-Key": "k3y", "X-Version": "new"}}}]},
            {"Bearer abc", "abc", "k3y"},
            id="headers named like credentials",
        ),
        pytest.param(
            {"checks": {"prometheus": {"token": "s5", "stable_headers": {"Authorization": "Basic YW5uOnM2"}}}},
            {"s5", "Basic YW5uOnM2", "YW5uOnM2", "ann:s6", "s6"},
            id="checks that are no list, and a header in base64",
        ),
        pytest.param({"price_metrics": {"headers": {"X-Auth": "s7", "X-Scope-OrgID": "shop"}}}, {"s7"}, id="prices"),
        pytest.param(
            {"pod_template_patch": {"spec": {"containers": [
                {"name": "app", "image": "app:2", "env": [{"name": "MODE", "value": "s-value"}, {"name": "N", "value": "1"}]}
            ]}}},
            {"s-value"},
            id="variables, but not short ones",
        ),
        pytest.param(
            {"client_key": f"{PEM}\ns-body\n-----END PRIVATE KEY-----\n", "ca_cert": "/ca.crt"},
            {f"{PEM}\ns-body\n-----END"},
            id="a private key where its path belongs",
        ),
        pytest.param(
            {"definition": {"spec": {"volumes": [{"name": "a", "secret": {"secretName": "web-tls"}}], "args": ["--p=s-arg"]}}},
            {"--p=s-arg"},
            id="names of Secrets are none",
        ),
    ],
)  # fmt: skip
def test_secrets_are_found_in_every_shape(arguments: dict[str, Any], secrets: set[str]) -> None:
    assert secrets_of(arguments) == secrets


def test_secrets_from_the_environment_are_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_API_KEY", "s-environment")
    monkeypatch.setenv("K8S_AUTH_PROXY", "http://ann:s-proxy@proxy:3128")
    monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_BASIC_AUTH", "a:s-basic")
    assert secrets_of_connection(Connection()) == {"s-environment", "ann:s-proxy", "a:s-basic", "s-basic"}


def test_only_numbers_and_the_target_are_repeated_in_results() -> None:
    options = {**CONNECTION, "name": {"type": "str"}, "wait_timeout": {"type": "int"}, "seconds": {"type": "int"}}
    given = {"name": "web", "wait_timeout": 5, "validate_certs": None, "persist_config": False}
    hidden = {"kubeconfig": "/path", "api_key": 12345678, "host": "https://h", "seconds": "soon"}
    assert shown({**given, **hidden, "s3cret": 1}, options) == {**given, **dict.fromkeys(hidden, "(not shown)")}


@pytest.mark.parametrize(
    "text",
    ["a s3cret-a", "a s3cret-ab-longer", "a s3cret-ab-l ...", "a s3cret-ab-l… (1,234 more)", "a s3cret-ab-lon"],
)
def test_nothing_is_left_of_a_secret_that_another_begins_or_that_was_cut(text: str) -> None:
    assert "s3cret" not in Secrets({"s3cret-a", "s3cret-ab-longer"}).cut_from(text)


def test_mistakes_are_raised_without_secrets() -> None:
    secrets = Secrets({"s3cret-token"})
    with (
        pytest.raises(RuntimeError, match=r"ValueError: Invalid header value b'\*+'") as raised,
        secrets.cut_from_errors(),
    ):
        raise ValueError(f"Invalid header value {b's3cret-token'!r}") from KeyError("s3cret-token")
    assert raised.value.__cause__ is None
    with pytest.raises(ZeroDivisionError), secrets.cut_from_errors():
        raise ZeroDivisionError


@pytest.mark.parametrize("piece", ["x", "token", "token:", '"', "://", "a@", " ", "...", "token value"])
def test_long_texts_are_looked_through_in_little_time(piece: str) -> None:
    """Where the time grows with the square of the length, this takes minutes."""
    text = piece * (100_000 // len(piece))
    Secrets(secrets_of({"definition": text})).cut_from(text[:10_000])


def test_what_is_nested_without_end_is_refused_before_it_is_read() -> None:
    deep: Any = 0
    for _level in range(3000):
        deep = {"token": [deep]}
    assert secrets_of({"kubeconfig": deep}) == frozenset()
    assert "more than a hundred levels deep" in str(misshapen(CONNECTION, {"kubeconfig": deep}))


@pytest.mark.parametrize("secret", ["a", "e", "failed", "failure", "timeout", "1"])
def test_no_password_takes_away_by_what_a_task_is_known_to_have_failed(secret: str) -> None:
    result = {"failed": True, "changed": False, "failure": "timeout", "msg": f"no: {secret}"}
    shown = Secrets({secret}).cut_from_result(result)
    assert {**shown, "msg": ""} == {**result, "msg": ""}
    assert secret not in shown["msg"].replace("no: ", "")


# Texts of a release that are told, and by which nothing goes on.
TOLD = {"why": (), "verdicts": (), "rooms": (), "costs": {}, "timeline": (), "evidence": {}}
# What is said of a version steers wherever it stands, and not because it is that of the stable one.
RELEASE = replace(WHOLE, canary=dict.fromkeys(("stable", "canary"), WHOLE.canary["stable"]))


@pytest.mark.parametrize("secret", sorted({*texts_in(RELEASE.to_json()), "canary", "mark", "a"}))
def test_nothing_is_cut_out_of_what_a_release_goes_on_by(secret: str) -> None:
    """Any value of a variable of its template may stand in it."""
    cut = Secrets({secret}).cut_from_result({"release": RELEASE.to_json(), "msg": f"no: {secret}"})
    assert cut["msg"] == "no: ********"
    assert replace(Release.from_json(cut["release"]), **TOLD) == replace(RELEASE, **TOLD)
    codes = [(one["of"], one["verdict"]) for one in cut["release"]["verdicts"]]
    assert codes == [("step 1", "pass")]
    assert all(secret not in one["said"] for one in cut["release"]["timeline"])


def test_what_the_task_says_in_the_open_is_no_secret_of_its_template() -> None:
    values = ["checkout", "production", "s-value-1", "build-1234"]
    patch = {
        "env": [{"name": f"N{value}", "value": value} for value in values] + [{"name": "PASSWORD", "value": "checkout"}]
    }
    given = {"name": "checkout-api", "context": "production", "run": "build-1234", "images": {"token": "app:v2"}}
    one = {**given, "pod_template_patch": patch}
    assert secrets_of(one) == secrets_of({"releases": [one]}) == {"s-value-1", "checkout"}
