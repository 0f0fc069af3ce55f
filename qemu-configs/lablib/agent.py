# SPDX-License-Identifier: GPL-2.0
"""Runs commands in a node through its agent (guest/lab-agent.c)."""

import os
import select
import signal
import socket
import struct
import sys
import time

from . import LabError
from . import qemu

STDIN, STDOUT, STDERR, EXIT, SIGNAL, RUN = range(6)
HEAD = struct.Struct("!BI")
CHUNK = 65536
ENV = {
    "PATH": "/opt/cxlfork/sbin:/opt/cxlfork/bin:"
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": "/opt/cxlfork/lib/python",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


class Timeout(Exception):
    """The command ran longer than it was allowed to."""


def frame(kind, data):
    """One frame as bytes."""
    return HEAD.pack(kind, len(data)) + data


def open_agent(lab, name, timeout):
    """A connection on which the agent has said its banner."""
    deadline = time.monotonic() + timeout
    while True:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(max(0.1, min(10, deadline - time.monotonic())))
        try:
            qemu.connect(s, lab.node_dir(name), "agent.sock")
            banner = b""
            while len(banner) < 4:
                part = s.recv(4 - len(banner))
                if not part:
                    raise ConnectionResetError("closed")
                banner += part
            if banner != b"LAB1":
                raise LabError(f"{name}'s agent speaks another protocol: make image, lab up again")
            s.settimeout(None)
            return s
        except OSError as e:
            s.close()
            if time.monotonic() > deadline:
                raise LabError(f"{name} does not answer ({e}); see lab console {name}") from None
            time.sleep(0.05)


class Command:
    """A command in a node, its streams carried until it exits."""

    def __init__(self, lab, name, argv, *, cwd="/root", env=(), stdin=None, connect_timeout=120):
        self.name = name
        self.stdin = stdin
        variables = [f"{k}={v}" for k, v in {**ENV, "LAB_NODE": name}.items()]
        variables += list(env)
        words = ["-" if stdin is None else "i", cwd, str(len(variables)), *variables, *argv]
        self.sock = open_agent(lab, name, connect_timeout)
        self.sock.setblocking(False)
        blob = b"".join(os.fsencode(word) + b"\0" for word in words)
        self.todo = bytearray(frame(RUN, blob))
        self.got = bytearray()
        self.status = None

    def send_signal(self, number):
        """Signals the command's session in the guest."""
        self.todo += frame(SIGNAL, struct.pack("!I", number))

    def run(self, out, err, timeout=None):
        """Carries the streams; out and err take bytes. The exit status."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while self.status is None:
            # a signal handler may have queued a frame: look again now and then
            wait = min(deadline - time.monotonic(), 0.5)
            if wait <= 0:
                self.sock.close()
                raise Timeout
            reads = [self.sock]
            if self.stdin is not None and len(self.todo) < CHUNK:
                reads.append(self.stdin)
            readable, writable, _ = select.select(reads, [self.sock] if self.todo else [], [], wait)
            if self.stdin in readable and self.stdin is not None:
                data = os.read(self.stdin, CHUNK)
                self.todo += frame(STDIN, data)
                if not data:
                    self.stdin = None
            if writable:
                self.push()
            if self.sock in readable:
                self.pull(out, err)
        self.sock.close()
        return self.status

    def push(self):
        """Sends what fits."""
        try:
            sent = self.sock.send(self.todo)
            del self.todo[:sent]
        except BlockingIOError:
            pass
        except OSError:
            raise LabError(f"lost {self.name} while the command ran") from None

    def pull(self, out, err):
        """Reads what is there and hands on the whole frames."""
        try:
            data = self.sock.recv(4 * CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise LabError(f"lost {self.name} while the command ran")
        self.got += data
        while len(self.got) >= HEAD.size:
            kind, length = HEAD.unpack_from(self.got)
            end = HEAD.size + length
            if len(self.got) < end:
                break
            body = bytes(self.got[HEAD.size:end])
            del self.got[:end]
            if kind == STDOUT:
                out(body)
            elif kind == STDERR:
                err(body)
            elif kind == EXIT:
                self.status = struct.unpack("!I", body)[0]


def write_fd(fd):
    """A sink that writes everything to a file descriptor."""
    def sink(data):
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    return sink


def interactive(lab, name, argv, *, cwd="/root", env=(), stdin=None, timeout=None):
    """lab exec: our streams are the command's; its exit status."""
    command = Command(lab, name, argv, cwd=cwd, env=env, stdin=stdin)

    seen = []

    def forward(number, _):
        seen.append(number)
        if len(seen) > 2:           # the command does not care: leave it
            sys.exit(128 + number)
        command.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    try:
        return command.run(write_fd(1), write_fd(2), timeout)
    except Timeout:
        print(f"lab: the command took longer than {timeout:g} s on {name}", file=sys.stderr)
        return 124
    except BrokenPipeError:
        return 141


def capture(lab, name, argv, *, stdin=None, timeout=600, connect_timeout=120):
    """Runs a command; (status, output, error output)."""
    out, err = bytearray(), bytearray()
    command = Command(lab, name, argv, stdin=stdin, connect_timeout=connect_timeout)
    status = command.run(out.extend, err.extend, timeout)
    return status, bytes(out), bytes(err)
