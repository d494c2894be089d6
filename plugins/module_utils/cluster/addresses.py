# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that nobody is sent to by the text of somebody else: where machines are told who they are, and get credentials.

The status of a pod or of a Gateway, and what a name resolves to, are such texts. This module is private to the collection.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

# Where clouds answer machines, beside link-local addresses such as 169.254.169.254: AWS and Google over IPv6, Alibaba, Oracle, Azure.
_OF_CLOUDS = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)


class ClosedAddress(ValueError):
    """The text says which, and may be told."""


def must_be_open(asked: str, reached: str = "", *, named: bool) -> None:
    """`asked`: a host or an address; `reached`: the address that it led to, once it is connected. `named`: the task itself says it.

    Raises ClosedAddress, before anything is sent, for an address that is not named and belongs to the machine and its cloud.
    """
    for address in filter(None, (asked, reached)):
        if _is_closed(address) and not (named and address == asked):
            raise ClosedAddress(
                f"{address} is a link-local or metadata address, which is asked nothing unless the task names it"
            )


def _is_closed(address: str) -> bool:
    try:
        found = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return _is_closed(str(found.ipv4_mapped))
    return found.is_link_local or found in _OF_CLOUDS
