# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the side of the playbook knows: what failed in it, what its files hold, and names that are the role's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.plugin_utils import failures, role_door, verification
from tests.toolchain.venvs import ROOT

ROLE = Path(ROOT, "roles", "canary")
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))


def failed(name: str = "Compare", no_log: bool = False, action: str = "assert", **result: Any) -> dict[str, Any]:
    """Variables of a host whose task has failed, in a play with another host."""
    return {
        "ansible_failed_task": {"name": name, "action": action, "no_log": no_log, "uuid": name},
        "ansible_failed_result": result,
        **untouched(),
    }


def untouched(gone: tuple[str, ...] = ()) -> dict[str, Any]:
    hosts = ["one", "two"]
    return {
        "inventory_hostname": "one",
        "ansible_play_hosts_all": hosts,
        "ansible_play_hosts": [host for host in hosts if host not in gone],
        "hostvars": {host: {} for host in hosts},
    }


@pytest.mark.parametrize(
    ("failure", "said", "told"),
    [
        ("invalid", "check_duration is 0: give 1 or more", "canary_check_duration is 0: give 1 or more"),
        ("invalid", "steps[1].pods is 0", "canary_steps[1].pods is 0"),
        ("invalid", "releases[0].surge is -1", "releases[0].surge is -1"),
        ("invalid", "missing required arguments: name", "missing required arguments: name"),
        ("conflict", "steps were made otherwise", "steps were made otherwise"),
    ],
)
def test_what_is_refused_in_the_role_is_named_as_its_variable(failure: str, said: str, told: str) -> None:
    result = {"failure": failure, "msg": said, "release": {"why": [f"{said}.", "x"]}, "summary": ["web", f"{said}."]}
    named = role_door.by_variables({**result, "failed": True}, DEFAULTS)
    assert (named["msg"], named["release"]["why"][0], named["summary"][1]) == (told, f"{told}.", f"{told}.")


AT = {"step": 2, "steps": 2}
STRUCK = "A task failed on another host of this play, and any_errors_fatal ends this release with it"


@pytest.mark.parametrize(
    ("variables", "verifying", "why"),
    [
        (failed(msg="it errs"), AT, 'Verification failed at step 2 of 2, in the task "Compare" - it errs'),
        (
            failed("", msg="it errs"),
            AT,
            'Verification failed at step 2 of 2, in the task "assert" - it errs',
        ),
        (failed(msg="it errs"), {}, "it errs"),
        (failed(msg="one hunter2", no_log=True), {}, failures.HIDDEN),
        (failed(msg="stuck, its log says hunter2", cause="stuck"), {}, "stuck"),
        (
            failed(
                msg="items failed",
                results=[{"failed": True, "msg": "a"}, {"msg": "b"}, {"failed": True, "msg": "a"}, {"failed": True}],
            ),
            {},
            "a",
        ),
        (failed(), {}, failures.NO_REASON),
    ],
    ids=["verifying", "without a name", "elsewhere", "hidden", "a verb's", "a loop's", "no reason"],
)
def test_why_something_failed_here(variables: dict[str, Any], verifying: dict[str, Any], why: str) -> None:
    assert failures.reason(variables, "of an earlier one", verifying) == why


def test_what_was_rescued_before_is_no_failure_of_this_release() -> None:
    earlier = failed(msg="rescued")
    noticed = failures.mark(earlier)
    assert failures.reason(earlier, noticed, {}) == STRUCK
    assert failures.reason({**earlier, **untouched(gone=("two",))}, noticed, AT).startswith(STRUCK)
    no_file = "Verification failed at step 2 of 2: a file that it includes could not be loaded, as the error above says"
    assert failures.reason(earlier, noticed, AT) == no_file
    again = {**earlier, "ansible_failed_task": {**earlier["ansible_failed_task"], "uuid": "another"}}
    assert failures.reason(again, noticed, {}) == "rescued"


