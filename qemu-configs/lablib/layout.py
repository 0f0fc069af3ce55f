# SPDX-License-Identifier: GPL-2.0
"""Where things are: the checkout's build folder, and one lab's folder."""

import fcntl
import os
from contextlib import contextmanager

from . import LabError

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.path.join(CHECKOUT, "build")
QEMU = os.path.join(BUILD, "qemu-system-x86_64")
IMAGE = os.path.join(BUILD, "image.squashfs")
INITRD = os.path.join(BUILD, "initrd.cpio")
SWITCH = os.path.join(BUILD, "labswitch")
TSC = os.path.join(BUILD, "labtsc")
TOOLS = os.path.join(BUILD, "tools", "opt", "cxlfork")
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text):
    """Bytes of a size such as 512M or 2G."""
    import re   # what 'exec' does not need: it starts thousands of times in a test run

    match = re.fullmatch(r"(\d+)([kmgt]?)(i?b)?", text.strip().lower())
    if not match or not int(match[1]):
        raise LabError(f"not a size: '{text}' (say 512M or 2G)")
    return int(match[1]) * UNITS[match[2]]


def show_size(size):
    """A size as parse_size reads it."""
    for unit in ("t", "g", "m", "k"):
        if size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit.upper()}"
    return str(size)


def kernel_dir(config):
    """The built kernel of this checkout, as the folder it really is in."""
    import re

    if not re.fullmatch(r"[a-z0-9-]+", config):
        raise LabError(f"no kernel config '{config}' (default, debug)")
    link = os.path.join(BUILD, f"kernel-{config}")
    path = os.path.realpath(link)
    if not os.path.exists(os.path.join(path, "bzImage")):
        more = "" if config == "default" else f" CONFIG={config}"
        raise LabError(f"no {config} kernel is built: run make kernel{more}")
    return path


class Lab:
    """One lab: its folder, and what 'up' wrote down about it."""

    def __init__(self, path=None):
        path = path or os.environ.get("LAB_DIR") or os.path.join(BUILD, "lab")
        self.dir = os.path.abspath(path)
        self.file = os.path.join(self.dir, "lab.json")
        self.conf = None

    def load(self):
        """Reads what 'up' wrote; the lab must be up."""
        import json

        try:
            with open(self.file, encoding="utf-8") as f:
                self.conf = json.load(f)
        except (OSError, ValueError):
            raise LabError(f"no lab is up in {self.dir} (lab up, or set LAB_DIR)") from None
        return self

    def save(self):
        """Writes lab.json, whole or not at all."""
        import json

        part = self.file + ".part"
        with open(part, "w", encoding="utf-8") as f:
            json.dump(self.conf, f, indent=1)
        os.rename(part, self.file)

    @contextmanager
    def locked(self):
        """One command at a time changes the lab."""
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, "lock"), "w", encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield self

    def node_dir(self, name):
        """The folder of one node."""
        return os.path.join(self.dir, name)

    def node(self, name):
        """What is written down about one node."""
        for node in self.conf["nodes"]:
            if node["name"] == name:
                return node
        known = ", ".join(n["name"] for n in self.conf["nodes"])
        raise LabError(f"no node '{name}' in this lab (there are {known})")

    def pidfile(self, name):
        """Where a node's process is written down."""
        return os.path.join(self.dir, name, "pid")
