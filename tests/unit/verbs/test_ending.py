# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told before a wait: a command that a shell takes as it is meant, for the cluster that the caller meant. And of a failure:
that something was changed, where it was."""

from __future__ import annotations

import json
import shlex

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import ApiError
from ansible_collections.coalmine.canary.plugins.module_utils.rollout.refusal import Code, Refusal
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.ending import Account, accounted
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Target
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.outcome import VerbFailure
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.site import Site
from tests.unit.rollout.objects import held, record


@pytest.mark.parametrize("check", [True, False])
def test_a_failure_after_what_was_only_rehearsed_says_that_nothing_was_changed(check: bool) -> None:
    with (
        connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api,
        pytest.raises((ApiError, VerbFailure)) as failed,
        accounted(Site(api, Target("web")), check=check) as account,
    ):
        account.changed = True
        api.get("/version")
    assert ("already changed" in str(failed.value)) is not check
    with (
        connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api,
        pytest.raises(VerbFailure) as refused,
        accounted(Site(api, Target("web")), check=check) as account,
    ):
        account.changed = True
        raise Refusal(Code.BUSY, "somebody else writes", "Try again")
    assert refused.value.changed is not check


def test_what_the_server_warned_of_is_told_by_the_call_that_it_warned() -> None:
    with connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api:
        told = []
        for warns in (["it is deprecated"], [], ["it is unknown"]):
            with accounted(Site(api, Target("web"))) as account:
                api.warnings += warns
                told.append(account.outcome("done").warnings)
    assert told == [("it is deprecated",), (), ("it is unknown",)]


def test_the_way_back_names_the_cluster_and_is_quoted_for_a_shell() -> None:
    cluster = {"kubeconfig": "/home/ana/it's; rm -rf $HOME.conf", "context": 'a "b"'}
    said: list[str] = []
    with connect(Connection(host="http://127.0.0.1:1", kubeconfig={})) as api:
        site = Site(api, Target("web", "shop", tuple(cluster.items()), ("api_key", "password")))
        Account(site, situation=held(record=record(run="awx-42"))).tell_way_back(said.append)
        Account(site).tell_way_back(said.append)
    (line,) = said  # none where there is nothing to take back
    told, _colon, command = line.partition(": ")
    assert told.endswith("take the release back with the same api_key and password")
    *words, option, arguments = shlex.split(command)
    assert words == ["ansible", "localhost", "-m", "coalmine.canary.canary_undo"] and option == "-a"
    asked = {"name": "web", "namespace": "shop", "run": "awx-42", "takeover": True, **cluster}
    assert json.loads(arguments) == asked
