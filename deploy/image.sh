#!/usr/bin/env bash
# Packs a `foil` that was built on this machine as an image, where there is no container builder and no registry to pull from. The
# image has what the Containerfile's has: the program, the libraries that it is linked to, CA certificates, uid 65532.
#
#   deploy/image.sh FOIL NAME:TAG OUT.tar       needs python3 and strip (binutils)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
foil=$1 name=$2 out=$3

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root" # mktemp's 0700 would be the image's `/`
mkdir -p "$root"/{etc/foil,etc/ssl/certs,usr/bin,var/lib/foil,proc,sys,dev}
mkdir -m 1777 "$root/tmp"
strip -o "$root/usr/bin/foil" "$foil"
chmod 755 "$root/usr/bin/foil"
echo 'root:x:0:0:root:/root:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/nonexistent:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:
nonroot:x:65532:' >"$root/etc/group"
# The program loader and the libraries, each at the path where the program looks for it.
ldd "$foil" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  install -D -m 755 "$(readlink -f "$library")" "$root$library"
done
[ ! -r /etc/ssl/certs/ca-certificates.crt ] || install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

python3 "$here/oci_archive.py" "$out" "$name" "$root" --entrypoint /usr/bin/foil --user 65532:65532 \
  --workdir /etc/foil --env FOIL_STATE=/var/lib/foil/state
