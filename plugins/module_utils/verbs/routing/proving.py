# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a write of a route is in force: asked of the gateway itself, because its status says so before it is.

Every write carries a rule that only a probe meets, which the proxy answers by itself with the number of that write. This module
is private to the collection.
"""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from ...cluster.entry import Entry, Knock, Knocked
from ...cluster.errors import ApiError, Forbidden, NotFound
from ...foreign import printable
from ...rollout.fields import Malformed
from ...rollout.record import Traffic
from ...rollout.refusal import Code, Refusal
from ...traffic.cookies import canary_cookie
from ...traffic.exposure import Kept
from ...traffic.kinds import Proof
from ...traffic.listeners import ways
from ...traffic.probe import MARK_DOMAIN, PROBE_HEADER, PROBE_PATH, probe_of
from ...traffic.route import Parent, Route, observed, settles, stated, unaccepted
from ...values import dataclass
from ..call.ending import Account
from .lagging import OF_A_PROXY, OF_THE_SERVER, until
from .network import Network

# Of k replicas behind one address, one that has not heard of a write yet is missed by so many answers with (1 - 1/k)^20: 1 in a
# million for two, 0.3 % for four. The same for endpoints, of which each replica hears by itself.
IN_A_ROW = 20
# How often a gateway is asked before it counts as one that cannot be: a connection may be lost.
_AT_FIRST = 3
# What a proxy says by itself of a backend that it cannot reach.
_UNREACHED = frozenset({0, 500, 502, 503, 504})


class NotProgrammed(Exception):
    """A write did not come into force in time; the text says what the gateway answered instead."""

    code, remedy = Code.NOT_PROGRAMMED, ""


class NotSwitched(NotProgrammed):
    """There is no gateway."""

    remedy = "Look at the EndpointSlices of both, then run this again"


class Barred(NotProgrammed):
    """No mark of this release is shown: nobody can ask whether a write is in force. Something else answers, a login, a page of an outage or
    another gateway."""

    remedy = (
        "Look at the gateway and its routes. Where something else answers in their place, such as a login or a page of an outage, take the release back with "
        "canary_undo, and give traffic.probe of the next one an url that comes to them, or set traffic.proof to none"
    )


class NotAccepted(NotProgrammed):
    """No controller says that it has seen the write."""

    remedy = (
        "Look at the gateway and its controller, then run this again. Where none serves this route any more, put it back by hand (docs/traffic.md, "
        "By hand) or delete it first: then nothing waits for a controller"
    )


class NotServed(NotProgrammed):
    """It is not for the gateway to mend: the owner's Service has not the pods that users get."""

    code, remedy = (
        Code.SERVICE,
        "Apply the manifest of that Service again, so that it selects them, then run this again",
    )


@dataclass(frozen=True)
class Written:
    """A route as it was written, and what it keeps: None where nothing of ours is left on it."""

    route: Route
    kept: Kept | None


