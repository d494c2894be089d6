#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_start
short_description: Start or enlarge a canary of a Deployment
version_added: 1.0.0
description:
  - Makes sure that a few pods of a Deployment run a new pod template while the others keep the old one, and that this
    stays so until somebody promotes or undoes it.
  - Nothing is installed in the cluster. The Deployment itself is held by its own fields, and what they were is kept
    in an annotation.
  - The first pods come with one patch. Further ones come step by step, each after those before it are ready.
  - When it fails after the canary was started, the canary stays held, so that you can look at it; the message says
    how to go on.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.target
  - coalmine.canary.display
  - coalmine.canary.lease
  - coalmine.canary.wait
  - coalmine.canary.wait.nodes
  - coalmine.canary.attributes
options:
  images:
    description:
      - New image of each named container. Init containers count as well.
      - At least one of O(images), O(pod_template_patch) and O(definition) is needed.
    type: dict
  pod_template_patch:
    description:
      - Strategic merge patch of the pod template, applied to the stable one.
      - Can be combined with O(images).
    type: dict
  definition:
    description:
      - A whole Deployment manifest, whose pod template is used. What else it says and the Deployment in the cluster has
        otherwise is reported in a warning and not applied.
      - A dictionary, YAML or JSON text, or the path of such a file, which is looked for next to the playbook and in the
        role's C(files/). Of several objects (YAML documents, or items of a C(List)) the one that is this Deployment is taken.
      - Text and files mean what they mean to kubectl. A dictionary in a playbook was read by Ansible, by other rules; what
        was lost by then, such as an unquoted time, is refused.
    type: raw
  pods:
    description:
      - How many canary pods there are to be. There is one if neither this nor O(weight) is given, or with O(traffic) as few as can bear
        O(traffic.weight), and never fewer than there are.
    type: int
  weight:
    description:
      - How many per cent of all pods are to be canary pods, V(1) to V(99).
      - The nearest number of pods is taken, and of two equally near ones the smaller. RV(canary.weight) is the true
        share; a warning tells of one that is more than twice as large.
      - With O(autoscaler=hold) the canary grows with the Deployment, so that its share stays; O(pods) without O(traffic) is a number that does not.
    type: int
  surge:
    description:
      - How many pods beyond the Deployment's replicas may exist. With V(0) canary pods take the place of stable ones.
      - It is V(1) if this is not given, or with O(traffic) or O(autoscaler=hold) as many as there are canary pods.
    type: int
  max_unavailable:
    description:
      - How far the number of ready pods may drop below the Deployment's replicas.
      - It is V(0) if this is not given, or V(1) with O(surge=0).
      - The field of that name which the Deployment carries meanwhile is another number, because pods of a held canary
        count as unavailable for Kubernetes.
    type: int
  autoscaler:
    description:
      - What to do about a HorizontalPodAutoscaler, which would rescale the Deployment and so undo the split.
      - V(refuse) fails if there is one.
      - V(pin) sets its minimum and maximum to the present number of replicas until the release is over. The pin belongs to
        the run that sets it. Another run gives it back only where no release is live and that run is known to have ended,
        or after 15 minutes.
      - V(hold) lets it scale up, and not down, until the release is over, and is given back like a pin. The canary pods come beside the
        stable ones (O(surge)) and have to be fewer, so that the stable version gets most of what is added. Bakes and checks take
        a scale-up for no fault. See C(docs/autoscalers.md).
      - Of an autoscaler that KEDA makes of a ScaledObject both set KEDA's own switches there, C(autoscaling.keda.sh/paused-scale-in) and
        with V(pin) C(autoscaling.keda.sh/paused-scale-out), and put them back as they were. That takes KEDA 2.18.2 or later; an older one
        is refused.
      - V(ignore) leaves it alone.
      - One that comes while a canary is held is treated so by the next start.
    type: str
    choices: [refuse, pin, hold, ignore]
    default: refuse
  owner_check:
    description:
      - What to do where a tool manages the Deployment that would put its own manifest back and so end the canary. Argo CD, Flux, Helm,
        Config Sync, Rancher Fleet, kapp, Terraform, Pulumi, a controller that owns the Deployment, and whoever applies it on the server's
        side are known by its labels, its annotations, its owner reference and by C(metadata.managedFields).
      - V(warn) tells which tool it is, and whether it comes back by itself.
      - V(fail) starts nothing there. It fails with C(failure=owned), also in check mode, before anything of this release is written, and
        says by what the tool is known. What an earlier release, or a run that died, has left behind is cleaned up first, as by any other
        start. C(kubectl apply) is a command that nobody can suspend, so it is only warned of. A template that is released already is no
        failure of this kind, and nor is a canary that is held already.
      - V(ignore) says nothing.
    type: str
    choices: [warn, fail, ignore]
    default: warn
    version_added: 1.0.0
  released:
    description:
      - What to do where the Deployment runs this pod template already, so that there is nothing to hold.
      - V(fail) fails with C(failure=same_template).
      - V(ok) changes nothing. RV(canary.canary) is the released version then, without any pod, so that a playbook can be run
        again. Later tasks that name it in O(expect), by its hash, say that it is released.
    type: str
    choices: [fail, ok]
    default: fail
    version_added: 1.0.0
  traffic:
    description:
      - Gives the canary a share of the B(requests), whatever its share of the pods, by rewriting HTTPRoutes, VirtualServices or Ingresses
        in place. Only the backends of their rules change, and what stood there is kept in an annotation of the route and put back at the
        end of the release.
      - No pod of the canary exists before the routes send nobody to it. Where the gateway can be asked, every write is proven there before
        the next one relies on it.
      - The canary pods come beside all stable pods, so O(surge) has to be at least their number if it is given, and O(wait) has to be
        V(true).
      - Of a canary that is held already, what is not given stays as it is. The routes, the Service, O(traffic.proof), O(traffic.timeout)
        and O(traffic.probe) are those that its start was given; M(coalmine.canary.canary_promote) and M(coalmine.canary.canary_undo) use
        them, too.
      - docs/traffic.md of the collection says how it works and what it cannot do.
    type: dict
    version_added: 1.0.0
    suboptions:
      kind:
        description:
          - V(gateway_api), HTTPRoutes of Gateway API (C(gateway.networking.k8s.io/v1)) in the namespace of the Deployment.
          - V(ingress_nginx), Ingresses that ingress-nginx serves, or a proxy that goes by its annotations. Each gets a canary Ingress
            beside it, and sends to one version meanwhile. Nothing tells when such a write is in force, so that it is B(stated) after ten
            seconds and never proven. Whenever the Service of an Ingress changes, ingress-nginx reloads, and some requests may fail.
          - V(istio), VirtualServices of Istio (C(networking.istio.io/v1)). Nothing there tells where users come in, so that a write is
            proven only where O(traffic.probe) says it, and otherwise B(stated) after ten seconds. What sidecars go by, too, is B(stated).
          - V(alb), Ingresses that the AWS Load Balancer Controller serves, by their annotations C(alb.ingress.kubernetes.io/actions). The
            load balancer sends to pods (C(target-type=ip)). Nothing there tells where users come in, so that a write is proven only where
            O(traffic.probe) says it, and otherwise B(stated) after a minute.
          - V(gateway_api_grpc), GRPCRoutes of Gateway API. They have no redirect, by which a gateway would answer a probe itself, so that a
            write is B(stated) by the status of the route and five seconds more, and never proven.
          - V(service_selector), the Service itself, whose selector names one version at a time, so that O(traffic.weight) is V(0) or
            V(100). It needs nothing in the cluster. For the whole release everybody who uses the Service is on one version.
        type: str
        choices: [gateway_api, service_selector, ingress_nginx, istio, alb, gateway_api_grpc]
        required: true
      service:
        description:
          - The Service that the routes send to, and that selects the pods of this Deployment and no others.
          - Without it, the only Service for which both is so; with V(service_selector) the only one that selects these pods.
        type: str
      routes:
        description: >-
          Names of the HTTPRoutes, GRPCRoutes, VirtualServices or Ingresses. Without it, every one of the namespace that has a rule that
          sends to the Service.
        type: list
        elements: str
      weight:
        description:
          - How many per cent of the requests of those rules the canary gets, V(0) to V(100). Decimals are exact, six of them.
          - It is V(0) for a new canary if this is not given.
          - More than the canary's pods can bear is refused. No pod gets more than each pod gets without a canary.
        type: float
      header:
        description:
          - Requests with exactly this header get the canary, whatever the weight. An empty dictionary ends that.
        type: dict
        suboptions:
          name: {description: [Name of the header.], type: str}
          value: {description: [Its whole value.], type: str}
      sticky:
        description:
          - With V(cookie) users keep the version that they have seen. As the weight grows, so many of those who are on the stable version
            come over that all together have the new share, and nobody goes back. A smaller weight holds for those who come anew.
          - The gateway has to match a header by an expression and to set a header for one backend, which Gateway API leaves to each
            implementation, and which V(istio) has. It has to show both, on rules for probes, before any user meets them; otherwise the task
            fails, and so it does where the gateway cannot be asked.
          - M(coalmine.canary.canary_promote) goes by V(weights) then.
          - With V(ingress_nginx) users are kept by the cookie of the controller. The Ingress needs the annotation
            C(nginx.ingress.kubernetes.io/affinity=cookie), O(traffic.header) is refused beside it, and weights are of users who come anew.
        type: str
        choices: [none, cookie]
      mirror:
        description:
          - Of how many per cent of the requests the canary gets a copy, V(0) to V(100). Users get the answers of the stable version alone;
            those of the canary are thrown away. V(0) ends it, and so does the first O(traffic.weight) above V(0). Beside such a weight, and
            beside O(traffic.sticky), it is refused.
          - B(What a request asks for, the canary does once more.) Where it writes to the same place as the stable version, everything is
            written twice. A warning says so.
          - A copy is as much work as a request, so that more than the canary's pods can bear is refused, and as few pods as can bear it come
            where no number is given.
          - With V(gateway_api) the gateway has to show on a rule for probes that it can, before any user meets it; otherwise the task
            fails, and so it does where the gateway cannot be asked. A GatewayClass that lists features in C(status.supportedFeatures) has to
            list C(HTTPRouteRequestMirror), and for less than V(100) C(HTTPRouteRequestPercentageMirror). Of one that lists none a warning
            says that nobody knows how much it copies, and O(traffic.proof=require) refuses. With V(istio) it is C(mirror) and
            C(mirrorPercentage) of the VirtualService. No other kind has it.
        type: float
      proof:
        description:
          - Whether the gateway itself is asked, from where the task runs, until it does what was written.
          - V(prefer) goes by the status of the routes and a few seconds where it cannot be asked, and warns. V(require) refuses then,
            before anything is written, and so it does with V(ingress_nginx) and V(gateway_api_grpc), which nobody can ask. V(none) never
            asks, and adds no rule for probes to the routes.
        type: str
        choices: [require, prefer, none]
        default: prefer
      timeout:
        description:
          - How many seconds one write may take to be in force.
          - Without it V(180) with V(alb), whose controller first makes a target group and then checks its targets, and V(30) with any other
            kind.
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
        description:
          - Where users come in. Without it, the first address of each Gateway of the routes, the port of its first HTTP listener that
            the route may use, and the first hostname of the route.
        type: dict
        suboptions:
          url: {description: ['V(http://) or V(https://), and a host that the routes serve.'], type: str, required: true}
          address: {description: [Where to connect instead of what the host resolves to.], type: str}
          validate_certs: {description: [Whether the certificate has to be valid for the host.], type: bool, default: true}
  strategy:
    description:
      - How many pods there are where neither O(pods) nor O(weight) says it. V(canary), as few as can bear the share of the requests.
        V(blue_green), as many as the Deployment has replicas, beside all of the stable version, so that all requests can be switched to
        them and back. It needs O(traffic).
      - It is V(blue_green) with O(traffic.kind=service_selector), and otherwise V(canary), if it is not given.
    type: str
    choices: [canary, blue_green]
    version_added: 1.0.0
  run:
    description:
      - A name of your own for the run that this is part of, such as the number of a job. It is kept with the release and returned
        as RV(canary.run).
      - A release that this begins is of that run, or of a random one if this is not given.
      - A canary of this template that is held already keeps its run if this is not given, or is taken over. What the run before
        still asks for with its own O(run) is refused from then on.
    type: str
    version_added: 1.0.0
  expect:
    description:
      - The canary that is to grow, by the pod-template-hash of its ReplicaSet, as an earlier task has returned it in C(canary.hash).
        Nothing is begun and nothing is taken over then. If the Deployment's live release is another, or of another O(run), or there
        is none, the task fails with C(failure=other_release) and writes nothing.
    type: str
    version_added: 1.0.0
