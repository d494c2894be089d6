# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  field_ownership:
    description:
      - What becomes of the fields that the release has written, of the Deployment, its autoscaler, its routes and its Service, once it has
        ended. Kubernetes notes who manages a field (C(metadata.managedFields)), and refuses a server-side apply that changes what another
        one manages.
      - V(give_back) leaves them to whoever applies them next, without force, and moves no pod. V(keep) leaves C(coalmine.canary) as their
        manager, so that a later server-side apply has to force a change.
    type: str
    choices: [give_back, keep]
    default: give_back
    version_added: 1.0.0
"""
