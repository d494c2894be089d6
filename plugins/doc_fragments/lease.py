# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  takeover:
    description:
      - One run at a time writes to a Deployment. Before its first write it takes the Lease C(coalmine-canary-NAME) in the namespace of
        the Deployment, and renews it as long as the task goes on. While another run holds it, the task fails with C(failure=locked), says
        who that is, since when and until when, and writes nothing.
      - With V(true) the Deployment is taken from that run, and a warning says from whom. That run is refused, and told who took over, when
        it next renews the Lease, which is each minute, and before that at a write to anything that is no longer what it has read. Of a
        release whose requests are split it looks at the Lease again before a write that comes more than a second after that was seen,
        and whoever takes over waits for that second.
      - A Lease that was not renewed in time, or whose process has died on the same machine, is taken over in any case. Times are those
        of the API server, so that the clocks of machines do not matter.
      - Without the right to Leases (C(docs/rights.md)) a warning says so, and only the guards of each write keep runs apart.
    type: bool
    default: false
    version_added: 1.0.0
  lease_seconds:
    description:
      - For how many seconds after this task its run keeps the Deployment to itself, until its next task. Give as much as lies between
        two tasks; V(0) gives it up at the end of this task. It is given up in any case where the release has ended, and where a person is
        to decide. At most a day, V(86400).
      - If it is not given, that is what the last task of the same run has said. Otherwise it is 300 where a later task can come back as the
        same run, because this one names it (C(run)) or is a M(coalmine.canary.canary_release) that the caller goes on with, and 0
        elsewhere.
    type: int
    version_added: 1.0.0
"""
