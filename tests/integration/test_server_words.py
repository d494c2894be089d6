# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is the API server's own to know: what it takes, how it words what it does not take, and which amounts are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import PatchKind
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.cluster.errors import (
    AdmissionDenied,
    Invalid,
    Unreachable,
)
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import NewTemplate
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.situations import webs
from tests.situations import Web, image, until


@pytest.fixture(scope="module")
def new(lab: Lab | ForeignCluster) -> Iterator[Callable[..., Web]]:
    with webs(lab) as make:
        yield make


def test_a_server_that_is_not_there_is_named_with_what_to_check(new: Callable[..., Web]) -> None:
    web = new()
    web.api = connect(Connection(host="https://127.0.0.1:9", api_key="s3cret"))
    with pytest.raises(Unreachable, match=r"cannot get deployments\.apps .*Check host .* the network") as raised:
        web.start()
    assert "s3cret" not in str(raised.value)


def test_what_admission_refuses_is_told_in_the_servers_words(new: Callable[..., Web]) -> None:
    web = new().make(2)
    too_long = {"spec": {"containers": [{"name": "app", "ports": [{"containerPort": 99999}]}]}}
    with web.unchanged(), pytest.raises(Exception, match=r"must be between 1 and 65535"):
        web.start(patch=too_long)
    misspelt = {"spec": {"containers": [{"name": "app", "imagee": "x"}]}}
    with (
        web.unchanged(),
        pytest.raises(Invalid, match=r'unknown field "spec\.template\.spec\.containers\[0\]\.imagee"'),
    ):
        web.start(patch=misspelt)
    manifest = web.manifest(2)
    manifest["spec"]["template"]["spec"]["hostNetwork"] = "s3cret"
    with (
        web.unchanged(),
        pytest.raises(
            Invalid, match=r'": spec\.template\.spec\.hostNetwork is of type string and has to be of type bool'
        ),
    ):
        web.start(template=NewTemplate(definition=manifest))
    kinds = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    name = f"no-v9.{web.namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": web.namespace}}}
    check = {
        "expression": "!object.spec.template.spec.containers.exists(c, c.image.endsWith(':v9'))",
        "message": "version 9 is not approved",
    }
    policy = {"matchConstraints": {"resourceRules": [rule], **here}, "validations": [check]}
    web.admin.create(f"{kinds}ies", {"metadata": {"name": name}, "spec": policy})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    web.admin.create(f"{kinds}ybindings", {"metadata": {"name": name}, "spec": binding})
    try:
        until(lambda: denied(web), "the policy is in force")
        with web.unchanged(), pytest.raises(AdmissionDenied, match=r"version 9 is not approved.*A rule of the cluster"):
            web.start("v9", check=True)
        with web.unchanged(), pytest.raises(AdmissionDenied, match="version 9 is not approved"):
            web.start("v9")
    finally:
        web.admin.raw("DELETE", f"{kinds}ybindings/{name}")
        web.admin.raw("DELETE", f"{kinds}ies/{name}")


def denied(web: Web) -> bool:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "x:v9"}]}}}}
    try:
        web.admin.patch(web.path, body, PatchKind.STRATEGIC, dry_run=True)
    except AdmissionDenied:
        return True
    return False


def sized(memory: str, cpu: str) -> dict[str, Any]:
    app = {"name": "app", "resources": {"limits": {"memory": memory, "cpu": cpu}}}
    return {"spec": {"containers": [app], "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": memory}}]}}


def test_amounts_that_are_only_written_otherwise_are_no_other_template(new: Callable[..., Web]) -> None:
    live, otherwise = sized("1Gi", "500m"), sized("1073741824", "0.5")
    web = new().make(2)
    web.patch({"spec": {"template": live}})
    web.settle()
    with web.unchanged():
        web.refused(lambda: web.start(template=NewTemplate(patch=otherwise)), "same_template")
    web.patch({"spec": {"template": otherwise}})  # which rolls nothing out
    web.settle()
    assert len(web.replica_sets()) == 2
    web.start("v2")
    assert web.split() == {"v1": 2, "v2": 1}
    with web.unchanged():
        assert not web.start("v2").changed
        assert not web.start(template=NewTemplate(images={"app": image("v2")}, patch=live)).changed
    web.undo()
    assert web.split() == {"v1": 2} and len(web.replica_sets()) == 3
