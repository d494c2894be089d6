#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_headroom_info
short_description: Tell whether a canary and the rollout after it will fit, and at what price
version_added: 1.0.0
description:
  - Answers before anything is changed whether the pods of this canary, and of its promotion, fit on the nodes that are
    there, whether new nodes would have to be added and what those cost an hour, or whether a quota refuses the pods.
  - Counts as the scheduler of the server's own version counts, and says V(unknown) with the reason where a client
    cannot know. Advises which rolling updates there is room for.
  - Reads only, but for the dry run of one pod, by which the API server shows what admission makes of it. Every right
    that is missing becomes an entry in RV(headroom.unknown).
requirements:
  - msgspec >= 0.18, optional, to read clusters of thousands of nodes several times as fast
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.target
  - coalmine.canary.attributes.info
options:
  images:
    description:
      - New image of each named container, as for M(coalmine.canary.canary_start).
      - At least one of O(images), O(pod_template_patch) and O(definition) is needed.
    type: dict
  pod_template_patch:
    description:
      - Strategic merge patch of the pod template, as for M(coalmine.canary.canary_start).
    type: dict
  definition:
    description:
      - A whole Deployment manifest, whose pod template is used, as for M(coalmine.canary.canary_start).
    type: raw
  pods:
    description:
      - How many canary pods there are to be. There is one if neither this nor O(weight) is given.
    type: int
  weight:
    description:
      - How many per cent of all pods are to be canary pods, V(1) to V(99).
    type: int
  steps:
    description:
      - Several sizes, one after another, instead of O(pods) or O(weight), such as the steps of the role. The cluster is read once,
        and each is answered in RV(steps) as if it were asked for alone.
    type: list
    elements: dict
    suboptions:
      pods:
        description:
          - How many canary pods. One if neither this nor O(steps[].weight) is given.
        type: int
      weight:
        description:
          - How many per cent of all pods are to be canary pods, V(1) to V(99).
        type: int
  surge:
    description:
      - How many pods beyond the Deployment's replicas may exist while the canary is held.
    type: int
    default: 1
  max_unavailable:
    description:
      - How far the number of ready pods may drop below the Deployment's replicas while the canary is held.
      - It is V(0) if this is not given, or V(1) with O(surge=0).
    type: int
  others:
    description:
      - Releases at the same time, counted as placed, because canaries that each fit alone may jam a full cluster together. Each
        counts with the pods that it has more than today when these are most, so that the answer is an approximation
        (C(other_releases_are_at_their_peak)). Where one of them does not fit itself, the answer says C(others_do_not_fit).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the Deployment.
        type: str
        required: true
      namespace:
        description:
          - Namespace of the Deployment.
        type: str
        default: default
      images:
        description:
          - As O(images), of that release.
        type: dict
      pod_template_patch:
        description:
          - As O(pod_template_patch), of that release.
        type: dict
      definition:
        description:
          - As O(definition), of that release.
        type: raw
      pods:
        description:
          - As O(pods), of that release.
        type: int
      weight:
        description:
          - As O(weight), of that release.
        type: int
      steps:
        description:
          - As O(steps), of that release.
        type: list
        elements: dict
        suboptions:
          pods:
            description:
              - How many canary pods.
            type: int
          weight:
            description:
              - How many per cent of all pods.
            type: int
      surge:
        description:
          - As O(surge), of that release.
        type: int
        default: 1
      max_unavailable:
        description:
          - As O(max_unavailable), of that release.
        type: int
  assume_replicas:
    description:
      - For how many replicas to count. V(current) takes the Deployment's, V(max) the most that a HorizontalPodAutoscaler
        may ask for, and a number is taken as it is.
    type: str
    default: current
  prices:
    description:
      - What nodes cost. No prices come with the collection, and an unknown price is V(null), never V(0).
      - C(currency) and C(time) of the prices are returned as they are given.
      - C(nodes) is a list of prices of kinds of nodes, of which the first that matches is taken. Each has an C(hourly)
        price and at least one of C(instance_type), C(capacity_type), C(region), C(zone) and C(node_group).
        If prices differ by zone, the highest of the zones in which such nodes are is used.
      - C(cpu_hour) and C(gib_hour) price all other nodes by their size.
    type: dict
  price_metrics:
    description:
      - A Prometheus, or whatever has its API, that has the metrics of Karpenter or OpenCost. It is asked for what O(prices)
        leaves open, and only when new nodes are needed.
      - Karpenter's C(karpenter_cloudprovider_instance_type_offering_price_estimate) comes first, then OpenCost's
        C(node_total_hourly_cost) of the nodes of the same group that are there, then its C(node_cpu_hourly_cost) and
        C(node_ram_hourly_cost). If prices differ between zones or nodes, the highest is used.
      - A source that is dead, slow, or makes no sense leaves the price V(null), with the reason in RV(headroom.unknown).
    type: dict
    suboptions:
      url:
        description:
          - Scheme, host, port and path below which the API stands, without a user in it.
        type: str
        required: true
      # block credentials: docs/source/blocks.yml
      token:
        description:
          - Sent as a bearer token.
        type: str
      username:
        description:
          - User for basic authentication.
        type: str
      password:
        description:
          - Password for basic authentication.
        type: str
      ca_cert:
        description:
          - PEM file of the authorities to trust instead of the system's.
        type: path
      validate_certs:
        description:
          - Whether the server's certificate is verified.
        type: bool
        default: true
      # end of credentials
      headers:
        description:
          - Headers to send along.
        type: dict
        default: {}
      timeout:
        description:
          - Seconds for a whole request, of which there are four at most, and none after one that fails.
        type: float
        default: 10.0
      currency:
        description:
          - The currency of these metrics, which they do not tell. V(USD) is assumed, and said in RV(headroom.assumptions).
        type: str
  node_group_label:
    description:
      - Label of nodes that names their group, looked at before those of Karpenter, EKS, GKE and AKS.
    type: str
