#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_fleet
short_description: Release new versions of many Deployments, wave after wave, in one task
version_added: 1.0.0
description:
  - Does many releases as M(coalmine.canary.canary_release) does one, in one task and one process, all those of a wave at the same
    time. A later wave does not begin once more releases have failed than O(max_failures) allows.
  - With O(together) no release of a wave is promoted before all of them have stood their steps. When too many fail, those that are
    held are undone, and those of the wave that were promoted already are rolled back.
  - Each release promotes the version that it judged, or none, as M(coalmine.canary.canary_release) does.
  - Room is asked for once a wave and cluster, for all its releases at the same time.
  - A run that was broken off is taken up by the next one. Releases that are out already change nothing.
  - Where the keyword C(timeout) of the task ends it, nothing more begins and the wave that is under way is taken back; what is being
    started or promoted comes to its end before that. As a module (C(async), C(become), another interpreter) it leaves its canaries held.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.display
  - coalmine.canary.attributes
options:
  releases:
    description:
      - The releases, each with options of M(coalmine.canary.canary_release), all but those of a call in a chain (C(through),
        C(previous), C(reject), C(rescued), C(verify_tasks), also in C(steps)), of a canary that is held already (C(held), C(expect)),
        and of the whole fleet (C(run), C(display)).
        C(name) is needed, and one of C(images), C(pod_template_patch) and C(definition).
      - A release has its own cluster by C(kubeconfig), C(host) or C(context). One that gives C(kubeconfig) or C(host) takes nothing of the
        connection from O(defaults) or from this task, so that credentials go to no other server than that which they were given
        with.
      - C(group) names the group that O(waves) may name.
      - Two releases of the same Deployment of the same cluster are refused. Where both create it, the uid of the namespace tells that, which
        takes the right to get C(namespaces).
      - A Deployment that is not there is told before the first wave begins, whichever wave it belongs to, and counts for O(max_failures).
    type: list
    elements: dict
    required: true
  defaults:
    description:
      - Options of a release that count for each which does not give them itself, or as V(null), which gives nothing. C(steps) that
        are null are refused, and so is the null of an option that has a default.
    type: dict
  waves:
    description:
      - How many releases are out after each wave, as numbers or shares of all, in the order of O(releases). The last one is C(100%).
        V(["1", "25%", "100%"]) if this is not given.
      - Or names of groups, each a wave of its own, such as one cluster before the others.
    type: list
    elements: str
  together:
    description:
      - Whether the releases of a wave are promoted together or not at all. With V(false) each goes its own way, and a failure only keeps
        others from beginning.
    type: bool
    default: true
  max_failures:
    description:
      - How many releases of the fleet may fail, as a number or a share of all, before nothing more begins. The task fails in any
        case when one has failed.
    type: str
    default: "0"
  between:
    description:
      - Seconds between the end of a wave and the beginning of the next one. With V(stop) the call ends after each wave of which
        something went out in it, and the next call goes on, so that somebody can approve between them.
        How many may fail without that anybody is asked, O(max_failures) says.
    type: str
    default: "0"
  at_once:
    description:
      - How many releases are worked on at the same time.
    type: int
    default: 100
  when_crowded:
    description:
      - What to do where the pods of all releases of a wave do not fit at the same time, as the C(headroom) of each asks for. With
        V(refuse) those that find no room beside the others have failed, before the wave has changed anything. With V(smaller)
        they come in a wave of their own after it, when the others have given back what they took.
    type: str
    choices: [refuse, smaller]
    default: refuse
  run:
    description:
      - A name of your own for the run of all releases, such as the number of a job, as
        O(coalmine.canary.canary_start#module:run).
    type: str
seealso:
  - module: coalmine.canary.canary_release
  - module: coalmine.canary.canary_headroom_info
"""

EXAMPLES = r"""
- name: Release a version of three services, one of them first
  coalmine.canary.canary_fleet:
    defaults:
      namespace: shop
      steps:
        - {pods: 1, bake: 60}
      checks:
        - pods: {}
      guard: 300
    releases:
      - {name: basket, images: {app: registry.example/basket:1.5}}
      - {name: search, images: {app: registry.example/search:2.1}}
      - {name: web, images: {app: registry.example/web:1.5}}

- name: One cluster first, then two at the same time, with somebody's approval between
  coalmine.canary.canary_fleet:
    waves: [staging, production]
    between: stop
    defaults: {name: web, namespace: shop, images: {app: registry.example/web:1.5}}
    releases:
      - {context: staging, group: staging}
      - {context: eu, group: production}
      - {context: us, group: production}
"""

RETURN = r"""
msg:
  description: How it ended, how many releases ended in which way, and why.
  returned: always
  type: str
fleet:
  description: How the fleet went. Its shape is docs/fleet.schema.json.
  returned: when the releases were begun, on failure too
  type: dict
  contains:
    schema: {type: int, returned: always, description: Number of the shape.}
    run: {type: str, returned: always, description: The run that the releases are of.}
    outcome:
      description:
        - V(released), all versions are out. V(already released), they were so before. V(planned), nothing was changed.
          V(held), canaries are held for a person to decide. V(stopped), it stopped between two waves.
          V(failed), at least one release failed, and the task with it.
      returned: always
      type: str
    why: {type: list, elements: str, returned: always, description: "Sentences, the reason first."}
    counts: {type: dict, returned: always, description: How many releases ended in which way.}
    releases:
      description:
        - Each release, with C(name), C(namespace), C(cluster) (its context), C(wave) (from 1), C(outcome), C(why), C(changed), C(pods)
          (Ready ones of each version) and C(release) as RV(coalmine.canary.canary_release#module:release). The outcome is that of the
          release, or C(untouched).
        - Where the fleet has failed, only those that were refused have their C(rooms), because Ansible prints the whole result then.
      returned: always
      type: list
      elements: dict
    table: {type: list, elements: str, returned: always, description: "A line for each release, those first that need somebody."}
  sample:
    schema: 1
    run: awx-42
    outcome: failed
    why: ["shop/search undone: pod search-7c6d9f54b-m8z5t: container app is in CrashLoopBackOff."]
    counts: {undone: 2, untouched: 1}
    releases:
      - {name: basket, namespace: shop, cluster: eu, wave: 1, outcome: undone, why: ["the wave failed"], changed: true,
         pods: {stable: 10}, release: null}
    table: ["undone           wave 1   eu/shop/basket: the wave failed"]
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

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.fleet import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import run_module


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
