# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease of a Deployment, as one call has it: taken before its first write, renewed while it goes on, given back at its end.

A call that writes nothing takes none. How long it is still ours goes by our own monotonic clock, also of a machine that was suspended,
from the moment that it was asked for; whether another's is over, by the server's (client-go, tools/leaderelection).

This module is private to the collection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...cluster.api import Api, PatchKind
from ...cluster.clock import moment_of, stamp, to_the_microsecond
from ...cluster.errors import AdmissionDenied, ApiError, Conflict, Forbidden, Invalid, NotFound
from ...foreign import printable
from ...rollout import lease as leases
from ...rollout.fields import Fields, Malformed
from ...rollout.lease import Between, Claim, Lease, Owner, Standing
from ...rollout.refusal import Code, Refusal
from .guarded import guarded

# While a call goes on: for how long a Lease is asked for, and when it is renewed.
CALL_SECONDS, RENEW_SECONDS = 120, 60.0
# Of a run that nobody comes back as.
NO_LONGER = Between(0)
# How often it is tried to give one back.
LEAVES = 3
# So long after it was seen that the Lease is ours, that is believed where requests are split: no guard of a write to one object tells
# that another run has written to others. Whoever takes over from a run at work waits as long before it goes on, and so does the same run where
# it is begun again elsewhere.
SURE_SECONDS = 1.0
# After a renewal that did not go through.
AGAIN_SECONDS = 5.0


