# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of real playbooks against a real API server, through both doors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import Connection, connect
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.call.orders import InfoRequest
from ansible_collections.coalmine.canary.plugins.module_utils.verbs.info import info
from tests.cluster.foreign import ForeignCluster
from tests.cluster.lab import Lab
from tests.integration.playbooks import LONGEST_SECONDS, PLAYBOOK, ROOT, ansible_playbook
from tests.situations import until

# What makes a task take the module's door, and changes nothing else.
AS_MODULE = {"environment": {"DOOR": "module"}}
# As somebody has it who has set nothing: the interpreter is looked for, for one.
UNSET = {
    "ANSIBLE_CONFIG": "/nowhere/ansible.cfg",
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_PIPELINING": "true",
}

Task = dict[str, Any]
Cluster = Lab | ForeignCluster


@dataclass(frozen=True)
class Played:
    """`results` are those of the tasks, in their order; `output` is all that was shown."""

    results: list[dict[str, Any]]
    output: str


@dataclass(frozen=True)
class Stage:
    """Where playbooks are run: a directory, a cluster, a namespace in it."""

    directory: Path
    kubeconfig: Path
    namespace: str

    def play(self, *tasks: Task, options: tuple[str, ...] = (), hosts: str = "localhost", **play: Any) -> Played:
        """Failures of tasks are results like others, so that the play always ends well."""
        results = self.directory / "results.json"
        results.unlink(missing_ok=True)
        playbook = self.write(*tasks, hosts=hosts, results=results, **play)
        done = ansible_playbook(*options, playbook, environment=UNSET, directory=self.directory)
        assert done.code == 0, done.output
        return Played(json.loads(results.read_text(encoding="utf-8")), done.output)

    def write(self, *tasks: Task, hosts: str, results: Path, **play: Any) -> Path:
        registered = [
            {"register": f"result_{number}", "ignore_errors": True, **task} for number, task in enumerate(tasks)
        ]
        names = ", ".join(f"result_{number}" for number in range(len(tasks)))
        kept = {
            "ansible.builtin.copy": {"content": f"{{{{ [{names}] | to_json }}}}", "dest": str(results), "mode": "0600"},
            "check_mode": False,
            "diff": False,
            "no_log": True,
            "delegate_to": "localhost",
            "run_once": True,
        }
        defaults = {"group/coalmine.canary.canary": {"kubeconfig": str(self.kubeconfig)}}
        whole = {
            "hosts": hosts,
            "gather_facts": False,
            "module_defaults": defaults,
            **play,
            "tasks": [*registered, kept],
        }
        playbook = self.directory / "play.yml"
        playbook.write_text(yaml.safe_dump([whole], sort_keys=False), encoding="utf-8")
        return playbook


@pytest.fixture
def stage(lab: Cluster, namespace: str, tmp_path: Path) -> Stage:
    return Stage(tmp_path, Path(lab.kubeconfig), namespace)


def deployment(name: str, replicas: int = 3) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
            },
        },
    }


def apply(lab: Cluster, namespace: str, *manifests: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    lab.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(listed))
    for manifest in manifests:
        lab.kubectl("-n", namespace, "rollout", "status", "deployment", manifest["metadata"]["name"], "--timeout=60s")


def task(verb: str, **arguments: Any) -> Task:
    return {f"coalmine.canary.canary_{verb}": arguments}


def told(result: dict[str, Any], name: str) -> dict[str, Any]:
    """What a result says, without what differs between two Deployments or two moments."""
    text = re.sub(rf"\b{name}\b", "NAME", json.dumps(result))
    text = re.sub(r"NAME-[a-z0-9]{5,10}(-[a-z0-9]{5})?\b", "OBJECT", text)
    text = re.sub(r"; \d+ pods? (is|are) still terminating", "", text)
    plain: dict[str, Any] = json.loads(text)
    for release in (plain.get("canary"), *plain.get("canaries", ())):
        if release:
            release.update(started_at="", run=bool(release["run"]), commands={}, terminating=0)
            for version in filter(None, (release["stable"], release["canary"])):
                version.update(hash="", pods=len(version["pods"]))
                # What the controller has counted may be a moment behind the pods.
                version["counts"].update(terminating=0, available=0)
    warnings = [warning for warning in plain.pop("warnings", ()) if "are still terminating" not in str(warning)]
    plain.update({"warnings": warnings} if warnings else {})
    plain.update({"hash": ""} if "hash" in plain else {})
    # How many requests a wait needs, and how often it looks, is a matter of time.
    plain.pop("requests", None)
    plain.pop("progress", None)
    # ansible-core decides which door's invocation it shows, and 2.21 decides otherwise than 2.19.
    plain.pop("invocation", None)
    return plain