seealso:
  - module: coalmine.canary.canary_promote
  - module: coalmine.canary.canary_undo
  - module: coalmine.canary.canary_info
"""

EXAMPLES = r"""
- name: Give one pod the new image
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
  register: release

- name: Show the canary's pods
  ansible.builtin.debug:
    msg: "{{ release.canary.canary.pods | map(attribute='ip') }} have {{ release.canary.weight }} % of the pods"

- name: Enlarge the canary to a quarter of all pods
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    weight: 25
    surge: 2

- name: Try a memory limit on two pods of a Deployment that has an autoscaler
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    pod_template_patch:
      spec:
        containers:
          - name: app
            resources:
              limits:
                memory: 512Mi
    pods: 2
    autoscaler: pin

- name: Hold one pod, in a playbook that may be run again when all of it is done
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    released: ok

- name: Start from the manifest that the repository holds
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    definition: web.yml
    wait_timeout: 600

- name: Give one pod one request of a thousand, and all those of the testers
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    traffic:
      kind: gateway_api
      weight: 0.1
      header: {name: x-canary, value: always}

- name: Then a quarter of all requests on three pods
  coalmine.canary.canary_start:
    name: web
    namespace: shop
    images:
      app: registry.example/web:1.5
    pods: 3
    surge: 3
    traffic:
      kind: gateway_api
      weight: 25
