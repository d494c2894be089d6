# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of a route are to get, and what is kept on the route while it is not its owner's own.

This module is private to the collection.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from fractions import Fraction
from typing import Any, Mapping

from ..values import dataclass
from .kinds import KEPT, Header

# Of what is kept: the lowest version of a reader that knows all that was written. The second has copies.
_FIRST, _COPYING = 1, 2
# As a share is written there. "1e10000000" is a Fraction, too, and takes hours.
_PART = re.compile(r"[0-9]{1,99}(?:/[0-9]{1,99})?")
Json = dict[str, Any]


class Unroutable(ValueError):
    """This route cannot become what is wanted; the text says why, and `remedy` what to do where that is not the usual."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


class Unreadable(Unroutable):
    """What is kept on a route is not what was written there: nobody but its owner knows what stood there before."""


def unreadable(error: Exception) -> Unreadable:
    return Unreadable(
        f"its annotation {KEPT} is none that this release of coalmine.canary wrote ({type(error).__name__})",
        "Put back by hand what its owner wrote, and take the annotation away (docs/traffic.md, By hand); then run this again",
    )


class Stage(Enum):
    """own: the backends that its owner wrote. isolated: everybody is on the stable version. split: by weight and header.
    contested: our annotation is there, and the backends are not those that were written with it.
    lost: a Service of ours is named, and the annotation is gone."""

    OWN = "own"
    ISOLATED = "isolated"
    SPLIT = "split"
    CONTESTED = "contested"
    LOST = "lost"


@dataclass(frozen=True)
class Sticky:
    """Users keep the version that they have seen, by a cookie that names it. `step`: how often the share has changed since; who was
    stable at an earlier one is drawn anew, and gets the canary with the probability `drawn`. `most`: the largest share of earlier steps,
    which is what those who were there then have all together, also where it became smaller since."""

    step: int
    drawn: Fraction
    most: Fraction = Fraction(0)

    @classmethod
    def after(cls, present: Exposure, weight: Fraction) -> Sticky:
        """Nobody goes back: of those who are stable so many come over that all users together have the new share.

        20 % -> 50 %: 3 of 8 of the stable ones. A smaller share holds for those who come anew: 20 % -> 10 % -> 50 % draws 3 of 8, too.
        """
        if present.sticky is None:
            return cls(0, weight)
        if weight == present.weight:
            return present.sticky
        most = max(present.sticky.most, present.weight)
        drawn = (weight - most) / (1 - most) if most < weight else Fraction(0)
        return cls(present.sticky.step + 1, drawn, most)


@dataclass(frozen=True)
class Exposure:
    """`weight`: the canary's share of requests, 0 to 1. `mirror`: of what part of them it gets a copy, whose answer no user gets. Only beside
    no weight: otherwise one request would come to the canary twice."""

    weight: Fraction = Fraction(0)
    header: Header | None = None
    sticky: Sticky | None = None
    mirror: Fraction = Fraction(0)

    @property
    def nobody(self) -> bool:
        """The canary gets nothing, not even a copy."""
        return not self.weight and self.header is None and not self.mirror

    @property
    def load(self) -> Fraction:
        """What its pods bear: a copy is as much work as the request."""
        return self.weight + self.mirror

    def encode(self) -> str:
        """One line of JSON with sorted keys."""
        return json.dumps(_to_json(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Exposure:
        """Raises ValueError: it is never guessed at."""
        try:
            return _exposure(json.loads(text))
        except (TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"no exposure: {type(error).__name__}") from error


NOBODY = Exposure()


@dataclass(frozen=True)
class Versions:
    """Names of Services: `own` is the user's, the others select one version each; `canary` is empty before it has pods."""

    own: str
    stable: str
    canary: str = ""


@dataclass(frozen=True)
class Wanted:
    """`stage` is own, isolated or split. `warm`: Services that a rule without users is to reach. `mark`: the number of this
    write, which the proxy tells once it has it; None leaves no rule of that kind. A header goes with own, too: the owner's backends, and
    the canary for those who ask for it. `cookies`: those rules show whether users would be kept by one, before any user is, and `copies`
    whether a rule may copy what it gets, before that of any user does. `drained`:
    what users got before they were sent to one version, or to their owner's backends, for a while."""

    stage: Stage
    exposure: Exposure = NOBODY
    warm: tuple[str, ...] = ()
    mark: int | None = None
    drained: Exposure | None = None
    cookies: bool = False
    copies: bool = False

    @property
    def gives(self) -> bool:
        """The canary is to get something. What an object may not have for that is in the way of nothing else, nor of a rule without users
        beside what they get."""
        return self.stage is Stage.SPLIT and not self.exposure.nobody and not self.warm

    @property
    def nothing(self) -> bool:
        """Nothing of ours is there, and nothing is to be kept."""
        added = self.exposure.header is not None or self.warm or self.mark is not None or self.drained is not None
        return self.stage is Stage.OWN and not added

    @property
    def again(self) -> Exposure | None:
        """What users get, or are to get again; None where that is nothing."""
        kept = self.drained or self.exposure
        return None if kept == NOBODY else kept