@pytest.mark.parametrize(
    ("outcome", "rejected"), [("held", STRUCK), ("planned", STRUCK), ("released", ""), ("already released", "")]
)
def test_a_failure_elsewhere_rejects_nothing_that_is_over(outcome: str, rejected: str) -> None:
    here = untouched()
    assert failures.rejection(here, {"outcome": outcome, "noticed": failures.mark(here)}) == rejected


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"canary_image": {}}, "canary_images"),
        ({"canary_image": "1.5", "canary_images": {"app": "web:1.5"}}, None),
        ({"canary_step": []}, "canary_steps"),
        ({"canary_bakes": 3, "canary_bake": 9}, None),
        ({"canary_on_failur": "hold"}, "canary_on_failure"),
        ({"canary_verify_task": "v.yml"}, "canary_verify_tasks"),
        ({"canary_my_counts": [], "canary_team": "shop", "my_canary_step": 1}, None),
    ],
    ids=str,
)
def test_a_name_that_is_close_to_one_of_the_role_that_is_not_set(given: dict[str, Any], meant: str | None) -> None:
    said = list(role_door.misspelt({**DEFAULTS, "canary_name": "web", **given}, DEFAULTS, role_door.known()))
    assert said == ([f"nothing here reads {next(iter(given))}: write {meant}, or leave it out"] if meant else [])


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        ("main", role_door.OF_SOME),
        ("headroom", role_door.OF_SOME),
        ("promote", role_door.OF_SOME - {"expect", "run"}),
        ("undo", role_door.OF_SOME - {"expect", "reason", "run"}),
        ("rollback", role_door.OF_SOME - {"expect", "reason", "to"}),
        ("status", role_door.OF_SOME),
    ],
)
def test_an_option_that_an_entry_point_does_not_read_is_refused_by_name(entry: str, refused: frozenset[str]) -> None:
    variables = {f"canary_{name}": "x" for name in (*role_door.OF_SOME, "images", "mine")}
    said = list(role_door.passed_over(entry, role_door.of_a_call(variables)))
    assert [text.split()[0] for text in said] == [f"canary_{name}" for name in sorted(refused)]
    assert all("leave it out" in text for text in said)
    assert not list(role_door.passed_over(entry, dict.fromkeys(refused, "")))


def test_what_says_which_entry_points_read_an_option_is_true() -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    read = {
        name: {entry for entry in specs if f"canary_{name}" in specs[entry]["options"]} for name in role_door.OF_SOME
    }
    assert {name: entries for name, entries in read.items() if entries} == {
        name: set(entries) for name, entries in role_door.READ_IN.items()
    }


def test_every_variable_of_the_role_is_known() -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    assert {name for entry in specs.values() for name in entry.get("options", {})} <= role_door.known()
    assert set(DEFAULTS) <= role_door.known()


def test_every_variable_of_a_release_is_an_option_that_the_role_reads() -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    read = {f"canary_{name}" for name in (*role_door.of_variables(), *role_door.CLUSTER)}
    assert read == set(specs["main"]["options"])
    assert not role_door.SAY_NOTHING_EMPTY - set(role_door.of_variables())


def test_the_page_of_the_role_has_a_row_for_every_variable() -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    rows = [line for line in (ROLE / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert set(specs["main"]["options"]) - set(re.findall(r"canary_[a-z_]+", "\n".join(rows))) == set()


def test_room_is_asked_for_by_every_variable_of_a_release() -> None:
    """So that the answer is that of the release: the surge depends on the autoscaler, for one."""
    tasks = yaml.safe_load((ROLE / "tasks" / "headroom.yml").read_text(encoding="utf-8"))
    (asks,) = tasks[0]["block"][0]["block"]
    assert asks["coalmine.canary.canary_release"] == {"through": "room"}


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ({"canary_name": "web", "canary_images": {"app": "x"}}, {"name": "web", "images": {"app": "x"}}),
        ({"canary_surge": 0, "canary_bake": 0, "canary_checks": []}, {"surge": 0, "bake": 0, "checks": []}),
        ({"canary_images": {}, "canary_definition": None, "canary_strategy": ""}, {}),
        (
            {"canary_run": "r", "canary_expect": "e", "canary_through": "plan", "canary_release": {}, "canary_mine": 1},
            {},
        ),
        ({"name": "another", "images": {"app": "y"}}, {}),
    ],
    ids=["given", "nothing that says something", "nothing", "of no release", "of no role"],
)
def test_the_variables_of_the_role_are_the_options_of_its_calls(
    variables: dict[str, Any], given: dict[str, Any]
) -> None:
    assert role_door.given_by(role_door.options(variables, role_door.of_variables())) == given


