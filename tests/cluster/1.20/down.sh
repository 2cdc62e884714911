#!/usr/bin/env bash
# down.sh: stop what up.sh started, by pid file; unmount and tidy. etcd's data, keys and images stay; PURGE=1 removes run/ whole.
set -uo pipefail
B=${FOIL_KUBE:-$HOME/.cache/foil-kube-1.20}; R=$B/root; RUN=$B/run; PID=$RUN/pid; export PATH=$B/bin:$R/usr/bin:$R/usr/sbin:$PATH
alive() { [ -s "$PID/$1" ] && [ -e "/proc/$(cat "$PID/$1")/exe" ] && [ "$(basename "$(readlink "/proc/$(cat "$PID/$1")/exe")")" = "$1" ]; }
stop() { local p i; alive "$1" || { rm -f "$PID/$1"; return; }; p=$(cat "$PID/$1"); kill "$p"
  for i in $(seq 60); do alive "$1" || break; sleep 0.25; done; ! alive "$1" || kill -9 "$p"; rm -f "$PID/$1"; echo "stopped $1 ($p)"; }
stop kubelet
if alive containerd; then # every container and its shim, through containerd itself
  c() { ctr -a "$RUN/containerd/c.sock" -n k8s.io "$@"; }
  for t in $(c tasks ls -q 2>/dev/null); do c tasks kill -s SIGKILL "$t" >/dev/null 2>&1; done; sleep 1
  for t in $(c tasks ls -q 2>/dev/null); do c tasks delete -f "$t" >/dev/null 2>&1; done
  for t in $(c containers ls -q 2>/dev/null); do c containers delete "$t" >/dev/null 2>&1; done
fi
stop containerd; stop kube-scheduler; stop kube-controller-manager; stop kube-apiserver; stop etcd
# shims left behind: only those whose command line names our socket
for d in /proc/[0-9]*; do [ "$(readlink "$d/exe" 2>/dev/null)" = "$R/usr/bin/containerd-shim-runc-v2" ] && kill "${d#/proc/}" 2>/dev/null; done
awk -v p="$RUN/" 'index($2,p)==1{print $2}' /proc/mounts | sort -r | while read -r m; do umount -l "$m"; done
for n in /run/netns/cni-*; do [ -e "$n" ] && ! grep -qxF "$n" "$RUN/before" && ip netns del "${n##*/}"; done
[ -s "$RUN/iptables.rule" ] && XTABLES_LIBDIR=$R/usr/lib/x86_64-linux-gnu/xtables LD_LIBRARY_PATH=$R/usr/lib/x86_64-linux-gnu "$R/usr/sbin/iptables-legacy" -w -t nat -D $(cat "$RUN/iptables.rule") && rm -f "$RUN/iptables.rule"
ip link show foilcni0 >/dev/null 2>&1 && ip link del foilcni0
for c in /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods; do [ -d "$c" ] && find "$c" -depth -type d -exec rmdir {} \; 2>/dev/null; done
[ -s "$RUN/sysctl.saved" ] && while read -r k v; do echo "$v" >"/proc/sys/$k"; done <"$RUN/sysctl.saved" && rm -f "$RUN/sysctl.saved"
if [ "${PURGE:-0}" != 0 ]; then
  for d in /var/log/pods /var/log/containers /var/lib/cni /var/lib/kubelet /run/containerd; do [ -e "$RUN/before" ] && ! grep -qxF $d "$RUN/before" && rm -rf $d; done
  rm -rf "$RUN" "$B/kubeconfig"; fi
exit 0
