# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the last write to an object of a release: whoever applies its fields next needs no force.

What is done is done where that fails. This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

from ...cluster.api import FIELD_MANAGER, PatchKind
from ...cluster.errors import ApiError, NotFound
from ...rollout import ownership, patches
from ...rollout.fields import Malformed
from ...rollout.patches import Plan
from ...rollout.phase import Phase, Situation
from ...rollout.record import Record
from ...rollout.refusal import Code, Refusal
from ...rollout.views import Picture
from ..call.ending import Account
from ..call.guarded import guarded
from ..call.orders import Ownership
from ..call.writing import Otherwise, write
from ..routing.network import Network


def disown(account: Account, picture: Picture) -> None:
    """Of the Deployment."""

    def decide(current: Situation) -> Plan | None:
        # Of a release that began since the fields are ours again.
        return patches.disown(current.deployment, FIELD_MANAGER) if current.phase is Phase.NONE else None

    if _keeps(account):
        return
    try:
        write(account.site, picture, decide, otherwise=Otherwise.FAILS)
    except (ApiError, Refusal) as error:
        _tell(account, f'Deployment "{account.site.target.name}"', error)


def disown_pinned(account: Account, path: str, what: str) -> None:
    """Of an autoscaler, or of the ScaledObject of one."""
    _disown(account, path, what)


def disown_routes(account: Account, record: Record) -> None:
    """Of what its requests were split by."""
    if record.traffic is None:
        return
    network = Network(account.site.api, account.site.target.namespace, record.traffic.kind)
    for ref in record.traffic.routes:
        _disown(account, network.path_of(ref.name), f'{network.router.kind} "{ref.name}"')


def _disown(account: Account, path: str, what: str) -> None:
    """A request, and one more where there is something to give back."""

    def read() -> Any:
        return account.site.api.get(path)

    def send(_found: Any, operations: ownership.Operations) -> Any:
        return account.site.api.patch(path, operations, PatchKind.JSON)

    if _keeps(account):
        return
    busy = Refusal(Code.BUSY, f"{what} kept changing", "Apply it with force once")
    try:
        guarded(
            read(),
            lambda found: ownership.disown(found, FIELD_MANAGER) or None,
            send,
            read,
            busy,
            permitted=account.site.mine,
        )
    except NotFound:
        return
    except (ApiError, Refusal, Malformed) as error:
        _tell(account, what, error)


def _keeps(account: Account) -> bool:
    call = account.site.call
    return call is None or call.ownership is Ownership.KEEP


def _tell(account: Account, what: str, error: Exception) -> None:
    account.passes_over(error)
    account.warn(
        f"{FIELD_MANAGER} stays the manager of the fields of {what} that it wrote, so that an apply may need force: {error}"
    )
