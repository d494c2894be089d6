# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - The plan is made as always, and the API server is asked for a dry run of the same patch, so that its objections
        show. Nothing is waited for, so what pods will do cannot show.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
    details:
      - The diff holds the fields that the module writes, not the whole object.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - Nothing is changed, and nothing is written, when the Deployment is already as asked for.
  action_group:
    description: Use C(group/coalmine.canary.canary) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - coalmine.canary.canary
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - The module then runs in a Python process of its own, as with C(become), C(environment) or another interpreter.
"""
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This module reads only.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details:
      - This module reads only.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - This module reads only.
  action_group:
    description: Use C(group/coalmine.canary.canary) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - coalmine.canary.canary
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - The module then runs in a Python process of its own, as with C(become), C(environment) or another interpreter.
"""
