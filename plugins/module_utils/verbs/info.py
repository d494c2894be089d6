# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""canary_info: one Deployment in full, or every live canary by its label. It waits for nothing and changes nothing.

This module is private to the collection.
"""

from __future__ import annotations

from ..cluster.api import Api
from ..rollout.describe import describe
from ..rollout.phase import diagnose
from ..rollout.record import LIVE
from ..rollout.views import Deployment, Picture, owned_replica_sets
from .ending import accounted
from .outcome import InfoOutcome
from .requests import InfoRequest, Target
from .site import Site


def info(api: Api, request: InfoRequest) -> InfoOutcome:
    """Three requests for one Deployment; two and a page more each 500 objects for a namespace or the cluster."""
    if request.name is not None:
        site = Site(api, Target(request.name, request.namespace or "default"))
        with accounted(site):
            return InfoOutcome((describe(diagnose(site.look(pods=True, only_to_tell=True))),))
    return InfoOutcome(tuple(describe(diagnose(picture)) for picture in _live(api, request.namespace)))


def _live(api: Api, namespace: str | None) -> list[Picture]:
    """Pictures without pods: counts come from the ReplicaSets."""
    where = f"/apis/apps/v1/namespaces/{namespace}" if namespace else "/apis/apps/v1"
    deployments = [
        Deployment.parse(item)
        for page in api.pages(f"{where}/deployments", {"labelSelector": LIVE})
        for item in page.get("items") or ()
    ]
    if not deployments:
        return []
    items = [item for page in api.pages(f"{where}/replicasets") for item in page.get("items") or ()]
    return [Picture(deployment, owned_replica_sets(items, deployment.uid)) for deployment in deployments]
