# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files of one node: containerd, the CNI, kubelet, kube-proxy; and why they say what they say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..images import PAUSE
from .machine import POD_RANGE, Runtime
from .network import Address

DNS_ADDRESS = "10.96.0.10"
MOST_PODS = 110
# in the node's own /run; below its directory the path could be longer than the 104 bytes of a socket's
SOCKET = "/run/containerd/containerd.sock"

_CONTAINERD_1 = """\
version = 2
root = "{directory}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", \
"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # root in a virtual machine may lack CAP_SYS_RESOURCE: a lower oom_score_adj would make runc fail
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{directory}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"""

_CONTAINERD_2 = """\
version = 3
root = "{directory}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", \
"io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  # root in a virtual machine may lack CAP_SYS_RESOURCE: a lower oom_score_adj would make runc fail
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{cni}"]
  conf_dir = "{directory}/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    BinaryName = "{runc}"
    SystemdCgroup = false
"""

# The kubelet insists on these values and would write them for the whole machine: inside the node, files that already
# hold them are mounted over the real ones.
PRETENDED_SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


@dataclass(frozen=True)
class NodeFiles:
    """One node's directory, its name in the cluster, its cgroup and its address."""

    directory: Path
    name: str
    cgroup: str
    address: Address

    @property
    def kubeconfig(self) -> Path:
        """Written when the API server is ready; the node starts its kubelet then."""
        return self.directory / "node.conf"

    def write(self, runtime: Runtime, client_authority: Path, reserved: dict[str, str]) -> None:
        """Writes all files but the kubeconfig. `reserved` (quantities) is taken off what pods may use."""
        for below in (
            "log",
            "cni/net.d",
            "kubelet",
            "pki",
            "plugins",
            "varlog",
            "overlay/up",
            "overlay/work",
            "sysctl",
        ):
            (self.directory / below).mkdir(parents=True)
        template = _CONTAINERD_1 if runtime.containerd_major == 1 else _CONTAINERD_2
        self._text("containerd.toml", template.format(
            directory=self.directory, socket=SOCKET, pause=PAUSE, cni=runtime.cni, runc=runtime.runc,
        ))  # fmt: skip
        self._json("cni/net.d/10-bridge.conflist", self._cni())
        self._json("kubelet.json", self._kubelet(client_authority, reserved))
        self._json("kube-proxy.json", self._kube_proxy())
        self._text("pods-resolv.conf", f"nameserver {DNS_ADDRESS}\n")
        # nobody answers on loopback: a missing image is an error at once, not after the resolver's timeout
        self._text("node-resolv.conf", "nameserver 127.0.0.1\n")
        for name, value in PRETENDED_SYSCTLS.items():
            self._text(f"sysctl/{name.replace('/', '.')}", f"{value}\n")

    def _text(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def _json(self, name: str, content: Any) -> None:
        self._text(name, json.dumps(content, indent=1))

    def _cni(self) -> dict[str, Any]:
        ranges = [[{"subnet": self.address.pods}]]
        storage = str(self.directory / "cni/addresses")
        bridge = {
            "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "mtu": 1500,
            "ipam": {"type": "host-local", "dataDir": storage, "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]},
        }  # fmt: skip
        return {"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge]}

    def _kubelet(self, client_authority: Path, reserved: dict[str, str]) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",  # no systemd needed
            "cgroupRoot": f"/{self.cgroup}",  # or several kubelets would share one tree
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(client_authority)},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.directory / "pods-resolv.conf"),
            "podLogsDir": str(self.directory / "varlog/pods"),
            "volumePluginDir": str(self.directory / "plugins"),
            "failSwapOn": False,
            "maxPods": MOST_PODS,
            "systemReserved": reserved,
            # the disk is the whole machine's, and an image that was imported by hand cannot be pulled again
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "imageMinimumGCAge": "8760h",
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
        }

    def _kube_proxy(self) -> dict[str, Any]:
        unlimited = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.name,
            "clientConnection": {"kubeconfig": str(self.kubeconfig)},
            "clusterCIDR": POD_RANGE,
            "detectLocalMode": "ClusterCIDR",
            "conntrack": unlimited,  # the limits belong to the first network namespace and are read-only in this one
            "nftables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
        }
