# SPDX-License-Identifier: GPL-2.0
"""Processes the lab started, told from any other that got the same pid."""

import errno
import os
import select
import signal


def start_time(pid):
    """When the process began, in ticks since boot; None: there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def boot_id():
    """Changes when the machine boots: pids of another boot mean nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip()


def spawn(argv, cwd, log, pidfile):
    """Starts a process that outlives us and writes down who it is."""
    import subprocess   # what 'exec' does not need

    with open(log, "ab") as out:
        child = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, start_new_session=True)
    with open(pidfile + ".part", "w", encoding="ascii") as f:
        f.write(f"{child.pid} {start_time(child.pid) or 0} {boot_id()}\n")
    os.rename(pidfile + ".part", pidfile)
    return child


def find(pidfile):
    """A pidfd of the process written down there, and its pid; or (None, None)."""
    try:
        with open(pidfile, encoding="ascii") as f:
            pid, began, boot = f.read().split()
    except (OSError, ValueError):
        return None, None
    if boot != boot_id():
        return None, None
    try:
        fd = os.pidfd_open(int(pid))
    except OSError as e:
        if e.errno != errno.ESRCH:
            raise
        return None, None
    # the pidfd is held: the pid cannot become another's after this look
    if start_time(int(pid)) != int(began):
        os.close(fd)
        return None, None
    return fd, int(pid)


def running(pidfile):
    """The pid while the process runs, else None."""
    fd, pid = find(pidfile)
    if fd is not None:
        os.close(fd)
    return pid


def end(pidfile, sig=signal.SIGKILL, wait=60):
    """Ends the process and waits until it is gone; false: there was none."""
    fd, _ = find(pidfile)
    if fd is None:
        return False
    try:
        signal.pidfd_send_signal(fd, sig)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(wait * 1000) and sig != signal.SIGKILL:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            poll.poll(wait * 1000)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
    return True
