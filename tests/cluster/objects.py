# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a cluster, and kinds of them, as a program beside it needs them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from .api import ApiError
from .construction import READY_TIMEOUT_SECONDS, StartFailed

if TYPE_CHECKING:
    from .lab import Lab

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE_PATCH = "application/merge-patch+json"
POLL_SECONDS = 0.05


def create(lab: Lab, manifests: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """What is there already stays."""
    for path, manifest in manifests:
        try:
            lab.api.request("POST", path, manifest)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise


def remove(lab: Lab, path: str) -> None:
    """What is not there is no error."""
    try:
        lab.api.request("DELETE", path)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def serve(lab: Lab, definitions: Iterable[dict[str, Any]]) -> None:
    """The API server knows these kinds, and answers for each of them."""
    specs = []
    for definition in definitions:
        create(lab, [(DEFINITIONS, definition)])
        specs.append(definition["spec"])
    for spec in specs:
        version, *_others = (one["name"] for one in spec["versions"] if one["served"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}?limit=1"
        until_it_holds(partial(_answers, lab, path), f"{path} is served")


def _answers(lab: Lab, path: str) -> bool:
    return bool(lab.api.request("GET", path))


def until_it_holds(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(ApiError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise StartFailed(f"waited {READY_TIMEOUT_SECONDS} s in vain: {what}")
        time.sleep(POLL_SECONDS)


class Temporary:
    """An object that is made at once, and is gone after the with statement; `path` is its own."""

    def __init__(self, lab: Lab, collection: str, name: str, manifest: dict[str, Any]) -> None:
        self._lab, self.name, self.path = lab, name, f"{collection}/{name}"
        lab.api.request("POST", collection, {**manifest, "metadata": {"name": name}})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._lab.api.request("DELETE", self.path)
        until_it_holds(self._is_gone, f"{self.path} is gone")

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.found()["spec"])

    @property
    def status(self) -> dict[str, Any]:
        """Empty where nobody has said anything yet."""
        return dict(self.found().get("status") or {})

    def set(self, **spec: Any) -> None:
        """These fields of its spec."""
        self._merge({"spec": spec})

    def annotate(self, **annotations: str) -> None:
        self._merge({"metadata": {"annotations": annotations}})

    def found(self) -> dict[str, Any]:
        return dict(self._lab.api.request("GET", self.path))

    def _merge(self, patch: dict[str, Any]) -> None:
        self._lab.api.request("PATCH", self.path, patch, MERGE_PATCH)

    def _is_gone(self) -> bool:
        try:
            self.found()
        except ApiError as error:
            return error.status == HTTPStatus.NOT_FOUND
        return False
