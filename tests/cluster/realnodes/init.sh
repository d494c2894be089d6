#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The first process of one node, in network, mount, pid, uts and ipc namespaces of its own. When it ends, the kernel ends
# every daemon and container of the node and drops every mount. nodes.py starts it and passes, in the environment:
#   NODE NAME ADDRESS ROUTES (one a line)   BINARIES CONTAINERD CNI IMAGES
set -u
fail() { echo "init.sh: $*" >&2; exit 1; }
await() { # await SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "waited in vain for $what"
        sleep 0.05
    done
}

hostname "$NAME"
resolv=$(readlink -f /etc/resolv.conf)
mount --make-rshared /                 # stays within this mount namespace; the kubelet wants shared propagation
mount -t tmpfs tmpfs /run              # own /run/netns, /run/containerd, /run/xtables.lock
mkdir -p "$(dirname "$resolv")" && touch "$resolv"
mount --bind "$NODE/node-resolv.conf" "$resolv"
mkdir /run/node && mount --bind "$NODE" /run/node   # short: the kubelet makes sockets below its root, of 104 bytes at most
mount --bind "$NODE/varlog" /var/log   # kubelet's /var/log/containers
# /var/lib/kubelet and /var/lib/cni are written into kubelet and plugins
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$NODE/overlay/up,workdir=$NODE/overlay/work" /var/lib \
    || fail "no overlay file system"
for file in "$NODE"/sysctl/*; do
    name=${file##*/}
    [ -e "/proc/sys/${name//.//}" ] && mount --bind "$file" "/proc/sys/${name//.//}"
done

await 30 "the cable" ip link show eth0
ip link set lo up
ip address add "$ADDRESS/16" dev eth0
ip link set eth0 up
# shellcheck disable=SC2086 # a route is several words
while read -r route; do ip route add $route || fail "route $route"; done <<< "$ROUTES"
# settings of this network namespace only
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
[ -d /proc/sys/net/bridge ] && sysctl -qw net.bridge.bridge-nf-call-iptables=1   # pod -> Service -> pod on one bridge
# A connection to a dead pod is remembered for two minutes, and a new one from the same port would follow it: forget soon.
sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_syn_sent=3 net.netfilter.nf_conntrack_tcp_timeout_time_wait=10

export PATH=${CONTAINERD%/*}:$CNI:/usr/sbin:/usr/bin:/sbin:/bin   # containerd finds its shim by PATH
ctr() { "${CONTAINERD%/*}/ctr" "$@"; }   # its default address is the node's
containerd --config "$NODE/containerd.toml" > "$NODE/log/containerd.log" 2>&1 &
await 30 containerd test -S /run/containerd/containerd.sock
ctr --namespace k8s.io images import "$IMAGES" > "$NODE/log/import.log" 2>&1 || fail "the images could not be imported"
ctr --namespace k8s.io images label lab.local/pause:1 io.cri-containerd.pinned=pinned >> "$NODE/log/import.log" 2>&1

await 120 "the API server" test -e "$NODE/node.conf"
"$BINARIES/kubelet" --config "$NODE/kubelet.json" --kubeconfig "$NODE/node.conf" --root-dir /run/node/kubelet \
    --cert-dir "$NODE/pki" --hostname-override "$NAME" --node-ip "$ADDRESS" > "$NODE/log/kubelet.log" 2>&1 &
"$BINARIES/kube-proxy" --config "$NODE/kube-proxy.json" > "$NODE/log/kube-proxy.log" 2>&1 &
wait -n
fail "containerd, kubelet or kube-proxy ended: so does the node"
