# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until what was asked for is there.
      - What cannot succeed any more fails at once, with the reasons that the pods give.
      - In check mode nothing is waited for.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait.
    type: int
    default: 300
"""
    NODES = r"""
options:
  wait_for_nodes:
    description:
      - For how many seconds a pod may find no node before that fails the task, where an autoscaler adds nodes.
      - O(wait_timeout) holds all the same.
    type: int
    default: 0
    version_added: 1.0.0
"""
    TERMINATED = r"""
options:
  wait_terminated:
    description:
      - Whether to wait, too, until the pods that had to go have ended.
      - Otherwise the task ends when the pods that stay are available and the others are terminating; how many are is
        returned as RV(canary.terminating).
    type: bool
    default: false
"""
