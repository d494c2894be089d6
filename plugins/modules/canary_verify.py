#!/usr/bin/python
# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_verify
short_description: Judge a held canary against the stable pods beside it
version_added: 1.0.0
description:
  - Counts bad events in canary and stable pods over the same seconds, and stops as soon as the evidence decides.
  - The verdict is V(pass), V(fail) or V(inconclusive). A source that is dead, empty or makes no sense, a version without
    traffic and a window that is too short are V(inconclusive), never anything else.
  - The evidence may be looked at as often as one likes. O(confidence) bounds the false alarms of the whole run, over all
    checks and all looks.
  - The task fails on V(fail), and on V(inconclusive) unless O(inconclusive_ok=true). Nothing is written to the cluster.
  - Before it begins it says whether O(duration), the traffic and the tolerance can decide at all, and about how long that
    takes, as far as the traffic is known; for the rest it says so after a quarter of a minute.
  - Where routes share requests out (C(traffic) of M(coalmine.canary.canary_start)), each look reads them as well. Where somebody else writes
    what the release has written there, changes what the canary gets, drains it or deletes its Service, this fails with
    RV(failure=contested), whatever O(inconclusive_ok) says, because the canary was not tried by the users that it was to be tried by.
author:
  - coalmine.canary contributors (@coalmine)
extends_documentation_fragment:
  - coalmine.canary.connection
  - coalmine.canary.target
  - coalmine.canary.display
  - coalmine.canary.identity
  - coalmine.canary.attributes.info