# Of a life with so many tasks these are tried as modules, too: to make one takes seconds, and most of them show the same.
FEW, ALL = (3, (2,)), (9, tuple(range(9)))


# In each of the other environments (`make matrix`); what both doors say in this one, the tests below show of single tasks.
@pytest.mark.slow
@pytest.mark.parametrize(("many", "as_modules"), [pytest.param(*FEW, marks=pytest.mark.slice), ALL], ids=["few", "all"])
def test_a_whole_life_is_told_alike_by_both_doors(
    many: int, as_modules: Collection[int], lab: Cluster, stage: Stage
) -> None:
    apply(lab, stage.namespace, deployment("here"), deployment("there"))

    def life(name: str, modules: Collection[int]) -> list[Task]:
        target = {"name": name, "namespace": stage.namespace}
        new = {**target, "images": {"app": "registry.example/app:2"}}
        steps = (
            task("info", **target),
            {**task("start", **new), "check_mode": True, "diff": True},
            {**task("start", **new), "diff": True},
            task("pause", **target),
            task("start", **new),
            task("undo", **target, reason="a test"),
            task("start", **new, weight=40),
            {**task("promote", **target), "diff": True},
            task("rollback", **target, to="registry.example/app:1"),
        )
        return [{**step, **(AS_MODULE if number in modules else {})} for number, step in enumerate(steps[:many])]

    played = stage.play(*life("here", ()), *life("there", as_modules), options=("-vv",))
    here, there = played.results[:many], played.results[many:]
    doors = [played.output.count(f"runs as a module{why}") for why in ("", ": environment is set")]
    assert doors == [len(as_modules)] * 2
    for number, (one, other) in enumerate(zip(here, there, strict=True)):
        assert told(one, "here") == told(other, "there"), f"task {number}"
    phases = [result["canary"]["phase"] for result in here if result.get("canary")]
    assert {"none", "held"} <= set(phases) and ("frozen" in phases) is (many == len(ALL[1]))
    assert [result["changed"] for result in here] == [bool(int(digit)) for digit in "011101111"[:many]]


