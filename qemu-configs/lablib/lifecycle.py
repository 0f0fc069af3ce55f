# SPDX-License-Identifier: GPL-2.0
"""Starts, ends and watches the nodes of a lab."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid

from . import LabError
from . import layout
from . import process
from . import qemu

MAX_NODES = 16
UUIDS = uuid.UUID("6b6f7266-6c78-4c41-8000-63786c666f72")
READY = b"lab: ready"


def say(text):
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def console(lab, name):
    """The file that takes what the node's kernel prints."""
    return os.path.join(lab.node_dir(name), "console")


def state(lab, node, deep=True):
    """running, paused, off (killed by us) or dead (ended by itself)."""
    name = node["name"]
    if not process.running(lab.pidfile(name)):
        return "dead" if os.path.exists(lab.pidfile(name)) else "off"
    if deep:
        try:
            status = qemu.monitor(lab.node_dir(name), "query-status")
            return "running" if status["running"] else status["status"]
        except (OSError, LabError):
            pass
    return "running"


def check_qemu(path):
    """One clear line when there is no QEMU that can do it."""
    if not os.access(path, os.X_OK):
        raise LabError("no QEMU 11 or newer: run make setup")
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True,
                              check=True).stdout
        version = text.split("version ")[1].split()[0]
        if int(version.split(".")[0]) >= 11:
            return
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        raise LabError(f"{path} does not run: run make setup") from None
    raise LabError(f"QEMU {version} is too old, 11 is needed: run make setup")


def check_memory(need):
    """The nodes and the CXL device have to fit into the machine."""
    with open("/proc/meminfo", encoding="ascii") as f:
        free = next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))
    if need > free:
        raise LabError(f"not enough memory: the lab needs {need >> 20} MiB, "
                       f"{free >> 20} MiB are free (--nodes, --mem, --cxl)")


def node_size(text):
    """Memory that a node can have, in bytes."""
    size = layout.parse_size(text)
    if size < 256 << 20 or size % (2 << 20):
        raise LabError("--mem: at least 256M, in steps of 2M")
    return size


def node_uuid(lab, name):
    """The same each time for this node of this lab, and nobody else's."""
    return str(uuid.uuid5(UUIDS, os.path.join(lab.dir, name)))


def memory_dir(lab, size):
    """A place for the CXL memory: RAM where it fits, else the lab's folder."""
    name = "cxlfork-lab." + hashlib.sha256(lab.dir.encode()).hexdigest()[:12]
    shm = "/dev/shm"
    try:
        if shutil.disk_usage(shm).free >= size:
            path = os.path.join(shm, name)
            os.makedirs(path, mode=0o700, exist_ok=True)
            if os.stat(path).st_uid == os.getuid():
                return path
    except OSError:
        pass
    if shutil.disk_usage(lab.dir).free < size:
        raise LabError(f"no room for {layout.show_size(size)} of CXL memory in {shm} or {lab.dir}")
    return lab.dir


def tsc_khz():
    """The rate of this machine's TSC, which an emulated CPU hands through, or None."""
    said = subprocess.run([layout.TSC], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=False).stdout.strip()
    return int(said) if said.isdigit() else None


def up(lab, args):
    """lab up."""
    sizes = [node_size(part) for part in args.mem.split(",")]
    cxl = layout.parse_size(args.cxl)
    if not 1 <= args.nodes <= MAX_NODES:
        raise LabError(f"--nodes {args.nodes}: 1 to {MAX_NODES} are possible")
    if len(sizes) not in (1, args.nodes):
        raise LabError(f"--mem gives {len(sizes)} sizes for {args.nodes} nodes")
    if cxl < 256 << 20 or cxl % (256 << 20):
        raise LabError("--cxl: a multiple of 256M (a CXL window has that grain)")
    check_qemu(layout.QEMU)
    for path, what in ((layout.IMAGE, "image"), (layout.INITRD, "image"), (layout.TSC, "image")):
        if not os.path.exists(path):
            raise LabError(f"no {os.path.basename(path)} is built: run make {what}")
    kernel = layout.kernel_dir(args.kernel)
    if os.path.exists(lab.file):
        lab.load()
        if any(process.running(lab.pidfile(n["name"])) for n in lab.conf["nodes"]):
            raise LabError(f"a lab is up in {lab.dir} already (lab down, or another LAB_DIR)")
        down(lab)
    sizes = sizes * args.nodes if len(sizes) == 1 else sizes
    check_memory(sum(sizes) + cxl)

    share = os.path.abspath(args.share or os.path.join(lab.dir, "share"))
    os.makedirs(share, exist_ok=True)
    os.makedirs(layout.TOOLS, exist_ok=True)
    memory = os.path.join(memory_dir(lab, cxl), "cxl.mem")
    lab.conf = {
        "kernel": kernel, "config": args.kernel, "qemu": layout.QEMU,
        "image": os.path.realpath(layout.IMAGE), "initrd": os.path.realpath(layout.INITRD),
        "tools": layout.TOOLS, "share": share, "cpus": 1 if args.icount else args.cpus, "append": args.append,
        "icount": args.icount, "tsc_khz": None if args.icount else tsc_khz(),
        "cxl": {"path": memory, "size": cxl},
        "nodes": [{"name": f"node{i}", "index": i, "mem": size, "ip": f"10.77.0.{i + 1}",
                   "uuid": node_uuid(lab, f"node{i}")} for i, size in enumerate(sizes)],
    }
    for node in lab.conf["nodes"]:
        shutil.rmtree(lab.node_dir(node["name"]), ignore_errors=True)
        os.makedirs(lab.node_dir(node["name"]))
    with open(memory, "wb") as f:
        f.truncate(cxl)
    lab.save()
    try:
        start_switch(lab)
        start(lab, lab.conf["nodes"], args.timeout)
    except BaseException:
        keep_logs(lab)
        down(lab)
        raise


