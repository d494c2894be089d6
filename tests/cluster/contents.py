# SPDX-License-Identifier: GPL-3.0-or-later
"""What a namespace holds, in a few lines for each object: for a person who wonders why a test failed.

Secrets are not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]
KINDS = "deployments.apps,replicasets.apps,pods,horizontalpodautoscalers.autoscaling,events"
MOST_EVENTS = 40


def contents(kubectl: Callable[..., str], namespace: str) -> str:
    """Deployments, ReplicaSets, pods, autoscalers, then Events in their order. `kubectl` as of a Lab; what it raises is raised."""
    got = kubectl(
        "get", KINDS, "--namespace", namespace, "--show-managed-fields", "-o", "json", "--request-timeout=10s"
    )
    return described(json.loads(got)["items"])


def described(items: list[Object]) -> str:
    events = [item for item in items if item["kind"] == "Event"]
    objects = [line for item in items if item["kind"] != "Event" for line in _object(item)]
    said = [_event(event) for event in sorted(events, key=_moment)[-MOST_EVENTS:]]
    return "\n".join([*objects, *(said or ["no Events"])])


def _object(item: Object) -> list[str]:
    metadata = item["metadata"]
    facts = {key: metadata[key] for key in ("generation", "deletionTimestamp", "annotations") if key in metadata}
    lines = [f"{item['kind']} {metadata['name']} {_json(facts)}"]
    # The template of a ReplicaSet and the rest of a pod's spec are the Deployment's template again.
    spec = item.get("spec", {})
    if item["kind"] == "ReplicaSet":
        images = [each.get("image") for each in spec["template"]["spec"]["containers"]]
        spec = {"replicas": spec.get("replicas"), "images": images}
    elif item["kind"] == "Pod":
        spec = {"nodeName": spec.get("nodeName"), "images": [each.get("image") for each in spec["containers"]]}
    lines += [f"  spec {_json(spec)}", f"  status {_json(item.get('status', {}))}"]
    if item["kind"] == "Deployment":
        lines += [f"  written by {_writer(entry)}" for entry in metadata.get("managedFields", [])]
    return lines


def _writer(entry: Object) -> str:
    part = f" of {entry['subresource']}" if entry.get("subresource") else ""
    return (
        f"{entry.get('manager')}: {entry.get('operation')}{part} at {entry.get('time')}: {_json(entry.get('fieldsV1'))}"
    )


def _moment(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _event(event: Object) -> str:
    about = event.get("involvedObject", {})
    what = f"{event.get('type')} {event.get('reason')} {about.get('kind')}/{about.get('name')}"
    return f"Event {_moment(event)} {what}: {event.get('message')}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
