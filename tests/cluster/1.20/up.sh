#!/usr/bin/env bash
# up.sh: a real one-node Kubernetes 1.20.2 on loopback, from Debian's own packages: fetch, build if needed, start. Idempotent.
# To be tried by hand before a release: the oldest Kubernetes that Foil is known to work with. Not beside the current one.
# Root, Debian bookworm. About 5 to 12 minutes from nothing, 30 s once built, 8 s to restart. 3.3 GB of disk, 0.65 GiB of memory.
# Then: export KUBECONFIG=$FOIL_KUBE/kubeconfig PATH=$FOIL_KUBE/bin:$PATH   (FOIL_KUBE defaults to ~/.cache/foil-kube-1.20)
#   NODE=0 up.sh   control plane only (etcd, apiserver, controller-manager, scheduler)
#   BUILD_ONLY=1   stop after the build
#   DEBIAN_IMAGE=1 also make localhost/debian:12 (debootstrap minbase, about a minute once)
#   AUDIT_WEBHOOK=http://127.0.0.1:PORT/PATH  also post audit events there;  GATES=EphemeralContainers=true  feature gates
set -euo pipefail
B=${FOIL_KUBE:-$HOME/.cache/foil-kube-1.20}; NODE=${NODE:-1}
APIPORT=${APIPORT:-6443}; ETCDPORT=${ETCDPORT:-12379}; ETCDPEER=${ETCDPEER:-12380}
R=$B/root; BIN=$B/bin; RUN=$B/run; PKI=$RUN/pki; LOG=$RUN/log; PID=$RUN/pid; CFG=$RUN/cfg
KVER=1.20.5+really1.20.2-1.1+deb12u1
export PATH=$BIN:$R/usr/bin:$R/usr/sbin:$PATH
mkdir -p "$B" "$BIN" "$B/debs" "$PKI" "$LOG" "$PID" "$CFG"; chmod 700 "$PKI"
cat >"$B/mkimage.py" <<'PY'
#!/usr/bin/env python3
"""mkimage.py OUT.tar REF ENTRYPOINT_JSON ROOTFS_DIR : one-layer OCI image archive for `ctr images import`."""
import hashlib, io, json, os, sys, tarfile
out, ref, entry, root = sys.argv[1:5]
def clean(ti):
    ti.uid = ti.gid = 0; ti.uname = ti.gname = "root"; ti.mtime = 0
    return ti
buf = io.BytesIO()
with tarfile.open(fileobj=buf, mode="w", format=tarfile.GNU_FORMAT) as t:
    for name in sorted(os.listdir(root)):
        t.add(os.path.join(root, name), arcname=name, filter=clean)
layer = buf.getvalue()
blobs = {}
def blob(b):
    d = hashlib.sha256(b).hexdigest(); blobs[d] = b
    return "sha256:" + d, len(b)
ld, ls = blob(layer)
cfg = json.dumps({"architecture": "amd64", "os": "linux",
  "config": {"Entrypoint": json.loads(entry), "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin"], "WorkingDir": "/"},
  "rootfs": {"type": "layers", "diff_ids": [ld]}, "history": [{"created_by": "mkimage.py"}]}).encode()
cd, cs = blob(cfg)
man = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": cd, "size": cs},
  "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": ld, "size": ls}]}).encode()
