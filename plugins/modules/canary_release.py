#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_release
short_description: Release a new version of a Deployment by way of a canary, in one task
version_added: 1.0.0
description:
  - Finishes what an earlier run left, plans every step, asks whether there is room and at what price, holds the canary step by
    step, watches and judges it, promotes it under guard, and cleans up. What fails is undone, or rolled back.
  - The version that was judged is promoted, or none. The hash of the canary's ReplicaSet and the run are tested at every read and
    every write of the release.
  - With O(through) a call ends after a stage, and the next call goes on from its result with O(previous). That makes room for tasks
    and gates of your own between two stages; what they find fault with is handed over in O(reject).
  - A run that was broken off is taken up by the next one. A run for a version that is out already changes nothing.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.target
  - coalmine.canary.display
  - coalmine.canary.lease
  - coalmine.canary.ownership
  - coalmine.canary.wait.nodes
  - coalmine.canary.attributes
options:
  images:
    description:
      - New image of each named container, as O(coalmine.canary.canary_start#module:images).
      - At least one of O(images), O(pod_template_patch) and O(definition) is needed, unless O(held) or O(reject) is given.
    type: dict
  pod_template_patch:
    description:
      - Strategic merge patch of the pod template, applied to the stable one. Can be combined with O(images).
    type: dict
  definition:
    description:
      - A whole Deployment manifest, whose pod template is released, as O(coalmine.canary.canary_start#module:definition).
    type: raw
  steps:
    description:
      - The sizes of the canary, one after another, none smaller than the one before. One step of one pod if this is not given.
      - With O(traffic) a step that names no size has as few pods as can bear its share of the requests.
    type: list
    elements: dict
    suboptions:
      pods:
        description:
          - How many canary pods. One of this and O(steps[].weight).
        type: int
      weight:
        description:
          - How many per cent of all pods are canary pods.
        type: int
      traffic:
        description:
          - Which requests the canary gets at this step. What it does not say is as in the step before it, and in the first one as in
            O(traffic).
        type: dict
        suboptions:
          weight:
            description:
              - How many per cent of the requests, whatever the share of the pods.
            type: float
          header:
            description:
              - Requests with exactly this header get the canary. An empty dictionary ends that.
            type: dict
            suboptions:
              name: {description: [Name of the header.], type: str}
              value: {description: [Its whole value.], type: str}
          mirror:
            description:
              - Of how many per cent of the requests the canary gets a copy, as O(coalmine.canary.canary_start#module:traffic.mirror). It ends
                with the first step that has a weight.
            type: float
      bake:
        description:
          - As O(bake), at this step.
        type: int
      checks:
        description:
          - As O(checks), at this step only, as a question and a promise of its own.
        type: list
        elements: dict
      verify_tasks:
        description:
          - As O(verify_tasks), at this step.
        type: str
  bake:
    description:
      - For how many seconds the canary pods have to stay Ready, without a restart and without anybody changing or scaling the
        Deployment, at each step that does not say otherwise.
    type: int
    default: 0
  checks:
    description:
      - What the canary is judged by beside the stable pods, at each step that does not name its own, as the option
        O(coalmine.canary.canary_verify#module:checks).
    type: list
    elements: dict
    default: []
  check_duration:
    description:
      - For how many seconds it is judged at most, at each step. It ends as soon as the evidence decides.
    type: int
    default: 300
  check_interval:
    description:
      - Seconds between two looks at the sources.
    type: int
    default: 5
  check_warmup:
    description:
      - Seconds at the start of each step that do not count, because cold caches are no fault.
    type: int
    default: 0
  confidence:
    description:
      - How sure a failure must be. V(0.95) means that a canary within the tolerance is failed in at most 5 % of releases.
    type: float
    default: 0.95
  on_inconclusive:
    description:
      - What becomes of a canary that the evidence decides neither way. V(hold) freezes it, so that a person decides. V(undo) takes
        it for failed, V(promote) goes on.
    type: str
    choices: [hold, undo, promote]
    default: hold
  verify_tasks:
    description:
      - A file of tasks of your own that verify the canary, at each step that does not name another. This task does not run them. It
        ends when the step is held and was watched, with RV(release.to_verify); run them then, and call again with O(previous), which
        judges the step and goes on.
      - A relative path starts at the playbook, or else at the directory where C(ansible-playbook) was called. The file is loaded before
        anything is changed. One without tasks, or with a C(meta) task that ends the host, the role or the play, is refused.
    type: str
    default: ""
  guard:
    description:
      - For how many seconds the checks go on once the promotion has begun. What fails while both versions serve is undone; what
        fails after that is rolled back. It needs O(checks).
    type: int
    default: 0
  traffic:
    description:
      - Gives the canary a share of the B(requests) through HTTPRoutes, VirtualServices or Ingresses, or switches a Service, as
        O(coalmine.canary.canary_start#module:traffic). How large it is at a step says O(steps[].traffic).
      - Before anything is changed, every step is planned with its rules, and room is asked for the pods that its share needs.
    type: dict
    suboptions:
      kind:
        description: >-
          V(gateway_api), HTTPRoutes of Gateway API. V(ingress_nginx), Ingresses of ingress-nginx. V(istio), VirtualServices of Istio.
          V(alb), Ingresses of the AWS Load Balancer Controller. V(gateway_api_grpc), GRPCRoutes. V(service_selector), the Service itself,
          for V(0) or V(100) per cent.
        type: str
        choices: [gateway_api, service_selector, ingress_nginx, istio, alb, gateway_api_grpc]
        required: true
      service:
        description: The Service that the routes send to. Without it, the only one that selects the pods of this Deployment.
        type: str
      routes:
        description: >-
          Names of the HTTPRoutes, GRPCRoutes, VirtualServices or Ingresses. Without it, every one of the namespace that sends to the
          Service.
        type: list
        elements: str
      weight:
        description: As O(steps[].traffic.weight), from the first step on. V(0) if it is not given.
        type: float
      header:
        description: As O(steps[].traffic.header), from the first step on.
        type: dict
        suboptions:
          name: {description: [Name of the header.], type: str}
          value: {description: [Its whole value.], type: str}
      sticky:
        description: With V(cookie) users keep the version that they have seen, as of M(coalmine.canary.canary_start).
        type: str
        choices: [none, cookie]
      mirror:
        description: As O(steps[].traffic.mirror), from the first step on. V(0) if it is not given.
        type: float
      proof:
        description: Whether the gateway itself is asked until it does what was written, as of M(coalmine.canary.canary_start).
        type: str
        choices: [require, prefer, none]
        default: prefer
      timeout:
        description: How many seconds one write may take to be in force, as of M(coalmine.canary.canary_start).
        type: int
      overload:
        description:
          - What becomes of a weight that gives a canary pod more requests than each pod gets without a canary. V(refuse) says how many pods
            would do; V(warn) is for those who know that a pod bears more.
          - It is the same for users who would go back to fewer Ready stable pods than the Deployment's own strategy leaves in any rollout,
            while the canary serves them.
        type: str
        choices: [refuse, warn]
        default: refuse
      probe:
        description: Where users come in, where that is not the first address of each Gateway of the routes.
        type: dict
        suboptions:
          url: {description: ['V(http://) or V(https://), and a host that the routes serve.'], type: str, required: true}
          address: {description: [Where to connect instead of what the host resolves to.], type: str}
          validate_certs: {description: [Whether the certificate has to be valid for the host.], type: bool, default: true}
  strategy:
    description:
      - How many pods a step has that names no size, as O(coalmine.canary.canary_start#module:strategy).
    type: str
    choices: [canary, blue_green]
  keep:
    description:
      - For how many seconds the old pods stay once all requests go to the new ones, as O(coalmine.canary.canary_promote#module:keep). What
        goes wrong meanwhile fails the canary, and everybody is sent back.
    type: int
    default: 0
  promote_by:
    description:
      - What comes first in the promotion, as O(coalmine.canary.canary_promote#module:by). V(pods) if it is not given, or V(weights) with
        C(service_selector), with C(sticky), with O(strategy=blue_green), and where the last step gives the canary all requests.
      - With V(weights) the canary gets as many pods as the Deployment has replicas after its last step, and then all requests; only
        then the old pods go. Room is asked for these pods, too. It needs O(traffic).
    type: str
    choices: [pods, weights]
  surge:
    description:
      - How many pods beyond the Deployment's replicas may exist while the canary is held.
      - It is V(1) if this is not given, or with O(traffic) or O(autoscaler=hold) as many as there are canary pods.
    type: int
  max_unavailable:
    description:
      - How far the number of ready pods may drop below the Deployment's replicas. V(0) if this is not given, or V(1) with
        O(surge=0).
    type: int
  autoscaler:
    description:
      - What to do about a HorizontalPodAutoscaler, as O(coalmine.canary.canary_start#module:autoscaler).
    type: str
    choices: [refuse, pin, hold, ignore]
    default: refuse
  owner_check:
    description:
      - What to do where a tool such as Argo CD, Flux or Helm manages the Deployment, as
        O(coalmine.canary.canary_start#module:owner_check).
    type: str
    choices: [warn, fail, ignore]
    default: warn
    version_added: 1.0.0
  headroom:
    description:
      - Whether the pods of every step, and of the promotion, have to fit before anything is changed.
      - With V(require_existing_nodes) on the nodes that are there. V(allow_new_nodes) lets an autoscaler add nodes, for at most
        O(max_hourly_cost). V(report) only tells, V(skip) does not ask.
    type: str
    choices: [require_existing_nodes, allow_new_nodes, report, skip]
    default: require_existing_nodes
  on_unknown:
    description:
      - What to do when nobody can know whether the pods fit, when they fit only after pods of lower priority are evicted, or when a
        price that matters is unknown. V(warn) goes on and tells the whole reasoning.
    type: str
    choices: [warn, fail]
    default: warn
  max_hourly_cost:
    description:
      - What new nodes may cost an hour with O(headroom=allow_new_nodes), in the currency of the prices.
    type: float
  assume_replicas:
    description:
      - For how many replicas the promotion has to fit. V(current), V(max) of a HorizontalPodAutoscaler, or a number.
    type: str
    default: current
  prices:
    description:
      - What nodes cost, as O(coalmine.canary.canary_headroom_info#module:prices).
    type: dict
  price_metrics:
    description:
      - A Prometheus with prices, as O(coalmine.canary.canary_headroom_info#module:price_metrics).
    type: dict
  node_group_label:
    description:
      - Label of nodes that names their group, looked at before those of Karpenter, EKS, GKE and AKS.
    type: str
  gate:
    description:
      - Who decides about the promotion of a canary that has stood all its steps. With V(none) it is promoted. With V(stop) the
        canary stays held, for another task or job to promote it.
      - With V(prompt) somebody has to answer V(yes) at the terminal; anything else leaves the canary held, and so does a run without a
        terminal, or on another host.
    type: str
    choices: [none, prompt, stop]
    default: none
  on_failure:
    description:
      - What becomes of a canary, or of a promotion, that fails. V(undo) brings the stable version back, V(hold) leaves everything
        for you to look at, and a promotion stops where it is. The task fails either way.
    type: str
    choices: [undo, hold]
    default: undo
  when_missing:
    description:
      - What to do where there is no such Deployment yet. With V(create) it is created from O(definition), which is needed then, and
        waited for. There is no stable version for a canary to stand beside, and no Deployment to count room from, which is told; with
        O(on_unknown=fail) nothing is created, unless O(headroom=skip).
    type: str
    choices: [fail, create]
    default: fail
  through:
    description:
      - The stage after which this call ends. V(room), only the question about room was asked. V(plan), every step was planned.
        C(step N), the canary is held at its Nth step and was judged there. V(promoted), the release is over.
    type: str
    default: promoted
  held:
    description:
      - Promotes the canary that another call or job has left held, instead of a version that this task names. It is guarded by O(guard)
        and O(checks), and what fails is undone, or rolled back. What is said of the time before that, such as O(steps), O(bake) or O(gate),
        is refused.
      - A frozen canary is promoted, because whoever promotes it has decided. One that cannot be promoted is refused and stays as it is.
        Without a canary a rollout that is under way is waited for, and never taken back.
    type: bool
    default: false
  expect:
    description:
      - With O(held), the canary to promote, by the pod-template-hash of its ReplicaSet. Another one is refused. If this is not given, it
        is the one that is held when this begins.
    type: str
  previous:
    description:
      - The RV(release) that an earlier call of the same release returned. This call goes on from there, with the same run, evidence
        and verdicts, and with no other canary than that one. Of a release that is over it tells the end again.
      - It knows the Deployment, its cluster, O(on_failure), O(on_inconclusive), O(gate), the version, the steps with what holds of each,
        and how they are judged, as that began (RV(release.began)). A call that says another one of these is refused, and the canary stays
        for O(rescued) or O(reject). With
        O(rescued) it is taken back where and as it began, whatever the call says.
    type: dict
  reject:
    description:
      - Why your own verification finds fault with the canary. It has failed then, as if a check of this task had said so.
      - Empty, or of blanks alone, it rejects nothing. A condition or a number is refused, because it is no reason.
    type: str
    default: ""
  rescued:
    description:
      - For the C(rescue) section of a block. What failed there is why the canary is rejected, as if it stood in O(reject); output of
        tasks with C(no_log) is left out. A failure of this task itself is told again, as its release has ended already.
    type: bool
    default: false
  run:
    description:
      - A name of your own for the run, such as the number of a job, as O(coalmine.canary.canary_start#module:run). With O(previous)
        the run of that one goes on. With O(held), only a canary of this run is promoted.
    type: str
  wait_timeout:
    description:
      - How many seconds each step may take. For a promotion and for an undo it counts from the last progress, which is a pod that
        became Ready, so that a long rollout of many pods does not fail.
    type: int
    default: 300
seealso:
  - module: coalmine.canary.canary_start
  - module: coalmine.canary.canary_verify
  - module: coalmine.canary.canary_headroom_info
"""

EXAMPLES = r"""
- name: Release a version in two steps, judged by its pods and by requests
  coalmine.canary.canary_release:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    steps:
      - {pods: 1, bake: 60}
      - {weight: 25, bake: 300}
    checks:
      - pods: {}
      - http: {path: /healthz, port: 8080}
        max_ratio: 1.5
        max_increase: 0.01
    guard: 300

- name: Give the new version 1 % and then 25 % of the requests, and all of them before the old pods go
  coalmine.canary.canary_release:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    traffic:
      kind: gateway_api
      header: {name: x-canary, value: always}
    steps:
      - {traffic: {weight: 1}, bake: 60}
      - {traffic: {weight: 25}, bake: 300}
    promote_by: weights

- name: Put green beside blue, look at green, switch everybody, and let blue go ten minutes later
  coalmine.canary.canary_release:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    traffic:
      kind: service_selector
    checks:
      - http: {path: /healthz, port: 8080}
        max_ratio: 1.5
        max_increase: 0.01
    keep: 600

- name: Hold the canary at its first step
  coalmine.canary.canary_release: &web
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    through: step 1
  register: held

- name: Look at it with a task of your own
  ansible.builtin.uri:
    url: "http://{{ item.ip }}:8080/healthz"
  loop: "{{ held.canary.canary.pods }}"

- name: Promote exactly that canary
  coalmine.canary.canary_release:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    previous: "{{ held.release }}"
"""

RETURN = r"""
msg:
  description: How it ended, and why.
  returned: always
  type: str
release:
  description: How the release went. Its shape is docs/release.schema.json.
  returned: when the release was begun, on failure too
  type: dict
  contains:
    schema: {type: int, returned: always, description: Number of the shape.}
    run: {type: str, returned: always, description: The run that this release is of.}
    outcome:
      description:
        - V(released), all pods run the new version. V(already released), they did so before. V(created), there was no such
          Deployment before. V(planned), nothing was changed.
          V(held), the canary is held. V(nothing to promote), there is no canary to promote, with O(held).
        - The task failed with V(refused), nothing was begun; V(undone), the stable version is back; V(rolled back), the version before
          is back; V(failed), it was left as it is.
      returned: always
      type: str
    stage:
      description: "How far it came: asked, held, promoting, promoted; unknown where a call was cut off."
      type: str
      returned: always
    why: {type: list, elements: str, returned: always, description: "Sentences, the reason first."}
    hash: {type: str, returned: always, description: The pod-template-hash of the canary that was judged.}
    stable: {type: str, returned: always, description: That of the version before.}
    planned: {type: bool, returned: always, description: Whether every step was tried as a dry run.}
    reached: {type: int, returned: always, description: How many steps were held and have stood bake and judgement.}
    behind: {type: list, elements: int, returned: always, description: "Steps, from 0, that the canary had outgrown, in pods or in its share, before this run."}
    left_out: {type: int, returned: always, description: How many of these an earlier run had come past. The others are asked of the canary as it is.}
    outgrown:
      description: >-
        The C(hash) and the C(run) of that canary. Where it is gone before the first step, or another is there, no step is left out.
      returned: always
      type: dict
    verdicts:
      description: Each judgement with C(of) what it was, C(verdict) and C(reason).
      returned: always
      type: list
      elements: dict
    rooms:
      description:
        - The answer about room of each step, as RV(coalmine.canary.canary_headroom_info#module:headroom).
        - Of a release that failed only where it was refused, because Ansible prints the whole result then.
      returned: always
      type: list
      elements: dict
    costs:
      description: Of the dearest of these rooms that takes new nodes, C(cost). Empty where none does.
      returned: always
      type: dict
    canary:
      description: C(stable) and C(canary) as they were seen last, each with C(hash), C(images) and C(counts), or V(null).
      returned: always
      type: dict
    timeline:
      description:
        - What happened C(at) which time (UTC), as C(what), C(said) in a sentence, with the C(counts) of ready pods; in per cent, the
          C(share) of the requests that routes gave the canary, and of how many it got copies (C(mirror)). Both are V(null) where routes gave
          it nothing of their own. C(by) is who called.
      returned: always
      type: list
      elements: dict
    evidence:
      description: What was counted so far, for the next call.
      returned: always
      type: dict
    waits_for:
      description:
        - Who acts before a release that is held goes on. C(caller), by the next call; C(person), who resumes, promotes or undoes it.
        - C(caller) with the outcome C(failed) says that the call was refused, or reached no server, before it ruled on anything. What an
          earlier call began stays, and the next call takes it back with O(previous) and O(reject).
      returned: always
      type: str
    to_verify:
      description: The C(step) of C(steps) that your own C(tasks) are to verify now. Empty where none is.
      returned: always
      type: dict
    noticed: {type: str, returned: always, description: "Marks the last failure on the host, for O(rescued)."}
    began:
      description:
        - With what the release began, as far as each call of it has to say the same. C(version) is a digest of the template that was
          asked for, C(steps) of the steps with what holds of each of them, C(checks) of how they are judged, without the sources. A
          kubeconfig that is given as a value, and an address with a password in it, are left out. C(current_context) is that of
          the kubeconfig, where nobody named a cluster, and C(uid) that of the Deployment, once a canary is held.
      returned: always
      type: dict
    stood:
      description:
        - How the canary stood at the end of its last bake, as the next call compares it. The C(replicas) of the Deployment, and C(pods),
          by their uids, each with C(name) and C(ready_since). Empty unless the release waits for its caller.
      returned: always
      type: dict
summary:
  description: The same in a few lines for a person, with the pods of both versions.
  returned: when the release was begun, on failure too
  type: list
  elements: str
result:
  description: What the role hands on as C(canary_result).
  returned: when the role coalmine.canary.canary calls
  type: dict
  contains:
    name: {type: str, returned: always, description: Name of the Deployment.}
    namespace: {type: str, returned: always, description: Its namespace.}
    outcome: {type: str, returned: always, description: As in RV(release).}
    why: {type: list, elements: str, returned: always, description: As in RV(release).}
    verdicts: {type: list, elements: dict, returned: always, description: As in RV(release).}
    canary: {type: dict, returned: always, description: "As RV(canary), or V(null)."}
canary:
  description:
    - The release as it is now. Of a version that is C(already released), or was C(created), C(canary) is that version without pods.
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
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.release import VERB


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
