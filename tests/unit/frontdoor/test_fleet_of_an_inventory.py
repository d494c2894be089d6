# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases playbooks/fleet.yml makes of an inventory and a limit, by its own variables, templated as ansible-playbook does."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from tests.toolchain.venvs import ROOT
from tests.unit.frontdoor.apart import apart

SERVICES: dict[str, Any] = {
    "basket": {},
    "web": {},
    "only-eu": {"canary_clusters": "eu"},
    "nowhere": {"canary_clusters": []},
}
EVERYWHERE = {"eu": ["basket", "only-eu", "web"], "staging": ["basket", "web"]}
# A limit -> the services that are released in each cluster.
LIMITS: dict[str, dict[str, list[str]]] = {
    "": EVERYWHERE,
    "web": {"eu": ["web"], "staging": ["web"]},
    "eu": {"eu": ["basket", "only-eu", "web"]},
    "web,eu": {"eu": ["web"]},
    "eu:!web": {"eu": ["basket", "only-eu"]},
    "eu,!~w.*,!bas[k]et": {"eu": ["only-eu"]},
    "web:!staging": {"eu": ["web"]},
    "canary_clusters:!staging": {"eu": ["basket", "only-eu", "web"]},
    "all:!web": {"eu": ["basket", "only-eu"], "staging": ["basket"]},
    "web:!canary_clusters": {},
    "eu:!canary_services": {},
    "nowhere": {},
}


def released(services: dict[str, Any], clusters: dict[str, Any], limits: list[str]) -> list[dict[str, list[str]]]:
    from ansible._internal._templating._engine import TemplateEngine
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import trust_as_template
    from ansible.vars.manager import VariableManager

    def trusted(value: Any) -> Any:
        if isinstance(value, str):
            return trust_as_template(value)
        if isinstance(value, list):
            return [trusted(each) for each in value]
        return {name: trusted(each) for name, each in value.items()} if isinstance(value, dict) else value

    init_plugin_loader()
    loader = DataLoader()
    play = yaml.safe_load((ROOT / "playbooks" / "fleet.yml").read_text(encoding="utf-8"))[-1]
    groups = {"canary_services": services, "canary_clusters": clusters}
    found = []
    with TemporaryDirectory() as directory:
        file = Path(directory, "inventory.json")
        children = {name: {"hosts": hosts} for name, hosts in groups.items() if hosts}
        file.write_text(json.dumps({"all": {"children": children}}), encoding="utf-8")
        for limit in limits:
            inventory = InventoryManager(loader=loader, sources=[str(file)])
            inventory.subset(limit or None)
            variables = VariableManager(loader=loader, inventory=inventory).get_vars()
            variables |= {"hostvars": {**services, **clusters}, **trusted(play["vars"])}
            variables["ansible_play_hosts_all"] = [
                str(host) for host in inventory.get_hosts("canary_services:canary_clusters")
            ]
            variables |= {"ansible_limit": limit} if limit else {}
            releases = TemplateEngine(loader=loader, variables=variables).template(
                trust_as_template("{{ _canary_fleet_releases }}")
            )
            rows: dict[str, list[str]] = {}
            for one in releases:
                rows.setdefault(str(one["group"]), []).append(str(one["name"]))
            found.append({cluster: sorted(names) for cluster, names in rows.items()})
    return found


@pytest.fixture(scope="module")
def by_limit() -> dict[str, dict[str, list[str]]]:
    """In a process of its own: whoever imports the controller's side of ansible-core makes modules warn as the controller does."""
    found: list[dict[str, list[str]]] = apart(released, SERVICES, {"eu": {}, "staging": {}}, list(LIMITS))
    return dict(zip(LIMITS, found, strict=True))


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_leaves_what_it_names_and_excludes_what_it_excludes(
    limit: str, by_limit: dict[str, dict[str, list[str]]]
) -> None:
    assert by_limit[limit] == LIMITS[limit]


def test_without_clusters_each_service_is_released_where_the_connection_leads() -> None:
    assert apart(released, {"web": {}}, {}, ["", "web"]) == [{"": ["web"]}] * 2
