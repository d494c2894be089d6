# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_fleet's arguments: what counts for all, what a release says itself, and to which cluster its credentials go."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import CONNECTION, ArgumentError
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import (
    MEMBER,
    NOT_OF_MEMBERS,
    OF_THE_WHOLE,
    VERB,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Size
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.orders import FleetRequest
from tests.toolchain.venvs import ROOT

IMAGES = {"app": "web:2"}


def asked(*releases: Any, **given: Any) -> FleetRequest:
    spec = VERB.arguments
    validated = ArgumentSpecValidator(spec.argument_spec).validate({"releases": list(releases), **given})
    assert not validated.error_messages, validated.error_messages
    request = spec.to_request(validated.validated_parameters, False, "tests")
    assert isinstance(request, FleetRequest)
    return request


def web(name: str = "web", **more: Any) -> dict[str, Any]:
    return {"name": name, "images": IMAGES, **more}


def test_a_release_has_what_it_says_and_of_the_rest_what_counts_for_all() -> None:
    request = asked(
        {"name": "a", "steps": [{"pods": 2}]},
        {"name": "b", "namespace": "own"},
        defaults={"images": IMAGES, "namespace": "shop", "steps": [{"weight": 20}]},
    )
    first, second = (member.request for member in request.members)
    assert [first.call.target.namespace, second.call.target.namespace] == ["shop", "own"]
    assert [first.steps[0].size, second.steps[0].size] == [Size(pods=2), Size(pods=None, weight=20)]
    assert (request.waves, request.together, request.tolerated) == (((0,), (1,)), True, 0)


def test_what_is_null_is_not_given() -> None:
    """As a variable that was not set: it takes away no bound and no cluster that counts for all."""
    counts = {"max_hourly_cost": 1.5, "surge": 2, "lease_seconds": 60, "traffic": {"kind": "gateway_api"}}
    null = dict.fromkeys((*counts, "kubeconfig", "impersonate_user", "verify_ssl", "definition"))
    defaults = {**counts, "kubeconfig": "/one", "impersonate_user": "ann", "verify_ssl": False}
    assert asked(web(**null), defaults=defaults) == asked(web(), defaults=defaults)
    assert asked(web(), defaults=null, host="https://one") == asked(web(), host="https://one")


def test_requests_are_shared_out_for_each_release_as_it_says() -> None:
    request = asked(
        web("a"),
        web("b", traffic={"kind": "service_selector"}, steps=[{}], keep=60),
        defaults={
            "traffic": {"kind": "gateway_api"},
            "steps": [{"traffic": {"weight": 5}}, {"traffic": {"weight": 25}}],
        },
    )
    first, second = (member.request for member in request.members)
    assert [step.traffic.weight for step in first.holds if step.traffic] == [Fraction(1, 20), Fraction(1, 4)]
    assert [step.traffic.weight for step in second.holds if step.traffic] == [0, 1]
    assert [step.bake for step in second.holds] == [0.0, 60.0]


def test_releases_of_one_cluster_share_a_connection() -> None:
    request = asked(web("a"), web("b", context="eu"), web("c", context="eu"), web("d"))
    assert [member.cluster for member in request.members] == [0, 1, 1, 0]
    assert [member.where for member in request.members] == ["", "eu", "eu", ""]
    assert len(request.clusters) == 2


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        ({"context": "eu"}, {"context": "us"}, ["eu", "us"]),
        ({"host": "https://eu"}, {"host": "https://us"}, ["https://eu", "https://us"]),
        ({"host": "https://eu", "group": "eu"}, {"host": "https://us", "group": "us"}, ["eu", "us"]),
        ({"kubeconfig": "/eu", "context": "x"}, {"kubeconfig": "/us", "context": "x"}, ["/eu", "/us"]),
        ({"host": "https://eu", "api_key": "a"}, {"host": "https://eu", "api_key": "b"}, ["cluster 1", "cluster 2"]),
        ({"host": "https://eu"}, {"host": "https://eu"}, ["", ""]),
    ],
)
def test_clusters_are_told_apart_by_what_names_them(
    one: dict[str, Any], other: dict[str, Any], where: list[str]
) -> None:
    request = asked(web("a", **one), web("b", **other))
    assert [member.where for member in request.members] == where


def test_credentials_go_to_no_other_server_than_that_which_they_were_given_with() -> None:
    common = {"host": "https://one", "api_key": "of-one", "impersonate_user": "ann"}
    request = asked(web("a"), web("b", kubeconfig="/two"), defaults={}, **common)
    assert [(one.host, one.api_key) for one in request.clusters] == [("https://one", "of-one"), (None, None)]
    assert request.clusters[1].impersonate_user is None
    request = asked(web("a"), web("b", host="https://three"), defaults={"kubeconfig": "/two"}, api_key="of-one")
    assert [(one.host, one.kubeconfig, one.api_key) for one in request.clusters] == [
        (None, "/two", None),
        ("https://three", None, None),
    ]


