#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_watch
short_description: Watch releases until they have ended
version_added: 1.0.0
description:
  - Shows live releases as they go, whoever runs them and from wherever. Of each Deployment both versions and their pods, the phase, the
    step of a M(coalmine.canary.canary_release), and what promotes it or takes it back; a line for each change; and at the end how it ended.
  - Ends when no release that it watches is live any more, or after O(wait_timeout) seconds, which is no failure. A release that begins
    meanwhile is watched, too. Where none is live, it says so and ends.
  - Changes nothing. One stream tells of all Deployments, and one for each of their namespaces of pods.
  - What sources have counted is known only to the task that judges, and is not shown here.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.display
  - coalmine.canary.attributes.info
options:
  name:
    description:
      - Name of the Deployment.
      - Without it all live releases are watched.
    type: str
  namespace:
    description:
      - Namespace of the Deployment, V(default) if this is not given.
      - Without O(name), the namespace to watch; the whole cluster if this is not given.
    type: str
  wait_timeout:
    description:
      - How many seconds to watch at most.
    type: int
    default: 3600
seealso:
  - module: coalmine.canary.canary_info
  - module: coalmine.canary.canary_release
"""

EXAMPLES = r"""
- name: Watch one release until it has ended
  coalmine.canary.canary_watch:
    name: web
    namespace: shop

- name: Watch every release of the cluster for an hour
  coalmine.canary.canary_watch:
  register: watched

- name: Fail if one of them is still live
  ansible.builtin.assert:
    that: watched.canaries | length == 0
"""

RETURN = r"""
msg:
  description: How each release ended, or that it is still live; on failure what is wrong and what to do.
  returned: always
  type: str
canaries:
  description: What is still live, each in the shape of RV(coalmine.canary.canary_info#module:canary).
  returned: success
  type: list
  elements: dict
ended:
  description: What has ended meanwhile.
  returned: success
  type: list
  elements: dict
  contains:
    name: {type: str, returned: always, description: Name of the Deployment.}
    namespace: {type: str, returned: always, description: Namespace of the Deployment.}
    how: {type: str, returned: always, description: "How the release ended, by whom and when."}
# block failure: docs/source/blocks.yml
failure:
  description:
    - The kind of failure, for playbooks that tell them apart. V(stuck), waiting longer would not help. V(timeout), the
      time was over. V(api_error), the API server did not do its part. V(invalid), an argument makes no sense. Others
      name a refusal, such as V(not_found), V(frozen) or V(autoscaler).
  returned: failure
  type: str
cause:
  description: The reason of the failure alone, without log lines, which may hold secrets, and without advice.
  returned: failure of the verb itself
  type: str
requests:
  description: How many requests the API server was sent.
  returned: when the cluster was asked
  type: int
  sample: 7
# end of failure
# block progress: docs/source/blocks.yml
progress:
  description: What was told while it worked, a line a change; the last 40 of them, of a failure the last 10.
  returned: failure, and success where there was anything to tell
  type: list
  elements: str
# end of progress
"""

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.zipped import import_quickly

import_quickly()

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import run_module
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.watch import VERB


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
