# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written more than once, because Ansible wants it so, is written alike."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.rollout.phase import Phase
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import API_ERROR, STUCK, TIMEOUT
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.fleets.fleet import FLEET_FAILED
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.judged import (
    JUDGED_FAIL,
    JUDGED_INCONCLUSIVE,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.course import WAVE_FAILED
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.releasing.release import REJECTED
from tests.unit.frontdoor.every_verb import VERBS

PLUGINS = Path(__file__).parents[3] / "plugins"
MODULES = sorted((PLUGINS / "modules").glob("canary_*.py"))


@cache
def constant(module: Path, name: str) -> object:
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no {name}")


def test_every_module_has_an_action_plugin_and_the_reverse() -> None:
    actions = {path.stem for path in (PLUGINS / "action").glob("*.py") if path.stem != "__init__"}
    assert {module.stem for module in MODULES} == actions


def test_every_module_has_a_verb_of_the_front_door_and_the_reverse() -> None:
    assert {module.stem for module in MODULES} == VERBS.keys()


def test_every_phase_is_explained() -> None:
    returned = constant(PLUGINS / "modules" / "canary_start.py", "RETURN")
    assert isinstance(returned, dict)
    description = "".join(returned["canary"]["contains"]["phase"]["description"])
    assert set(re.findall(r"V\((\w+)\)", description)) == {phase.value for phase in Phase}


def test_every_code_of_a_failure_is_explained() -> None:
    page = (PLUGINS.parent / "docs" / "guide" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    explained = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    others = {STUCK, TIMEOUT, API_ERROR, JUDGED_FAIL, JUDGED_INCONCLUSIVE, REJECTED, WAVE_FAILED, FLEET_FAILED}
    assert sorted(explained) == sorted({"failure"} | {code.value for code in Code} | others), "beside the heading"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_every_example_uses_names_in_full(module: Path) -> None:
    examples = constant(module, "EXAMPLES")
    assert isinstance(examples, list)
    for task in examples:
        assert any(key.count(".") == 2 for key in task)


FIELD_KEYS = {"description", "returned", "type", "elements", "contains", "sample"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_comma_in_a_short_description_does_not_make_a_key_of_what_follows(module: Path) -> None:
    def stray(fields: dict[str, dict[str, object]]) -> set[str]:
        found: set[str] = set()
        for field in fields.values():
            found |= field.keys() - FIELD_KEYS
            contained = field.get("contains")
            if isinstance(contained, dict):
                found |= stray(contained)
        return found

    returned = constant(module, "RETURN")
    assert isinstance(returned, dict)
    assert stray(returned) == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_what_every_failure_carries_is_documented(module: Path) -> None:
    returned = constant(module, "RETURN")
    assert isinstance(returned, dict)
    assert {"msg", "failure", "requests"} <= returned.keys()


PAGES = [
    *sorted(PLUGINS.parent.glob("docs/**/*.md")),
    PLUGINS.parent / "README.md",
    PLUGINS.parent / "roles" / "canary" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PLUGINS.parent)))
def test_a_choice_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(?:canary_)?([a-z_]+): ([a-z_]+)`", page.read_text(encoding="utf-8"))
    for option, value in named:
        known = _choices().get(option)
        assert not known or value in known, f"{option}: {value}, which is one of {sorted(known or ())}"


@cache
def _choices() -> dict[str, set[str]]:
    """Of each option that has choices wherever there is one of that name, all of them."""
    found: dict[str, set[str]] = {}
    free: set[str] = set()
    pending = [verb.arguments.argument_spec for verb in VERBS.values()]
    while pending:
        for name, option in pending.pop().items():
            pending += [option["options"]] if option.get("options") else []
            found.setdefault(name, set()).update(option.get("choices", ()))
            free |= set() if "choices" in option else {name}
    return {name: choices for name, choices in found.items() if name not in free}


def _tasks(page: Path) -> list[dict[str, object]]:
    """In their order, those of blocks, too."""
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    pending = [task for block in blocks for task in yaml.safe_load(block) or () if isinstance(task, dict)]
    tasks = []
    while pending:
        task = pending.pop(0)
        inner = [each for part in ("block", "rescue") for each in task.get(part, ())]
        pending = inner + pending
        tasks.append(task)
    return tasks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PLUGINS.parent)))
def test_whoever_promotes_what_he_has_judged_names_it(page: Path) -> None:
    judged = False
    for task in _tasks(page):
        judged = judged or "coalmine.canary.canary_verify" in task
        promoted = task.get("coalmine.canary.canary_promote")
        assert not (judged and isinstance(promoted, dict)) or "expect" in promoted or "run" in promoted, promoted


def test_every_variable_of_the_role_is_in_its_table() -> None:
    role = PLUGINS.parent / "roles" / "canary"
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    page = (role / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(canary_\w+)` \|", page, re.M)) == sorted(specs["main"]["options"])