REFUSED: tuple[tuple[Task, str], ...] = (
    (task("info", name="nobody"), 'there is no Deployment "nobody" in namespace "default"'),
    (
        task("start", name="web", nmae="web", images={"app": "x"}),
        "Unsupported parameters for (coalmine.canary.canary_start) module: nmae.",
    ),
    (task("start", images={"app": "x"}), "missing required arguments: name"),
    (task("start", name="web", images={}), "say what the canary is to run"),
    (task("start", name="web", definition="{kind: [}"), "definition is not valid YAML at line 1"),
    (task("info", name="web", context="elsewhere"), "elsewhere"),
    (task("info", name="web", kubeconfig="/nowhere/config"), "/nowhere/config"),
)
REFUSED_AS_MODULES = (1,)
DOORS: tuple[tuple[Task, str | None], ...] = (
    ({}, None),
    ({"vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}, None),
    ({"vars": {"ansible_python_interpreter": "auto_silent"}}, None),
    ({"environment": {}}, None),
    ({"environment": {"A": "b"}}, "environment is set"),
    ({"become": True}, "become is set"),
    ({"async": 60, "poll": 1}, "async is set"),
    ({"vars": {"ansible_python_interpreter": "/nowhere/python"}}, "the interpreter is /nowhere/python"),
    ({"vars": {"ansible_connection": "ssh"}}, "the connection is ssh"),
)
PASSWORD = "hunter2"


@dataclass(frozen=True)
class Together:
    """Tasks of several tests in one run, because what is made of a module is made once a run. `results`: of each test's tasks, as
    they are and as modules."""

    results: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]
    output: str
    stage: Stage
    token: str

    def shown(self, name: str) -> str:
        """What was shown of a task."""
        return self.output.partition(f"TASK [{name}]")[2].partition("TASK [")[0]


@pytest.fixture(scope="module")
def together(lab: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    if isinstance(lab, ForeignCluster):
        pytest.skip("makes a token by means that only a cluster of our own has")
    stage = Stage(tmp_path_factory.mktemp("frontdoor"), Path(lab.kubeconfig), lab.create_namespace())
    apply(lab, stage.namespace, deployment("web"), deployment("shown"))
    write_files(stage)
    kubeconfig = lab.service_account_kubeconfig(stage.namespace, "default")
    token = write_kubeconfigs(stage, kubeconfig)
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    web, namespace = {"name": "web", "namespace": stage.namespace}, stage.namespace
    doors = [
        {"name": f"Door {n}", **task("info", namespace=namespace), **words, "ignore_unreachable": True}
        for n, (words, _) in enumerate(DOORS)
    ]
    # Name -> its tasks, and which of them are tried as modules, too; that takes seconds each.
    asked: dict[str, tuple[list[Task], tuple[int, ...]]] = {
        "doors": (doors, ()),
        "refusals": ([step for step, _words in REFUSED], REFUSED_AS_MODULES),
        "definitions": ([task("start", **web, definition=each) for each in definitions()], (0,)),
        "kubeconfigs": ([task("info", **web, kubeconfig=name) for name in ("vaulted", "plain", "plain:vaulted")], (0,)),
        "secrets": ([task("info", **web, kubeconfig=content), task("info", nmae="web", kubeconfig=content)], (0,)),
        "progress": (
            [
                {"name": "Shown", **task("start", name="shown", namespace=namespace, images={"app": NEW_IMAGE})},
                {"name": "Silent", **task("undo", name="shown", namespace=namespace), "no_log": True},
            ],
            (),
        ),
    }
    steps = [
        step
        for tasks, modules in asked.values()
        for step in (*tasks, *({**tasks[number], **AS_MODULE} for number in modules))
    ]
    played = stage.play(*steps, options=("--vault-password-file", str(stage.directory / "password"), "-vvv"))
    left = iter(played.results)
    results = {
        name: (list(islice(left, len(tasks))), list(islice(left, len(modules))))
        for name, (tasks, modules) in asked.items()
    }
    yield Together(results, played.output, stage, token)
    lab.vacate(stage.namespace)


NEW_IMAGE = "registry.example/app:2"


def manifest_of_v2() -> dict[str, Any]:
    manifest = deployment("web")
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = NEW_IMAGE
    return manifest


def definitions() -> tuple[Any, ...]:
    timed = manifest_of_v2()
    timed["metadata"]["annotations"] = {"since": "{{ '2026-03-01 10:20:30' | to_datetime }}"}
    return ("web.yml", "wide.yml", manifest_of_v2(), "nowhere.yml", timed)


def write_files(stage: Stage) -> None:
    files = stage.directory / "files"
    files.mkdir()
    (files / "web.yml").write_text(yaml.safe_dump(manifest_of_v2()), encoding="utf-8")
    (files / "wide.yml").write_text(yaml.safe_dump(manifest_of_v2()), encoding="utf-16")


def write_kubeconfigs(stage: Stage, kubeconfig: Path) -> str:
    """As it is and as Ansible Vault encrypts it; its token."""
    token = str(yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"])
    files, password = stage.directory / "files", stage.directory / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    for name in ("plain", "vaulted"):
        (files / name).write_bytes(kubeconfig.read_bytes())
    vault = [PLAYBOOK.with_name("ansible-vault"), "encrypt", "--vault-password-file", password, files / "vaulted"]
    subprocess.run(vault, check=True, capture_output=True, env={**os.environ, **UNSET})
    assert token not in (files / "vaulted").read_text(encoding="utf-8")
    return token


def test_refusals_are_worded_alike_by_both_doors(together: Together) -> None:
    here, there = together.results["refusals"]
    for (_, words), result in zip(REFUSED, here, strict=True):
        assert result["failed"] and words in result["msg"]
    assert [here[number] for number in REFUSED_AS_MODULES] == there


def test_a_task_runs_in_process_only_when_it_asks_for_nothing_else(together: Together) -> None:
    for number, (keywords, reason) in enumerate(DOORS):
        shown = together.shown(f"Door {number}")
        found = re.search(r"canary_info runs as a module: (.*)", shown)
        assert (found and found[1]) == reason, keywords
        assert reason or "ok: [localhost]" in shown, keywords


def test_async_tasks_give_the_result_of_the_verb(together: Together) -> None:
    doors, _ = together.results["doors"]
    result = next(result for result, (_, reason) in zip(doors, DOORS, strict=True) if reason == "async is set")
    assert (bool(result["finished"]), result["canaries"]) == (True, [])


def test_a_definition_is_found_next_to_the_playbook(together: Together) -> None:
    (here, wide, dictionary, missing, read), (there,) = together.results["definitions"]
    assert here["canary"]["canary"]["images"] == {"app": NEW_IMAGE}
    assert [result["changed"] for result in (here, wide, dictionary, there)] == [True, *[False] * 3]
    assert "definition names the file nowhere.yml, which cannot be read" in missing["msg"]
    assert "definition.metadata.annotations.since is a date or a time, as Ansible read it" in read["msg"]


def test_a_kubeconfig_is_found_next_to_the_playbook_and_a_vaulted_one_is_decrypted(together: Together) -> None:
    (vaulted, plain, merged), (there,) = together.results["kubeconfigs"]
    # Nobody has given the account a right: the server has known who asks.
    assert f"system:serviceaccount:{together.stage.namespace}:default" in plain["msg"]
    assert vaulted["msg"] == there["msg"] == plain["msg"]
    assert "is encrypted with Ansible Vault, so they cannot be merged" in merged["msg"]
    locked = together.stage.play(task("info", name="web", kubeconfig="vaulted"))
    assert "which cannot be read" in locked.results[0]["msg"]
    assert "--vault-password-file" in locked.results[0]["msg"]


def test_no_secret_of_a_kubeconfig_is_shown_however_much_is_shown(together: Together) -> None:
    here, there = together.results["secrets"]
    assert "Missing right" in here[0]["msg"]
    assert here[0]["msg"] == there[0]["msg"]
    assert together.token not in together.output
    assert together.token not in json.dumps(together.results)


def test_progress_is_shown_with_the_name_and_not_under_no_log(together: Together) -> None:
    assert re.search(r"^shown: if this is interrupted.*canary_undo", together.shown("Shown"), re.MULTILINE)
    assert not re.search(r"^shown: ", together.shown("Silent"), re.MULTILINE)


def test_hosts_with_a_local_connection_run_in_process_side_by_side(stage: Stage) -> None:
    (stage.directory / "hosts").write_text("h[1:5] ansible_connection=local\n", encoding="utf-8")
    played = stage.play(task("info"), options=("-i", "hosts", "-vv"), hosts="all")
    assert "runs as a module" not in played.output
    # Discovery of an interpreter would have cost a process for each host, and found one without the client.
    assert "ansible_facts" not in played.results[0]


def test_a_task_delegated_to_this_host_runs_in_process(stage: Stage) -> None:
    (stage.directory / "hosts").write_text("far ansible_host=192.0.2.1\n", encoding="utf-8")
    step = {**task("info"), "delegate_to": "localhost"}
    played = stage.play(step, options=("-i", "hosts", "-vv"), hosts="far")
    assert "runs as a module" not in played.output
    assert not played.results[0]["failed"]


# Of a whole release on the default callback, its headings and recap included.
MOST_LINES = 40


def test_a_whole_release_is_told_in_few_lines_each_with_its_deployment_and_step(lab: Cluster, stage: Stage) -> None:
    lab.kubectl("-n", stage.namespace, "apply", "-f", "-", input=json.dumps(deployment("web", replicas=6)))
    arguments = {
        "name": "web",
        "namespace": stage.namespace,
        "images": {"app": "registry.example/app:2"},
        "steps": [{"pods": 1}, {"pods": 3}],
        "bake": 1,
        "checks": [{"name": "restarts", "pods": {}, "max_increase": 1000}],
        "check_duration": 2,
        "check_interval": 1,
        "headroom": "report",
    }
    played = stage.play(task("release", **arguments))
    lines = played.output.splitlines()
    told = [line for line in lines if line.startswith("web")]
    assert played.results[0]["release"]["outcome"] == "released", played.output
    assert len(lines) <= MOST_LINES, played.output
    assert len(set(told)) == len(told), "a line is told twice"
    order = [next(n for n, line in enumerate(lines) if text in line) for text in ("kubectl apply manages", "holding 1")]
    assert order == sorted(order) and played.output.count("kubectl apply manages") == 1, "warned of once, and before"
    assert played.output.count("take the release back") == 1
    for step in (1, 2):
        of_step = [line for line in told if line.startswith(f"web, step {step} of 2: ")]
        assert any("■|■" in line and " judging; " in line for line in of_step), played.output
        assert any("pass after" in line for line in of_step), played.output
    assert played.results[0]["progress"] == told


def test_an_interrupted_wait_has_shown_the_way_back(lab: Cluster, stage: Stage) -> None:
    apply(lab, stage.namespace, deployment("web"))
    gated = {"spec": {"schedulingGates": [{"name": "example.com/closed"}]}}
    start = task("start", name="web", namespace=stage.namespace, pod_template_patch=gated)
    playbook = stage.write(start, hosts="localhost", results=stage.directory / "unused")
    with playing(stage, playbook) as play:
        assert play.stdout is not None
        shown = ""
        for line in play.stdout:
            shown += line
            if "0 of 1 canary pod" in line:
                break
        with connect(Connection(kubeconfig=str(stage.kubeconfig))) as api:
            looked = info(api, InfoRequest("web", stage.namespace)).extra["canaries"][0]
        assert looked["phase"] == "starting"
        interrupt(play)
    way_back = re.search(r"^web: if this is interrupted.*: (ansible localhost .*canary_undo.*)$", shown, re.MULTILINE)
    assert way_back, shown
    command = [str(PLAYBOOK.with_name("ansible")), *shlex.split(way_back[1])[1:]]
    environment = {**os.environ, **UNSET, "K8S_AUTH_KUBECONFIG": str(stage.kubeconfig)}
    undone = subprocess.run(command, env=environment, cwd=stage.directory, capture_output=True, text=True, check=False)
    assert undone.returncode == 0, undone.stdout
    assert "undone: no canary pod is left" in undone.stdout


@pytest.mark.parametrize("more", [{}, AS_MODULE], ids=["in this process", "as a module"])
def test_no_process_of_a_play_goes_on_when_ansible_playbook_is_killed(
    lab: Cluster, stage: Stage, more: dict[str, Any]
) -> None:
    """Nobody would see what it does, and it might promote for a job that somebody has killed."""
    apply(lab, stage.namespace, deployment("web"))
    gated = {"spec": {"schedulingGates": [{"name": "example.com/closed"}]}}
    start = task("start", name="web", namespace=stage.namespace, pod_template_patch=gated) | more
    playbook = stage.write(start, hosts="localhost", results=stage.directory / "unused")
    with playing(stage, playbook) as play, connect(Connection(kubeconfig=str(stage.kubeconfig))) as api:
        request = InfoRequest("web", stage.namespace)
        until(lambda: info(api, request).extra["canaries"][0]["phase"] == "starting", "it waits for its canary")
        assert len(working_in(stage.directory)) > 1
        play.kill()
        until(lambda: not working_in(stage.directory), "no worker and no module is left")


def working_in(directory: Path) -> list[Path]:
    """The processes there, by their folder in /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == directory:
                found.append(process)
    return found


def interrupt(play: subprocess.Popen[str]) -> None:
    """Ctrl-C, also where a worker is about to show a line."""
    os.killpg(play.pid, signal.SIGINT)
    try:
        play.wait(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(play.pid, signal.SIGKILL)
        raise


def playing(stage: Stage, playbook: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # Where tests run in the background, children would be born deaf to Ctrl-C.
        ["env", "--default-signal=INT", str(PLAYBOOK), str(playbook)],
        env={**os.environ, **UNSET},
        cwd=stage.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
