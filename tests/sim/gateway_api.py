# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the definition of HTTPRoute lets through of what verbs write, and of what they copy.

Source: sigs.k8s.io/gateway-api v1.6, config/crd/standard/gateway.networking.k8s.io_httproutes.yaml, with the expressions in it. A real
server is asked the same by tests/integration/test_traffic.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .objects import Json

_TOKEN, _DOMAIN = r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
MOST_MATCHES = 128
Wrong = tuple[str, str]


@dataclass(frozen=True)
class Text:
    """Of so many characters; `pattern` as a whole, `among`: nothing else."""

    most: int
    pattern: str = ""
    among: tuple[str, ...] = ()
    least: int = 1

    def wrong(self, path: str, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, str):
            yield path, "must be of type string"
        elif self.among and value not in self.among:
            yield path, f"supported values: {', '.join(self.among)}"
        elif not self.least <= len(value) <= self.most:
            yield path, f"should be {self.least} to {self.most} chars long"
        elif self.pattern and not re.fullmatch(self.pattern, value):
            yield path, "should match a pattern"


@dataclass(frozen=True)
class Number:
    least: int
    most: int

    def wrong(self, path: str, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, int) or isinstance(value, bool):
            yield path, "must be of type integer"
        elif not self.least <= value <= self.most:
            yield path, f"should be between {self.least} and {self.most}"


@dataclass(frozen=True)
class Items:
    """`key`: the member that tells them apart."""

    of: Shape
    most: int
    key: str = ""

    def wrong(self, path: str, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, list):
            yield path, "must be of type array"
            return
        if len(value) > self.most:
            yield path, f"must have at most {self.most} items"
        for number, item in enumerate(value):
            yield from self.of.wrong(f"{path}[{number}]", item)
        keys = [item.get(self.key) for item in value if isinstance(item, dict)] if self.key else []
        if len(keys) != len({str(key) for key in keys}):
            yield path, f"Duplicate value of {self.key}"


@dataclass(frozen=True)
class Members:
    """`rules`: what has to hold of the whole, with what is said where it does not; looked at only where every member is right."""

    of: dict[str, Shape]
    required: tuple[str, ...] = ()
    rules: tuple[tuple[Callable[[Json], bool], str], ...] = ()

    def wrong(self, path: str, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, dict):
            yield path, "must be of type object"
            return
        found = [(f"{path}.{name}", "Required value") for name in self.required if name not in value]
        for name, member in value.items():
            if name in self.of:
                found += self.of[name].wrong(f"{path}.{name}", member)
        yield from found
        if not found:
            yield from ((path, told) for holds, told in self.rules if not holds(value))


Shape = Text | Number | Items | Members

_MODIFIERS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestRedirect": "requestRedirect",
    "RequestMirror": "requestMirror",
}
_KINDS = (*_MODIFIERS, "URLRewrite", "ExtensionRef", "CORS")
_HEADERS = Items(Members({"name": Text(256, _TOKEN), "value": Text(4096)}, ("name", "value")), 16, "name")
_MODIFIER = Members({"add": _HEADERS, "set": _HEADERS, "remove": Items(Text(256, least=0), 16)})
_REDIRECT = Members({"hostname": Text(253, _DOMAIN), "statusCode": Number(301, 308), "port": Number(1, 65535)})


_MIRROR = Members(
    {
        "backendRef": Members(
            {"name": Text(253), "port": Number(1, 65535)}, ("name",), ((lambda ref: "port" in ref, "Must have port for Service reference"),)
        ),
        "percent": Number(0, 100),
        "fraction": Members(
            {"numerator": Number(0, 2**31 - 1), "denominator": Number(1, 2**31 - 1)},
            ("numerator",),
            ((lambda part: part["numerator"] <= part.get("denominator", 100), "numerator must be less than or equal to denominator"),),
        ),
    },
    ("backendRef",),
    ((lambda mirror: not {"percent", "fraction"} <= mirror.keys(), "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter"),),
)  # fmt: skip


def _has_its_own(one: Json) -> bool:
    """The member that its type says, and no other."""
    return all((member in one) is (one["type"] == kind) for kind, member in _MODIFIERS.items())


def _is_clean(path: Json) -> bool:
    text = path["value"]
    if path["type"] == "RegularExpression":
        return True
    bad = any(part in text for part in ("//", "/./", "/../", "%2f", "%2F", "#")) or text.endswith(("/..", "/."))
    whole = re.fullmatch(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+", text)
    return bool(text.startswith("/") and whole and not bad)


def _no_redirect_beside_backends(rule: Json) -> bool:
    redirects = any("requestRedirect" in one for one in rule.get("filters") or ())
    return not (rule.get("backendRefs") and redirects)


def _unrepeated(holder: Json) -> bool:
    kinds = [
        one["type"]
        for one in holder.get("filters") or ()
        if one["type"] in _MODIFIERS and one["type"] != "RequestMirror"
    ]
    return len(kinds) == len(set(kinds))


_ONCE = (_unrepeated, "filter cannot be repeated")
_FILTER = Members(
    {"type": Text(63, among=_KINDS), "requestHeaderModifier": _MODIFIER, "responseHeaderModifier": _MODIFIER, "requestRedirect": _REDIRECT,
     "requestMirror": _MIRROR},
    ("type",),
    ((_has_its_own, "filter must have the member of its type"),),
)  # fmt: skip
_HEADER_MATCH = Members(
    {"type": Text(63, among=("Exact", "RegularExpression")), "name": Text(256, _TOKEN), "value": Text(4096)},
    ("name", "value"),
)
_PATH = Members(
    {"type": Text(63, among=("Exact", "PathPrefix", "RegularExpression")), "value": Text(1024, least=0)},
    rules=((_is_clean, "must be an absolute path of valid characters"),),
)
_BACKEND = Members(
    {"name": Text(253), "namespace": Text(63), "port": Number(1, 65535), "weight": Number(0, 1_000_000), "filters": Items(_FILTER, 16)},
    ("name",),
    (
        (lambda ref: ref.get("group") or ref.get("kind", "Service") != "Service" or "port" in ref, "Must have port for Service reference"),
        _ONCE,
    ),
)  # fmt: skip
_RULE = Members(
    {
        "name": Text(253, _DOMAIN),
        "matches": Items(Members({"path": _PATH, "headers": Items(_HEADER_MATCH, 16, "name")}), 64),
        "filters": Items(_FILTER, 16),
        "backendRefs": Items(_BACKEND, 16),
    },
    rules=(
        (_no_redirect_beside_backends, "RequestRedirect filter must not be used together with backendRefs"),
        _ONCE,
    ),
)
_SPEC = Members(
    {"rules": Items(_RULE, 16)},
    rules=(
        (lambda spec: sum(len(rule.get("matches") or [0]) for rule in spec["rules"]) <= MOST_MATCHES, "the total number of matches"),
        (lambda spec: bool(spec["rules"]), "should have at least 1 items"),
    ),
)  # fmt: skip


def wrong(spec: Json) -> Iterator[Wrong]:
    """Where it is wrong, and what the server says of it, of a spec with its defaults."""
    return _SPEC.wrong("spec", spec)
