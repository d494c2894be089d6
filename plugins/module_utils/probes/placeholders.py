# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders in queries: which pods and which hash a version has at this moment.

This module is private to the collection.
"""

from __future__ import annotations

import re

from .source import Sides, Version

# RE2, which Prometheus and Loki use, anchors =~ by itself. Names of pods hold letters, digits, - and . only.
NO_POD = "no-such-pod"
PODS, HASH, NAMESPACE = "<pods>", "<hash>", "<namespace>"


def pods_pattern(version: Version) -> str:
    """A regular expression of the pods' names, fit for a quoted string of PromQL or LogQL."""
    names = sorted(re.escape(name).replace("\\-", "-").replace("\\", "\\\\") for name in version.names)
    return "|".join(names) or NO_POD


def filled(query: str, version: Version, namespace: str) -> str:
    """For a query that is asked once for each version."""
    return query.replace(PODS, pods_pattern(version)).replace(HASH, version.hash).replace(NAMESPACE, namespace)


def filled_both(query: str, sides: Sides) -> str:
    """For a query that is asked once and may name both versions; `<pods>` and `<hash>` are the canary's."""
    for prefix, version in (("<canary_", sides.canary), ("<stable_", sides.stable)):
        query = query.replace(f"{prefix}pods>", pods_pattern(version)).replace(f"{prefix}hash>", version.hash)
    return filled(query, sides.canary, sides.namespace)


def tells_versions_apart(query: str) -> bool:
    return PODS in query or HASH in query


def names_stable(query: str) -> bool:
    return "<stable_" in query
