# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import traceback
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.vars import transform_to_native_types

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.arguments import CONNECTION
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import (
    OF_AN_UNDO,
    VERB,
    as_begun,
    cut_off,
    new_run,
)
from ansible_collections.coalmine.canary.plugins.plugin_utils import failures, remembered, role_door, verification
from ansible_collections.coalmine.canary.plugins.plugin_utils.action_door import VerbAction, host_in, tell
from ansible_collections.coalmine.canary.plugins.plugin_utils.timeouts import is_timeout, timed_out

TAKEN = "A task that ran in between has set _canary_told, by which the role knows the release that it is in the middle of. Give it another name"
# What is worth keeping of the result of a call that broke off.
OF_A_CRASH = ("exception", "module_stderr", "module_stdout", "rc")


class ActionModule(VerbAction):
    """canary_release, with what only the side of the playbook knows: its files of tasks, and what failed in it."""

    verb = VERB

    def _done(self, variables: dict[str, Any]) -> dict[str, Any]:
        """A later call that fails before its verb begins hands on what the earlier one began, so that this can be taken back."""
        if self._goes_on_in_the_role(variables) and not {"previous", "rescued"} & self._task.args.keys():
            remembered.forget(host_in(variables))
        try:
            return super()._done(variables)
        except AnsibleConnectionFailure:
            raise  # the host leaves the play
        except BaseException as error:
            asked = self._of_its_release(self._task.args, variables)
            if not asked.get("previous") or not (isinstance(error, Exception) or is_timeout(error)):
                raise
            # It is written to the cluster, so it quotes nobody.
            why = f"An argument of this call could not be read here: {type(error).__name__}"
            refused = VERB.refused(why, asked)
            told = {"failed": True, "changed": False, "failure": "invalid", "msg": str(error) or why, "cause": why}
            return self._returned({**told, **refused}, asked, variables, failures.mark(variables))

    def _refuses_unread(self, variables: dict[str, Any]) -> None:
        """That is a reason to reject, as others are: a release that is refused hands on its result."""

    def _given(self, variables: dict[str, Any]) -> dict[str, Any]:
        if not role_door.is_of_the_role(self._task, variables) or "name" in self._task.args:
            return super()._given(variables)
        if "rescued" in self._task.args:
            # As the release began: whatever made a variable wrong since then, it is to be taken back.
            host = host_in(variables)
            if "previous" in self._task.args or remembered.is_in_the_middle(host):
                variables = {**variables, **role_door.as_variables(remembered.way_back(host))}
            return {**super()._given(variables), **self._asked_by_variables(variables, OF_AN_UNDO)}
        written = role_door.options(variables, role_door.of_variables())
        once = remembered.amounts(host_in(variables), written) if "previous" in self._task.args else {}
        anew = {name: value for name, value in written.items() if name not in once}
        given, named = super()._given(variables), role_door.given_by({**self._templar.template(anew), **once})
        return {"through": role_door.first_stage(variables, named.get("steps")), **given, **named}

    def _asked_by_variables(self, variables: dict[str, Any], options: tuple[str, ...]) -> dict[str, Any]:
        return role_door.given_by(self._templar.template(role_door.options(variables, options)))

    def _performed(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        mark = failures.mark(variables)
        result = self._ended(self._asked(arguments, variables), variables)
        return self._returned(result, arguments, variables, mark)

    def _returned(
        self, result: dict[str, Any], arguments: dict[str, Any], variables: dict[str, Any], mark: str
    ) -> dict[str, Any]:
        """With what the side of the playbook makes of it."""
        if "release" in result:
            result = {**result, "release": {**result["release"], "noticed": mark}}
        if not self._goes_on_in_the_role(variables):
            return result
        if "release" in result:
            written = role_door.options(variables, role_door.of_variables())
            given = transform_to_native_types(role_door.asked_once(arguments), redact=False)
            way_back = _way_back(arguments, result["release"]["began"])
            remembered.remember(host_in(variables), result["release"], way_back, remembered.as_written(written, given))
        for line in () if self._task.no_log else role_door.told(result, arguments):
            tell(host_in(variables), line)
        return role_door.handed_on(result, arguments)

    def _ended(self, asked: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What the call returns; where it returned nothing, what became of what it had begun, which is known by its run."""
        result, why = self._tried(asked, variables)
        if not why:
            return result
        kept = {name: result[name] for name in OF_A_CRASH if name in result}
        taken_back, still = self._tried(_taken_back(asked, why, self._task.check_mode), variables)
        if not still:
            return {**kept, **taken_back}
        why = f"{why}. Nor could it be taken back: {still[0].lower()}{still[1:]}"
        seen = VERB.refused(why, {**asked, "previous": cut_off(asked, self._task.check_mode)})
        return {
            **kept,
            "failed": True,
            "changed": True,
            "failure": "fault",
            "msg": " ".join(seen["release"]["why"]),
            **seen,
        }

    def _tried(self, asked: dict[str, Any], variables: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The result, and why it is none; empty: it is one. The reason is written to the cluster, so it quotes nobody."""
        try:
            result = super()._performed(asked, variables)
        except AnsibleError:
            raise
        except BaseException as error:
            if is_timeout(error):
                return {}, timed_out(self._task.timeout)
            if not isinstance(error, Exception):
                raise
            return {"exception": "".join(traceback.format_exception(error))}, _fault(error)
        without_a_word = result.get("failed") and "release" not in result
        return (
            result,
            f"The module ended without a result, with status {result.get('rc', '?')}" if without_a_word else "",
        )

    def _asked(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What the verb is asked: with whole paths, with a reason to reject, and with a name for a run that begins."""
        arguments = self._of_its_release(arguments, variables)
        given = arguments.get("previous")
        previous = given if isinstance(given, dict) else {}
        if boolean(arguments.get("rescued"), strict=False) and not str(arguments.get("reject") or "").strip():
            return {**as_begun(arguments), "reject": failures.rejection(variables, previous)}
        if arguments.get("reject") == TAKEN:
            return arguments
        try:
            asked = verification.with_whole_paths(arguments, str(variables["playbook_dir"]))
            if not previous:
                for said in verification.load_all(asked, self._task, self._loader, variables):
                    self._display.warning(said)
        except verification.Unusable as unusable:
            return {**arguments, "reject": str(unusable)}
        begins = not previous and not asked.get("reject")
        if begins and role_door.is_of_the_role(self._task, variables):
            asked["reject"] = role_door.objection(self._task, variables, self._templar.template)
        return {"run": new_run(), **asked} if begins and not asked.get("held") else asked

    def _goes_on_in_the_role(self, variables: dict[str, Any]) -> bool:
        """The task is one of those by which the role goes through a release."""
        return role_door.is_of_the_role(self._task, variables) and self._task.args.get("through") != "room"

    def _of_its_release(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """In the role: about the release that its last call has returned, whatever a variable says of it by now."""
        is_rescued = boolean(arguments.get("rescued"), strict=False)
        if not self._goes_on_in_the_role(variables) or not ("previous" in arguments or is_rescued):
            return arguments
        known = remembered.remembered(host_in(variables))
        if known is None or remembered.is_same(known, arguments.get("previous")):
            return arguments
        if "previous" not in arguments and not remembered.is_in_the_middle(host_in(variables)):
            return arguments  # of a release before this one
        given = {name: value for name, value in arguments.items() if name != "through"}
        asked = as_begun({**given, "previous": known})
        return asked if is_rescued else {**asked, "reject": TAKEN}


def _way_back(arguments: dict[str, Any], began: dict[str, Any]) -> dict[str, Any]:
    """What an undo of this release is called with: a cluster that was not named is not named later either; one that is a secret is none
    of `began`, and not kept."""
    cluster = {name: began.get(name) if name in arguments else "" for name in role_door.CLUSTER}
    return {**{name: arguments[name] for name in OF_AN_UNDO if name in arguments}, **cluster}


def _taken_back(asked: dict[str, Any], why: str, check: bool) -> dict[str, Any]:
    """The call that follows on one that was cut off: nobody could be told how far that had come."""
    kept = {name: asked[name] for name in (*OF_AN_UNDO, *CONNECTION) if name in asked}
    return {**kept, "previous": cut_off(asked, check), "reject": why}


def _fault(error: Exception) -> str:
    """Of this collection's own: its kind and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}, line {where.lineno}"
    return f"canary_release broke off by a fault of its own, {type(error).__name__} in {place}: please report it"
