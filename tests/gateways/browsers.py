# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users whose browsers keep cookies, before a gateway: which version each of them has seen, and who went back."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from http.cookies import SimpleCookie


@dataclass
class Browser:
    """One user. `seen`: the version of each answer, in order."""

    address: str
    host: str
    cookies: dict[str, str] = field(default_factory=lambda: {"session": "abc"})
    seen: list[str] = field(default_factory=list)

    def ask(self) -> str:
        """The version of the answer; its cookies are kept."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            connection.request("GET", "/", headers={"Host": self.host, "Cookie": cookie})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            for text in answer.headers.get_all("Set-Cookie") or ():
                self.cookies.update({name: told.value for name, told in SimpleCookie(text).items()})
            self.seen.append(answer.headers["X-Version"])
            return self.seen[-1]
        finally:
            connection.close()

    @property
    def went_back(self) -> bool:
        return any(before == "v2" and now == "v1" for before, now in zip(self.seen, self.seen[1:], strict=False))


@dataclass
class Crowd:
    """As many users as there are requests in each round."""

    users: list[Browser]

    @classmethod
    def of(cls, many: int, address: str, host: str) -> Crowd:
        return cls([Browser(address, host) for _number in range(many)])

    def ask(self) -> int:
        """Everybody once; how many got the new version."""
        return sum(user.ask() == "v2" for user in self.users)

    @property
    def back(self) -> int:
        return sum(user.went_back for user in self.users)
