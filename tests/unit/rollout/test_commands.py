# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubectl lines for the day this collection is not at hand: which there are, and that they hold no value of a template."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.commands import by_hand
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.last import (
    LAST,
    LastRelease,
    last_ended,
    last_outcome,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase, Situation
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.record import (
    LIVE,
    Companion,
    Intent,
    Kind,
    Originals,
    Record,
    RouteRef,
    Traffic,
)
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.views import HASH_LABEL, Strategy

from .objects import PINNED, UID, deployment, held, ordinary, record, replica_set, situation, template

V1, V2 = replica_set("v1", 4, 1), replica_set("v2", 1, 2)
MARKED = {LIVE: "true"}
OFFERED: dict[str, tuple[Situation, bool, bool]] = {
    "none": (situation(ordinary(), V1), False, False),
    "held": (held(), True, True),
    "frozen": (held(paused=True), True, True),
    "promoting": (situation(ordinary("v2", record=record(intent=Intent.PROMOTE), labels=MARKED), V1, V2), True, True),
    "undoing": (situation(ordinary(record=record(intent=Intent.UNDO), labels=MARKED), V1, V2), False, True),
    "another template": (situation(deployment("v3"), V1, V2), False, True),
    "no record": (held(record=None), False, False),
}


@pytest.mark.parametrize(("found", "promote", "undo"), [*OFFERED.values()], ids=[*OFFERED])
def test_only_what_would_end_right_is_offered(found: Situation, promote: bool, undo: bool) -> None:
    lines = by_hand(found)
    assert (bool(lines["promote"]), bool(lines["undo"])) == (promote, undo)


def test_an_undo_pipes_the_stable_template_and_holds_none_of_its_values() -> None:
    secret = template("v2", env=[{"name": "PASSWORD", "value": "s3cret"}])
    lines = by_hand(held(template=secret))["undo"]
    assert lines[0].startswith("kubectl -n shop get replicaset web-v1 -o jsonpath='{.spec.template}' | sed ")
    assert lines[0].endswith("| kubectl -n shop patch deployment web --type=json --patch-file=/dev/stdin")
    assert "s3cret" not in "".join(lines) and "app:v" not in "".join(lines)


def test_a_pinned_autoscaler_is_named_with_where_its_bounds_are() -> None:
    lines = by_hand(held(record=record(companions=PINNED)))
    for way in ("promote", "undo"):
        assert any(
            "get hpa hpa -o jsonpath='{.metadata.annotations.coalmine\\.canary/autoscaler}'" in x for x in lines[way]
        )


def test_the_phases_of_this_table_are_what_they_are_called() -> None:
    assert [OFFERED[name][0].phase for name in ("held", "frozen", "promoting", "undoing")] == [
        Phase.HELD,
        Phase.FROZEN,
        Phase.PROMOTING,
        Phase.UNDOING,
    ]


KUBECTL = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done > "$CALLS/$$.words"
case "$*" in *" get service "*) printf 'service/one\\nservice/two\\n' ;; esac
case "$*" in *" get replicaset "*) printf '%s' "$TEMPLATE" ;; esac
case "$*" in *--patch-file=/dev/stdin) while IFS= read -r line || [ -n "$line" ]; do printf '%s' "$line"; done > "$CALLS/$$.patch" ;; esac
case "$*" in *" patch deployment "*) exit "$REFUSES" ;; esac
"""  # lines of a shell script


@dataclass(frozen=True)
class Shell:
    """Runs lines where nothing but a fake kubectl, which takes down how it was called, sed and xargs can be found."""

    place: Path

    def run(self, line: str, template_told: str = "", *, refuses: bool = False) -> tuple[list[list[str]], list[Any]]:
        """The words of each call of kubectl, in their order of sorting, and the patches that it was given on its input. The
        server may refuse what is to be done to a Deployment."""
        calls = self.place / "calls"
        shutil.rmtree(calls, ignore_errors=True)
        calls.mkdir()
        env = {
            "PATH": str(self.place / "bin"),
            "CALLS": str(calls),
            "TEMPLATE": template_told,
            "REFUSES": str(int(refuses)),
        }
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=self.place / "empty", env=env, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (int(refuses), ""), (line, done.stderr)
        assert not list((self.place / "empty").iterdir())
        words = sorted(path.read_bytes().decode().split("\0")[:-1] for path in calls.glob("*.words"))
        return words, [json.loads(path.read_bytes()) for path in calls.glob("*.patch")]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    place = tmp_path_factory.mktemp("shell")
    (place / "bin").mkdir()
    (place / "empty").mkdir()
    (place / "bin" / "kubectl").write_text(KUBECTL)
    (place / "bin" / "kubectl").chmod(0o755)
    for name in ("sed", "xargs"):
        (place / "bin" / name).symlink_to(str(shutil.which(name)))
    return Shell(place)


def test_a_promotion_is_a_patch_of_numbers_where_the_template_is_the_one_that_was_looked_at(shell: Shell) -> None:
    patch, wait = by_hand(held())["promote"]
    looked_at = {"metadata": {"labels": {"app": "web", HASH_LABEL: "v2"}}}
    ended = LastRelease("promoted", {}, "", "hand", "", record().generation, "v2", "v1", record().stable.digest)
    at = f"/spec/template/metadata/labels/{HASH_LABEL}"
    assert shell.run(patch, json.dumps(looked_at))[1] == [
        [
            {"op": "test", "path": "/metadata/uid", "value": UID},
            {"op": "test", "path": "/metadata/annotations/coalmine.canary~1record", "value": record().encode()},
            {"op": "add", "path": at, "value": "v2"},
            {"op": "test", "path": "/spec/template", "value": looked_at},
            {"op": "remove", "path": at},
            {"op": "add", "path": "/spec/minReadySeconds", "value": 5},
            {"op": "add", "path": "/spec/progressDeadlineSeconds", "value": 321},
            {
                "op": "add",
                "path": "/spec/strategy",
                "value": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}},
            },
            {"op": "add", "path": "/spec/paused", "value": False},
            {"op": "add", "path": "/metadata/annotations/coalmine.canary~1last", "value": ended.encode()},
            {"op": "remove", "path": "/metadata/annotations/coalmine.canary~1record"},
            {"op": "remove", "path": "/metadata/labels/coalmine.canary~1live"},
        ]
    ]
    assert wait == "kubectl -n shop rollout status deployment web"


@pytest.mark.parametrize(("way", "how"), [("promote", "promoted by hand"), ("undo", "undone by hand")])
def test_how_it_ended_is_told_of_this_release_and_not_of_the_one_before(shell: Shell, way: str, how: str) -> None:
    before = LastRelease("promoted", {}, "", "ana", "", 1, "v1", "v0").encode()
    found = held(record=record(generation=2), annotations={LAST: before})
    given = [patch for line in by_hand(found)[way] for patch in shell.run(line, "{}")[1]]
    (word,) = (one["value"] for one in chain(*given) if one["path"].endswith("~1last"))
    after = ordinary(annotations={LAST: word})
    assert (last_outcome(after), last_ended(after)) == (how, 2)


@pytest.mark.parametrize(
    ("kind", "services"), [("gateway_api", ["one", "two"]), ("service_selector", ["one", "two", "web"])]
)
@pytest.mark.parametrize(("way", "hashes"), [("promote", [None]), ("undo", ["v1", None])])
def test_users_are_served_by_pods_that_stay_before_others_go(
    shell: Shell, kind: str, services: list[str], way: str, hashes: list[str | None]
) -> None:
    held_with = held(record=record(traffic=Traffic("web", (RouteRef("web", "r"),), kind=kind)))
    lines = [line for line in by_hand(held_with)[way] if "service" in line]
    calls = [call for line in lines for call in shell.run(line, "{}")[0] if "deployment" not in call]
    patched = [(json.loads(one[one.index("-p") + 1]), one[-1].rpartition("/")[2]) for one in calls if "-p" in one]
    assert patched == [({"spec": {"selector": {HASH_LABEL: of_hash}}}, name) for of_hash in hashes for name in services]
    (query,) = {one[one.index("-l") + 1] for one in calls if "-l" in one}
    assert query == "app.kubernetes.io/managed-by=coalmine.canary,coalmine.canary/deployment=web"
    # None of them where the server refuses the tests before it.
    assert all("service" not in call for line in lines for call in shell.run(line, "{}", refuses=True)[0])
    # By none of them are they sent to pods that go.
    lines = by_hand(held_with)[way]
    assert "xargs" in lines[0] and ("xargs" in "".join(lines[3:])) is (way == "undo")


# What a shell, sed, JSON or kubectl might take for more than a character of a word.
SPECIAL = "'\"`$\\;&|<>(){}[]*?!#~%=/\n\t é\u2028-"
texts = st.text(st.sampled_from(SPECIAL) | st.characters(min_codepoint=1, exclude_categories=("Cs",)), max_size=30)
hostile = texts | st.sampled_from(
    [
        "'; touch x; '",
        "$(touch x)",
        "`touch x`",
        '"; touch x; "',
        "x\ntouch x",
        "'|touch x|'",
        "&",
        "\\",
        "\\1",
        "|w x",
        "|e",
    ]
)
names = hostile.filter(lambda text: text != "")


@given(namespace=names, name=names, stable=names, hpa=names, share=hostile, cause=hostile, data=st.data())
@settings(max_examples=12, deadline=None)
def test_run_by_a_shell_the_lines_are_the_calls_that_were_meant_and_no_others(
    shell: Shell, namespace: str, name: str, stable: str, hpa: str, share: str, cause: str, data: st.DataObject
) -> None:
    note = record(
        companions=(Companion(Kind.AUTOSCALER, hpa),),
        originals=Originals(5, 321, Strategy("RollingUpdate", share, share), cause),
    )
    found = held()
    assert found.stable is not None
    found = replace(
        found,
        record=note,
        stable=replace(found.stable, name=stable),
        picture=replace(found.picture, deployment=replace(found.deployment, namespace=namespace, name=name)),
    )
    told = {"metadata": {"labels": {HASH_LABEL: "x"}}, "spec": {"value": data.draw(hostile)}}
    lines = by_hand(found)
    ours = ["-n", namespace]
    for way in ("promote", "undo"):
        for line in lines[way]:
            words, patches = shell.run(line, json.dumps(told))
            for call in words:
                assert call[:2] == ours and meant(call[2:], name, stable, hpa, note), call
            for patch in patches:
                assert {"op": PIPED[way], "path": "/spec/template", "value": told} in patch
                back = {"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": cause}
                assert (back in patch) is (way == "undo")


PIPED = {"promote": "test", "undo": "add"}


def meant(words: list[str], name: str, stable: str, hpa: str, note: Record) -> bool:
    patch = ["patch", "deployment", name, "--type=json"]
    if words[:-1] == [*patch, "-p"]:
        strategy = {"op": "add", "path": "/spec/strategy", "value": note.originals.strategy.to_json()}
        return strategy in json.loads(words[-1])
    return words in (
        [*patch, "--patch-file=/dev/stdin"],
        ["rollout", "status", "deployment", name],
        *(["get", "replicaset", version, "-o", "jsonpath={.spec.template}"] for version in (stable, "web-v2")),
        ["get", "hpa", hpa, "-o", "jsonpath={.metadata.annotations.coalmine\\.canary/autoscaler}"],
    )
