# SPDX-License-Identifier: GPL-2.0
"""lab cp: files and folders to and from a node, as a tar stream."""

import os
import re
import subprocess
import tempfile

from . import LabError
from . import agent

REMOTE = re.compile(r"(node\d+):(.*)", re.DOTALL)


def copy(lab, source, target):
    """Copies; where the target is a folder, into it, like cp -r."""
    src, dst = REMOTE.fullmatch(source), REMOTE.fullmatch(target)
    if bool(src) == bool(dst):
        raise LabError("cp: one of FROM and TO has to be NODE:PATH")
    if dst:
        push(lab, source, lab.node(dst[1])["name"], dst[2] or "/root")
    else:
        pull(lab, lab.node(src[1])["name"], src[2], target)
    return 0


def remote(lab, node, script, *args, stdin=None):
    """Runs a shell script in the node; its output."""
    status, out, err = agent.capture(lab, node, ["/bin/sh", "-c", script, "sh", *args],
                                     stdin=stdin, timeout=600)
    if status:
        raise LabError(f"cp: {node}: {err.decode(errors='replace').strip()}")
    return out


def push(lab, source, node, path):
    """Host to node."""
    source = os.path.abspath(source)
    if not os.path.exists(source):
        raise LabError(f"cp: no {source}")
    name = os.path.basename(source)
    script = ('if [ -d "$1" ]; then d=$1 n=$2; else d=$(dirname "$1") n=$(basename "$1"); fi; '
              't=$(mktemp -d "$d/.lab.XXXXXX") && tar -xf - -C "$t" && '
              'cp -rfT "$t/$2" "$d/$n"; s=$?; rm -rf "$t"; exit $s')
    with tempfile.TemporaryFile() as tar:
        subprocess.run(["tar", "-cf", "-", "--owner=0", "--group=0", "-C",
                        os.path.dirname(source), "--", name], stdout=tar, check=True)
        tar.seek(0)
        remote(lab, node, script, path, name, stdin=tar.fileno())


def pull(lab, node, path, target):
    """Node to host."""
    name = os.path.basename(path.rstrip("/"))
    if os.path.isdir(target):
        target = os.path.join(target, name)
    folder = os.path.dirname(os.path.abspath(target))
    if not name or not os.path.isdir(folder):
        raise LabError(f"cp: cannot write {target}")
    data = remote(lab, node, 'tar -cf - -C "$(dirname "$1")" -- "$(basename "$1")"', path)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lab.") as part:
        subprocess.run(["tar", "-xf", "-", "--no-same-owner", "-C", part], input=data, check=True)
        subprocess.run(["cp", "-rfT", os.path.join(part, name), target], check=True)
