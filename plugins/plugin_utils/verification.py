# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tasks by which a caller verifies a canary: found, and loaded as Ansible will load them, before anything is changed.

What Ansible cannot load where it is included ends the whole run, for all hosts; and so does a task that ends the host or the role.
Either would leave the canary held without a word. It is private to the collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.coalmine.canary.plugins.plugin_utils.reserved import reserved

if TYPE_CHECKING:
    from ansible.playbook.task import Task

OPTION = "verify_tasks"
ROLE = "coalmine.canary.canary"
ROLES = tuple(
    f"{where}{action}_role" for where in ("", "ansible.builtin.", "ansible.legacy.") for action in ("include", "import")
)
ENDS = ("end_batch", "end_host", "end_play", "end_role")


# The names of the role's variables are there once, for the release that is in the middle of it.
NESTED = (
    "it calls the role itself, which would forget the release that it is in the middle of. Release the other Deployment before or after "
    "this one, or with the module canary_release"
)


class Unusable(Exception):
    """A file that cannot verify a canary: what is wrong with it, and what to do."""


def with_whole_paths(arguments: dict[str, Any], playbook_dir: str) -> dict[str, Any]:
    """The same arguments, their own and of their steps, with the files found. Raises Unusable."""
    asked = _found(arguments, playbook_dir)
    steps = asked.get("steps")
    if isinstance(steps, list):
        asked["steps"] = [_found(step, playbook_dir) if isinstance(step, dict) else step for step in steps]
    return asked


def load_all(arguments: dict[str, Any], task: Task, loader: Any, variables: Mapping[str, Any]) -> list[str]:
    """Each file once. What a person has to know of them: the tasks that tags leave out. Raises Unusable."""
    steps = arguments.get("steps")
    places = (
        [arguments, *(step for step in steps if isinstance(step, dict))] if isinstance(steps, list) else [arguments]
    )
    paths = dict.fromkeys(place[OPTION] for place in places if _names_one(place))
    return [said for path in paths if (said := load(path, task, loader, variables))]


def _found(given: dict[str, Any], playbook_dir: str) -> dict[str, Any]:
    named = given.get(OPTION)
    if not isinstance(named, str | None):
        # The module would read a number, or false, as the name of a file.
        raise Unusable(
            f"{OPTION} is {'no text' if isinstance(named, list | dict) else named}: give the path of a file of tasks, or leave it out"
        )
    return {**given, OPTION: find(given[OPTION], playbook_dir)} if _names_one(given) else dict(given)


def _names_one(given: Mapping[str, Any]) -> bool:
    return isinstance(given.get(OPTION), str) and bool(given[OPTION])


def find(path: str, playbook_dir: str) -> str:
    """A relative path starts at the playbook, or else where ansible-playbook was called. Raises Unusable."""
    places = [playbook_dir, os.environ.get("PWD") or os.getcwd()]
    candidates = [os.path.join(place, os.path.expanduser(path)) for place in places]
    found = next(filter(os.path.isfile, candidates), None)
    if found is None:
        raise Unusable(f"There is no file {path} in {' or '.join(dict.fromkeys(places))}")
    return found


def load(path: str, task: Task, loader: Any, variables: Mapping[str, Any]) -> str:
    """As an include beside `task` would. Of the tasks that tags leave out, what is to be said; empty: none. Raises Unusable."""
    # Whoever imports the controller's side of ansible-core makes modules of this process warn as the controller does.
    from ansible.errors import AnsibleError
    from ansible.playbook.helpers import load_list_of_blocks

    try:
        data = loader.load_from_file(path, trusted_as_template=True)
        if not isinstance(data, list) or not data:
            raise Unusable(f"{path} cannot verify a canary: it holds no list of tasks, so nothing would be verified")
        if _calls_the_role(data):
            raise Unusable(f"{path} cannot verify a canary: {NESTED}")
        blocks = load_list_of_blocks(
            data,
            play=task.get_play(),
            parent_block=task._parent,
            role=task._role,
            loader=loader,
            variable_manager=task.get_variable_manager(),
        )
        tasks = [each for each in _tasks(blocks) if not _is(each, "meta")]
        left_out = [each for each in tasks if not _runs(each, variables)]
    except AnsibleError as error:
        raise Unusable(f"{path} cannot verify a canary: {error}") from None
    if names := reserved(name for each in _tasks(blocks) for name in _sets(each)):
        raise Unusable(
            f"{path} cannot verify a canary: it sets {', '.join(names)}, by which the role knows the release that it is in the middle "
            "of. Give it another name"
        )
    if any(_ends(each) for each in _tasks(blocks)):
        raise Unusable(
            f"{path} cannot verify a canary: a meta task in it ends the host, the role or the play, which would leave the canary held "
            "without a word. Let a task fail instead, or use a gate"
        )
    if len(variables.get("ansible_play_batch", ())) > 1 and (
        once := next((it for it in tasks if _runs_once(it, task)), None)
    ):
        raise Unusable(
            f'{path} cannot verify a canary: its task "{once.get_name()}" has run_once, and the play has several hosts, so that the canary '
            "of one of them would be verified alone. Leave run_once out"
        )
    if len(left_out) == len(tasks):
        why = "--tags or --skip-tags leave out each of its tasks" if left_out else "it holds no task that could fail"
        raise Unusable(f"{path} cannot verify a canary: {why}, so nothing would be verified")
    names = ", ".join(f'"{each.get_name()}"' for each in left_out)
    return f"--tags or --skip-tags leave out a part of the verification in {path}: {names}" if left_out else ""


def _runs(task: Task, variables: Mapping[str, Any]) -> bool:
    """By the tags that ansible-playbook was called with."""
    play = task.get_play()
    return bool(task.evaluate_tags(play.only_tags, play.skip_tags, all_vars=variables))


def _calls_the_role(data: Any) -> bool:
    if isinstance(data, list):
        return any(map(_calls_the_role, data))
    if not isinstance(data, dict):
        return False
    called = [data[action] for action in ROLES if action in data]
    return any(isinstance(each, dict) and each.get("name") == ROLE for each in called) or any(
        map(_calls_the_role, (data.get(part) for part in ("block", "rescue", "always")))
    )


def _tasks(blocks: list[Any]) -> Iterator[Task]:
    for each in blocks:
        if hasattr(each, "rescue"):  # a block
            yield from _tasks([*each.block, *each.rescue, *each.always])
        else:
            yield each


def _sets(task: Task) -> Iterator[str]:
    """Names of variables, as far as they are written down."""
    yield from filter(None, [task.register])
    yield from map(str, task.args if _is(task, "set_fact") else ())


def _ends(task: Task) -> bool:
    arguments: Mapping[str, Any] = task.args
    return _is(task, "meta") and str(arguments.get("_raw_params", "")).strip() in ENDS


def _runs_once(task: Task, includes: Task) -> bool:
    """It may, for it says so, or for what it includes, or a block of its file does. A template counts, whatever it comes to in the end. What
    stands round the task that `includes` it is for one host by then."""
    arguments: Mapping[str, Any] = task.args
    said = [arguments.get("apply")]
    node = task
    while node is not None and node is not includes._parent:
        said.append(node.get_ds())  # of a block without keywords a list
        node = node._parent
    return any(isinstance(keywords, Mapping) and not _is_plainly_false(keywords.get("run_once")) for keywords in said)


def _is_plainly_false(keyword: Any) -> bool:
    try:
        return keyword is None or not boolean(keyword)
    except TypeError:
        return False


def _is(task: Task, action: str) -> bool:
    return str(task.action).rpartition(".")[2] == action