class Holding:
    """`run` is who takes it, and `by` whose that is, in words. `usual`: how it keeps the Lease between two calls, 0 seconds where it cannot
    come back under its name, unless an earlier call of it has said something else; `seconds`: for how long, as it is asked now.
    `takeover`: from whoever has it. `check`: only tells of whoever has it.

    `warnings`: what is to be told of it. Threads do not share one.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        deployment: str,
        run: str,
        *,
        by: str = "",
        seconds: int | None = None,
        usual: Between = NO_LONGER,
        takeover: bool = False,
        check: bool = False,
    ) -> None:
        self.run = run
        self.warnings: list[str] = []
        self._api, self._clock = api, api.clock
        self._deployment, self._namespace = deployment, namespace
        self._deployment_path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._by, self._seconds, self._usual = by, seconds, usual
        self._takeover, self._check = takeover, check
        self._lease: Lease | None = None
        self._asked_at = self._again_at = float("-inf")
        # From a run that may not know yet what became of the last that it sent.
        self.taken_over = False
        # Why there is none: a right is missing, or the server does not say what time it is.
        self._without = ""

    @property
    def _path(self) -> str:
        return f"{self._leases}/{leases.name_of(self._deployment)}"

    @property
    def is_held(self) -> bool:
        """By this call, as far as it knows."""
        return self._lease is not None

    def ensure(self, uid: str, *, surely: bool = False) -> None:
        """Before a write to the Deployment of this uid. A request, where the Lease is not ours yet or is to be renewed. `surely`: or
        where that is not of this moment.

        Raises Refusal where another run has it, and ApiError where the server does not answer.
        """
        if self._lease is not None and self._lease.owner != uid:
            # It was of another Deployment of that name, and is gone with that.
            self._lease, self._asked_at = None, float("-inf")
        believed = SURE_SECONDS if surely else RENEW_SECONDS
        if not self._without and self._clock.boottime() >= self._asked_at + believed:
            self._take(uid)

    def keep(self, uid: str) -> None:
        """While a call goes on, as long as it has the Lease. Raises Refusal where somebody took it.

        A server that does not answer is asked again soon, and in any case before the next write.
        """
        if self._lease is None or self._clock.boottime() < max(self._asked_at + RENEW_SECONDS, self._again_at):
            return
        try:
            self.ensure(uid)
        except ApiError:
            self._again_at = self._clock.boottime() + AGAIN_SECONDS

    def rejoin(self, uid: str = "") -> None:
        """At the start of a call that goes on with what an earlier one of the same run has begun: a Lease that is still that run's is
        renewed, and none is taken. Two requests. `uid`: of the Deployment, where it is known already."""
        try:
            found = self.found()
            if found is not None and self._standing(found, uid or found.owner) is Standing.MINE:
                self._lease = found
                self.keep(uid or found.owner)
                self._outwait(found, uid or found.owner)
        except Forbidden as error:
            self._lease = None
            self._warn(f"what this run holds of {self._where} is not renewed meanwhile: {error}")
        except (ApiError, Malformed, Refusal):
            self._lease = None  # what it writes asks again, and tells

    def prolong(self) -> None:
        """Between two calls, by the process that will make the next one: what an earlier one has left is kept for as long again. Two
        requests. Raises ApiError."""
        found = self._left()
        if found is None or not (between := self._between(found)).seconds:
            return
        with suppress(Conflict, Invalid, Malformed):
            self._leave(found, between)

    def give_up(self) -> None:
        """After the last call: what an earlier one has left for the next is nobody's. Two requests. Raises ApiError."""
        self._lease = self._left()
        self.let_go(comes_back=False)

    def _left(self) -> Lease | None:
        found = self.found()
        return found if found is not None and found.claim.run == self.run else None

    def foresee(self, uid: str) -> None:
        """Check mode: warns once where a write would be refused. A request."""
        if not self._check:
            return
        self._check = False
        try:
            found = self.found()
        except ApiError as error:
            self._warn(f"whether another run holds the Deployment cannot be seen: {error}")
            return
        if found is not None and self._standing(found, uid) is Standing.THEIRS:
            then = "would be taken over" if self._takeover else "nothing would be written"
            self._warn(f"{self._where} {self._held(found)}: {then}")

    def found(self) -> Lease | None:
        """As it is now. A request."""
        try:
            return Lease.parse(self._api.get(self._path))
        except NotFound:
            return None

    def holder(self, uid: str) -> dict[str, Any] | None:
        """Who has it, as the return value `holder`; None where nobody has, or no longer. A request."""
        found = self.found()
        if found is None or self._standing(found, uid) is not Standing.THEIRS:
            return None
        claim = found.claim
        return {"run": claim.run, "by": claim.by, "since": claim.since, "until": until(claim)}

    def would_take_over(self, uid: str) -> bool:
        """Whether another run has it, from which it is to be taken. A request, where one is to be."""
        return self._takeover and self.holder(uid) is not None

    def let_go(self, *, comes_back: bool) -> None:
        """At the end of a call. A run that `comes_back` says until when; otherwise nobody has it any more. A request.

        It ends by itself, so that nothing depends on it, and a server that does not answer is asked twice.
        """
        if self._lease is None:
            return
        lease, self._lease = self._lease, None
        between = self._between(lease) if comes_back else NO_LONGER
        self._asked_at = float("-inf")
        for _attempt in range(LEAVES):
            try:
                self._leave(lease, between)
            except (Conflict, Invalid):
                # Somebody may have labelled it.
                found = self._still(lease)
                if found is None:
                    return
                lease = found
            except (NotFound, Malformed):
                return
            except ApiError:
                continue
            else:
                return

    def _still(self, lease: Lease) -> Lease | None:
        """As it is now; None where its claim is another, or nobody can see."""
        try:
            found = self.found()
        except (ApiError, Malformed):
            return None
        return found if found is not None and found.claim == lease.claim else None

    def _leave(self, lease: Lease, between: Between) -> None:
        """Kept like that. What cannot be deleted is left to nobody."""
        if between.seconds:
            claim = replace(self._claim(between.seconds, between), process=between.process)
            self._write(lease, leases.kept(lease, claim))
            return
        try:
            self._api.delete(self._path, lease.uid, lease.version)
        except Forbidden:
            self._write(lease, replace(lease.claim, run="", process=""))

    # Taking and renewing.

    def _take(self, uid: str) -> None:
        owner, asked_at = Owner(self._deployment, uid), self._clock.boottime()
        before, now = self._lease, self._claim(CALL_SECONDS)

        def decide(found: Lease | None) -> Claim | None:
            claim = leases.kept(found, replace(now, between=self._between(found)))
            if found is not None and (found.owner, found.claim) == (uid, claim):
                return None  # an answer was lost
            if before is not None:
                self._still_ours(before, found)
            elif found is not None:
                self._may_be_taken(found, uid)
            return claim

        def send(found: Lease | None, claim: Claim) -> Lease | None:
            return self._write(found, claim, owner)

        busy = Refusal(Code.BUSY, f"the Lease of {self._where} kept changing", "Run this again")
        try:
            if before is None and self._api.server_time() is None:
                raise _Timeless
            sent = guarded(before, decide, send, self.found, busy)
        except (Forbidden, AdmissionDenied) as error:
            self._go_without(str(error))
        except _Timeless:
            self._go_without("the API server does not say what time it is (no Date in its answers)")
        else:
            if before is None and sent.before is not None:
                self._outwait(sent.before, uid)
            self._lease = sent.state
            self._asked_at = asked_at

    def _write(self, found: Lease | None, claim: Claim, owner: Owner | None = None) -> Lease:
        """Raises Conflict, or Invalid with `bare`, where it is no longer as it was found."""
        owner = owner or Owner(self._deployment, found.owner if found else "")
        if found is None:
            return Lease.parse(self._api.create(self._leases, leases.manifest(owner, claim)))
        try:
            return Lease.parse(self._api.patch(self._path, leases.patch(found, owner, claim), PatchKind.JSON))
        except NotFound as gone:
            # Whoever took it over has given it back since, which is one more way to be no longer as it was.
            raise Conflict(gone.asked, gone.message) from gone

    def _claim(self, seconds: int, between: Between | None = None) -> Claim:
        now, process = to_the_microsecond(self._api.server_time() or 0.0), self._api.processes.this_process()
        return Claim(self.run, self._by, process, renewed=now, seconds=seconds, between=between)

    def _between(self, found: Lease | None) -> Between:
        return leases.between(found, self.run, self._seconds, self._usual)

    def _standing(self, found: Lease, uid: str) -> Standing:
        now, renewed = self._api.server_time(), moment_of(found.claim.renewed)
        age = None if now is None or renewed is None else now - renewed
        ended = bool(found.claim.process) and self._api.processes.has_ended(found.claim.process)
        return leases.standing(found, uid, self.run, age, ended=ended)

    def _may_be_taken(self, found: Lease, uid: str) -> None:
        if found.claim.run and found.owner not in ("", uid):
            self._check_is_there(uid)
        if self._takeover or self._standing(found, uid) is not Standing.THEIRS:
            return
        raise Refusal(
            Code.LOCKED,
            f"{self._where} {self._held(found)}",
            "Leave it to that run, or wait for it. takeover takes the Deployment from it, which is refused whatever it tries after that",
        )

    def _check_is_there(self, uid: str) -> None:
        """Of a Lease of another Deployment of this name either that or ours is gone. A request."""
        try:
            found = Fields(self._api.get(self._deployment_path), "Deployment").within("metadata").text("uid")
        except NotFound:
            found = ""
        if found != uid:
            raise Refusal(
                Code.BUSY,
                f"{self._where} was deleted{' and made again' if found else ''} while this was decided",
                "Look at it with canary_info, and run this again if it is still what you want",
            )

    def _still_ours(self, before: Lease, found: Lease | None) -> None:
        if found is not None and found.claim == before.claim:
            return
        who = "another run, which has ended since"
        if found is not None and found.claim.run:
            who = "another process of the same run" if found.claim.run == self.run else str(found.claim)
        raise Refusal(
            Code.LOCKED,
            f"{self._where} was taken over by {printable(who)}",
            "Look with canary_info at what became of the release, and ask whoever took it",
        )

    def _outwait(self, found: Lease, uid: str) -> None:
        """What another run, or this one in another process, has still believed that it may write is there once this is over."""
        standing = self._standing(found, uid)
        if self._takeover and standing is Standing.THEIRS:
            self.taken_over = True
            self._warn(f"{self._where} {self._held(found)}: taken over, so that what it writes from now on is refused")
            self._clock.sleep(SURE_SECONDS)
        elif standing is Standing.MINE and self._may_work(found.claim):
            self._clock.sleep(SURE_SECONDS)

    def _may_work(self, claim: Claim) -> bool:
        """Another process that took it and has not given it back. Of one without a name nobody knows whether it is another."""
        processes = self._api.processes
        is_another = not claim.process or claim.process != processes.this_process()
        return is_another and not _is_between(claim) and not processes.has_ended(claim.process)

    def _go_without(self, why: str) -> None:
        self._lease, self._without = None, why
        self._warn(f"no Lease keeps other runs from {self._where} meanwhile, only what each write is guarded by: {why}")

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    # In words.

    @property
    def _where(self) -> str:
        return f'Deployment "{self._deployment}" in namespace "{self._namespace}"'

    def _held(self, found: Lease) -> str:
        return f"is held by another run: {in_words(found.claim)}"


class _Timeless(Exception):
    """No time to go by."""


def until(claim: Claim) -> str:
    """RFC 3339, UTC, whole seconds; empty where the claim does not say until when it holds, or names no moment that there is."""
    renewed = moment_of(claim.renewed)
    try:
        return "" if renewed is None or claim.seconds is None else stamp(renewed + claim.seconds)
    except (ValueError, OverflowError):
        return ""


def _is_between(claim: Claim) -> bool:
    """Two calls: it is kept, and nobody works on it."""
    return claim.between == Between(claim.seconds or 0, claim.process)


def in_words(claim: Claim) -> str:
    end = until(claim)
    back = f"will be back by {end}" if end else "does not say when it will be back"
    is_away = not claim.process or _is_between(claim)
    doing = back if is_away or not end else f"works on it, and renews that before {end}"
    return printable(f"{claim}, which {doing}")