@dataclass(frozen=True)
class Kept:
    """What was written, and what stood there before: `rules` are the owner's backendRefs by the key of their rule.

    `token` keeps the rules for probes from being guessed: they tell that a canary is live. `owner`: the Deployment's uid.
    """

    owner: str
    versions: Versions
    token: str
    wanted: Wanted
    rules: Mapping[str, list[Json]]

    @property
    def shows_cookies(self) -> bool:
        """The rules for probes set a cookie, and ask for it, because users are kept by one, or are to be."""
        return self.wanted.cookies or self.wanted.exposure.sticky is not None

    def encode(self) -> str:
        """One line of JSON with sorted keys."""
        wanted = self.wanted
        exposures = [one for one in (wanted.exposure, wanted.drained) if one]
        members = {
            "version": _COPYING if wanted.copies or any(one.mirror for one in exposures) else _FIRST,
            "owner": self.owner,
            "own": self.versions.own,
            "stable": self.versions.stable,
            "canary": self.versions.canary,
            "token": self.token,
            "stage": wanted.stage.value,
            **_to_json(wanted.exposure),
            "warm": list(wanted.warm),
            "mark": wanted.mark,
            "rules": dict(self.rules),
            **({"drained": _to_json(wanted.drained)} if wanted.drained else {}),
            **({"cookies": True} if wanted.cookies else {}),
            **({"copies": True} if wanted.copies else {}),
        }
        return json.dumps(members, sort_keys=True, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Kept:
        """Raises Unroutable: it is never guessed at."""
        try:
            data = json.loads(text)
            return cls._from_json(data)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise unreadable(error) from error

    @classmethod
    def _from_json(cls, data: Json) -> Kept:
        if data["version"] not in (_FIRST, _COPYING):
            raise ValueError("another version")
        texts = {name: data[name] for name in ("owner", "own", "stable", "canary", "token")}
        mark, warm, rules = data["mark"], data["warm"], data["rules"]
        right = all(isinstance(text, str) for text in (*texts.values(), *warm))
        right = right and (mark is None or (isinstance(mark, int) and not isinstance(mark, bool)))
        right = right and all(isinstance(ref, dict) for refs in rules.values() for ref in refs)
        if not right:
            raise ValueError("another shape")
        stage, drained = Stage(data["stage"]), data.get("drained")
        if stage not in (Stage.OWN, Stage.ISOLATED, Stage.SPLIT):
            raise ValueError("another stage")
        before = None if drained is None else _exposure(drained)
        shown = (data.get("cookies") is True, data.get("copies") is True)
        wanted = Wanted(stage, _exposure(data), tuple(warm), mark, before, *shown)
        versions = Versions(texts["own"], texts["stable"], texts["canary"])
        return cls(texts["owner"], versions, texts["token"], wanted, rules)


def _to_json(exposure: Exposure) -> Json:
    header, sticky = exposure.header, exposure.sticky
    return {
        "weight": str(exposure.weight),
        "header": None if header is None else {"name": header.name, "value": header.value},
        **({"sticky": _sticky_to_json(sticky)} if sticky else {}),
        **({"mirror": str(exposure.mirror)} if exposure.mirror else {}),
    }


def _sticky_to_json(sticky: Sticky) -> Json:
    most = {"most": str(sticky.most)} if sticky.most else {}
    return {"step": sticky.step, "drawn": str(sticky.drawn), **most}


def _exposure(data: Json) -> Exposure:
    """Raises what Kept.decode takes for another shape."""
    weight, sticky, mirror = _part(data["weight"]), data.get("sticky"), _part(data.get("mirror", "0"))
    header = None if data["header"] is None else Header(str(data["header"]["name"]), str(data["header"]["value"]))
    kept = None if sticky is None else _sticky(sticky)
    if not (0 <= weight <= 1 and 0 <= mirror <= 1) or (kept and not (0 <= kept.drawn <= 1 and 0 <= kept.most <= 1)):
        raise ValueError("another share")
    return Exposure(weight, header, kept, mirror)


def _sticky(data: Json) -> Sticky:
    return Sticky(int(data["step"]), _part(data["drawn"]), _part(data.get("most", "0")))


def _part(text: Any) -> Fraction:
    if not isinstance(text, str) or not _PART.fullmatch(text):
        raise ValueError("no share")
    return Fraction(text)
