# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: real ones, on addresses that only this machine has."""

from __future__ import annotations

from collections.abc import Sequence

from .api import Api
from .certificates import Authority, certificate_user, cluster_entry, write_kubeconfig
from .construction import Construction
from .layout import Layout
from .ports import free_ports

LOOPBACK = "127.0.0.1"
# Where nothing but IPv6 leads.
LOOPBACK_6 = "::1"
SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
# an hour: kubelets that are slow on a busy machine must not lose their pods in the middle of a test
NODE_GRACE = "3600s"


def start_control_plane(
    site: Construction,
    *,
    address: str = LOOPBACK,
    reaches_kubelets: bool = False,
    controller_manager_flags: Sequence[str] = (),
) -> Api:
    """Starts all four; returns the administrator's access when the API server is ready (about 2.5 s).

    `address` is the API server's only one: loopback, or that of the bridge which real nodes are on (`reaches_kubelets`).
    Later flags win over the ones that stand here.
    """
    port, etcd_client, etcd_peer = free_ports(3)
    _start_etcd(site, etcd_client, etcd_peer)
    host = f"[{address}]" if ":" in address else address
    server = f"https://{host}:{port}"
    authority = Authority.create(site.layout.pki)
    _write_credentials(authority, site.layout, server, address)
    flags = _api_server_flags(site.layout, port, etcd_client, address)
    flags += _kubelet_flags(site.layout) if reaches_kubelets else []
    site.run("kube-apiserver", [site.binaries / "kube-apiserver", *flags])
    admin = authority.client("admin", "lab-admin", ["system:masters"])
    write_kubeconfig(site.layout.kubeconfig, cluster_entry(server, authority.certificate), certificate_user(admin))
    api = Api(server, str(authority.certificate), admin)
    site.wait_until(lambda: bool(api.request("GET", "/readyz") == "ok"), "the API server to be ready")
    _start_controllers(site, controller_manager_flags)
    return api


def _start_etcd(site: Construction, client_port: int, peer_port: int) -> None:
    client, peer = f"http://{LOOPBACK}:{client_port}", f"http://{LOOPBACK}:{peer_port}"
    site.run("etcd", [
        site.binaries / "etcd", f"--data-dir={site.layout.directory / 'etcd'}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync", "--log-level=error",
    ])  # fmt: skip


def _write_credentials(authority: Authority, layout: Layout, server: str, address: str) -> None:
    own = sorted({LOOPBACK, FIRST_SERVICE_ADDRESS, address})
    authority.server("kube-apiserver", ["DNS:localhost", "DNS:kubernetes.default.svc", *(f"IP:{ip}" for ip in own)])
    authority.signing_key("service-accounts")
    for daemon in ("kube-controller-manager", "kube-scheduler"):
        pair = authority.client(daemon, f"system:{daemon}", ["system:masters"])
        write_kubeconfig(
            layout.pki / f"{daemon}.conf", cluster_entry(server, authority.certificate), certificate_user(pair)
        )


def _api_server_flags(layout: Layout, port: int, etcd_port: int, address: str) -> list[str]:
    pki = layout.pki
    # a loopback address cannot be an endpoint of the Service `kubernetes`: the server refuses to start with a reconciler
    reconciler = ["--endpoint-reconciler-type=none"] if address in (LOOPBACK, LOOPBACK_6) else []
    return [
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}", f"--secure-port={port}",
        f"--bind-address={address}", f"--advertise-address={address}", *reconciler,
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}", f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}", "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}", "--authorization-mode=RBAC", "--allow-privileged",
        "--kubelet-preferred-address-types=InternalIP",  # nobody resolves the nodes' names
    ]  # fmt: skip


def _kubelet_flags(layout: Layout) -> list[str]:
    """Logs, exec and port-forward go from the API server to the kubelets; the aggregator lets metrics-server be added."""
    pki = layout.pki
    return [
        f"--kubelet-client-certificate={pki / 'admin.crt'}", f"--kubelet-client-key={pki / 'admin.key'}",
        "--enable-aggregator-routing",
        f"--requestheader-client-ca-file={pki / 'ca.crt'}", "--requestheader-allowed-names=lab-admin",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'admin.crt'}", f"--proxy-client-key-file={pki / 'admin.key'}",
    ]  # fmt: skip


def _start_controllers(site: Construction, controller_manager_flags: Sequence[str]) -> None:
    pki = site.layout.pki
    site.run("kube-controller-manager", [
        site.binaries / "kube-controller-manager", f"--kubeconfig={pki / 'kube-controller-manager.conf'}",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}", f"--root-ca-file={pki / 'ca.crt'}",
        "--use-service-account-credentials=false", "--leader-elect=false", "--secure-port=0",
        "--kube-api-qps=200", "--kube-api-burst=400", "--horizontal-pod-autoscaler-sync-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE}", *controller_manager_flags,
    ])  # fmt: skip
    site.run("kube-scheduler", [
        site.binaries / "kube-scheduler", f"--kubeconfig={pki / 'kube-scheduler.conf'}",
        "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
    ])  # fmt: skip