def keep_logs(lab):
    """What a failed start printed stays readable after 'down'."""
    for node in lab.conf["nodes"]:
        try:
            shutil.copy(console(lab, node["name"]),
                        os.path.join(lab.dir, f"{node['name']}.console.failed"))
        except OSError:
            pass


def start_switch(lab):
    """The network between the nodes."""
    sock = os.path.join(lab.dir, "switch.sock")
    if os.path.exists(sock):
        os.unlink(sock)
    if not os.access(layout.SWITCH, os.X_OK):
        raise LabError("no network switch is built: run make image")
    child = process.spawn([layout.SWITCH, "switch.sock"], lab.dir,
                          os.path.join(lab.dir, "switch.log"), os.path.join(lab.dir, "switch.pid"))
    deadline = time.monotonic() + 5
    while not os.path.exists(sock):
        if child.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"the network switch does not start: see {lab.dir}/switch.log")
        time.sleep(0.01)


def last_line(path):
    """The last line of a log, or nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1] if lines else ""
    except OSError:
        return ""


def start(lab, nodes, timeout):
    """Starts the nodes and waits until their agents are ready."""
    began = time.monotonic()
    tell = began + 5
    waiting = {}
    for node in nodes:
        name = node["name"]
        folder = lab.node_dir(name)
        for sock in ("agent.sock", "qmp.sock"):
            if os.path.exists(os.path.join(folder, sock)):
                os.unlink(os.path.join(folder, sock))
        log = console(lab, name)
        seen = os.path.getsize(log) if os.path.exists(log) else 0
        child = process.spawn(qemu.command(lab, node), folder,
                              os.path.join(folder, "qemu.log"), lab.pidfile(name))
        waiting[name] = (child, log, seen)
    names = ", ".join(waiting)
    configs = {node.get("config", lab.conf["config"]) for node in nodes}
    say(f"lab: booting {names} ({', '.join(sorted(configs))} kernel)")
    while waiting:
        for name, (child, log, seen) in list(waiting.items()):
            text = b""
            if os.path.exists(log):
                with open(log, "rb") as f:
                    f.seek(seen)
                    text = f.read()
            if READY in text:
                del waiting[name]
            elif b"lab: FATAL" in text or child.poll() is not None:
                why = (last_line(os.path.join(lab.node_dir(name), "qemu.log")) or
                       last_line(log) or "QEMU ended")
                raise LabError(f"{name} does not start: {why}")
        if waiting and time.monotonic() > tell:
            tell += 5
            name = next(iter(waiting))
            say(f"    {time.monotonic() - began:.0f} s  {name}: {last_line(console(lab, name))[:70]}")
        if waiting and time.monotonic() - began > timeout:
            name = next(iter(waiting))
            raise LabError(f"{name} is not ready after {timeout:g} s; its last line: "
                           f"{last_line(console(lab, name)) or '(none)'}")
        time.sleep(0.05)
    say(f"lab: {names} ready after {time.monotonic() - began:.1f} s")


def kill(lab, name):
    """The power plug."""
    lab.node(name)
    if not process.end(lab.pidfile(name), signal.SIGKILL):
        raise LabError(f"{name} is not running")
    os.unlink(lab.pidfile(name))


def restart(lab, args):
    """lab start: power on again, with the same CXL memory."""
    node = lab.node(args.node)
    if process.running(lab.pidfile(args.node)):
        raise LabError(f"{args.node} is running already")
    if args.kernel:
        node["kernel"] = layout.kernel_dir(args.kernel)
        node["config"] = args.kernel
    if args.mem:
        node["mem"] = node_size(args.mem)
    lab.save()
    try:
        start(lab, [node], args.timeout)
    except BaseException:
        process.end(lab.pidfile(args.node))
        raise


def down(lab):
    """Ends everything of this lab; the consoles and the share stay."""
    for node in lab.conf["nodes"]:
        process.end(lab.pidfile(node["name"]), signal.SIGKILL)
        for name in ("pid", "agent.sock", "qmp.sock"):
            remove(os.path.join(lab.node_dir(node["name"]), name))
    process.end(os.path.join(lab.dir, "switch.pid"), signal.SIGTERM)
    for name in ("switch.sock", "switch.pid"):
        remove(os.path.join(lab.dir, name))
    memory = lab.conf["cxl"]["path"]
    remove(memory)
    if os.path.dirname(memory) != lab.dir:
        try:
            os.rmdir(os.path.dirname(memory))
        except OSError:
            pass
    remove(lab.file)


def remove(path):
    """Removes a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def status(lab):
    """What 'lab status' shows."""
    conf = lab.conf
    nodes = [{"name": n["name"], "state": state(lab, n),
              "pid": process.running(lab.pidfile(n["name"])),
              "mem": n["mem"], "ip": n["ip"], "uuid": n["uuid"],
              "console": console(lab, n["name"])} for n in conf["nodes"]]
    return {"dir": lab.dir, "config": conf["config"], "kernel": conf["kernel"],
            "image": conf["image"], "share": conf["share"], "cxl": conf["cxl"], "nodes": nodes}