seealso:
  - module: coalmine.canary.canary_start
"""

EXAMPLES = r"""
- name: Will two canary pods, and the rollout after them, fit?
  coalmine.canary.canary_headroom_info:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    pods: 2
  register: room

- name: Stop where nodes would have to be bought
  ansible.builtin.assert:
    that: room.headroom.verdict == "fits"
    fail_msg: "{{ room.headroom.summary | join(' ') }}"

- name: What would it cost when the autoscaler is at its maximum?
  coalmine.canary.canary_headroom_info:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    assume_replicas: max
    prices:
      currency: EUR
      nodes:
        - {instance_type: m6i.xlarge, capacity_type: spot, hourly: 0.09}
        - {instance_type: m6i.xlarge, hourly: 0.21}

- name: And each step of a release, with the cluster read once?
  coalmine.canary.canary_headroom_info:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    steps:
      - {pods: 1}
      - {weight: 50}

- name: And at the prices that Karpenter or OpenCost know?
  coalmine.canary.canary_headroom_info:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    price_metrics:
      url: https://prometheus.example
      token: "{{ prometheus_token }}"
"""

RETURN = r"""
msg:
  description: The verdict in one line; on failure what is wrong and what to do.
  returned: always
  type: str
steps:
  description:
    - The answer for each of O(steps), in the shape of RV(headroom).
  returned: success, with O(steps)
  type: list
  elements: dict
