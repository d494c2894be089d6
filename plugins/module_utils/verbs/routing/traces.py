# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether releases have left anything on the routes of a namespace. All that is known of routes takes a fifth of this collection to load:
whoever finds nothing gets along without. This module is private to the collection.
"""

from __future__ import annotations

from ...cluster.errors import ApiError, Forbidden, NotFound
from ...rollout.fields import Fields, Malformed
from ...traffic.kinds import KEPT, KINDS
from ..call.listing import listed
from ..call.site import Site


def traced(site: Site) -> list[str]:
    """The kinds of traffic of which an object keeps something, whosever it is; those too whose list failed: whoever looks closer tells why.
    A list of each kind of objects."""
    objects = {kind.collection: kind.objects for kind in KINDS.values()}
    found = {path for path, kind in objects.items() if _is_traced(site, path, kind)}
    return [name for name, kind in KINDS.items() if kind.collection in found]


def _is_traced(site: Site, collection: str, kind: str) -> bool:
    try:
        found = listed(site.api, collection.format(site.target.namespace), kind, site.version)
        return any(KEPT in Fields(item, kind).within("metadata").texts("annotations") for item in found)
    except (NotFound, Forbidden):
        return False
    except (ApiError, Malformed):
        return True
