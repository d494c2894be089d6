# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  expect:
    description:
      - The canary that this is about, by the pod-template-hash of its ReplicaSet, which M(coalmine.canary.canary_start) returns as
        RV(coalmine.canary.canary_start#module:canary) in C(canary.hash).
      - If the Deployment's live release is another, or there is none, the task fails with C(failure=other_release) and writes
        nothing. This holds at every read and write of the task, also while it waits.
      - If it is not given, the task is about the canary that it finds at its first look, and holds to that one.
    type: str
    version_added: 1.0.0
  run:
    description:
      - Whose the release has to be, as O(coalmine.canary.canary_start#module:run) of M(coalmine.canary.canary_start) said or it
        returned as C(canary.run). A release of another run is refused like another canary.
    type: str
    version_added: 1.0.0
"""
