# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which two pod templates are the same version, and what images do to one."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout import template as templates
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.fields import Fields, pod_template
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.template import (
    RESTARTED_AT,
    UnknownContainer,
    bare,
    changed_paths,
    digest,
    images,
    replica_set_of,
    same_version,
    with_images,
)

from .objects import replica_set, template

Json = dict[str, Any]
SIDECAR: Json = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "initContainers": [{"name": "migrate", "image": "m:1"}],
        "containers": [{"name": "app", "image": "app:v1"}, {"name": "proxy", "image": "p:1"}],
    },
}


def annotated(**annotations: str) -> Json:
    return {**template("v1"), "metadata": {"labels": {"app": "web"}, "annotations": annotations}}


def hashed(shown: Json) -> Json:
    result = copy.deepcopy(shown)
    result["metadata"]["labels"]["pod-template-hash"] = "abc"
    return result


DIGESTS: dict[str, tuple[Json, Json, bool]] = {
    "the hash that a ReplicaSet adds": (template("v1"), hashed(template("v1")), True),
    "null for absent": (template("v1"), {**template("v1"), "extra": None}, True),
    "another order of members": (template("v1"), dict(reversed(template("v1").items())), True),
    "another image": (template("v1"), template("v2"), False),
    "a restart": (template("v1"), annotated(**{RESTARTED_AT: "now"}), False),
    "another order of containers": (
        SIDECAR, {**SIDECAR, "spec": {**SIDECAR["spec"], "containers": SIDECAR["spec"]["containers"][::-1]}}, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same"), [*DIGESTS.values()], ids=[*DIGESTS])
def test_a_digest_is_the_same_where_kubernetes_takes_the_same_replica_set(one: Json, other: Json, same: bool) -> None:
    assert (digest(one) == digest(other)) is same


def test_what_a_fleet_reads_again_with_every_answer_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[Any] = []
    whole = templates.canonical
    monkeypatch.setattr(templates, "canonical", lambda read: worked_out.append(read) or whole(read))
    releases = [template(f"once-{number}-{version}") for number in range(300) for version in ("stable", "canary")]
    for _answer in range(3):
        for each in releases:
            read = pod_template(Fields(copy.deepcopy(each), "template"))
            assert digest(read) == digest(read) == digest(each)
    assert len(worked_out) == len(releases)


def test_a_digest_says_nothing_of_what_is_in_the_template() -> None:
    secret = template("v1", env=[{"name": "PASSWORD", "value": "s3cret"}])
    assert digest(secret).startswith("sha256:") and len(digest(secret)) == len("sha256:") + 32


@pytest.mark.parametrize("shown", [template("v1"), SIDECAR, hashed(SIDECAR), annotated(**{RESTARTED_AT: "now"})])
def test_what_is_given_is_never_changed(shown: Json) -> None:
    before = copy.deepcopy(shown)
    bare(shown), same_version(shown, SIDECAR), digest(shown), with_images(shown, {"app": "x:9"})
    assert shown == before


def test_a_restart_alone_is_no_other_version_unless_it_is_asked_for() -> None:
    restarted = annotated(a="b", **{RESTARTED_AT: "now"})
    assert same_version(annotated(**{RESTARTED_AT: "now"}), template("v1"))
    assert same_version(restarted, annotated(a="b")) and same_version(restarted, restarted)
    assert not same_version(annotated(a="b"), restarted)
    assert not same_version(annotated(a="b", **{RESTARTED_AT: "before"}), restarted)
    assert not same_version(annotated(a="b"), annotated(a="c"))


def test_images_are_set_by_container_name_init_containers_too() -> None:
    changed = with_images(SIDECAR, {"proxy": "p:2", "migrate": "m:2"})
    assert images(changed) == {"migrate": "m:2", "app": "app:v1", "proxy": "p:2"}
    assert changed_paths(SIDECAR, changed) == ("spec.containers[proxy].image", "spec.initContainers[migrate].image")


def test_an_unknown_container_is_told_with_those_that_are_there() -> None:
    with pytest.raises(UnknownContainer, match='no container "wep"; it has: migrate, app, proxy'):
        with_images(SIDECAR, {"wep": "x"})


def test_the_oldest_replica_set_of_a_template_is_the_one_that_kubernetes_takes() -> None:
    older, newer = replica_set("v1", 0, 1), replica_set("v1", 4, 5)
    assert replica_set_of(template("v1"), (newer, older)) is older
    assert replica_set_of(template("v3"), (newer, older)) is None


PATHS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "nothing": (template("v1"), ()),
    "an image": (template("v2"), ("spec.containers[app].image",)),
    "a value": (
        template("v1", env=[{"name": "A", "value": "s3cret"}]), ("spec.containers[app].env",),
    ),
    "a restart": (annotated(**{RESTARTED_AT: "now"}), ("metadata.annotations",)),
}  # fmt: skip


@pytest.mark.parametrize(("after", "paths"), [*PATHS.values()], ids=[*PATHS])
def test_differences_are_paths_without_values(after: Json, paths: tuple[str, ...]) -> None:
    assert changed_paths(template("v1"), after) == paths


names = st.sampled_from(["spec", "labels", "containers", "resources", "limits", "divisor", "env", ""])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, json_values, max_size=3))
def test_a_bare_template_is_bare_already(shown: Json) -> None:
    assert bare(bare(shown)) == bare(shown)
    assert digest(bare(shown)) == digest(shown)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda read: pickle.loads(pickle.dumps(read)), dict])
def test_a_copy_that_is_changed_has_a_digest_of_its_own(copied: Callable[[Json], Json]) -> None:
    read = pod_template(Fields({"spec": {"containers": [{"name": "app", "image": "x:1"}]}}, "template"))
    before = digest(read)
    other = copied(read)
    assert other == read and digest(other) == before
    other["spec"] = {"containers": [{"name": "app", "image": "x:2"}]}
    assert digest(other) != before == digest(read)
