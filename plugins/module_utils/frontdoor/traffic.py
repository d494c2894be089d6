# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option traffic: which requests a canary gets, and through which routes.

This module is private to the collection.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, Mapping
from urllib.parse import urlsplit

from ..verbs.call.orders import KINDS, Can, Header, Proof, TrafficRequest
from .arguments import LABEL, NAME, ArgumentError, Parameters, at_least, within

# What Gateway API takes: HTTPHeaderName (RFC 9110 section 5.6.2) and the value of an HTTPHeaderMatch.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?")
_ADDRESS = re.compile(r"[A-Za-z0-9.:\-]{1,253}")
LONGEST_TIMEOUT = 3600
COOKIE = "cookie"

TRAFFIC: Mapping[str, Any] = {
    "type": "dict",
    "options": {
        "kind": {"type": "str", "required": True, "choices": list(KINDS)},
        "service": {"type": "str"},
        "routes": {"type": "list", "elements": "str"},
        "weight": {"type": "float"},
        "header": {"type": "dict", "options": {"name": {"type": "str"}, "value": {"type": "str"}}},
        "sticky": {"type": "str", "choices": ["none", COOKIE]},
        "mirror": {"type": "float"},
        "proof": {"type": "str", "choices": ["require", "prefer", "none"], "default": "prefer"},
        "timeout": {"type": "int"},
        "overload": {"type": "str", "choices": ["refuse", "warn"], "default": "refuse"},
        "probe": {
            "type": "dict",
            "options": {
                "url": {"type": "str", "required": True},
                "address": {"type": "str"},
                "validate_certs": {"type": "bool", "default": True},
            },
        },
    },
}


def new_traffic(given: Parameters | None) -> TrafficRequest | None:
    """Raises ArgumentError."""
    if given is None:
        return None
    with within("traffic", given):
        at_least(1, given, "timeout")
    if given["timeout"] is not None and given["timeout"] > LONGEST_TIMEOUT:
        raise ArgumentError(f"traffic.timeout is {given['timeout']}: give up to {LONGEST_TIMEOUT} seconds")
    service, routes = given["service"], tuple(given["routes"] or ())
    if service is not None and not LABEL.fullmatch(service):
        raise ArgumentError("traffic.service is nothing that a Service can be called: give its name")
    if not all(NAME.fullmatch(name) for name in routes) or len(set(routes)) < len(routes):
        raise ArgumentError("traffic.routes are not the names of different HTTPRoutes: give each name once")
    header, probe = given["header"], given["probe"]
    asked = TrafficRequest(
        weight=_part("weight", given["weight"]),
        header=_header(header) if header and any(header.values()) else None,
        without_header=header is not None and not any(header.values()),
        sticky=None if given["sticky"] is None else given["sticky"] == COOKIE,
        mirror=_part("mirror", given["mirror"]),
        kind=given["kind"],
        service=service or "",
        routes=routes,
        seconds=given["timeout"],
        proof=given["proof"],
        overload=given["overload"],
    )
    if asked.sticky and asked.proof == "none" and KINDS[asked.kind].proof is Proof.ASKED:
        raise ArgumentError(
            "traffic.sticky is cookie and traffic.proof is none: not every gateway keeps users by a cookie, so it has to show it. Give "
            "another proof"
        )
    _check_can(asked, probe)
    _check_mirror(asked)
    return _with_probe(asked, probe) if probe else asked


def _check_can(asked: TrafficRequest, probe: Parameters | None) -> None:
    """Raises ArgumentError for what users cannot be split by in this way."""
    splits, kind = KINDS[asked.kind], asked.kind
    if splits.switches and asked.weight not in (None, Fraction(0), Fraction(1)):
        raise ArgumentError(
            f"traffic.weight is neither 0 nor 100, and {kind} gives everybody one version at a time. For a share give gateway_api"
        )
    possible = {
        "header": (asked.header, Can.HEADER in splits.can),
        "sticky": (asked.sticky, Can.STICKY in splits.can),
        "mirror": (asked.mirror, Can.MIRROR in splits.can),
        "routes": (asked.routes, not splits.switches),
        "probe": (probe, splits.proof is Proof.ASKED),
        "proof: require": (asked.proof == "require", splits.proof is not Proof.STATED),
    }
    cannot = [name for name, (given, can) in possible.items() if given and not can]
    if cannot:
        raise ArgumentError(f"traffic.{cannot[0]} is nothing that {kind} has: leave it out, or give gateway_api")


def _check_mirror(asked: TrafficRequest) -> None:
    """Raises ArgumentError for copies of what the canary gets anyway."""
    if asked.mirror and asked.weight:
        raise ArgumentError(
            f"traffic.mirror is {float(100 * asked.mirror):g} and traffic.weight is {float(100 * asked.weight):g}: copies are for a canary that no "
            "user gets by weight, because what it got would come to it twice. Set one of them to 0"
        )
    if asked.mirror and asked.sticky:
        raise ArgumentError(
            f"traffic.mirror is {float(100 * asked.mirror):g} and traffic.sticky is cookie: nobody gets the canary by copies, so that there is no "
            "version to keep. Give sticky with the first weight"
        )


def _part(name: str, given: float | None) -> Fraction | None:
    """As it is written: 0.1 is a thousandth, and not the nearest number of a computer."""
    if given is None:
        return None
    if not 0 <= given <= 100:
        raise ArgumentError(f"traffic.{name} is {given:g}: give per cent of the requests, 0 to 100")
    return Fraction(f"{given:.6f}") / 100


def _header(given: Parameters) -> Header:
    name, value = given["name"] or "", given["value"] or ""
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        raise ArgumentError("traffic.header is none: give the name and the value that requests for the canary have")
    return Header(name, value)


def _with_probe(asked: TrafficRequest, given: Parameters) -> TrafficRequest:
    address = given["address"] or ""
    try:
        parts = urlsplit(given["url"])
        possible = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        possible = None
    if not possible or not re.fullmatch(r"[!-~]+", given["url"]):
        raise ArgumentError("traffic.probe.url is none: give http:// or https:// and the host that the routes serve")
    if address and not _ADDRESS.fullmatch(address):
        raise ArgumentError("traffic.probe.address is none: give the IP address or the name of the gateway")
    # What comes after the host is no part of where users come in, and may be nobody's business.
    return replace(asked, url=f"{parts.scheme}://{parts.netloc}", address=address, verify=given["validate_certs"])