class Prover:
    """`how` is "proven" or "stated": by the routes' status and some seconds more. What has proxies beside the gateway that nobody can ask is
    stated, too, once the gateway has answered. `why`: it is not asked."""

    def __init__(self, account: Account, network: Network, traffic: Traffic) -> None:
        self._account, self._network, self._traffic = account, network, traffic
        self._api = account.site.api
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self.how = "proven" if self.marks else "stated"
        self.why = "" if self.marks else "traffic.proof is none"
        self._asks = self.marks

    @property
    def marks(self) -> bool:
        """Whether a write carries a rule for probes."""
        return self._traffic.proof != "none" and self._network.router.proof is Proof.ASKED

    def prepare(self, routes: Sequence[Route], *, insists: bool = True, goes_on: bool = False) -> None:
        """Finds where users come in, and whether that can be asked from here. Raises Refusal with `proof: require`, unless what
        comes next must not fail for that (`insists`); and ApiError of a server in trouble, unless it must not wait for that (`goes_on`)."""
        new = [route for route in routes if route.name not in self._entries]
        if not self.marks or not new:
            return
        try:
            found = {route.name: tuple(self._of(route)) for route in new}
            why = self._unreachable(found)
        except (ApiError, NotProgrammed, Malformed) as error:
            # A server in trouble says nothing about the gateway.
            if not goes_on and not isinstance(error, (NotFound, Forbidden, NotProgrammed, Malformed)):
                raise
            found, why = {route.name: () for route in new}, str(error)
        self._entries.update(found)
        if why:
            self._asks, self.why = False, why
        remedy = "Give traffic.probe an url that reaches it from where Ansible runs, or set traffic.proof to prefer"
        if not why:
            why = self._unseen(new)
            self.why = self.why or why
            remedy = "Set traffic.proof to prefer, with which that is stated"
        if not why or self.how == "stated":
            return
        if insists and self._traffic.proof == "require":
            raise Refusal(
                Code.NOT_PROGRAMMED,
                f"it cannot be proven that the gateway does what its routes say: {why}",
                remedy,
            )
        self.states(why)

    def asks_no_more(self, error: Barred) -> None:
        """On the way back, which waits for no proof that cannot be."""
        self._asks = False
        self.states(str(error))

    def states(self, why: str) -> None:
        """From now on, because nobody can ask whether a write is in force."""
        self.how = "stated"
        self._account.warn(
            f"that the gateway does what its routes say is stated by their status, and not proven: {why}"
        )

    def _unseen(self, routes: Sequence[Route]) -> str:
        for route in routes:
            whose = self._network.router.unseen(route)
            if whose:
                return f'{route.kind} "{route.name}" is for {whose}, too, and nobody can ask those'
        return ""

    def _unreachable(self, found: Mapping[str, Sequence[Entry]]) -> str:
        for entry in sorted({entry for entries in found.values() for entry in entries}, key=str):
            answers = [Knocked(0)]
            while not answers[-1].status and len(answers) <= _AT_FIRST:
                answers.append(self._api.knock(Knock(entry, "/")))
            if not answers[-1].status:
                return f"{entry} cannot be asked ({answers[-1].location})"
        return ""

    def _of(self, route: Route) -> Iterator[Entry]:
        if self._traffic.url:
            yield _of_url(self._traffic)
            return
        if not route.parents:
            raise NotProgrammed(
                f'{route.kind} "{route.name}" tells no Gateway of Gateway API, and traffic.probe no url'
            )
        for parent in route.parents:
            yield from self._of_gateway(route, parent)

    def _of_gateway(self, route: Route, parent: Parent) -> Iterator[Entry]:
        gateway = self._network.gateway(parent.name, parent.namespace)
        addresses, found = gateway.within("status").each("addresses"), ways(gateway, route, parent)
        if not addresses or not found:
            what = "no address" if not addresses else "no HTTP listener for the route"
            raise NotProgrammed(f'Gateway "{parent.name}" in namespace "{parent.namespace}" has {what}')
        address = addresses[0].text("value")
        for way in found:
            host = (way.host or address).replace("*.", "canary-probe.")
            yield Entry(address, way.port, host, way.tls, self._traffic.verify)

    def await_in_force(self, written: Sequence[Written]) -> None:
        """Raises NotProgrammed when the time for it is over."""
        # What was written is what counts, also where it was listed under another name.
        self.prepare([one.route for one in written], insists=False, goes_on=True)
        deadline = self._api.clock.monotonic() + self._traffic.seconds
        for one in written if self._asks else ():
            for entry in self._entries[one.route.name]:
                for number, (knock, means_yes) in enumerate(_questions(one, entry, self._network.router.reached)):
                    self._asked_until(one.route, knock, means_yes, deadline, marked=number > 0)
        if self.how == "stated":
            self._settle(written, deadline)

    def _asked_until(
        self, route: Route, knock: Knock, means_yes: Callable[[Knocked], bool], deadline: float, *, marked: bool
    ) -> None:
        """Those that say yes are asked for at once: waiting between them would prove nothing more. `marked`: it has shown a mark by now."""
        answer = Knocked(0)

        def in_a_row() -> bool:
            nonlocal answer, marked
            for _number in range(IN_A_ROW):
                answer = self._api.knock(knock)
                marked = marked or MARK_DOMAIN in answer.location
                if not means_yes(answer):
                    return False
            return True

        if not until(self._api.clock, deadline, in_a_row, OF_A_PROXY):
            # Users come to Services of ours once a mark was seen, and every write that sends them there has one: a gateway that is late shows it.
            raise (NotProgrammed if marked else Barred)(self._told(route, knock.entry, answer))

    def _told(self, route: Route, entry: Entry, answer: Knocked) -> str:
        said = f"{entry} answers {answer.status}" if answer.status else f"{entry} does not answer ({answer.location})"
        try:
            why = stated(self._network.route(route.name))
        except ApiError as error:
            why = error.why
        return printable(
            f'{route.kind} "{route.name}" is not in force after {self._traffic.seconds} s: {said}'
            + (f"; {why}" if why else "")
        )

    def _settle(self, written: Sequence[Written], deadline: float) -> None:
        clock = self._api.clock
        for one in written if self._traffic.proof != "none" and self._network.router.has_status else ():
            route = one.route

            def accepted(name: str = one.route.name) -> bool:
                nonlocal route
                route = self._network.route(name)
                return observed(route)

            if not until(clock, deadline, accepted, OF_THE_SERVER):
                why = stated(route)
                raise (NotProgrammed if why else NotAccepted)(
                    f'{route.kind} "{route.name}" is not in force after {self._traffic.seconds} s: '
                    + printable(why or unaccepted(route))
                )
        usual = self._network.router.settles
        if written:
            clock.sleep(max(settles(one.route, usual) for one in written))

    def await_known(self) -> None:
        """A proxy that nobody asks has had time to hear of endpoints before it hears of a route to them. Any other one is shown them by a rule
        without users first."""
        if not self.marks:
            self._api.clock.sleep(self._network.router.settles)


