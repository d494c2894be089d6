# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a verb ends: with an outcome, or with a failure that a person can act on.

This module is private to the collection.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import field
from shlex import quote
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from ...cluster.errors import AN_EARLIER_ONE, ApiError
from ...foreign import printable
from ...rollout.fields import Malformed
from ...rollout.phase import Phase, Situation, diagnose
from ...rollout.refusal import Refusal
from ...values import dataclass
from ...wording import ended
from .orders import new_run
from .outcome import API_ERROR, STUCK, TIMEOUT, Kind, News, Outcome, Report, VerbFailure
from .sharing import described
from .site import Site

if TYPE_CHECKING:
    from ...rollout.patches import Plan
    from ...rollout.progress import Stuck
    from .waiting import Waited

# Of the container that explains a failure; a longer line is cut.
LOG_LINES, LOG_BYTES, LOG_LINE = 8, 8192, 300


@dataclass
class Account:
    """What one call has done so far. It belongs to the call alone, and every ending is told from it.

    `run` names who it acts for: a run that the caller named, or one of its own. `extra`: further return values. `check`: what it has
    "changed" was only rehearsed, so that no failure may say that it was. `earlier`: how many warnings the server had given before, which
    other calls have told. `pinned`: it has pinned an autoscaler, which is a change as long as that is not given back.
    """

    site: Site
    situation: Situation | None = None
    changed: bool = False
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    run: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    check: bool = False
    earlier: int = 0
    pinned: bool = False

    @property
    def seen(self) -> Situation:
        """As it was looked at last, for what is done only after a look."""
        if self.situation is None:
            raise AssertionError("a release is looked at before anything is done about it")
        return self.situation

    @property
    def has_written(self) -> bool:
        return (self.changed or self.pinned) and not self.check

    def wrote(self, plan: Plan | None) -> None:
        """A plan was written (or, in check mode, would be)."""
        if plan is None:
            return
        self.changed = True
        self.warn(*plan.warnings)
        for key, value in plan.before.items():
            self.before.setdefault(key, value)
        self.after.update(plan.after)

    def passes_over(self, error: Exception) -> None:
        """It does not end the call. A write that nobody knows the outcome of is a change."""
        self.changed = self.changed or (isinstance(error, (ApiError, Refusal)) and error.may_have_written)

    def warn(self, *texts: str) -> None:
        self.warnings.extend(text for text in texts if text not in self.warnings)

    def outcome(self, message: str, situation: Situation | None = None) -> Outcome:
        self.situation = situation or self.situation
        unchanged = [key for key in self.after if self.before.get(key) == self.after[key]]
        return Outcome(
            changed=self.changed or self.pinned,
            message=message,
            canary=self._canary(),
            before={key: value for key, value in self.before.items() if key not in unchanged},
            after={key: value for key, value in self.after.items() if key not in unchanged},
            warnings=self._all_warnings(),
            extra=dict(self.extra),
            uid=self.situation.deployment.uid if self.situation else "",
        )

    def failure(
        self, found: str, code: str, *, advice: str = "", cause: str = "", extra: Mapping[str, Any] | None = None
    ) -> VerbFailure:
        return VerbFailure(
            found,
            advice=advice,
            cause=cause,
            code=code,
            changed=self.has_written,
            canary=self._canary() if self.situation else None,
            before=self.before,
            after=self.after,
            warnings=self._all_warnings(),
            extra={**self.extra, **(extra or {})},
        )

    def _canary(self) -> Mapping[str, Any]:
        return described(self.situation) if self.situation else {}

    def _all_warnings(self) -> tuple[str, ...]:
        of_lease = self.site.holding.warnings if self.site.holding else ()
        return tuple(dict.fromkeys((*self.warnings, *of_lease, *self.site.api.warnings[self.earlier :])))

    def unsuccessful(self, waited: Waited, remedy: str) -> VerbFailure:
        """The wait ended Stuck or out of time: with the pods' own reasons, the last log lines, and what to do."""
        # Of use to nobody who waits for nothing.
        from ...rollout.progress import Stuck
        from .explaining import explained

        self.situation = waited.situation
        why = waited.progress.why.rstrip(".")
        where = f'Deployment "{self.site.target.name}" in namespace "{self.site.target.namespace}"'
        if waited.timed_out:
            over = f"{where}: timed out: {why}"
            found = f"{over}. {explained(self.site, waited.situation)}".rstrip()
            return self.failure(found, TIMEOUT, advice=remedy, cause=over)
        log = ""
        if isinstance(waited.progress, Stuck) and waited.progress.container:
            log = _last_lines(self.site, waited.progress)
        return self.failure(f"{where}: {why}. {log}".rstrip(), STUCK, advice=remedy, cause=f"{where}: {why}")

    def tell_way_back(self, report: Report) -> None:
        """Before a wait: how to take the release back, should this process not live to do it; this one, and none that comes after it."""
        target, record = self.site.target, self.situation.record if self.situation else None
        if record is None:
            return
        of_run = {"run": record.run} if record.run else {}
        # Whoever takes it back does so in the place of this run.
        what = {"name": target.name, "namespace": target.namespace, **of_run, "takeover": True}
        words = quote(json.dumps({**what, **dict(target.cluster)}))
        same = f" with the same {' and '.join(target.secret)}" if target.secret else ""
        hint = f"if this is interrupted, run it again to go on, or take the release back{same}: "
        report(News(f"{hint}ansible localhost -m coalmine.canary.canary_undo -a {words}", Kind.HINT))

    @property
    def goes_on(self) -> bool:
        """A release is live, and no person has to decide about it."""
        return self.situation is not None and self.situation.phase not in (Phase.NONE, Phase.FROZEN)

    def looked(self, situation: Situation) -> Situation:
        self.situation = situation
        return situation


