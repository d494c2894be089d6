# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  display:
    description:
      - How much is shown while the task works, where it runs in the process of C(ansible-playbook). Elsewhere (C(async), another
        host or interpreter) nothing can be shown, and the same lines are returned as RV(progress).
      - V(picture) shows a line for each change, with the pods as a row of marks, C(■) Ready, C(□) starting, C(✖) failing, C(·) ending,
        those of the stable version before the C(|). V(lines) leaves the marks out. V(quiet) shows warnings only.
    type: str
    choices: [picture, lines, quiet]
    default: picture
    version_added: 1.0.0
"""
