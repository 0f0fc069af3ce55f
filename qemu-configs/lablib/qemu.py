# SPDX-License-Identifier: GPL-2.0
"""The command line of a node, and the QEMU monitor."""

import os
import socket

from . import LabError
from . import layout

APPEND = ("console=ttyS0 panic=-1 loglevel=7 tsc=reliable no_timer_check "
          "rcupdate.rcu_cpu_stall_timeout=180 cryptomgr.notests random.trust_cpu=on")


def accelerator(icount=False):
    """KVM only where the CPU really has it; /dev/kvm alone proves nothing.

    With icount the guest's clocks (and its TSC) count instructions: one each ns."""
    if icount:
        return ["-accel", "tcg,thread=single,tb-size=256",
                "-icount", "shift=0,align=off,sleep=off", "-cpu", "max"]
    chosen = os.environ.get("LAB_ACCEL")
    if not chosen:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            flags = next((line for line in f if line.startswith("flags")), "").split()
        kvm = ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)
        chosen = "kvm" if kvm else "tcg"
    if chosen == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]


def p9(tag, path, readonly):
    """A folder of the host in the guest."""
    mode = ",readonly=on" if readonly else ""
    model = "passthrough" if os.getuid() == 0 else "none"
    return ["-fsdev", f"local,id={tag},path={escape(path)},security_model={model},"
                      f"multidevs=remap{mode}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def escape(path):
    """A path inside a QEMU option."""
    return path.replace(",", ",,")


def modules_dir(kernel):
    """The folder that is /lib/modules/RELEASE in the guest."""
    root = os.path.join(kernel, "modules", "lib", "modules")
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        return os.path.join(root, name)
    raise LabError(f"{kernel} has no modules: run make kernel")


def command(lab, node):
    """QEMU's arguments; sockets are relative to the node's folder."""
    conf = lab.conf
    index = node["index"]
    kernel = node.get("kernel", conf["kernel"])
    cxl = layout.show_size(conf["cxl"]["size"])
    image, initrd = conf["image"], conf["initrd"]
    machine = ("q35,cxl=on,usb=off,hpet=off,vmport=off,smbus=off,max-ram-below-4g=1G,"
               f"cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size={cxl}")
    # measured by the guest, against emulated timers, it may come to a third
    khz = conf.get("tsc_khz")
    tsc = f" tsc_early_khz={khz}" if khz and accelerator()[1].startswith("tcg") else ""
    args = [conf["qemu"], "-name", f"{node['name']},process=lab-{node['name']}",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-M", machine, *accelerator(conf.get("icount")),
            "-smp", str(conf["cpus"]), "-m", f"{node['mem'] >> 20}M", "-uuid", node["uuid"],
            "-kernel", os.path.join(kernel, "bzImage"), "-initrd", initrd,
            "-append", f"{APPEND}{tsc} lab.node={index} {conf.get('append', '')}".strip(),
            "-chardev", "file,id=console,path=console,append=on",
            "-serial", "chardev:console",
            "-qmp", "unix:qmp.sock,server=on,wait=off",
            "-drive", f"if=none,id=root,format=raw,readonly=on,file.locking=off,"
                      f"file={escape(image)}",
            "-device", "virtio-blk-pci,drive=root",
            "-device", "virtio-rng-pci",
            "-netdev", "stream,id=nodes,server=off,addr.type=unix,"
                       "addr.path=../switch.sock,reconnect-ms=1000",
            "-device", f"virtio-net-pci,netdev=nodes,mac=52:54:00:77:00:{index + 1:02x},romfile=",
            "-netdev", "user,id=control,restrict=on,ipv6=off,"
                       "hostfwd=unix:/proc/self/cwd/agent.sock-10.0.2.15:7700",
            "-device", f"virtio-net-pci,netdev=control,mac=52:54:00:78:00:{index + 1:02x},romfile="]
    args += p9("share", conf["share"], False)
    args += p9("tools", conf["tools"], True)
    args += p9("modules", modules_dir(kernel), True)
    args += ["-object", f"memory-backend-file,id=cxl-mem,share=on,size={cxl},"
                        f"mem-path={escape(conf['cxl']['path'])}",
             "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1",
             "-device", "cxl-rp,port=0,bus=cxl.1,id=rp0,chassis=0,slot=2",
             "-device", "cxl-type3,bus=rp0,volatile-memdev=cxl-mem,id=cxl0,sn=1"]
    return args


def monitor(node_dir, *commands):
    """Runs monitor commands, each a name or (name, arguments); the last one's answer."""
    import json

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(120)
        connect(s, node_dir, "qmp.sock")
        f = s.makefile("rw", encoding="utf-8")
        f.readline()
        answer = None
        for command in ("qmp_capabilities", *commands):
            name, arguments = (command, {}) if isinstance(command, str) else command
            f.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            f.flush()
            while True:
                line = f.readline()
                if not line:
                    raise LabError("QEMU's monitor went away")
                answer = json.loads(line)
                if "error" in answer:
                    raise LabError(f"QEMU refuses {name}: {answer['error']['desc']}")
                if "return" in answer:
                    answer = answer["return"]
                    break
        return answer


def connect(sock, folder, name):
    """Connects to a socket whose whole path may be too long for sockaddr_un."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        sock.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)