@pytest.mark.parametrize(
    ("result", "arguments", "told"),
    [
        ({"release": {"waits_for": ""}, "summary": ["web: released", "so."]}, {}, ["web: released", "  so."]),
        ({"release": {"waits_for": "person"}, "summary": ["web: held"]}, {}, ["web: held"]),
        ({"release": {"waits_for": "caller"}, "summary": ["web: held"]}, {}, []),
        ({"release": {"waits_for": ""}, "summary": ["web: undone"], "failed": True}, {}, []),
        (
            {"release": {"waits_for": ""}, "summary": ["web: undone"], "failed": True},
            {"rescued": True},
            ["web: undone"],
        ),
        ({"msg": "unknown option", "failed": True}, {"rescued": True}, ["unknown option"]),
    ],
    ids=["over", "a person's", "goes on", "to be rescued", "rescued", "without a release"],
)
def test_how_a_release_ended_is_told_once(result: dict[str, Any], arguments: dict[str, Any], told: list[str]) -> None:
    assert role_door.told(result, arguments) == told


def test_a_result_that_is_rescued_is_printed_once_and_handed_on_by_the_rescue() -> None:
    failed_call = {
        "failed": True,
        "msg": "no",
        "canary": {"name": "web"},
        "summary": ["web: undone", "no"],
        "release": {"outcome": "undone", "why": ["no"]},
    }
    shown = role_door.handed_on(failed_call, {"name": "web"})
    assert shown == {name: value for name, value in failed_call.items() if name not in ("canary", "summary")}
    for result, arguments in ((failed_call, {"rescued": True}), ({**failed_call, "failed": False}, {})):
        handed = role_door.handed_on(result, {"name": "web", "namespace": "shop", **arguments})
        assert handed["result"]["outcome"] == "undone"
        assert handed["ansible_stats"]["data"] == {"canary_result": handed["result"]}
        assert (handed["results"], handed["rooms"]) == ({"shop/web": handed["result"]}, [])


@pytest.mark.parametrize(
    ("hosts", "steps", "stage"),
    [
        (["one"], [{}, {}], "promoted"),
        (["one", "two"], [{}, {}], "step 2"),
        (["one", "two"], None, "step 1"),
        (["one", "two"], "no list", "step 1"),
    ],
)
def test_several_hosts_wait_for_each_other_before_any_is_promoted(hosts: list[str], steps: Any, stage: str) -> None:
    assert role_door.first_stage({"ansible_play_batch": hosts}, steps) == stage


def test_a_file_is_looked_for_at_the_playbook_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, called = tmp_path / "playbooks", tmp_path / "called"
    for place in (here, called):
        place.mkdir()
        (place / "verify.yml").touch()
    (called / "other.yml").touch()
    monkeypatch.setenv("PWD", str(called))
    steps = [{"verify_tasks": "other.yml"}, {"pods": 2}, "no step"]
    asked = verification.with_whole_paths({"verify_tasks": "verify.yml", "steps": steps}, str(here))
    assert asked["verify_tasks"] == str(here / "verify.yml")
    assert asked["steps"] == [{"verify_tasks": str(called / "other.yml")}, {"pods": 2}, "no step"]
    with pytest.raises(verification.Unusable, match=r"There is no file nowhere\.yml in "):
        verification.with_whole_paths({"verify_tasks": "nowhere.yml"}, str(here))


@pytest.mark.parametrize("value", [False, True, 5, ["a.yml"], {"a": "b"}], ids=str)
def test_what_is_no_path_is_no_file(value: Any, tmp_path: Path) -> None:
    for given in ({"verify_tasks": value}, {"steps": [{"verify_tasks": value}]}):
        with pytest.raises(verification.Unusable, match=r"verify_tasks is .*: give the path of a file of tasks"):
            verification.with_whole_paths(given, str(tmp_path))
    assert verification.with_whole_paths({"verify_tasks": None}, str(tmp_path)) == {"verify_tasks": None}
