# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shell of whoever runs the tests has set for other ends, and what the tests must not depend on.

Which cluster is meant and as whom, how Ansible works, how wide a terminal is, and that this runs in a pod of some cluster.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping

from tests.toolchain.venvs import ROOT

OF_THE_CALLER = re.compile(r"KUBECONFIG|K8S_AUTH_\w+|KUBERNETES_SERVICE_\w+|ANSIBLE_\w+|COLUMNS|LINES", re.IGNORECASE)


def clear(environ: MutableMapping[str, str]) -> None:
    """Ansible is left with the settings of this tree."""
    # Libraries of C, such as readline, set these without Python's knowledge. What was never set cannot be unset.
    environ.update(COLUMNS="", LINES="")
    for name in [name for name in environ if OF_THE_CALLER.fullmatch(name)]:
        del environ[name]
    environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
