# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases playbooks/fleet.yml makes of an inventory and a limit, by its own variables, templated as ansible-playbook does."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.plugin_utils import inventory
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


class Hosts(dict[str, Any]):
    """As ansible-core's, of what is written without a template."""

    def raw_get(self, host: str) -> dict[str, Any]:
        return dict(self[host])


def told(
    services: dict[str, Any], clusters: dict[str, Any], limits: list[str]
) -> list[tuple[list[Any], str, dict[str, Any]]]:
    """For each limit the releases, what the task of the playbook says against them before it begins, and what is of the fleet itself."""
    from ansible._internal._templating._engine import TemplateEngine
    from ansible.errors import AnsibleActionFail
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import trust_as_template
    from ansible.vars.manager import VariableManager

    from ansible_collections.coalmine.canary.plugins.action.canary_fleet import ActionModule

    def trusted(value: Any) -> Any:
        if isinstance(value, str):
            return trust_as_template(value)
        if isinstance(value, list):
            return [trusted(each) for each in value]
        return {name: trusted(each) for name, each in value.items()} if isinstance(value, dict) else value

    def refused(variables: dict[str, Any]) -> str:
        action = object.__new__(ActionModule)
        action._task = SimpleNamespace(get_path=lambda: f"{ROOT}/playbooks/fleet.yml:1")
        try:
            action._refuses_unread(variables)
        except AnsibleActionFail as error:
            return str(error)
        return ""

    def given(variables: dict[str, Any]) -> dict[str, Any]:
        action = object.__new__(ActionModule)
        action._task = SimpleNamespace(get_path=lambda: f"{ROOT}/playbooks/fleet.yml:1", args={}, _role=None)
        return action._given(variables)

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
            variables |= {"hostvars": Hosts({**services, **clusters}), **trusted(play["vars"])}
            variables["ansible_play_hosts_all"] = [
                str(host) for host in inventory.get_hosts("canary_services:canary_clusters")
            ]
            variables |= {"ansible_limit": limit} if limit else {}
            engine = TemplateEngine(loader=loader, variables=variables)
            releases = engine.template(trust_as_template("{{ _canary_fleet_releases }}"))
            of_fleet = given(variables)
            rows = [(str(one["group"]), str(one["name"])) for one in releases]
            found.append((rows, refused(variables), json.loads(json.dumps(of_fleet))))
    return found


def released(services: dict[str, Any], clusters: dict[str, Any], limits: list[str]) -> list[dict[str, list[str]]]:
    found = []
    for releases, objection, _of_fleet in apart(told, services, clusters, limits):
        assert not objection
        rows: dict[str, list[str]] = {}
        for cluster, service in releases:
            rows.setdefault(cluster, []).append(service)
        found.append({cluster: sorted(names) for cluster, names in rows.items()})
    return found


@pytest.fixture(scope="module")
def by_limit() -> dict[str, dict[str, list[str]]]:
    """In a process of its own: whoever imports the controller's side of ansible-core makes modules warn as the controller does."""
    return dict(zip(LIMITS, released(SERVICES, {"eu": {}, "staging": {}}, list(LIMITS)), strict=True))


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_leaves_what_it_names_and_excludes_what_it_excludes(
    limit: str, by_limit: dict[str, dict[str, list[str]]]
) -> None:
    assert by_limit[limit] == LIMITS[limit]


def test_without_clusters_each_service_is_released_where_the_connection_leads() -> None:
    assert released({"web": {}}, {}, ["", "web"]) == [{"": ["web"]}] * 2


def test_what_is_not_clear_is_said(tmp_path: Path) -> None:
    file = tmp_path / "excluded"
    file.write_text("!web\n", encoding="utf-8")
    clusters: dict[str, Any] = {"eu": {}, "staging": {}}
    by_file, in_full = (
        said for _rows, said, _of in apart(told, SERVICES, clusters, [f"eu:@{file}", f"eu:basket:@{file}"])
    )
    assert by_file.startswith("The limit names a file, and no host of canary_services.") and not in_full
    unsaid = {"web": {"canary_clusters": None}, "api": {"canary_clusters": ""}, "old": {"canary_clusters": ["us"]}}
    [(rows, said, _of)] = apart(told, unsaid, clusters, [""])
    assert said.startswith("canary_clusters of api, web is empty: give []") and ("us", "old") not in rows


@pytest.mark.parametrize("who", ["web", "api", "eu", "staging"])
def test_what_is_of_the_fleet_itself_holds_whichever_hosts_a_limit_leaves(who: str) -> None:
    waves = {"canary_waves": ["staging", "eu"], "canary_between": "stop", "canary_together": False}
    services: dict[str, Any] = {"web": {}, "api": {}}
    clusters: dict[str, Any] = {"eu": {}, "staging": {}}
    ({**services, **clusters}[who]).update(waves)
    for _rows, said, of_fleet in apart(told, services, clusters, ["", "web", "eu", "staging,eu", "api,eu"]):
        assert not said and of_fleet == {"waves": ["staging", "eu"], "between": "stop", "together": False}


def test_what_is_written_once_is_one_value_whatever_it_amounts_to_and_the_play_has_the_last_word() -> None:
    class Templated(Hosts):
        def raw_get(self, host: str) -> dict[str, Any]:
            return dict.fromkeys(self[host], "{{ lookup('pipe', 'date +%N') }}")

    groups = {"canary_services": ["web", "api"], "canary_clusters": []}
    hostvars = Templated({"web": {"canary_run": "1"}, "api": {"canary_run": "2"}})
    variables = {"groups": groups, "hostvars": hostvars, "ansible_play_hosts_all": ["web", "api"]}
    assert not inventory.objection(variables) and inventory.of_the_fleet(variables) == {"run": "1"}

    several = {**variables, "hostvars": Hosts({"web": {"canary_waves": [1]}, "api": {"canary_waves": [2]}})}
    assert inventory.objection({**several, "canary_waves": [1]}).startswith("canary_waves is of the fleet as a whole")
    assert not inventory.objection({**several, "canary_waves": ["100%"]})


def test_what_is_of_the_fleet_itself_is_said_once() -> None:
    services: dict[str, Any] = {"web": {"canary_waves": ["100%"]}, "api": {"canary_waves": ["50%", "100%"]}}
    [(_rows, said, _of)] = apart(told, services, {}, ["web"])
    assert said.startswith("canary_waves is of the fleet as a whole, and hosts of the inventory say several of it.")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"api": "eu", "web": [["eu", None], []]}, ""),
        ({"api": None}, "canary_clusters of api is empty: give [] for no cluster, or leave it out for every one"),
        ({"web": ["us", "eu"], "api": "asia"}, "No host of the group canary_clusters is called asia, us, and"),
        ({"web": ["eu", ""]}, "No host of the group canary_clusters is called , and"),
    ],
)
def test_what_speaks_against_an_inventory(wanted: dict[str, Any], said: str) -> None:
    groups = {"canary_services": ["web", "api"], "canary_clusters": ["eu"]}
    of_all: dict[str, dict[str, Any]] = {name: {} for names in groups.values() for name in names}
    of_some = {service: {"canary_clusters": clusters} for service, clusters in wanted.items()}
    variables = {"groups": groups, "hostvars": Hosts(of_all | of_some), "ansible_play_hosts_all": ["web", "eu"]}
    assert inventory.objection(variables).startswith(said) and bool(inventory.objection(variables)) is bool(said)
    assert not inventory.objection({**variables, "canary_releases": []})
