# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user says of how a release is taken back is heard on every way by which it is: no option is lost on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor import promote, release, rollback, undo

ROLE = Path(__file__).parents[3] / "roles" / "canary"
RELEASE, UNDO, ROLLBACK = (set(each.VERB.arguments.options) for each in (release, undo, rollback))
VARIABLES = {name.removeprefix("canary_") for name in yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())}
# What a canary_release is told that takes a release back, beside which one that is.
OF_THE_WAY_BACK = ((UNDO | ROLLBACK) & RELEASE | {"on_failure"}) - {
    "run",  # those of the release that it takes up
    "expect",
    "takeover",  # from whoever has taken it over meanwhile? It is his, then
    "lease_seconds",  # nobody comes back to a release that is over
}
PROMOTE = set(promote.VERB.arguments.options)
# What a promotion is told of its guard, which is one more step.
OF_THE_GUARD = {"guard", *(name for name in RELEASE if name.startswith("check")), "confidence"} - {
    "check_duration",  # of a step that is held
}
# What a role's own tasks need not say to a verb that ends the release.
NOT_OF_AN_END = {"lease_seconds"}


def tasks(found: Any) -> Iterator[Mapping[str, Any]]:
    """All of them, those in blocks too."""
    for task in found:
        yield task
        for section in ("block", "rescue", "always"):
            yield from tasks(task.get(section, ()))


def calls(verb: str) -> list[tuple[str, Mapping[str, Any]]]:
    """In which file of the role the verb is called, and with what."""
    return [
        (path.name, task[f"coalmine.canary.{verb}"])
        for path in sorted((ROLE / "tasks").glob("*.yml"))
        for task in tasks(yaml.safe_load(path.read_text()))
        if f"coalmine.canary.{verb}" in task
    ]


RESCUES = [(name, given) for name, given in calls("canary_release") if given.get("rescued")]


@pytest.mark.parametrize(("name", "given"), RESCUES, ids=[name for name, _given in RESCUES])
def test_the_rescue_of_the_role_reads_no_variable_that_a_task_in_between_may_have_made_wrong(
    name: str, given: Mapping[str, Any]
) -> None:
    """It says no Deployment, so the door reads what an undo is asked, as the release began: test_role_between.py."""
    assert given == {"previous": "{{ _canary_told.release | default(omit) }}", "rescued": True}, name


def test_there_is_a_variable_for_all_that_an_undo_knows() -> None:
    assert OF_THE_WAY_BACK - VARIABLES - {"name", "namespace"} == set()


def test_the_role_has_a_rescue_wherever_it_releases() -> None:
    assert [name for name, _given in RESCUES] == ["main.yml", "promote.yml"]


def test_a_call_that_was_cut_off_is_taken_back_as_it_was_asked_to_be() -> None:
    assert set(release.OF_AN_UNDO) == OF_THE_WAY_BACK


def test_another_job_promotes_by_what_the_job_that_holds_the_canary_promotes_by() -> None:
    """All variables may be the same for both."""
    ((_name, given),) = [(name, given) for name, given in calls("canary_release") if given.get("held")]
    assert (VARIABLES & (PROMOTE | OF_THE_GUARD)) - NOT_OF_AN_END - set(given) == set()


@pytest.mark.parametrize(("verb", "options"), [("canary_undo", UNDO), ("canary_rollback", ROLLBACK)])
def test_the_role_hands_on_to_a_verb_what_it_has_a_variable_for(verb: str, options: set[str]) -> None:
    ((_name, given),) = calls(verb)
    assert (VARIABLES & options) - NOT_OF_AN_END - set(given) == set()
