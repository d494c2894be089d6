# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is named as the one who started a canary: a job of an automation platform, else a user and a host.

This module is private to the collection.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

# A platform, the variables that must be set to know it, and how its job is called.
_PLATFORMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("AWX_HOST", "JOB_ID"), "AWX job {JOB_ID}"),
    (("TOWER_HOST", "JOB_ID"), "AWX job {JOB_ID}"),
    (("GITLAB_CI", "CI_JOB_ID", "GITLAB_USER_LOGIN"), "{GITLAB_USER_LOGIN} (GitLab job {CI_JOB_ID})"),
    (("GITHUB_ACTIONS", "GITHUB_RUN_ID", "GITHUB_ACTOR"), "{GITHUB_ACTOR} (GitHub run {GITHUB_RUN_ID})"),
    (("JENKINS_URL", "BUILD_TAG"), "Jenkins build {BUILD_TAG}"),
)


def actor(environ: Mapping[str, str]) -> str:
    """A name for people to read, from the environment of the process; nothing secret is in it."""
    for needed, text in _PLATFORMS:
        if all(environ.get(name) for name in needed):
            return text.format_map(environ)
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # Containers run under user ids that no passwd file knows.
        return f"uid-{os.getuid()}"