@contextmanager
def accounted(site: Site, run: str = "", *, check: bool = False) -> Iterator[Account]:
    """Turns refusals and, once something was written, errors of the server into failures that say what was done.

    At the end a Lease is given back, or kept for a run that has a name and a release that goes on. `run`: the caller's name for it.
    """
    account = Account(site, run=run or new_run(), check=check, earlier=len(site.api.warnings))
    site.holds_for(account.run, returns=bool(run))
    try:
        yield account
    except Refusal as refusal:
        from .writing import Replaced  # most calls are not refused, and many write nothing

        advice = ended(refusal.remedy) if refusal.remedy else ""
        if isinstance(refusal, Replaced):
            account.looked(diagnose(refusal.picture))
            for plan in refusal.plans:
                account.wrote(plan)
        if refusal.may_have_written:
            account.changed = True
            advice = f"{advice} {AN_EARLIER_ONE}".lstrip()
        raise account.failure(refusal.found, refusal.code.value, advice=advice, cause=refusal.what) from refusal
    except Malformed as error:
        what = f'the API server\'s answer about Deployment "{site.target.name}" makes no sense: {error}'
        advice = "Look at that object with kubectl get -o yaml, and at the server"
        raise account.failure(f"{what}.", API_ERROR, advice=advice) from error
    except ApiError as error:
        if not account.has_written:
            raise
        advice = (
            f"{error.advice} The release was already changed by this call; run it again to go on from there.".lstrip()
        )
        raise account.failure(error.found, API_ERROR, advice=advice, cause=error.found) from error
    finally:
        site.let_go(comes_back=account.goes_on)


def _last_lines(site: Site, stuck: Stuck) -> str:
    """The last log lines of the container that explains it: of its latest run, else of the one before."""
    refused = ""
    for previous in (False, True):
        try:
            text = site.log(stuck.pod, stuck.container, previous=previous, lines=LOG_LINES, max_bytes=LOG_BYTES).strip()
        except ApiError as error:
            refused = error.why
            continue
        if text:
            return f"Its last log lines: {' | '.join(printable(line, LOG_LINE) for line in text.splitlines())}. "
    return f"Its log cannot be read ({refused}). " if refused else "It wrote no log. "
