# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the text of somebody else leads nobody: to what a machine and its cloud keep for themselves."""

from __future__ import annotations

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.addresses import must_be_open
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.entry import Entry, Knock, knock
from ansible_collections.coalmine.canary.plugins.module_utils.probes.source import NoAnswer
from ansible_collections.coalmine.canary.plugins.module_utils.probes.web import Web, ask

CLOSED = (
    "169.254.169.254",
    "169.254.1.1",
    "fe80::1",
    "fe80::1%eth0",
    "[fe80::1]",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
)
OPEN = ("10.0.0.7", "127.0.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "203.0.113.5", "shop.example", "", "169.254")


@pytest.mark.parametrize("address", CLOSED)
def test_only_the_task_may_name_it(address: str) -> None:
    must_be_open(address, named=True)
    must_be_open(address, address, named=True)
    for asked, reached, named in (
        (address, "", False),
        ("shop.example", address, False),
        ("shop.example", address, True),
    ):
        with pytest.raises(ValueError, match="is asked nothing unless the task names it"):
            must_be_open(asked, reached, named=named)


@pytest.mark.parametrize("address", OPEN)
def test_every_other_address_is_open(address: str) -> None:
    must_be_open(address, named=False)
    must_be_open("shop.example", address, named=False)


def test_a_gateway_that_says_it_were_there_is_asked_nothing() -> None:
    found = knock(Knock(Entry("169.254.169.254", 80, "shop.example"), "/latest/meta-data"))
    assert (found.status, "unless the task names it" in found.location) == (0, True)


def test_a_pod_that_says_it_were_there_is_asked_nothing() -> None:
    with pytest.raises(NoAnswer, match="unless the task names it"):
        ask(Web("http://169.254.169.254:80", named=False), "/latest/meta-data")
