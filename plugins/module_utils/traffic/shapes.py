# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the objects that route requests (rollout/fields.py, must_be); what is only passed on may be anything.

Sources: Gateway API, apis/v1/httproute_types.go; Kubernetes, core/v1 and discovery/v1 types.go. This module is private to the collection.
"""

from __future__ import annotations

from ..rollout.fields import Shape

_TEXTS: Shape = {"*": str}
_HEADERS: Shape = [{"name": (str,), "value": str}]
_MODIFIER: Shape = {"add": _HEADERS, "set": _HEADERS, "remove": [str]}
_MIRROR: Shape = {
    "backendRef": {"name": (str,), "group": str, "kind": str, "namespace": str},
    "percent": int,
    "fraction": {"numerator": int, "denominator": int},
}
_FILTERS: Shape = [
    {"type": (str,), "requestHeaderModifier": _MODIFIER, "responseHeaderModifier": _MODIFIER, "requestMirror": _MIRROR}
]
_METADATA: Shape = {
    "name": (str,),
    "namespace": (str,),
    "uid": str,
    "resourceVersion": str,
    "labels": _TEXTS,
    "annotations": _TEXTS,
    "ownerReferences": [{"uid": str}],
    "managedFields": [{"manager": str, "time": str, "subresource": str, "fieldsV1": dict}],
}
_RULE: Shape = {
    "name": str,
    "matches": [{"path": {"type": str, "value": str}, "headers": [{"type": str, "name": (str,), "value": (str,)}], "queryParams": [dict],
                 "method": str}],
    "filters": _FILTERS,
    "backendRefs": [{"name": (str,), "group": str, "kind": str, "namespace": str, "port": int, "weight": int, "filters": _FILTERS}],
}  # fmt: skip

_GRPC_RULE: Shape = {
    **_RULE,
    "matches": [
        {
            "method": {"type": str, "service": str, "method": str},
            "headers": [{"type": str, "name": (str,), "value": (str,)}],
        }
    ],
}

HTTP_ROUTE: Shape = {"metadata": (_METADATA,), "spec": ({"rules": [_RULE]},)}
_CHANGED: Shape = {"response": {"add": _TEXTS, "set": _TEXTS, "remove": [str]}}
_SENDS: Shape = [
    {
        "route": [
            {
                "destination": {"host": (str,), "subset": str, "port": {"number": int}},
                "weight": int,
                "headers": _CHANGED,
            }
        ]
    }
]
VIRTUAL_SERVICE: Shape = {
    "metadata": (_METADATA,),
    "spec": (
        {
            "hosts": [str],
            "gateways": [str],
            "http": [
                {
                    "name": str,
                    "match": [
                        {"uri": _TEXTS, "headers": {"*": _TEXTS}, "withoutHeaders": {"*": _TEXTS}, "gateways": [str]}
                    ],
                    **_SENDS[0],
                    "headers": _CHANGED,
                    "mirror": {"host": (str,)},
                    "mirrorPercentage": dict,
                    "mirrors": [{"destination": {"host": str}, "percentage": dict}],
                }
            ],
            "tls": _SENDS,
            "tcp": _SENDS,
        },
    ),
}
DESTINATION_RULE: Shape = {"metadata": (_METADATA,), "spec": ({"host": str, "trafficPolicy": dict},)}
BACKEND_TLS_POLICY: Shape = {
    "metadata": (_METADATA,),
    "spec": ({"targetRefs": [{"group": str, "kind": str, "name": (str,), "sectionName": str}]},),
}
BACKEND: Shape = {"service": {"name": (str,), "port": {"name": str, "number": int}}}
INGRESS: Shape = {
    "metadata": (_METADATA,),
    "spec": (
        {
            "ingressClassName": str,
            "defaultBackend": BACKEND,
            "rules": [{"host": str, "http": {"paths": [{"path": str, "pathType": str, "backend": BACKEND}]}}],
        },
    ),
}
GRPC_ROUTE: Shape = {"metadata": (_METADATA,), "spec": ({"rules": [_GRPC_RULE]},)}
SERVICE: Shape = {
    "metadata": (_METADATA,),
    "spec": (
        {
            "type": str,
            "clusterIP": str,
            "selector": _TEXTS,
            "ports": [{"name": str, "port": int, "protocol": str}],
            "publishNotReadyAddresses": bool,
        },
    ),
}
ENDPOINT_SLICE: Shape = {
    "metadata": {"labels": _TEXTS},
    "addressType": str,
    "endpoints": [{"addresses": [str], "conditions": {"ready": bool}, "targetRef": {"uid": str}}],
    "ports": [{"name": str}],
}
