# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which door a task takes: the verb in this process, or the module of the same name.

This stands outside module_utils/frontdoor because it needs the controller's side of ansible-core, which module_utils
may not import. It is private to the collection.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from ansible import constants as C
from ansible.errors import (
    AnsibleActionFail,
    AnsibleError,
    AnsibleParserError,
    AnsiblePromptInterrupt,
    AnsiblePromptNoninteractive,
)
from ansible.parsing.vault import is_encrypted_file
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import transform_to_native_types

from ansible_collections.coalmine.canary.plugins.module_utils.cluster.connection import is_content, preload
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import (
    CONNECTION,
    SEVERAL,
    ArgumentError,
    Verb,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.in_process import (
    Surroundings,
    only_connects,
    run_in_process,
)
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.manifest import (
    check_read_elsewhere,
    encoding_of,
    path_in,
    quotable,
)
from ansible_collections.coalmine.canary.plugins.plugin_utils import (
    forked,
    orphaned,
    reserved,
    role_door,
    telling,
)
from ansible_collections.coalmine.canary.plugins.plugin_utils.kept import keep_for_good
from ansible_collections.coalmine.canary.plugins.plugin_utils.wire import WIRE

# ansible-playbook imports action plugins before it forks its workers: what is imported here is paid for once a run.
CLIENT_IS_HERE = preload()
forked.watch()
orphaned.watch()
# To leave these out means any release, or no steps of one's own, and a variable that was not set must not mean that. One of the first two names
# a release as well as both do.
NEVER_NULL = (
    (("expect", "run"), "names no release: give what an earlier task returned"),
    (("previous",), "names no release: give what an earlier task returned"),
    (("to",), "names no version: give its hash"),
    (("steps",), "says nothing that the canary is to stand: give one step or more"),
)
OF_A_CONNECTION = frozenset(name for option, said in CONNECTION.items() for name in (option, *said.get("aliases", ())))


class VerbAction(ActionBase):
    """Runs `verb` here when the task asks for nothing that only a module can give."""

    _supports_check_mode = True
    _supports_async = True

    verb: ClassVar[Verb]

    def __init_subclass__(cls, **given: Any) -> None:
        """An action is loaded with its verb, before ansible-playbook forks a worker for it."""
        super().__init_subclass__(**given)
        keep_for_good()

    def _cut_off(self) -> str:
        """Why the task is to end now; empty as long as it may go on."""
        return ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        taken = reserved.taken(self._task) if self._is_ours(variables) else ""
        if taken:
            # Nobody is asked what is to become of a release: what would be taken back is what was set.
            raise AnsibleActionFail(f"{taken}. Nothing was asked of the cluster")
        return {**result, **self._done(variables)}

    def _is_ours(self, variables: dict[str, Any]) -> bool:
        return role_door.is_of_the_role(self._task, variables) or role_door.is_of_a_playbook(self._task)

    def _done(self, variables: dict[str, Any]) -> dict[str, Any]:
        self._refuses_unread(variables)
        given = self._given(variables)
        self._refuses_null(given)
        return self._performed(self._read_here(given), variables)

    def _refuses_unread(self, variables: dict[str, Any]) -> None:
        """In the role and in the playbooks, variables that would be passed over."""
        unread = ""
        if role_door.is_of_the_role(self._task, variables):
            unread = role_door.unread(self._task, variables, self._templar.template)
        elif role_door.is_of_a_playbook(self._task):
            unread = role_door.unread_by_a_playbook(variables)
        if unread:
            raise AnsibleActionFail(f"{unread}. Nothing was asked of the cluster")

    def _refuses_null(self, given: dict[str, Any]) -> None:
        """In check mode nothing was begun that could be named, and nothing is written."""
        for names, lacks in () if self._task.check_mode else NEVER_NULL:
            asked = [name for name in names if name in given]
            if asked and all(given[name] is None for name in asked):
                raise AnsibleActionFail(
                    f"{asked[0]} is null, so it {lacks}, or leave it out. Nothing was asked of the cluster"
                )

    def _given(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The arguments, templated; in the role with the cluster that its caller names for it."""
        given = dict(self._task.args)
        if not role_door.is_of_the_role(self._task, variables):
            return given
        defaults = self._templar.template(role_door.own_defaults(self._task))
        given.update({name: value for name, value in defaults.items() if name in OF_A_CONNECTION})
        template = self._templar.template
        named = {name: value for name, value in template(role_door.cluster_named(variables)).items() if value}
        for name, value in named.items():
            if given.get(name, value) != value:
                raise AnsibleActionFail(
                    f"module_defaults and {role_door.PUBLIC}{name} name different clusters, each by its {name}: leave one of them out"
                )
        return {**given, **named}

    def _performed(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        result = self._by_a_door(arguments, variables)
        return role_door.by_variables(result, variables) if self._is_ours(variables) else result

    def _by_a_door(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        obstacle = self._obstacle(variables) or self._cut_short(arguments)
        # A module of this machine ends with this process, too; one of another machine, or with async, goes on.
        orphaned.end_with_the_parent()
        if not obstacle:
            # Here, in the main thread, whichever one the verb runs in.
            telling.let_end()
            return self._in_process(arguments, host_in(variables))
        Display().vv(f"{self.verb.name} runs as a module: {obstacle}")
        wrap_async = self._task.async_val and not self._connection.has_native_async
        done: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=variables, wrap_async=wrap_async)
        return done

    def _cut_short(self, arguments: dict[str, Any]) -> str:
        """Whether this process would stand still for ever; empty when it will not."""
        quiet = Surroundings(self._task.action, True, False, None, lambda *_: None, lambda *_, **__: None)
        given = transform_to_native_types(arguments, redact=False)
        if forked.is_whole(partial(run_in_process, only_connects(self.verb), given, quiet)):
            return ""
        return "another thread of ansible-playbook was in the middle of something when it forked this process"

    def _obstacle(self, variables: dict[str, Any]) -> str | None:
        """Why the verb cannot run in this process; None when it can."""
        if self._connection.transport != "local":
            return f"the connection is {self._connection.transport}"
        if self._connection.become is not None:
            return "become is set"
        if self._task.async_val:
            return "async is set"
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        if environment:
            return "environment is set"
        if not CLIENT_IS_HERE:
            return "the Python that runs ansible-playbook has no kubernetes library"
        interpreter = self._interpreter(variables)
        if interpreter and not interpreter.startswith("auto") and interpreter not in _own_interpreters(variables):
            return f"the interpreter is {interpreter}"
        return None

    def _interpreter(self, variables: dict[str, Any]) -> str:
        """What is configured for the host, as ansible-core reads it for modules, but without discovery."""
        delegate = self._task.delegate_to
        host = variables["ansible_delegated_vars"][delegate] if delegate else variables
        configured = C.config.get_config_value("INTERPRETER_PYTHON", variables=host)
        return str(self._templar.template(configured) or "").strip()

    def _read_here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """With the files that are looked for where the playbook is, those of each of several releases too."""
        found = self._with_kubeconfig(self._with_file(arguments))
        if isinstance(found.get("defaults"), Mapping):
            found["defaults"] = self._read_here(dict(found["defaults"]))
        for name in SEVERAL:
            if isinstance(found.get(name), list):
                found[name] = [self._read_here(dict(one)) if isinstance(one, Mapping) else one for one in found[name]]
        return found

    def _with_file(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A `definition` that names a file is read here, where the playbook is."""
        try:
            check_read_elsewhere(arguments)
        except ArgumentError as error:
            raise AnsibleActionFail(str(error)) from error
        path = path_in(arguments.get("definition"))
        if path is None:
            return arguments
        try:
            found = self._find_needle("files", path)
            text = self._loader.get_text_file_contents(found, encoding_of(found))
        except (AnsibleError, OSError, ValueError) as error:
            raise AnsibleActionFail(
                f"definition names {quotable(path)}, which cannot be read: {type(error).__name__}. "
                "Give a path that exists next to the playbook or in files/, or the manifest itself"
            ) from None
        return {**arguments, "definition": text}

    def _with_kubeconfig(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A `kubeconfig` that names a file on this host is looked for where the playbook is, and a vaulted one is decrypted.

        What was decrypted goes on as content, so that it never comes to lie in a file.
        """
        given = arguments.get("kubeconfig")
        if not isinstance(given, str) or is_content(given) or self._connection.transport != "local":
            return arguments
        paths = [self._found(path) for path in given.split(os.pathsep) if path]
        vaulted = [path for path in paths if _is_vaulted(path)]
        if not vaulted:
            return {**arguments, "kubeconfig": os.pathsep.join(paths)}
        if len(paths) > 1:
            raise AnsibleActionFail(
                f"kubeconfig names several files, and {vaulted[0]} is encrypted with Ansible Vault, so they cannot be merged: "
                "name that one alone, or give the merged content as a dictionary from a vaulted variable"
            )
        try:
            content = self._loader.load_from_file(vaulted[0], cache="none")
        except AnsibleParserError:
            # Its text, and that of what it came from, quotes what was decrypted.
            raise AnsibleActionFail(f"kubeconfig names the vaulted file {vaulted[0]}, which holds no YAML") from None
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"kubeconfig names the vaulted file {vaulted[0]}, which cannot be read: {error}. "
                "Give its password with --vault-password-file or --ask-vault-pass"
            ) from error
        return {**arguments, "kubeconfig": content}

    def _found(self, path: str) -> str:
        """Next to the playbook or in files/; else as it stands, which kubectl takes from the working directory."""
        try:
            return str(self._find_needle("files", path))
        except AnsibleError:
            return path

    def _in_process(self, arguments: dict[str, Any], host: str) -> dict[str, Any]:
        display = Display()
        around = Surroundings(
            action=self._task.action,
            check=self._task.check_mode,
            diff=self._task.diff,
            tell=None if self._task.no_log else partial(tell, host),
            show=None if self._task.no_log else WIRE.shower(host),
            warn=telling.as_a_whole()(display.warning),
            deprecated=telling.as_a_whole()(display.deprecated),
            ask=_asked_at_the_terminal,
            cut_off=self._cut_off,
        )
        return run_in_process(self.verb, transform_to_native_types(arguments, redact=False), around)


def host_in(variables: Mapping[str, Any]) -> str:
    return str(variables.get("inventory_hostname", "localhost"))


def tell(host: str, line: str) -> None:
    """Shows a line of a task, at once. As warnings do, it goes to stderr: stdout may be read by a program (the json callback's, for
    example)."""
    whose = "" if host in C.LOCALHOST else f"{host}: "
    with telling.as_a_whole():
        Display().display(f"{whose}{line}", stderr=True)


def _asked_at_the_terminal(question: str) -> str | None:
    """As the action `pause` asks: through the process that owns the terminal; None without one. Ctrl-C is an answer, too."""
    try:
        return Display().prompt_until(f"[{question}]:").decode(errors="replace")
    except AnsiblePromptNoninteractive:
        return None
    except AnsiblePromptInterrupt:
        return "interrupted"


def _is_vaulted(path: str) -> bool:
    """What is not there or cannot be read is for the verb to tell."""
    try:
        with open(path, "rb") as file:
            return bool(is_encrypted_file(file))
    except OSError:
        return False


def _own_interpreters(variables: dict[str, Any]) -> tuple[str, ...]:
    return sys.executable, str(variables.get("ansible_playbook_python", sys.executable))
