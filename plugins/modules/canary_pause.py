#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_pause
short_description: Freeze a canary or a rollout as it is
version_added: 1.0.0
description:
  - Pauses the Deployment and changes nothing else, unless O(drain) is V(true).
  - A canary that is held is V(frozen) then; no other verb goes on with it until it is resumed, promoted or undone.
  - Where the release has traffic, its routes stay as they are without O(drain). A canary without pods, which waits for its routes, is
    refused.
  - An ordinary rollout or a promotion that is under way is paused as well; a warning says what Kubernetes still does to
    paused Deployments.
  - An undo that is under way is refused, because the canary would get more pods.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.target
  - coalmine.canary.display
  - coalmine.canary.lease
  - coalmine.canary.identity
  - coalmine.canary.wait
  - coalmine.canary.attributes
options:
  drain:
    description:
      - Sends nobody to the canary either, although its pods stay for you to look at. What it got is kept, and
        M(coalmine.canary.canary_resume) gives it back. It needs a canary that was started with C(traffic).
    type: bool
    default: false
seealso:
  - module: coalmine.canary.canary_resume
  - module: coalmine.canary.canary_undo
"""

EXAMPLES = r"""
- name: Freeze the canary while we look at it
  coalmine.canary.canary_pause:
    name: web
    namespace: shop

- name: Send nobody to the canary any more, and keep its pods for a look
  coalmine.canary.canary_pause:
    name: web
    namespace: shop
    drain: true
"""

RETURN = r"""
msg:
  description: What was done or found; when the task failed, what is wrong and what to do.
  returned: always
  type: str
canary:
  description: The release as it is now.
  returned: always, except when the Deployment was not read
  type: dict
  # block release: docs/source/blocks.yml
  contains:
    name: {type: str, returned: always, description: Name of the Deployment.}
    namespace: {type: str, returned: always, description: Namespace of the Deployment.}
    phase:
      description:
        - V(none), no release is live; an ordinary rollout may be going on. V(starting), the first canary pods are on their
          way. V(stepping), those of a further step are. V(held), the canary is held at its size. V(frozen), somebody paused
          the Deployment, while the canary was held or while it was promoted or undone. V(promoting) and V(undoing), that
          is under way, or was broken off.
        - V(foreign), somebody else replaced the pod template meanwhile. V(damaged), what is left of a release contradicts
          itself, for example after C(kubectl rollout undo), or its record is gone or cannot be read. After both,
          M(coalmine.canary.canary_undo) brings the stable version back.
      returned: always
      type: str
    why: {type: str, returned: always, description: What the phase means beyond its name.}
    replicas: {type: int, returned: always, description: Pods that the Deployment asks for.}
    paused: {type: bool, returned: always, description: Whether the Deployment is paused.}
    terminating:
      description: How many pods, of any version, are about to end. V(null) where neither pods were read nor the server counts them.
      returned: always
      type: int
    stable:
      description: The version that was there before, or V(null) if there is no telling.
      returned: always
      type: dict
      contains:
        replica_set: {type: str, returned: always, description: 'Name of its ReplicaSet, or V(null) where that is not made yet.'}
        hash: {type: str, returned: always, description: 'Its pod-template-hash, or V(null) as well.'}
        revision: {type: int, returned: always, description: 'Number of its revision, or V(null) as well.'}
        images: {type: dict, returned: always, description: Image of each container.}
        counts:
          description:
            - Its pods by state, as in the sample. How many are terminating may be V(null) where no pods were read.
          returned: always
          type: dict
        pods:
          description:
            - Its pods, without terminating ones. Empty where only counts were read. A task that fails tells of the stable version's those
              that are not Ready.
          returned: always
          type: list
          elements: dict
          contains:
            name: {type: str, returned: always, description: Name of the pod.}
            ip: {type: str, returned: always, description: Address of the pod.}
            node: {type: str, returned: always, description: Node of the pod.}
            ready: {type: bool, returned: always, description: Whether the pod is ready.}
    canary:
      description: The new version in the same shape as RV(canary.stable), or V(null) if there is none.
      returned: always
      type: dict
    weight: {type: float, returned: always, description: Per cent of all ready pods that are canary pods.}
    started_at: {type: str, returned: always, description: 'When the canary was started (UTC), or V(null) where no record tells.'}
    started_by: {type: str, returned: always, description: 'Who started the canary, or V(null) as well.'}
    run: {type: str, returned: always, description: 'The run that began the release or took it over, or V(null) as well.'}
    autoscaler: {type: str, returned: always, description: 'The HorizontalPodAutoscaler that is pinned or held meanwhile, or V(null) for none.'}
    traffic:
      description: Through what the canary gets requests, or V(null) where Services alone decide.
      returned: always
      type: dict
      contains:
        kind:
          type: str
          returned: always
          description: V(gateway_api), HTTPRoutes. V(ingress_nginx), Ingresses. V(istio), VirtualServices. V(gateway_api_grpc), GRPCRoutes.
            V(alb), Ingresses of a load balancer of AWS. V(service_selector), the Service itself.
        service: {type: str, returned: always, description: The Service whose requests are split.}
        routes: {type: list, elements: str, returned: always, description: Names of what is changed meanwhile.}
        given:
          description:
            - What the release gave the canary last, as its record says; nobody looks at the routes for that. V(null) where that is not known,
              and while the canary is paused, promoted or undone.
          returned: always
          type: dict
          contains:
            weight: {type: float, returned: always, description: Per cent of the requests.}
            header: {type: dict, returned: always, description: The C(name) and C(value) of the header whose requests all go to it.}
            sticky: {type: bool, returned: always, description: Whether users keep the version that they have seen.}
            mirror: {type: float, returned: always, description: Per cent of the requests of which it gets a copy.}
    commands:
      description: Shell lines with C(kubectl) that end the release by hand. In another cluster, or once the release has changed, they change
        nothing. Routes are given back by the next M(coalmine.canary.canary_undo).
      returned: always
      type: dict
      contains:
        promote: {type: list, elements: str, returned: always, description: Lines that promote it.}
        undo: {type: list, elements: str, returned: always, description: Lines that undo it.}
  sample:
    {name: web, namespace: shop, phase: held, replicas: 10, paused: false, terminating: 0,
     stable: {replica_set: web-5d5f8c9b7, hash: 5d5f8c9b7, revision: 7, images: {app: "registry.example/web:1.4"},
              counts: {desired: 10, current: 10, ready: 10, available: 10, terminating: 0},
              pods: [{name: web-5d5f8c9b7-4kq2x, ip: 10.1.0.4, node: worker-1, ready: true}]},
     canary: {replica_set: web-7c6d9f54b, hash: 7c6d9f54b, revision: 8, images: {app: "registry.example/web:1.5"},
              counts: {desired: 1, current: 1, ready: 1, available: 0, terminating: 0},
              pods: [{name: web-7c6d9f54b-m8z5t, ip: 10.1.1.9, node: worker-2, ready: true}]},
     weight: 9.1, started_at: "2026-11-23T08:00:00Z", started_by: AWX job 42, run: awx-42, autoscaler: null, traffic: null,
     commands: {promote: ["kubectl -n shop get replicaset ..."], undo: ["kubectl -n shop get replicaset ..."]}}
  # end of release
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
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.pause import VERB


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
