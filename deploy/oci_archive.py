#!/usr/bin/env python3
"""Packs a folder as a container image of one layer, without a container builder and without a registry.

    oci_archive.py OUT.tar NAME:TAG FOLDER [--entrypoint PROGRAM]... [--user UID:GID] [--env KEY=VALUE]... [--workdir PATH]

OUT.tar is an OCI image archive: `ctr images import`, `podman load`, `skopeo copy oci-archive:OUT.tar docker://…`. Every file belongs to
root. The same folder gives the same bytes.
"""
import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def layer(folder):
    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = "root"
        return entry

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), arcname=name, filter=plain)
    return packed.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("name")
    parser.add_argument("folder")
    parser.add_argument("--entrypoint", action="append", default=[])
    parser.add_argument("--user", default="")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--workdir", default="/")
    given = parser.parse_args()

    blobs = {}

    def blob(kind, content):
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    files = blob("layer.v1.tar", layer(given.folder))
    path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    system = {"architecture": MACHINES.get(platform.machine(), platform.machine()), "os": "linux"}
    config = {
        **system,
        "config": {
            "User": given.user,
            "Entrypoint": given.entrypoint,
            "Env": [path, *given.env],
            "WorkingDir": given.workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [files["digest"]]},
        "history": [{"created_by": os.path.basename(__file__)}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": [files],
    }
    entry = blob("manifest.v1+json", json.dumps(manifest).encode())
    entry["platform"] = system
    entry["annotations"] = {
        "io.containerd.image.name": given.name,
        "org.opencontainers.image.ref.name": given.name.rsplit(":", 1)[1],
    }
    with tarfile.open(given.out, "w") as tar:

        def put(name, content):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))

        put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        put("index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for digest, content in blobs.items():
            put(f"blobs/sha256/{digest}", content)


if __name__ == "__main__":
    main()
