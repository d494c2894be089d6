# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists that something is decided by.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ...cluster.api import Api
from ...rollout.fields import items
from ...rollout.views import version_of


def listed(api: Api, path: str, kind: str, version: int, query: Mapping[str, str] | None = None) -> list[Any]:
    """The objects (JSON), as `listed_at` reads them."""
    return listed_at(api, path, kind, version, query)[1]


def listed_at(
    api: Api, path: str, kind: str, version: int, query: Mapping[str, str] | None = None
) -> tuple[int, list[Any]]:
    """The objects (JSON), as of `version` of the cluster or later, and the version as of which they are (0: none that can be compared).

    A list that is older, such as one of a member of etcd that lags, tells of what is gone as if it were there, and not of what is there: it
    is asked for once more.
    """
    found = api.list(path, query)
    if 0 < version_of(found, f"{kind}List") < version:
        found = api.list(path, query)
    return version_of(found, f"{kind}List"), items(found, kind)