def test_an_empty_text_names_no_cluster() -> None:
    request = asked(
        web("a", host="", kubeconfig=""), web("b"), defaults={"context": ""}, host="https://one", api_key="of-one"
    )
    assert [(one.host, one.api_key) for one in request.clusters] == [("https://one", "of-one")]


def test_what_a_release_says_counts_whether_it_is_said_by_a_name_or_by_an_alias() -> None:
    request = asked(
        web(validate_certs=True, client_cert="/own.crt"), defaults={"verify_ssl": False, "cert_file": "/d.crt"}
    )
    (cluster,) = request.clusters
    assert (cluster.validate_certs, cluster.client_cert) == (True, "/own.crt")


def test_contexts_are_of_the_kubeconfig_that_is_given_for_all() -> None:
    request = asked(web("a", context="eu"), web("a", context="us"), kubeconfig="/one")
    assert [(one.kubeconfig, one.context) for one in request.clusters] == [("/one", "eu"), ("/one", "us")]


def test_groups_are_waves() -> None:
    request = asked(web("a", group="us"), web("b", group="eu"), waves=["eu", "us"], between="stop", max_failures="50%")
    assert (request.waves, request.stops, request.tolerated) == (((1,), (0,)), True, 1)


@pytest.mark.parametrize(
    ("releases", "given", "said"),
    [
        ([web(), web()], {}, r"releases\[0\] and releases\[1\] are the same Deployment"),
        ([web(pods=0)], {}, r"releases\[0\] has the option pods, which is none"),
        ([web(steps=[{"pods": 0}])], {}, r"releases\[0\].steps\[0\].pods is 0"),
        (
            [web(steps=[{"pods": 1, "verify_tasks": "v.yml"}])],
            {},
            r"releases\[0\].steps\[0\].verify_tasks are tasks of the caller",
        ),
        ([web(), web("b", through="plan")], {}, r"releases\[1\].*has an option that is none|through"),
        ([web(steps=None)], {"defaults": {"steps": [{}]}}, r"^releases\[0\].steps is null, so it says nothing"),
        ([web()], {"defaults": {"steps": None}}, r"^defaults.steps is null"),
        ([web(None)], {"defaults": {"name": "web"}}, r"^releases\[0\].name is empty"),
        (
            [web(checks=None)],
            {"defaults": {"checks": [{"pods": {}}]}},
            r"^releases\[0\]: argument 'checks' is of type None",
        ),
        ([web(images=None)], {}, r"^releases\[0\]: one of the following is required"),
        ([{"name": "web"}], {}, r"releases\[0\]: one of the following is required"),
        ([web("We b")], {}, r"releases\[0\].name is nothing"),
        ([web(context="eu")], {"host": "https://one"}, "names a context, and host is given for all"),
        ([web()], {"waves": ["1"]}, "would never begin"),
        ([web()], {"max_failures": "few"}, "max_failures"),
        ([web()], {"between": "-1"}, "between"),
        ([web()], {"at_once": 0}, "at_once is 0"),
        ([web(guard=9)], {}, r"releases\[0\].guard is 9"),
        ([web(), web("b", check_duration=0)], {}, r"^releases\[1\].check_duration is 0"),
        ([web()], {"defaults": {"check_duration": 0}}, r"^defaults.check_duration is 0"),
        ([web(bake=1)], {"defaults": {"bake": -1, "steps": [{}, {"bake": -1}]}}, r"^defaults.steps\[1\].bake is -1"),
        ([web()], {"defaults": {"stepz": []}}, "^defaults has no option stepz: write steps"),
        ([web(steps=[{}, {"pods": "x"}])], {}, r"^releases\[0\].steps\[1\].pods must be a whole number"),
        ([web(checks=[{"pods": {}}, {"prometheus": {}}])], {}, r"^releases\[0\].checks\[1\].prometheus.url is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(releases: list[Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        asked(*releases, **given)


def test_a_fleet_of_none_is_refused() -> None:
    with pytest.raises(ArgumentError, match="releases is empty"):
        asked()


@pytest.mark.parametrize("name", sorted(set(NOT_OF_MEMBERS) - set(OF_THE_WHOLE)))
def test_what_a_fleet_would_pass_over_is_refused_and_nothing_is_said_by_what_is_empty(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"releases\[0\] \(web\) has the option {name}, .* by the role"):
        asked({"name": "web", "images": {"app": "a:2"}, name: "said"})
    assert asked({"name": "web", "images": {"app": "a:2"}, name: ""})


def test_the_playbook_takes_every_option_of_a_release_from_the_inventory() -> None:
    """Also those that the module refuses: it cannot refuse what it does not hear of."""
    _look, play = yaml.safe_load(Path(ROOT, "playbooks", "fleet.yml").read_text("utf-8"))
    given = play["vars"]
    assert set(given["_canary_fleet_connection"]) == set(CONNECTION)
    assert set(given["_canary_fleet_options"]) == {*MEMBER, *NOT_OF_MEMBERS} - {*CONNECTION, *OF_THE_WHOLE}
