# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that verbs need come from one source: playbooks/vars/rights.yml.

python -m tests.toolchain.rights            # writes docs/rbac.yaml, docs/rbac-headroom.yaml and the tables of docs/rights.md
python -m tests.toolchain.rights --check    # changes nothing; tells what is behind
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.toolchain.venvs import ROOT

PLAYBOOKS = ROOT / "playbooks"
SOURCE = PLAYBOOKS / "vars" / "rights.yml"
TEMPLATE = "rbac.j2"
PAGE = ROOT / "docs" / "rights.md"
TABLE = re.compile(r"(?<=<!-- begin: written by make rights -->\n)\n.*?(?=<!-- end -->)", re.S)
# Files for kubectl: which Roles they have, and what they begin with.
MANIFESTS = {
    "rbac.yaml": (["operator", "traffic", "checks"], "rbac.txt"),
    "rbac-headroom.yaml": (["headroom"], "rbac-headroom.txt"),
}


@dataclass(frozen=True)
class Rule:
    """`where`: "namespace", "cluster", or the name of a namespace. `uses`: verbs of the collection, with an option behind some."""

    role: str
    where: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    uses: tuple[str, ...]
    why: str
    without: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Rule:
        return cls(
            role=given["role"],
            where=given["where"],
            group=given["group"],
            resources=tuple(given["resources"]),
            verbs=tuple(given["verbs"]),
            uses=tuple(_flat(given["for"])),
            why=given["why"].strip(),
            without=given.get("without", "").strip(),
            names=tuple(given.get("names", ())),
        )

    def named(self, resource: str) -> str:
        """As messages name it: with its group, and the subresource behind that."""
        kind, slash, subresource = resource.partition("/")
        return f"{kind}.{self.group}{slash}{subresource}" if self.group else resource


def _flat(uses: Iterable[str | list[Any] | Mapping[str, Sequence[str]]]) -> Iterable[str]:
    """Lists may be anchors of others. A mapping stands for each of its verbs with each of its kinds of traffic."""
    for use in uses:
        if isinstance(use, str):
            yield use
        elif isinstance(use, Mapping):
            for verb, kind in product(use["verbs"], use["traffic"]):
                name, comma, option = verb.partition(", ")
                yield f"{name} traffic: {kind}{comma}{option}"
        else:
            yield from _flat(use)


@cache
def declared() -> tuple[Mapping[str, Any], ...]:
    """As they stand in the source."""
    return tuple(yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["canary_rights"])


@cache
def rules() -> tuple[Rule, ...]:
    return tuple(map(Rule.parse, declared()))


# The files for kubectl.


def manifest(name: str) -> str:
    """A file for kubectl: the same template as the playbook's, for the service account canary of the namespace shop."""
    roles, introduction = MANIFESTS[name]
    return (ROOT / "docs" / "source" / introduction).read_text(encoding="utf-8") + applied(roles)


def applied(
    roles: Sequence[str],
    namespace: str = "shop",
    kind: str = "ServiceAccount",
    name: str = "canary",
    account_namespace: str = "shop",
) -> str:
    """What the playbook gives to kubectl."""
    # As ansible.builtin.template has it.
    places = Environment(
        loader=FileSystemLoader([PLAYBOOKS / "templates", ROOT / "docs" / "source"]),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    places.filters["split"] = str.split
    return places.get_template(TEMPLATE).render(
        canary_rights=declared(),
        canary_namespace=namespace,
        canary_rbac_roles=roles,
        canary_rbac_kind=kind,
        canary_rbac_name=name,
        canary_rbac_account_namespace=account_namespace,
    )


# The tables of the page.


def by_verb() -> str:
    """What each verb asks for."""
    lines = ["| verb | rights | in the Role |", "|---|---|---|"]
    for verb in dict.fromkeys(use.partition(" ")[0] for rule in rules() for use in rule.uses):
        for use in sorted({use for rule in rules() for use in rule.uses if use.partition(" ")[0] == verb}):
            needed = [rule for rule in rules() if use in rule.uses]
            rights = ", ".join(f"{'/'.join(verbs)} `{resource}`" for resource, verbs in _by_resource(needed).items())
            roles = ", ".join(dict.fromkeys(f"`{rule.role}`" for rule in needed))
            option = use.partition(" ")[2]
            lines.append(f"| `{verb}`{f' {option}' if option else ''} | {rights} | {roles} |")
    return "\n".join(lines)


def _by_resource(needed: Sequence[Rule]) -> Mapping[str, Sequence[str]]:
    """What is done with each, once."""
    found: dict[str, dict[str, None]] = {}
    for rule in needed:
        for resource in rule.resources:
            found.setdefault(rule.named(resource), {}).update(dict.fromkeys(rule.verbs))
    return {resource: list(verbs) for resource, verbs in found.items()}


def by_role() -> str:
    """What each Role holds, and why."""
    lines = ["| Role | right | where | why | without it |", "|---|---|---|---|---|"]
    for rule in rules():
        where = {"namespace": "the namespace", "cluster": "the cluster"}.get(rule.where, f"`{rule.where}`")
        right = f"{_verbs(rule)} {_resources(rule)}"
        lines.append(f"| `{rule.role}` | {right} | {where} | {rule.why} | {rule.without or 'an error'} |")
    return "\n".join(lines)


def _verbs(rule: Rule) -> str:
    return "/".join(rule.verbs)


def _resources(rule: Rule) -> str:
    return " ".join(f"`{rule.named(resource)}`" for resource in rule.resources)


def page() -> str:
    tables = iter((by_verb(), by_role()))
    return TABLE.sub(lambda _found: f"\n{next(tables)}\n\n", PAGE.read_text(encoding="utf-8"))


def written() -> dict[Path, str]:
    return {**{ROOT / "docs" / name: manifest(name) for name in MANIFESTS}, PAGE: page()}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something would be written")
    check = parser.parse_args(arguments).check
    behind = [path for path, text in written().items() if path.read_text(encoding="utf-8") != text]
    for path in behind:
        if check:
            print(f"{path.relative_to(ROOT)} is behind {SOURCE.relative_to(ROOT)}: run make rights", file=sys.stderr)
        else:
            path.write_text(written()[path], encoding="utf-8")
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
