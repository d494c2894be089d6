# SPDX-License-Identifier: GPL-3.0-or-later
"""Argo CD for a cluster, as processes of this machine: its application controller, its repo server, its API server, and what they keep their
caches in. It fetches from real Git repositories, in directories of this machine, and its own command line commands it."""

from __future__ import annotations

import secrets
import shlex
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..build import Say, tell
from ..construction import Construction, started
from ..controlplane import LOOPBACK
from ..locks import exclusive
from ..objects import Temporary, create, serve, until_it_holds
from ..ports import free_ports
from ..processes import bare_environment
from ..rights import everything_for
from .program import PROGRAM, add_what_it_calls, definitions, ensure_argo_cd

if TYPE_CHECKING:
    from ..lab import Lab

ARGOPROJ = "argoproj.io/v1alpha1"
NAMESPACE = "argocd"
APPLICATIONS = f"/apis/{ARGOPROJ}/namespaces/{NAMESPACE}/applications"
# By which its command line asks for a look at Git at once; gone when it has been looked (docs/user-guide/annotations-and-labels.md of it).
REFRESH = "argocd.argoproj.io/refresh"


@dataclass(frozen=True)
class ArgoCD:
    """One that runs. `address`: its API server's."""

    program: Path
    place: Path
    address: str

    def command(self, *arguments: str) -> list[str]:
        """That of its command line with these arguments."""
        settings = ["--server", self.address, "--plaintext", "--config", str(self.place / "config")]
        return [str(self.program), *arguments, *settings]


def add_argo_cd(lab: Lab, say: Say = tell) -> ArgoCD:
    """Runs it for every namespace of the cluster. A second call finds it there."""
    program = ensure_argo_cd(say)
    place = lab.directory / PROGRAM
    told = place / "address"
    with exclusive(lab.directory / f"{PROGRAM}.lock"):
        if not told.exists():
            place.mkdir(exist_ok=True)
            _define(lab)
            add_what_it_calls(place)
            told.write_text(_started(lab, program, place))
        return ArgoCD(program, place, told.read_text())


def _define(lab: Lab) -> None:
    serve(lab, definitions())
    part = {"labels": {"app.kubernetes.io/part-of": "argocd"}}
    everything = [{"group": "*", "kind": "*"}]
    anywhere = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}]}
    projects = f"/apis/{ARGOPROJ}/namespaces/{NAMESPACE}/appprojects"
    project = {"apiVersion": ARGOPROJ, "kind": "AppProject", "metadata": {"name": "default"}}
    here = f"/api/v1/namespaces/{NAMESPACE}"
    key = {"server.secretkey": secrets.token_urlsafe(32)}
    create(
        lab,
        [
            ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
            (f"{here}/configmaps", {"metadata": {"name": "argocd-cm", **part}}),
            (f"{here}/configmaps", {"metadata": {"name": "argocd-rbac-cm", **part}}),
            (f"{here}/secrets", {"metadata": {"name": "argocd-secret", **part}, "stringData": key}),
            (projects, {**project, "spec": {**anywhere, "clusterResourceWhitelist": everything}}),
            # Those of the module's own manifests/cluster-rbac.
            *everything_for(PROGRAM),
        ],
    )


def _started(lab: Lab, program: Path, place: Path) -> str:
    """The address of its API server, which answers."""

    def start(site: Construction, attempt: int, _taking_back: ExitStack) -> str:
        ports = free_ports(5)
        for part, command in _commands(program, place / "redis", *ports).items():
            site.run(f"{part}-{attempt}", command, {**environment, "ARGOCD_BINARY_NAME": part})
        address = f"{LOOPBACK}:{ports[2]}"
        site.wait_until(partial(_answers, ArgoCD(program, place, address)), "Argo CD to answer")
        return address

    environment = _environment(lab, place)
    return started(lab.layout, lab.binaries, start)


def _environment(lab: Lab, place: Path) -> dict[str, str]:
    """A cluster that it is not in, and files of its own: by itself it keeps them at fixed places of a container."""
    for directory in ("tls", "ssh"):
        (place / directory).mkdir(exist_ok=True)
    return {
        "ARGOCD_ASK_PASS_SOCK": str(place / "ask"),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_SSH_DATA_PATH": str(place / "ssh"),
        "ARGOCD_TLS_DATA_PATH": str(place / "tls"),
        "HOME": str(place),
        "KUBECONFIG": str(lab.client_for(PROGRAM)),
        "PATH": f"{place}:{bare_environment()['PATH']}",
        "TMPDIR": str(place),
    }


def _commands(
    program: Path, redis: Path, cache: int, repositories: int, api: int, *metrics: int
) -> dict[str, list[str | Path]]:
    """Of each part. It compares each second, in place of every two minutes, with what it has fetched, which is two minutes old at most."""
    shared = [f"--redis={LOOPBACK}:{cache}", "--loglevel=info"]
    asks = [f"--repo-server={LOOPBACK}:{repositories}", f"--namespace={NAMESPACE}"]
    here = [f"--address={LOOPBACK}", f"--metrics-address={LOOPBACK}"]
    return {
        "argocd-redis": [redis, f"{LOOPBACK}:{cache}"],
        "argocd-repo-server": [
            program, *shared, *here, f"--port={repositories}", f"--metrics-port={metrics[0]}",
        ],
        "argocd-application-controller": [
            program, *shared, *asks, "--metrics-port=0", "--app-resync=1", "--app-resync-jitter=0",
        ],
        "argocd-server": [
            program, *shared, *asks, *here, "--insecure", "--disable-auth", f"--port={api}", f"--metrics-port={metrics[1]}",
        ],
    }  # fmt: skip


def _answers(found: ArgoCD) -> bool:
    done = subprocess.run(found.command("app", "list"), capture_output=True, check=False)
    return done.returncode == 0


class Repository:
    """A Git repository of the folder, of which main is what was committed last."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.url = f"file://{folder}"
        self._git = ["git", "-C", str(folder), "-c", "user.name=somebody", "-c", "user.email=somebody@example.test"]
        self._run("init", "--quiet", "--initial-branch=main")

    def commit(self) -> str:
        """What the folder holds now; returns the revision."""
        subprocess.run(self.committing, capture_output=True, check=True)
        return self._run("rev-parse", "main")

    @property
    def committing(self) -> list[str]:
        """The command that `commit` is."""
        git = shlex.join(self._git)
        return ["sh", "-c", f"{git} add --all && {git} commit --quiet --allow-empty --message=so"]

    def _run(self, *arguments: str) -> str:
        return subprocess.run([*self._git, *arguments], capture_output=True, text=True, check=True).stdout.strip()


class Application(Temporary):
    """One, which syncs what main says to a namespace. Its name is that of the namespace. What it has synced stays."""

    def __init__(self, lab: Lab, namespace: str, repository: Repository, **spec: Any) -> None:
        source = {"repoURL": repository.url, "path": ".", "targetRevision": "main"}
        destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
        made = {"project": "default", "source": source, "destination": destination, **spec}
        kind = {"apiVersion": ARGOPROJ, "kind": "Application"}
        super().__init__(lab, APPLICATIONS, namespace, {**kind, "spec": made})

    def refresh(self) -> None:
        """It has looked at Git."""
        self.annotate(**{REFRESH: "normal"})
        until_it_holds(self._is_refreshed, "the Application is refreshed")

    def _is_refreshed(self) -> bool:
        return REFRESH not in self.found()["metadata"].get("annotations", {})
