# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of this directory, and the container images made of them: OCI archives written here, no registry, no tools."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .build import Say, go_build, tell
from .locks import exclusive
from .paths import SOURCES, cache_root

PROGRAMS = ("app", "load", "pause", "answer")
PAUSE = "lab.local/pause:1"
GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """One image: the program that it runs and the environment that is built into it."""

    program: str
    environment: Mapping[str, str]


IMAGES: Mapping[str, Image] = {
    PAUSE: Image("pause", {}),
    "lab.local/app:v1": Image("app", {"VERSION": "v1"}),
    "lab.local/app:v2": Image("app", {"VERSION": "v2"}),
    "lab.local/app:v3": Image("app", {"VERSION": "v3"}),
    "lab.local/app:v4": Image("app", {"VERSION": "v4"}),
    "lab.local/app:bad": Image("app", {"VERSION": "bad", "ERROR_RATE": "0.5"}),
    "lab.local/app:crash": Image("app", {"VERSION": "crash", "CRASH": "1"}),
}


def built_in_environment() -> dict[str, dict[str, str]]:
    """Image -> the environment that it brings along."""
    return {name: dict(image.environment) for name, image in IMAGES.items()}


def ensure_programs(say: Say = tell) -> Path:
    """The directory of the built programs; a change of their sources, or of this file, makes a new one."""
    sources = sorted([*SOURCES.glob("*/*.go"), SOURCES / "images.py"])
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = cache_root() / f"programs-{key}"
    if not (target / "images.tar").exists():
        with exclusive(cache_root() / "locks" / target.name):
            _build(target, say)
    return target


def _build(target: Path, say: Say) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for number, program in enumerate(PROGRAMS, 1):
        if not (target / program).exists():
            say(f"[{number}/{len(PROGRAMS)}] building {program}")
            go_build(f"./{program}", target / program, "-s -w")
    archive = target / "images.partial"
    archive.write_bytes(oci_archive(target, IMAGES, machine_of_images()))
    archive.rename(target / "images.tar")


def machine_of_images() -> str:
    """This machine's architecture in the words of Go and of OCI."""
    return GO_MACHINES.get(platform.machine(), platform.machine())


def oci_archive(programs: Path, images: Mapping[str, Image], architecture: str) -> bytes:
    """One OCI image layout with all images; layers that images share are in it once.

    The layout is that of the OCI image specification 1.0; containerd reads the names from `io.containerd.image.name`.
    """
    blobs: dict[str, bytes] = {}
    manifests = []
    for name, image in images.items():
        layer = _blob(blobs, "application/vnd.oci.image.layer.v1.tar", _layer(programs / image.program))
        config = _json_blob(blobs, "application/vnd.oci.image.config.v1+json", _config(image, layer, architecture))
        manifest = _json_blob(
            blobs,
            "application/vnd.oci.image.manifest.v1+json",
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config,
                "layers": [layer],
            },
        )
        named = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        manifests.append(manifest | {"annotations": named})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    layout = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    return _tar((path, data, 0o644) for path, data in (layout | blobs).items())


def _layer(program: Path) -> bytes:
    users = b"root:x:0:0::/:\nnobody:x:65534:65534::/:\n"
    files = [("tmp", None, 0o1777), ("etc", None, 0o755), ("etc/passwd", users, 0o644)]
    return _tar([*files, (program.name, program.read_bytes(), 0o755)])


def _config(image: Image, layer: Mapping[str, Any], architecture: str) -> dict[str, Any]:
    environment = ["PATH=/", *(f"{name}={value}" for name, value in image.environment.items())]
    return {
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Entrypoint": [f"/{image.program}"], "Env": environment, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }


def _tar(files: Iterable[tuple[str, bytes | None, int]]) -> bytes:
    """The same files make the same bytes: no times, no owners. None instead of content makes a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content, mode in files:
            entry = tarfile.TarInfo(path)
            entry.mode = mode
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            tar.addfile(entry, io.BytesIO(content or b""))
    return buffer.getvalue()


def _blob(blobs: dict[str, bytes], media_type: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[f"blobs/sha256/{digest}"] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _json_blob(blobs: dict[str, bytes], media_type: str, content: Any) -> dict[str, Any]:
    return _blob(blobs, media_type, _json(content))


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