options:
  checks:
    description:
      - What to judge by. Each check has exactly one of O(checks[].pods), O(checks[].http), O(checks[].prometheus),
        O(checks[].logs), O(checks[].resources) and O(checks[].samples).
      - The run fails when the mean of the checks' evidences says so, and passes when every check passes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the check. The default is the name of its source.
        type: str
      pods:
        description:
          - Restarts, readiness lost and evictions of pods. Give C({}).
          - Such events are rare. So this check is only watched (see O(checks[].must_pass)) and tolerates one event an hour
            and pod more than stable, unless said otherwise.
        type: dict
        suboptions: {}
      http:
        description:
          - Requests of our own, to canary and stable pods in turn. A refused connection and a timeout are bad.
        type: dict
        suboptions:
          path:
            description:
              - Path of the request.
            type: str
            default: /
          port:
            description:
              - Port of the pods.
            type: int
            default: 8080
          scheme:
            description:
              - Scheme that the pods speak.
            type: str
            choices: [http, https]
            default: http
          via:
            description:
              - V(proxy) goes through the API server and works from anywhere; it needs the right to C(get) C(pods/proxy).
              - V(port_forward) also goes through the API server, to a port that it forwards; it needs the rights to C(get) and
                C(create) C(pods/portforward). The application has to listen on the pod's loopback address, too.
              - V(auto) takes V(proxy), or V(port_forward) when the proxy does not reach a stable pod before the run begins.
              - V(pod) goes to the pods' addresses. V(url) goes to O(checks[].http.url), where
                O(checks[].http.canary_headers) and O(checks[].http.stable_headers) tell the versions apart.
            type: str
            choices: [proxy, port_forward, auto, pod, url]
            default: proxy
          status:
            description:
              - Good status codes.
            type: list
            elements: int
            default: [200]
          body:
            description:
              - Regular expression that a good answer holds, in its first 64 KiB. An answer over which it takes more than half a
                second of a processor is bad.
            type: str
            default: ""
          slow_ms:
            description:
              - An answer that takes more milliseconds is bad.
            type: float
          rate:
            description:
              - Requests a second, over both versions.
            type: float
            default: 10.0
          max_requests:
            description:
              - Requests in all.
            type: int
            default: 5000
          price_per_gb:
            description:
              - Price of a gigabyte (10^9 bytes) sent or received, for the bill in RV(verify).
            type: float
          canary_headers:
            description:
              - Headers of requests to the canary, besides O(checks[].http.headers). Where the release splits requests itself, the header
                of its routes is to be among them with O(checks[].http.via=url), or nothing is counted.
            type: dict
            default: {}
          stable_headers:
            description:
              - Headers of requests to the stable version, besides O(checks[].http.headers).
            type: dict
            default: {}
          url:
            description:
              - Scheme, host, port and path below which O(checks[].http.path) stands, with O(checks[].http.via=url). It is
                reached directly, whatever C(HTTPS_PROXY) says.
            type: str
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
              - Headers to send along, in both versions.
              - C(Authorization) and C(Impersonate-*) are refused with O(checks[].http.via=proxy) and O(checks[].http.via=auto),
                because the API server would take them for its own and pass none on. Use O(checks[].http.via=port_forward)
                or O(checks[].http.via=pod).
            type: dict
            default: {}
          timeout:
            description:
              - Seconds for a whole request, up to 60.
            type: float
            default: 5.0
      prometheus:
        description:
          - Counters, a histogram, or one value, from Prometheus or whatever has its API.
          - In queries, C(<pods>) stands for a regular expression of a version's pods, C(<hash>) for its pod-template-hash and
            C(<namespace>) for the namespace. Queries of counters are asked once for each version.
          - Counters are read raw and subtracted between looks, so leave C(rate()) and C(increase()) out. A label C(pod) lets
            bursts of errors in single pods be recognised. Of a sum over pods, a look over which the pods changed is no data.
          - An answer that says to be a part of what there is (C(warnings), C(isPartial)) is no data. Series that a pair of scrapers
            sends twice are counted once where their label tells so, such as C(prometheus_replica); a label C(replica) may be
            the application's own, so it is no data until the query takes it off.
        type: dict
        suboptions:
          bad:
            description:
              - Selector (or sum by pod) of the counter of bad events, with O(checks[].prometheus.total).
            type: str
            default: ""
          total:
            description:
              - Selector (or sum by pod) of the counter of all events.
            type: str
            default: ""
          histogram:
            description:
              - Selector of a histogram, without C(_bucket), with O(checks[].prometheus.slower_than).
            type: str
            default: ""
          slower_than:
            description:
              - Bounds of the histogram in seconds. Requests above a bound are bad. Three to five of them, about stable's
                p50 to p99.9, find any kind of slowness.
            type: list
            elements: float
            default: []
          query:
            description:
              - Query that gives one value, for O(checks[].min) and O(checks[].max). It is asked once, and may name
                C(<canary_pods>), C(<canary_hash>), C(<stable_pods>) and C(<stable_hash>).
            type: str
            default: ""
          url:
            description:
              - Scheme, host, port and path below which the API stands, without a user, C(?) or C(#) in it. It is reached
                directly, whatever C(HTTPS_PROXY) says.
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
              - Headers to send along, such as C(X-Scope-OrgID).
            type: dict
            default: {}
          timeout:
            description:
              - Seconds for a whole request, up to 600.
            type: float
            default: 10.0
      logs:
        description:
          - Seconds in which a pod logs a line that matches, out of pod-seconds. When no pod of either version has logged a line of any
            kind for two minutes, that is no data. With C(traffic), a second of a canary pod is worth what its requests are beside those of
            a stable pod; with a header that is not known, and there is no data.
        type: dict
        suboptions:
          pattern:
            description:
              - Regular expression for lines of the pods' logs, read through the API. It is searched for in the first 4096 bytes of
                a line, and for half a second of a processor at most.
            type: str
            default: ""
          container:
            description:
              - Container whose log is read. The default is the one that the pod's annotation
                C(kubectl.kubernetes.io/default-container) names, else its only one. Where there are several and none is named, the
                task is refused, and the names are told.
            type: str
            default: ""
          query:
            description:
              - LogQL query that selects the lines that match, with O(checks[].logs.url) of a Loki. Placeholders as for
                O(checks[].prometheus).
              - Its labels in braces must select lines of all kinds, not errors alone. Seconds count once Loki has any line
                that is not older; when it has none of either version for two minutes, that is no data.
            type: str
            default: ""
          settled_after:
            description:
              - Seconds after which all lines have arrived; what comes later is not counted. Longer than what collects the logs
                takes to deliver them; up to 600.
              - The default is 2 from the API, and 15 from Loki.
            type: float
          url:
            description:
              - Scheme, host, port and path below which the API stands, without a user, C(?) or C(#) in it. It is reached
                directly, whatever C(HTTPS_PROXY) says.
            type: str
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
              - Headers to send along, such as C(X-Scope-OrgID).
            type: dict
            default: {}
          timeout:
            description:
              - Seconds for a whole request, up to 600.
            type: float
            default: 10.0
      resources:
        description:
          - Mean use of a canary pod as a multiple of that of a stable pod, from metrics.k8s.io, for O(checks[].max).
          - What metrics-server has measured counts once, however many looks find it. It measures every 15 to 60 seconds, and a look gives a
            reading where all of these pods have been measured anew since the last one.
        type: dict
        suboptions:
          resource:
            description:
              - What is used.
            type: str
            choices: [cpu, memory]
            default: memory
      samples:
        description:
          - What tasks of your own have counted, each with C(time) (seconds since the start), C(canary) and C(stable), and in
            both C(bad) and C(total) since the sample before.
          - A sample is a look, if it is 5 seconds or more after the one before, and no verdict comes from fewer than three looks.
          - With O(history), those that were judged at an earlier step are no data of this one. Of a list that goes on with the
            one that was judged then, the rest is.
        type: list
        elements: dict
      max_ratio:
        description:
          - Tolerated is a canary rate of at most this many times stable's, plus O(checks[].max_increase). Missing, it is 1.
          - Give both. A ratio alone can never pass while stable has no bad event.
        type: float
      max_increase:
        description:
          - Tolerated increase of the rate, in bad events a request (or a pod-second). Missing, it is 0.
        type: float
      must_pass:
        description:
          - Whether a pass of the run needs this check's evidence to pass. Without, the check is only watched and may still
            fail the run. With three bad events or more, and more evidence against the canary than for it since the newest step,
            it lets no run pass before O(duration) is over; and not then with fewer than the three looks of that step that
            evidence needs, or where this check and step alone would fail it, and only the others hide that. The default is
            V(true), but V(false) for O(checks[].pods).
        type: bool
      weight:
        description:
          - Weight in the mean over all checks.
        type: float
        default: 1.0
      bucket_seconds:
        description:
          - Seconds of a look. They should be longer than a burst of errors. By default 5 to 15, depending on the traffic.
        type: float
      min:
        description:
          - Lowest value, for checks that give one value. Plain bounds carry no evidence and promise nothing.
        type: float
      max:
        description:
          - Highest value, for checks that give one value.
        type: float
      in_a_row:
        description:
          - So many values outside, one after the other, fail; so many inside are needed to pass.
        type: int
        default: 3
  duration:
    description:
      - How many seconds to look at most.
    type: int
    default: 300
  interval:
    description:
      - Seconds between two looks at the sources.
    type: int
    default: 5
  warmup:
    description:
      - Seconds at the beginning that are not counted, because cold caches are no fault.
    type: int
    default: 0
  confidence:
    description:
      - One minus the largest probability of a V(fail) of a canary that is tolerated, and of a V(pass) of one that is at or above
        what is tolerated.
    type: float
    default: 0.95
  on_no_data:
    description:
      - What to do when a source gives no data. V(wait) goes on until O(duration) is over, V(stop) ends the run after three
        looks in a row. Both are V(inconclusive).
    type: str
    choices: [wait, stop]
    default: wait
  inconclusive_ok:
    description:
      - Whether the task succeeds on V(inconclusive).
    type: bool
    default: false
  guard:
    description:
      - Guards a promotion instead of judging a held canary. Begin the promotion with M(coalmine.canary.canary_promote) and
        O(coalmine.canary.canary_promote#module:wait=false), then guard it.
      - As long as both versions serve it compares, for at most O(duration), and a pass does not end it. It ends when no
        stable pod is left, or when the promotion cannot go on, and M(coalmine.canary.canary_promote) then finishes the
        promotion, or says why it cannot.
      - Of a Deployment whose promotion is finished it watches the new version alone, by O(checks[].pods) and by
        O(checks[].prometheus.query) with bounds. There is nothing to compare with any more, so this promises nothing about
        errors. It fails on three bad events of pods that are more than O(checks[].max_increase) allows, or on a bound; and, whatever the
        checks are, where no pod has been Ready for a minute or at the last three looks.
      - A rollback after the promotion needs the ReplicaSet of the version before. Where C(spec.revisionHistoryLimit) is 0 the
        cluster deletes it at the end of the promotion, and the guard warns of that.
      - A guard fails on V(fail) only, whatever O(inconclusive_ok) says.
    type: bool
    default: false
  steps:
    description:
      - How many further steps a release has after the first, when each step is judged by a task of its own. A guarded
        promotion is a step. Give the same number, and the same checks, to all of them.
    type: int
    default: 0
  history:
    description:
      - RV(verify) of the step before, so that O(confidence) holds for the release and not for each step. One that is of another
        version than is judged now is refused.
    type: dict
seealso:
  - module: coalmine.canary.canary_start
  - module: coalmine.canary.canary_undo
  - module: coalmine.canary.canary_promote
  - module: coalmine.canary.canary_rollback
"""

EXAMPLES = r"""
- name: Judge by the error rate, with requests of our own
  coalmine.canary.canary_verify:
    name: web
    namespace: shop
    duration: 600
    checks:
      - http: {path: /healthz, port: 8080}
        max_ratio: 1.5
        max_increase: 0.01
      - pods: {}

- name: Judge by what users see, from Prometheus
  coalmine.canary.canary_verify:
    name: web
    namespace: shop
    duration: 900
    warmup: 30
    checks:
      - name: errors
        prometheus:
          url: https://prometheus.example:9090
          token: "{{ prometheus_token }}"
          bad: http_requests_total{namespace="<namespace>",pod=~"<pods>",code=~"5.."}
          total: http_requests_total{namespace="<namespace>",pod=~"<pods>"}
        max_ratio: 1.5
        max_increase: 0.005
      - name: latency
        prometheus:
          url: https://prometheus.example:9090
          token: "{{ prometheus_token }}"
          histogram: http_request_duration_seconds{namespace="<namespace>",pod=~"<pods>"}
          slower_than: [0.1, 0.25, 1]
        max_ratio: 1.5
        max_increase: 0.01
  register: judged

- name: Judge by errors in the logs and by memory
  coalmine.canary.canary_verify:
    name: web
    namespace: shop
    checks:
      - logs: {pattern: "(ERROR|panic)"}
        max_ratio: 2
        max_increase: 0.01
      - resources: {resource: memory}
        max: 1.5

- name: Begin a promotion that is to be guarded for ten minutes
  coalmine.canary.canary_promote:
    name: web
    namespace: shop
    expect: "{{ judged.verify.hash }}"
    wait: false
  register: promotion

- name: Compare as long as both versions serve; if this fails, canary_undo takes the promotion back
  coalmine.canary.canary_verify:
    name: web
    namespace: shop
    expect: "{{ promotion.hash }}"
    guard: true
    duration: 600
    checks: "{{ checks }}"
  register: guarded

- name: Finish the promotion
  coalmine.canary.canary_promote:
    name: web
    namespace: shop
    expect: "{{ promotion.hash }}"

- name: Watch the new version alone; if this fails, canary_rollback returns to promotion.canary.stable.hash
  coalmine.canary.canary_verify:
    name: web
    namespace: shop
    expect: "{{ promotion.hash }}"
    guard: true
    duration: "{{ [guarded.verify.guard.left | int, 1] | max }}"
    checks: "{{ checks }}"
    history: "{{ guarded.verify }}"
"""

RETURN = r"""
msg:
  description: The verdict and why; when the task could not judge, what is wrong and what to do.
  returned: always
  type: str
verify:
  description: The verdict with everything that was counted. RV(verify.verdict) is V(null) in check mode, and where the
    version named in O(expect) is released already.
  returned: when it was judged
  type: dict
  contains:
    verdict: {type: str, returned: always, description: "V(pass), V(fail) or V(inconclusive)."}
    reason: {type: str, returned: not in check mode, description: One sentence a check that matters.}
    seconds: {type: float, returned: not in check mode, description: Seconds from the start of the run to the verdict.}
    confidence:
      description: What was promised. V(null) where the new version was guarded alone, and nothing is promised.
      returned: not in check mode
      type: float
    evidence: {type: float, returned: not in check mode, description: Mean evidence of the checks to fail.}
    limit: {type: float, returned: not in check mode, description: Where evidence decides.}
    checks:
      description:
        - For each check its verdict, the rule that decided, the reason, when and on how much exposure it was decided, and
          how often its source gave no data. For each of its C(streams) the counts of both versions, an estimate with
          its interval, the evidence, and a C(series) of all looks to plot. For plain bounds the values.
      returned: not in check mode
      type: list
      elements: dict
    forecasts:
      description:
        - For each check whose traffic was known or seen, C(seconds_to_pass) and C(samples_to_pass) of a canary as good as stable
          (V(null) for never), whether O(duration) suffices for that (C(reach), V(likely), V(uncertain), V(unlikely) or
          V(never)), C(rate_seen), from which rate on a canary is likely to be caught within it, and C(excess_seen), how many
          times the tolerated rate that is; the traffic and the rate of stable that this is based on; and all of it as C(text).
      returned: when canary and stable were compared, and in check mode
      type: dict
    hash:
      description: The pod-template-hash of the version that was judged.
      returned: not in check mode
      type: str
    guard:
      description:
        - With O(guard=true), whether the new version was guarded C(beside_stable), its C(hash), for how many C(seconds), and how
          many are C(left) of O(duration).
      returned: with O(guard=true), not in check mode
      type: dict
    samples:
      description: Marks of the lists of O(checks[].samples) that were judged until now, by which O(history) knows them again.
      returned: when canary and stable were compared
      type: list
      elements: str
    costs:
      description:
        - For each check that sends requests, how many, their bytes, the way that they took and, when a price was given, their
          price.
      returned: not in check mode
      type: dict
    reached: {type: list, elements: str, returned: in check mode, description: Checks whose source answered.}
    unreached: {type: dict, returned: in check mode, description: "The other checks, each with the reason."}
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
from ansible_collections.coalmine.canary.plugins.module_utils.frontdoor.verify import VERB


def main() -> None:
    run_module(VERB)


if __name__ == "__main__":
    main()
