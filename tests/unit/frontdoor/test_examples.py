# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users copy is what canary_verify takes, and rulebooks start what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from jinja2 import Environment, StrictUndefined

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.verify import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.checks import Plan, RateCheck
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.samples import given_samples
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.tolerance import Tolerance
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.trial import Trial
from ansible_collections.coalmine.canary.plugins.module_utils.judgement.verdicts import Verdict
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.judging.checks import VerifyRequest
from tests.pages import fenced

ROOT = Path(__file__).parents[3]
RULEBOOKS = sorted((ROOT / "extensions" / "eda" / "rulebooks").glob("*.yml"))
TEMPLATE = re.compile(r"\{\{.*?\}\}")


def lists_of_checks(node: Any) -> Iterator[list[dict[str, Any]]]:
    """Every list under `checks` or `canary_checks`, and every list that is one by its look."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("checks", "canary_checks") and isinstance(value, list):
                yield value
            else:
                yield from lists_of_checks(value)
    elif isinstance(node, list):
        if node and all(isinstance(each, dict) and _has_source(each) for each in node):
            yield node
        else:
            for each in node:
                yield from lists_of_checks(each)


def _has_source(given: dict[str, Any]) -> bool:
    """A number of pods is the size of a step, and no source."""
    return bool(given.keys() & VERB_SOURCES) and not isinstance(given.get("pods"), int)


VERB_SOURCES = {"pods", "http", "prometheus", "logs", "resources", "samples"}


def resolved(node: Any) -> Any:
    """Templates as a play would fill them in: a list of samples, an address."""
    if isinstance(node, dict):
        return {name: resolved(value) for name, value in node.items()}
    if isinstance(node, list):
        return [resolved(each) for each in node]
    if isinstance(node, str) and TEMPLATE.fullmatch(node) and "default([])" in node:
        return []
    return TEMPLATE.sub("https://prometheus.example", node) if isinstance(node, str) else node


PAGES = [ROOT / "docs" / "verify.md", ROOT / "roles" / "canary" / "README.md"]
SHOWN = [
    *(
        (page.name, number, checks)
        for page in PAGES
        for block in fenced(page)
        for number, checks in enumerate(lists_of_checks(block))
    ),
    *(
        (path.name, number, checks)
        for path in sorted((ROOT / "examples").glob("*.yml"))
        for number, checks in enumerate(lists_of_checks(yaml.safe_load(path.read_text(encoding="utf-8"))))
    ),
]


def test_there_is_something_to_copy() -> None:
    assert {name for name, _number, _checks in SHOWN} >= {"verify.md", "README.md", "judged_release.yml"}


@pytest.mark.parametrize(("where", "number", "checks"), SHOWN, ids=lambda value: str(value)[:40])
def test_checks_that_are_shown_are_taken(where: str, number: int, checks: list[dict[str, Any]]) -> None:
    validated = ArgumentSpecValidator(VERB.arguments.argument_spec).validate(
        {"name": "web", "checks": resolved(checks)}
    )
    assert not validated.error_messages, validated.error_messages
    assert isinstance(VERB.arguments.to_request(validated.validated_parameters, False, "ann"), VerifyRequest)


@pytest.mark.parametrize("path", RULEBOOKS, ids=lambda path: path.stem)
def test_a_rulebook_undoes_by_the_playbook_that_there_is(path: Path) -> None:
    (ruleset,) = yaml.safe_load(path.read_text(encoding="utf-8"))
    (rule,) = ruleset["rules"]
    ((kind, action),) = rule["action"].items()
    variables = action["extra_vars"] if kind == "run_playbook" else action["job_args"]["extra_vars"]
    playbook = (ROOT / "playbooks" / "undo.yml").read_text(encoding="utf-8")
    assert all(name in playbook for name in variables)
    assert kind == "run_job_template" or action["name"] == "coalmine.canary.undo"
    (source,) = ruleset["sources"]
    receivers = yaml.safe_load((ROOT / "examples" / "prometheus" / "alertmanager.yml").read_text(encoding="utf-8"))
    url = receivers["receivers"][1]["webhook_configs"][0]["url"]
    assert url.endswith(f":{source['ansible.eda.alertmanager']['port']}/alerts")


EVIL = "{{ lookup('ansible.builtin.pipe', 'id') }} {% raw %} {# x #}"


@pytest.mark.parametrize("path", RULEBOOKS, ids=lambda path: path.stem)
def test_what_an_alert_says_never_becomes_a_template(path: Path) -> None:
    """Ansible runs a template that it finds in a variable of the command line, with all its lookups."""
    (ruleset,) = yaml.safe_load(path.read_text(encoding="utf-8"))
    (rule,) = ruleset["rules"]
    ((_kind, action),) = rule["action"].items()
    variables = action.get("extra_vars") or action["job_args"]["extra_vars"]
    reason = Environment(undefined=StrictUndefined).from_string(variables["canary_reason"])
    alert = {"labels": {"alertname": EVIL}, "annotations": {"summary": EVIL}}
    told = reason.render(event={"alert": alert})
    assert "lookup" in told and not set("{}") & set(told)
    assert (
        reason.render(event={"alert": {"labels": {}, "annotations": {}}}) == "alert without a name: it has no summary"
    )
    names = dict(re.findall(r'(\S+) is match\("([^"]+)"\)', rule["condition"]))
    for variable in ("canary_name", "canary_namespace", "canary_expect"):
        match = names[variables[variable].strip("{} ")]
        assert re.search(match, "web1") and not re.search(match, EVIL)


def images_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("images", "canary_images") and isinstance(value, dict):
                yield value
            else:
                yield from images_in(value)
    elif isinstance(node, list):
        for each in node:
            yield from images_in(each)


@pytest.mark.parametrize(("all_bad", "verdict"), [(False, Verdict.PASS), (True, Verdict.FAIL)])
def test_the_counts_that_users_copy_decide(all_bad: bool, verdict: Verdict) -> None:
    (check,) = (
        block[0] for block in fenced(ROOT / "docs" / "verify.md") if isinstance(block, list) and "samples" in block[0]
    )
    rows = [
        {**row, "canary": {**row["canary"], **({"bad": row["canary"]["total"]} if all_bad else {})}}
        for row in check["samples"]
    ]
    trial = Trial(Plan((RateCheck(check["name"], Tolerance(check["max_ratio"], check["max_increase"])),)))
    for sample in given_samples(rows):
        trial.observe(check["name"], sample)
    assert trial.report(rows[-1]["time"]).verdict is verdict


def shown() -> list[Any]:
    """What users copy from pages and examples."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")]
    plays = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob("examples/*.yml")]
    return [*(block for page in pages for block in fenced(page)), *plays]


def rescues_in(node: Any) -> Iterator[list[dict[str, Any]]]:
    if isinstance(node, dict):
        yield from [node["rescue"]] if "rescue" in node else []
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from rescues_in(each)


def test_no_rescue_that_users_copy_hides_a_failure() -> None:
    """A rescue that ends well ends its block well, and the play goes on as if the version were out."""
    rescues = [rescue for each in shown() for rescue in rescues_in(each)]
    assert len(rescues) > 4
    for rescue in rescues:
        last = rescue[-1]
        fails = "ansible.builtin.fail" in last or last.get("coalmine.canary.canary_release", {}).get("rescued")
        assert fails and not last.get("when"), last


def test_what_users_copy_names_one_and_the_same_container() -> None:
    commands = re.findall(r"-e '(\{.*?\})'", (ROOT / "README.md").read_text(encoding="utf-8"))
    named = [images for each in (*shown(), *map(yaml.safe_load, commands)) for images in images_in(each)]
    assert len(named) > 5 and {container for images in named for container in images} == {"app"}