md, ms = blob(man)
idx = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
  "digest": md, "size": ms, "platform": {"architecture": "amd64", "os": "linux"},
  "annotations": {"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref.rsplit(":", 1)[1]}}]}).encode()
with tarfile.open(out, "w") as t:
    def put(n, b):
        ti = tarfile.TarInfo(n); ti.size = len(b); ti.mode = 0o644; t.addfile(ti, io.BytesIO(b))
    put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'); put("index.json", idx)
    for d, b in blobs.items(): put("blobs/sha256/" + d, b)
PY
say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*"; }

# ---- 1. fetch ------------------------------------------------------------
A=$B/apt
aptx() { apt-get -q -c "$A/opts" "$@"; }
fetch() {
  mkdir -p "$A/lists/partial" "$A/cache/archives/partial"
  # the machine's own Debian sources, with the source packages switched on
  for f in /etc/apt/sources.list.d/*.sources; do grep -q '^Suites:.*bookworm' "$f" && sed 's/^Types: deb$/Types: deb deb-src/' "$f" && echo; done >"$A/debian.sources"
  cat >"$A/opts" <<EOF
Dir::Etc::sourcelist "$A/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$A/lists";
Dir::Cache "$A/cache";
APT::Sandbox::User "root";
EOF
  aptx update >"$LOG/apt.log" 2>&1
}
if [ ! -e "$R/.done" ]; then
  say "fetching Debian packages"; fetch
  P="golang-1.19-go golang-1.19-src etcd-server etcd-client containerd runc containernetworking-plugins busybox-static golang-github-modern-go-reflect2-dev debootstrap iptables libip4tc2 libip6tc2 libxtables12"
  (cd "$B/debs" && rm -f ./*.deb && aptx download $P >>"$LOG/apt.log" 2>&1 && for d in *.deb; do dpkg -x "$d" "$R"; done)
  touch "$R/.done"
fi
GP=$B/gopath/src/k8s.io; SRC=$GP/kubernetes
if [ ! -e "$SRC/go.mod" ]; then
  say "fetching the Debian source package kubernetes $KVER"; [ -e "$A/opts" ] || fetch
  mkdir -p "$B/src" "$GP"
  (cd "$B/src" && aptx source --download-only kubernetes="$KVER" >>"$LOG/apt.log" 2>&1 &&
   rm -rf k8s && dpkg-source -x kubernetes_*.dsc k8s >>"$LOG/apt.log" 2>&1 &&
   # the vendored reflect2 1.0.1 reads Go's map iterator by its pre-1.18 layout (SIGSEGV); Debian's 1.0.2 does not
   rm -rf k8s/vendor/github.com/modern-go/reflect2 && cp -r "$R/usr/share/gocode/src/github.com/modern-go/reflect2" k8s/vendor/github.com/modern-go/ &&
   mv k8s "$SRC")
fi

# ---- 2. build (GOPATH mode, as debian/rules does; vendored, no network) ---
goenv() {
  export GOROOT=$R/usr/lib/go-1.19 GOPATH=$B/gopath GOCACHE=$B/gocache GO111MODULE=off GOFLAGS= GOPROXY=off GOSUMDB=off CGO_ENABLED=0
  export PATH=$GOROOT/bin:$PATH
}
OA=$SRC/pkg/generated/openapi/zz_generated.openapi.go
if [ ! -s "$OA" ]; then
  say "generating OpenAPI definitions"
  ( goenv; cd "$SRC"; go build -o "$BIN/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    I=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin staging/src | grep -v -E 'code-generator|sample-apiserver' |
        xargs -n1 dirname | LC_ALL=C sort -u | sed -e 's#^staging/src/#vendor/#' -e 's#^#k8s.io/kubernetes/#' | paste -sd,)
    "$BIN/openapi-gen" --logtostderr -i "$I" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
      -h hack/boilerplate/boilerplate.generatego.txt -r "$B/openapi.report" ) >"$LOG/openapi.log" 2>&1
fi
W="kube-apiserver kube-controller-manager kube-scheduler kubectl"; [ "$NODE" = 0 ] || W="$W kubelet"
M=; for w in $W; do [ -x "$BIN/$w" ] || M="$M ./cmd/$w"; done
if [ -n "$M" ]; then
  say "building:$M"
  LDF="-s -w"; for p in k8s.io/kubernetes/vendor/k8s.io/component-base/version k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version; do
    LDF="$LDF -X $p.gitVersion=v1.20.2 -X $p.gitMajor=1 -X $p.gitMinor=20 -X $p.gitCommit=debian -X $p.gitTreeState=archive -X $p.buildDate=2021-01-13T00:00:00Z"; done
  S=$SECONDS; ( goenv; cd "$SRC"; go build -tags "providerless dockerless" -ldflags "$LDF" -o "$BIN/" $M ) >"$LOG/build.log" 2>&1 || { tail -20 "$LOG/build.log"; exit 1; }
  say "built in $((SECONDS-S)) s"
fi
if [ ! -x "$BIN/pause" ]; then gcc -Os -Wall -DVERSION=v3.2 -static -o "$BIN/pause" "$SRC/build/pause/linux/pause.c"; fi
[ "${BUILD_ONLY:-0}" = 0 ] || exit 0

# ---- 3. keys, certificates, kubeconfigs ------------------------------------
cd "$PKI"
if [ ! -e .done ]; then
  say "making keys"
  ca() { openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$2" -keyout "$1.key" -out "$1.crt" -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign 2>/dev/null; }
  crt() { # name ca subject eku san
    openssl req -newkey rsa:2048 -nodes -subj "$3" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    { echo "keyUsage=critical,digitalSignature,keyEncipherment"; echo "extendedKeyUsage=$4"; [ -z "${5:-}" ] || echo "subjectAltName=$5"; } >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" 2>/dev/null; rm "$1.csr" "$1.ext"; }
  ca ca kubernetes-ca; ca front-proxy-ca front-proxy-ca
  crt apiserver ca /CN=kube-apiserver serverAuth DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:10.96.0.1
  crt apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  crt front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
  crt admin ca /O=system:masters/CN=kubernetes-admin clientAuth
  crt kcm ca /CN=system:kube-controller-manager clientAuth
  crt scheduler ca /CN=system:kube-scheduler clientAuth
  crt node ca /O=system:nodes/CN=system:node:127.0.0.1 clientAuth
  crt kubelet-server ca /CN=127.0.0.1 serverAuth IP:127.0.0.1,DNS:localhost
  openssl genrsa -out sa.key 2048 2>/dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  echo "$(openssl rand -hex 16),token-admin,token-admin,\"system:masters\"" >tokens.csv
  chmod 600 ./*.key tokens.csv; touch .done
fi
kc() { # file cert
  [ "$1" -nt "$PKI/.done" ] || { rm -f "$1"; KUBECONFIG=$1 bash -c "kubectl config set-cluster local --server=https://127.0.0.1:$APIPORT --certificate-authority=$PKI/ca.crt --embed-certs=true
    kubectl config set-credentials u --client-certificate=$PKI/$2.crt --client-key=$PKI/$2.key --embed-certs=true
    kubectl config set-context local --cluster=local --user=u; kubectl config use-context local" >/dev/null 2>&1; }; chmod 600 "$1"; }
kc "$B/kubeconfig" admin; kc "$CFG/kcm.kubeconfig" kcm; kc "$CFG/scheduler.kubeconfig" scheduler; kc "$CFG/kubelet.kubeconfig" node
cat >"$CFG/audit-policy.yaml" <<'EOF'
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: None, nonResourceURLs: ["/healthz*", "/readyz*", "/livez*", "/metrics"]}
- {level: None, resources: [{group: coordination.k8s.io, resources: [leases]}]}
- {level: Metadata, verbs: [get, list, watch]}
- {level: RequestResponse}
EOF

X=(); if [ -n "${AUDIT_WEBHOOK:-}" ]; then
  printf '%s\n' 'apiVersion: v1' 'kind: Config' "clusters: [{name: a, cluster: {server: \"$AUDIT_WEBHOOK\"}}]" 'contexts: [{name: a, context: {cluster: a, user: ""}}]' 'current-context: a' >"$CFG/audit-webhook.yaml"
  X+=(--audit-webhook-config-file="$CFG/audit-webhook.yaml" --audit-webhook-batch-max-wait=1s); fi
G=(); [ -z "${GATES:-}" ] || G=(--feature-gates="$GATES")

# ---- 4. control plane -------------------------------------------------------
alive() { [ -s "$PID/$1" ] && [ -e "/proc/$(cat "$PID/$1")/exe" ] && [ "$(basename "$(readlink "/proc/$(cat "$PID/$1")/exe")")" = "$1" ]; }
start() { # name args... (the executable's name is the pid file's)
  local n=$1; shift; if alive "$n"; then say "$n already up"; return; fi
  setsid "$n" "$@" >>"$LOG/$n.log" 2>&1 </dev/null & echo $! >"$PID/$n"; say "$n pid $!"; }
waitfor() { local i; for i in $(seq "$1"); do if eval "$2" >/dev/null 2>&1; then return 0; fi; sleep 0.5; done; say "gave up: $2"; return 1; }
T0=$SECONDS; cd "$RUN"
start etcd --name e --data-dir "$RUN/etcd" --listen-client-urls http://127.0.0.1:$ETCDPORT --advertise-client-urls http://127.0.0.1:$ETCDPORT \
  --listen-peer-urls http://127.0.0.1:$ETCDPEER --initial-advertise-peer-urls http://127.0.0.1:$ETCDPEER --initial-cluster e=http://127.0.0.1:$ETCDPEER
waitfor 60 "curl -sf http://127.0.0.1:$ETCDPORT/health"
start kube-apiserver --bind-address=127.0.0.1 --secure-port=$APIPORT --advertise-address=127.0.0.1 --endpoint-reconciler-type=none \
  --etcd-servers=http://127.0.0.1:$ETCDPORT --service-cluster-ip-range=10.96.0.0/16 --allow-privileged=true \
  --client-ca-file=$PKI/ca.crt --tls-cert-file=$PKI/apiserver.crt --tls-private-key-file=$PKI/apiserver.key --token-auth-file=$PKI/tokens.csv \
  --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file=$PKI/sa.key --service-account-key-file=$PKI/sa.pub \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --kubelet-certificate-authority=$PKI/ca.crt --kubelet-client-certificate=$PKI/apiserver-kubelet-client.crt --kubelet-client-key=$PKI/apiserver-kubelet-client.key \
  --requestheader-client-ca-file=$PKI/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file=$PKI/front-proxy-client.crt --proxy-client-key-file=$PKI/front-proxy-client.key \
  --audit-policy-file=$CFG/audit-policy.yaml --audit-log-path=$LOG/audit.log --audit-log-format=json --audit-log-maxsize=200 --audit-log-maxbackup=3 "${X[@]}" "${G[@]}"
export KUBECONFIG=$B/kubeconfig
waitfor 240 "kubectl get --raw=/readyz"; say "apiserver ready after $((SECONDS-T0)) s"
start kube-controller-manager --kubeconfig=$CFG/kcm.kubeconfig --authentication-kubeconfig=$CFG/kcm.kubeconfig --authorization-kubeconfig=$CFG/kcm.kubeconfig \
  --bind-address=127.0.0.1 --port=0 --leader-elect=false --use-service-account-credentials --service-account-private-key-file=$PKI/sa.key --root-ca-file=$PKI/ca.crt \
  --cluster-signing-cert-file=$PKI/ca.crt --cluster-signing-key-file=$PKI/ca.key --requestheader-client-ca-file=$PKI/front-proxy-ca.crt
start kube-scheduler --kubeconfig=$CFG/scheduler.kubeconfig --authentication-kubeconfig=$CFG/scheduler.kubeconfig --authorization-kubeconfig=$CFG/scheduler.kubeconfig \
  --bind-address=127.0.0.1 --port=0 --leader-elect=false
waitfor 60 "kubectl -n default get serviceaccount default -o 'jsonpath={.secrets[0].name}' | grep -q ."; say "control plane ready after $((SECONDS-T0)) s"
[ "$NODE" != 0 ] || exit 0

# ---- 5. node ------------------------------------------------------------------
CTR=$RUN/containerd; mkdir -p "$CTR" "$RUN/cni" "$RUN/kubelet"; SOCK=$CTR/c.sock
cat >"$CFG/containerd.toml" <<EOF
version = 2
root = "$CTR/root"
state = "$CTR/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs","io.containerd.snapshotter.v1.btrfs","io.containerd.snapshotter.v1.zfs","io.containerd.snapshotter.v1.devmapper","io.containerd.internal.v1.opt"]
[grpc]
  address = "$SOCK"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:3.2"
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  restrict_oom_score_adj = true # a shell without CAP_SYS_RESOURCE cannot lower it
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$R/usr/lib/cni"
    conf_dir = "$RUN/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$R/usr/sbin/runc"
EOF
cat >"$RUN/cni/10-foil.conflist" <<EOF
{"cniVersion":"0.4.0","name":"foil","plugins":[
 {"type":"bridge","bridge":"foilcni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$RUN/cni-ipam","ranges":[[{"subnet":"10.88.0.0/24"}]],"routes":[{"dst":"10.96.0.0/16"}]}}]}
EOF
echo 'nameserver 127.0.0.1' >"$CFG/resolv.conf"
# pods: 10.88.0.0/24 on a host-only bridge, no default route; 10.96.0.1:443 (the `kubernetes` service) goes to the apiserver on loopback
[ -e "$RUN/before" ] || { ls -d /var/log/pods /var/log/containers /var/lib/cni /var/lib/kubelet /run/containerd /run/netns/* >"$RUN/before" 2>/dev/null || :; }
[ -e "$RUN/sysctl.saved" ] || (cd /proc/sys && for k in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes net/ipv4/ip_forward; do echo "$k $(cat $k)"; done >"$RUN/sysctl.saved")
ip link show foilcni0 >/dev/null 2>&1 || ip link add foilcni0 type bridge
ip addr replace 10.88.0.1/24 dev foilcni0; ip link set foilcni0 up; echo 1 >/proc/sys/net/ipv4/conf/foilcni0/route_localnet
ipt() { XTABLES_LIBDIR=$R/usr/lib/x86_64-linux-gnu/xtables LD_LIBRARY_PATH=$R/usr/lib/x86_64-linux-gnu "$R/usr/sbin/iptables-legacy" -w -t nat "$@"; }
RULE="PREROUTING -i foilcni0 -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to-destination 127.0.0.1:$APIPORT"
ipt -C $RULE 2>/dev/null || ipt -A $RULE; echo "$RULE" >"$RUN/iptables.rule"
start containerd --config "$CFG/containerd.toml"
c() { ctr -a "$SOCK" -n k8s.io "$@"; }
waitfor 60 "c version"
if ! c images ls -q | grep -q '^localhost/busybox:1$' || ! c images ls -q | grep -q '^localhost/pause:3.2$'; then
  I=$RUN/img; rm -rf "$I"; mkdir -p "$I/pause" "$I/bb/bin" "$I/bb/etc" "$I/bb/tmp" "$I/bb/root" "$I/bb/proc" "$I/bb/sys" "$I/bb/dev" "$I/bb/usr/bin"
  cp "$BIN/pause" "$I/pause/pause"; cp "$R/bin/busybox" "$I/bb/bin/"; for a in $("$R/bin/busybox" --list); do [ "$a" = busybox ] || ln -sf busybox "$I/bb/bin/$a"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$I/bb/etc/passwd"; echo 'root:x:0:' >"$I/bb/etc/group"; chmod 1777 "$I/bb/tmp"
  python3 "$B/mkimage.py" "$I/pause.tar" localhost/pause:3.2 '["/pause"]' "$I/pause"
  python3 "$B/mkimage.py" "$I/bb.tar" localhost/busybox:1 '[]' "$I/bb"
  c images import "$I/pause.tar"; c images import "$I/bb.tar"
fi
if [ "${DEBIAN_IMAGE:-0}" = 1 ] && ! c images ls -q | grep -q '^localhost/debian:12$'; then
  say "making localhost/debian:12"; D=$B/debian
  [ -e "$D/.done" ] || { rm -rf "$D"; mkdir -p "$D"
    DEBOOTSTRAP_DIR=$R/usr/share/debootstrap "$R/usr/sbin/debootstrap" --variant=minbase bookworm "$D/rootfs" "$(sed -n 's/^URIs: //p' "$A/debian.sources" | head -1)" >"$LOG/debootstrap.log" 2>&1
    rm -rf "$D"/rootfs/var/cache/apt/archives/*.deb "$D"/rootfs/var/lib/apt/lists/*; python3 "$B/mkimage.py" "$D/d.tar" localhost/debian:12 '["/bin/bash"]' "$D/rootfs"; touch "$D/.done"; }
  c images import "$D/d.tar"
fi
cat >"$CFG/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
healthzBindAddress: 127.0.0.1
cgroupDriver: cgroupfs
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
clusterDomain: cluster.local
resolvConf: $CFG/resolv.conf
tlsCertFile: $PKI/kubelet-server.crt
tlsPrivateKeyFile: $PKI/kubelet-server.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
volumePluginDir: $RUN/volumeplugins
EOF
export AWS_EC2_METADATA_DISABLED=true # its ECR credential provider would ask 169.254.169.254
start kubelet --config="$CFG/kubelet.yaml" --kubeconfig="$CFG/kubelet.kubeconfig" --root-dir="$RUN/kubelet" --hostname-override=127.0.0.1 \
  --container-runtime=remote --container-runtime-endpoint="unix://$SOCK" --cert-dir="$RUN/kubelet/pki" --v=2 "${G[@]}"
waitfor 120 "kubectl get node 127.0.0.1 -o 'jsonpath={.status.conditions[?(@.type==\"Ready\")].status}' | grep -q True"
say "node Ready after $((SECONDS-T0)) s"
kubectl get nodes -o wide