headroom:
  description: The whole answer; with O(steps) that of the first step whose verdict is worst.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(fits). V(fits_after_preemption), only when pods of lower priority are evicted. V(needs_nodes), not on the
          nodes that are there, but new ones would hold it. V(quota_exceeded). V(refused), admission refuses the pod.
          V(cannot_fit), neither a node that is there nor a new one of a known group takes it.
          V(depends_on_placement), it depends on which nodes the scheduler prefers, or on which old pods go first.
          V(unknown), see RV(headroom.unknown).
      returned: always
      type: str
    exactness:
      description: V(exact), V(placement_dependent) or V(approximate).
      returned: always
      type: str
    summary: {type: list, elements: str, returned: always, description: The reasoning in a few lines.}
    server_version: {type: str, returned: always, description: Minor version whose rules were used.}
    surge: {type: dict, returned: always, description: How many pods come at the start and at the highest peak.}
    pod_request: {type: dict, returned: always, description: "What one pod asks for, and what it is made of."}
    fit: {type: dict, returned: always, description: How many of the new pods find a node at the deciding peak.}
    peaks: {type: list, elements: dict, returned: always, description: Each moment that was checked.}
    rejected_nodes: {type: dict, returned: always, description: How many nodes give each reason.}
    nearest_miss: {type: dict, returned: always, description: "The node that lacks least, or V(null)."}
    quota: {type: list, elements: dict, returned: always, description: What each quota leaves room for.}
    refusals: {type: list, elements: str, returned: always, description: Why admission refuses the pod.}
    new_nodes:
      description:
        - Each kind of new nodes that would do, of which one is needed, or all where RV(headroom.cost) has C(together).
        - C(count) nodes of C(group), C(instance_type) and C(capacity_type) are needed, each for C(pods_per_node) pods;
          C(count_most) is how many there may be, because an autoscaler that looks while old pods are still ending may add
          more. C(group_room) is how many more of them it may add at all.
        - C(hourly_each) is the price of one in C(currency), from C(price_source) (V(user), V(karpenter_metric),
          V(opencost_metric) or V(none)), as it was at C(price_time). What is not known is V(null).
      returned: always
      type: list
      elements: dict
    cost:
      description:
        - C(hourly_min) for as many of RV(headroom.new_nodes) as are needed and C(hourly_max) for as many as there may be, in
          C(currency), and C(estimate) for the latter in all, made as C(basis) says. C(stays) tells that the nodes are needed
          after the rollout, too, and C(together) that no group alone may add as many as it takes, so that the nodes of all
          are added up. What is not known is V(null), never V(0).
      returned: always
      type: dict
    advice:
      description: Which rolling updates complete on the nodes that are there, and the best of them.
      returned: always
      type: dict
    unknown: {type: list, elements: str, returned: always, description: What could change the verdict and is unknown.}
    assumptions: {type: list, elements: str, returned: always, description: What was taken for granted.}
    read:
      description: What reading the cluster cost. C(bytes) are those that came over the wire, compressed where they were.
      returned: always
      type: dict
  sample:
    {verdict: needs_nodes, exactness: approximate, server_version: "1.37",
     surge: {pods: 1, from: 1 canary pod beside all 10 stable ones, peak_with_terminating: 6},
     fit: {placeable: 0, min: 0, max: 0, method: closed_form, candidates: 0, nodes_total: 3, after_preemption: 0},
     rejected_nodes: {Insufficient cpu: 3}, nearest_miss: {node: worker-2, short_of: {cpu: 50m}},
     new_nodes: [{group: np-a, count: 1, count_most: 1, pods_per_node: 6, group_room: 4, instance_type: m6i.xlarge,
                  capacity_type: spot, hourly_each: 0.09, currency: EUR, price_source: user, price_time: null}],
     cost: {hourly_min: 0.09, hourly_max: 0.09, estimate: 0.0195, currency: EUR, together: false, stays: false,
            basis: "3 min rollout (2 waves of pods that take 80 s to be Ready) + 10 min until an unneeded node is
                    removed (assumed), without the time that the canary is held"},
     unknown: [], read: {nodes: 3, pods: 41, requests: 8, bytes: 61440, seconds: 0.12}}
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
"""

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.zipped import import_quickly

import_quickly()

from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.headroom import VERB
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.module import run_module


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