def _questions(
    written: Written, entry: Entry, reached: Callable[[Kept, Route], list[tuple[str, int]]]
) -> Iterator[tuple[Knock, Callable[[Knocked], bool]]]:
    """The mark first: once it is seen, the rules of the same write are there too."""
    kept = written.kept
    if kept is None or kept.wanted.mark is None:
        return
    path, mark = PROBE_PATH + kept.token, f"//g{kept.wanted.mark}.{MARK_DOMAIN}"
    yield Knock(entry, path, {PROBE_HEADER: kept.token}), lambda answer: mark in answer.location
    shows, cookie = kept.shows_cookies, canary_cookie(kept.token)
    if shows:
        seen = f"//c{kept.wanted.mark}.{MARK_DOMAIN}"
        headers = {PROBE_HEADER: f"{kept.token}-cookie", "Cookie": f"a=1; {cookie}=1; b=2"}
        yield Knock(entry, path, headers), lambda answer: seen in answer.location
    for service, port in reached(kept, written.route):
        asked = Knock(entry, path, {PROBE_HEADER: probe_of(kept, service, port)})
        yield asked, lambda answer: answer.status not in _UNREACHED and (not shows or cookie in answer.cookies)


def _of_url(traffic: Traffic) -> Entry:
    parts = urlsplit(traffic.url)
    tls = parts.scheme == "https"
    host = parts.hostname or ""
    return Entry(traffic.address or host, parts.port or (443 if tls else 80), host, tls, traffic.verify, named=True)


def unproven(error: NotProgrammed, left: str, remedy: str) -> Refusal:
    """`left`: what there is now. `remedy`: where the error has none of its own."""
    return Refusal(error.code, str(error), f"{left}. {error.remedy or remedy}")
