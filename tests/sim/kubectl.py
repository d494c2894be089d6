# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl, as far as tests call it: its command line on one side, what it writes to the simulated server on the other."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.asked import Asked
from tests.cluster.kubectl import KubectlFailed

from .foreign import Somebody
from .history import Foreign
from .objects import NAMESPACE, Json
from .patching import json_patch, merge_patch
from .server import Server

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RESOURCES = {
    "deployment": "deployments.apps",
    "replicaset": "replicasets.apps",
    "hpa": "horizontalpodautoscalers.autoscaling",
    "pod": "pods",
}


def kubectl(server: Server, *arguments: str, input: str = "") -> None:
    command, *rest = arguments
    COMMANDS[command](server, _parsed(rest), input)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-f", dest="file")
    parser.add_argument("--replicas", type=int)
    parser.add_argument("--server-side", action="store_true")
    parser.add_argument("--force-conflicts", action="store_true")
    parser.add_argument("--field-manager", default="kubectl")
    return parser.parse_intermixed_args(arguments)


def _somebody(server: Server, name: str) -> Somebody:
    found = server.store.get("deployments", name)
    assert found is not None, name
    return Somebody(server, found)


def _named(words: list[str]) -> tuple[str, list[str]]:
    """The name in deployment/NAME, and what comes after it."""
    kind, _slash, name = words[0].partition("/")
    assert kind == "deployment", words
    return name, words[1:]


def _scale(server: Server, given: argparse.Namespace, _input: str) -> None:
    name, _rest = _named(given.words)
    _somebody(server, name).strategic({"spec": {"replicas": given.replicas}}, "kubectl-scale")


def _set(server: Server, given: argparse.Namespace, _input: str) -> None:
    name, images = _named(given.words[1:])
    containers = [dict(zip(("name", "image"), each.split("=", 1), strict=True)) for each in images]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    _somebody(server, name).strategic(patch, "kubectl-set")


_IS_SO = {"pause": (True, "already paused"), "resume": (False, "not paused")}


def _rollout(server: Server, given: argparse.Namespace, _input: str) -> None:
    name, _rest = _named(given.words[1:])
    somebody, verb = _somebody(server, name), given.words[0]
    # kubectl itself looks first, and sends nothing where there is nothing to do.
    if _IS_SO.get(verb, (None, ""))[0] is bool(somebody.live()["spec"].get("paused")):
        raise KubectlFailed(f'error: deployments.apps "{name}" is {_IS_SO[verb][1]}')
    somebody.writes(Foreign(somebody.server.store.timeline.now, f"kubectl rollout {verb}"))


def _apply(server: Server, given: argparse.Namespace, text: str) -> None:
    manifest = json.loads(text)
    name = manifest["metadata"]["name"]
    if given.server_side:
        server.apply("deployments", manifest, "somebody", given.field_manager, force=given.force_conflicts)
        return
    meta = manifest["metadata"]
    manifest["metadata"] = {**meta, "annotations": {**(meta.get("annotations") or {}), LAST_APPLIED: text}}
    if server.store.get("deployments", name) is None:
        server.create("deployments", manifest, "somebody", "kubectl-client-side-apply")
    else:
        patch = {part: manifest[part] for part in ("metadata", "spec")}
        _somebody(server, name).strategic(patch, "kubectl-client-side-apply")


def _replace(server: Server, given: argparse.Namespace, text: str) -> None:
    """The whole object: what the manifest does not have is gone, but for what the server itself keeps."""
    manifest = json.loads(text)
    meta = manifest["metadata"]
    parts = {
        "/spec": manifest["spec"],
        **{f"/metadata/{marks}": meta.get(marks) or {} for marks in ("labels", "annotations")},
    }
    patch = [{"op": "add", "path": path, "value": value} for path, value in parts.items()]
    asked = Asked("patch", "deployments.apps", meta["name"], NAMESPACE)
    server.patch("deployments", asked, patch, json_patch, "somebody", "kubectl-replace")


def _marks(member: str) -> Callable[[Server, argparse.Namespace, str], None]:
    """KIND NAME or KIND/NAME, then KEY=VALUE, or KEY- to take it away."""

    def write(server: Server, given: argparse.Namespace, _input: str) -> None:
        resource, name, marks = _addressed(given.words)
        asked = Asked("patch", resource, name, NAMESPACE)
        pairs = [mark.partition("=") for mark in marks]
        values: Json = {key.removesuffix("-") if not is_set else key: value if is_set else None
                        for key, is_set, value in pairs}  # fmt: skip
        patch = {"metadata": {member: values}}
        server.patch(resource.partition(".")[0], asked, patch, merge_patch, "somebody", f"kubectl-{member[:-1]}")

    return write


def _addressed(words: list[str]) -> tuple[str, str, list[str]]:
    kind, slash, name = words[0].partition("/")
    rest = words[1:] if slash else words[2:]
    return RESOURCES[kind], name if slash else words[1], rest


def _delete(server: Server, given: argparse.Namespace, _input: str) -> None:
    resource, name, _rest = _addressed(given.words)
    server.delete(resource.partition(".")[0], Asked("delete", resource, name, NAMESPACE), "somebody")


COMMANDS: dict[str, Callable[[Server, argparse.Namespace, str], Any]] = {
    "scale": _scale,
    "set": _set,
    "rollout": _rollout,
    "apply": _apply,
    "replace": _replace,
    "label": _marks("labels"),
    "annotate": _marks("annotations"),
    "delete": _delete,
}