"""

RETURN = r"""
msg:
  description: What was done or found; when the task failed, what is wrong and what to do.
  returned: always
  type: str
planned:
  description: How many pods each version would have, C(stable) and C(canary).
  returned: in check mode, when something would change
  type: dict
  sample: {stable: 9, canary: 2}
canary:
  description:
    - The release as it is now.
    - RV(canary.canary) is not V(null) when the task succeeded. In check mode, a canary that is only planned has its images and
      no pods, and a name, hash and revision of V(null). A version that is released already, with O(released=ok), has no pods.
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
# block exposure: docs/source/blocks.yml
exposure:
  description: What users of the routes get, where the release has traffic.
  returned: when the release has traffic
  type: dict
  contains:
    weight: {type: float, returned: always, description: Per cent of the requests that the canary gets.}
    header:
      description: The C(name) and C(value) of the header whose requests all go to the canary. V(null) for none.
      returned: always
      type: dict
    sticky: {type: bool, returned: always, description: Whether users keep the version that they have seen.}
    mirror: {type: float, returned: always, description: Per cent of the requests of which the canary gets a copy.}
    programmed:
      description:
        - V(proven), the gateway has answered as written. V(stated), the status of the routes says so, and some seconds have passed.
          V(unknown), nobody asked the gateway.
      returned: always
      type: str
    routes:
      description:
        - Each route by C(name), with its C(stage). V(own), the backends are its owner's. V(isolated), everybody is on the stable version.
          V(split), by weight and header. V(contested), somebody else has written other backends. V(lost), the annotation of the
          release is gone.
      returned: always
      type: list
      elements: dict
  sample: {weight: 5.0, header: null, sticky: false, mirror: 0.0, programmed: proven, routes: [{name: web, stage: split}]}
# end of exposure
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
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.start import VERB


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
