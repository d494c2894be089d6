# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a release its fields are their owner's again: his next apply needs no force, and moves no pod."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.api import FIELD_MANAGER
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import Ownership, PromoteRequest, Wait
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.promote import promote
from tests.sim.faults import Fault, Planned
from tests.sim.gateway import Lags
from tests.sim.history import Ask, End, History, Script
from tests.sim.world import World
from tests.situations import Json, Web, image
from tests.toolchain.sampled import sampled

STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}


def promoted(web: Web) -> None:
    web.start("v2")
    web.promote()


def undone(web: Web) -> None:
    web.start("v2")
    web.undo("too many errors")


def undone_while_promoted(web: Web) -> None:
    web.start("v2")
    replace(web, wait=Wait(enabled=False)).promote()
    web.undo()


def left_and_cleaned_up(web: Web) -> None:
    """A promotion that nobody waited for is cleaned up by whichever verb comes next."""
    web.start("v2")
    replace(web, wait=Wait(enabled=False)).promote()
    web.until(lambda: web.split() == {"v2": 4} and len(web.pods()) == 4, "its pods have moved")
    web.until(lambda: web.promote().canary["phase"] == "none", "it is cleaned up")


def repaired(web: Web) -> None:
    """What marks the release was taken away by hand."""
    web.start("v2")
    web.kubectl("annotate", "deployment", web.name, "coalmine.canary/record-")
    web.undo()


def rolled_back(web: Web) -> None:
    promoted(web)
    web.rollback(image("v1"))


# How it ends, and which version is there then.
ENDINGS: dict[str, tuple[Callable[[Web], None], str]] = {
    "promoted": (promoted, "v2"),
    "undone": (undone, "v1"),
    "undone while it was promoted": (undone_while_promoted, "v1"),
    "left, and cleaned up by the next verb": (left_and_cleaned_up, "v2"),
    "repaired": (repaired, "v1"),
    "rolled back": (rolled_back, "v1"),
}


def manifest(web: Web, version: str) -> Json:
    found = web.manifest(4, strategy=STRATEGY)
    found["spec"]["template"]["spec"]["containers"][0]["image"] = image(version)
    return found


def server_side(web: Web, version: str, *options: str) -> None:
    web.kubectl("apply", "--server-side", *options, "-f", "-", input=json.dumps(manifest(web, version)))


def client_side(web: Web, version: str, *_options: str) -> None:
    web.kubectl("apply", "-f", "-", input=json.dumps(manifest(web, version)))


def helm(web: Web, version: str, *_options: str) -> None:
    """Of three versions, that of the last release, the live one and the new one, Helm makes a strategic merge patch."""
    web.patch({"spec": manifest(web, version)["spec"]})


def set_image(web: Web, version: str, *_options: str) -> None:
    web.set_image(version)


OWNERS = {"server-side": server_side, "client-side": client_side, "helm": helm, "set image": set_image}


def managers(web: Web) -> set[str]:
    return {entry["manager"] for entry in web.get()["metadata"]["managedFields"] if not entry.get("subresource")}


def names(web: Web) -> set[str]:
    return {pod["metadata"]["name"] for pod in web.pods() if "deletionTimestamp" not in pod["metadata"]}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("owner", OWNERS)
def test_the_next_apply_needs_no_force_and_moves_no_pod(ending: str, owner: str, new: Callable[..., Web]) -> None:
    ends, version = ENDINGS[ending]
    web = new().make(4, strategy=STRATEGY)
    OWNERS[owner](web, "v1", "--force-conflicts")
    web.settle()
    ends(web)
    assert FIELD_MANAGER not in managers(web)
    spec, pods = web.spec, names(web)
    OWNERS[owner](web, version)
    assert (web.spec, names(web)) == (spec, pods)
    OWNERS[owner](web, "v3")
    web.settle()
    assert web.split() == {"v3": 4}


def test_who_wants_to_keep_them_keeps_them(new: Callable[..., Web]) -> None:
    web = new().make(4, strategy=STRATEGY)
    server_side(web, "v1", "--force-conflicts")
    web.settle()
    web.start("v2")
    promote(web.api, PromoteRequest(replace(web.call, ownership=Ownership.KEEP)), web.report)
    assert FIELD_MANAGER in managers(web)


def test_while_a_canary_is_held_an_apply_without_force_is_refused(new: Callable[..., Web]) -> None:
    """What keeps it held has a manager as long as it is held."""
    web = new().make(4, strategy=STRATEGY)
    server_side(web, "v1", "--force-conflicts")
    web.settle()
    undone(web)
    web.start("v2")
    with web.unchanged(), pytest.raises(Exception, match="conflict"):
        server_side(web, "v1")


def test_whoever_changes_nothing_has_no_time(new: Callable[..., Web]) -> None:
    """The others have that of their last write, also where they manage the fields already that it changes."""

    def times() -> dict[str, str]:
        return {entry["manager"]: entry.get("time", "") for entry in web.get()["metadata"]["managedFields"]}

    web = new().make(4)
    web.set_image("v2")
    first = times()["kubectl-set"]
    web.admin.clock.sleep(1.1)
    web.set_image("v3")
    assert times()["kubectl-set"] > first
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": image("v3")}]}}}
    same = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": web.name}, "spec": spec}
    with web.unchanged():
        web.kubectl("apply", "--server-side", "--field-manager=ci", "-f", "-", input=json.dumps(same))
    assert times()["ci"] == ""


def ours(world: World, kind: str) -> list[str]:
    """Names of the objects of this kind of which a field is managed by this collection."""
    return [
        name
        for name, item in world.store.of(kind).items()
        if any(entry["manager"] == FIELD_MANAGER for entry in item["metadata"].get("managedFields", ()))
    ]


PINNED = (Ask("start", autoscaler="pin"),)
# A release that writes to objects beside the Deployment, and which those are.
WRITES: dict[str, tuple[History, str]] = {
    "an autoscaler": (History(bounds=(2, 9), scripts=(Script("ana", 8.0, asks=PINNED),)), "horizontalpodautoscalers"),
    "routes": (
        History(gateway=Lags(), scripts=(Script("ana", 8.0, asks=(Ask("start", share="5"),)),)),
        "httproutes",
    ),
    "a Service": (
        History(
            gateway=Lags(),
            scripts=(Script("ana", 8.0, asks=(Ask("start", pods=4, surge=4, share="100", kind="service_selector"),)),),
        ),
        "services",
    ),
}


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("what", WRITES)
def test_what_is_written_beside_the_deployment_is_its_owners_again(what: str, end: End) -> None:
    history, kind = WRITES[what]
    world, held = World(replace(history, end=end)), list[str]()
    world.store.listen(lambda change: held.extend(ours(world, kind)))
    played = world.play()
    assert not played.violations, played.violations
    assert held and ours(world, kind) == []


@pytest.mark.parametrize("number", sampled(range(1, 30)))
@pytest.mark.parametrize("what", WRITES)
def test_also_where_whoever_gave_it_back_died_of_it(what: str, number: int) -> None:
    history, kind = WRITES[what]
    (ana,) = history.scripts
    undoes = Script("ben", 40.0, asks=(Ask("undo", takeover=True),), faults=(Planned(number, Fault.KILLED_AFTER),))
    world = World(replace(history, scripts=(ana, undoes)))
    played = world.play()
    assert not played.violations, played.violations
    assert ours(world, kind) == []
