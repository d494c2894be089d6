# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is named in the record."""

from __future__ import annotations

import getpass
import socket

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.actor import actor


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"AWX_HOST": "https://awx", "JOB_ID": "42"}, "AWX job 42"),
        ({"TOWER_HOST": "https://tower", "JOB_ID": "42"}, "AWX job 42"),
        ({"GITLAB_CI": "true", "CI_JOB_ID": "7", "GITLAB_USER_LOGIN": "ann"}, "ann (GitLab job 7)"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "8", "GITHUB_ACTOR": "ann"}, "ann (GitHub run 8)"),
        ({"JENKINS_URL": "https://j", "BUILD_TAG": "jenkins-web-9"}, "Jenkins build jenkins-web-9"),
    ],
)
def test_a_job_of_a_platform_is_named(environment: dict[str, str], name: str) -> None:
    assert actor(environment) == name


@pytest.mark.parametrize("environment", [{}, {"JOB_ID": "42"}])
def test_otherwise_user_and_host_are_named(environment: dict[str, str]) -> None:
    assert actor(environment) == f"{getpass.getuser()}@{socket.gethostname()}"


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert actor({}).startswith("uid-")
