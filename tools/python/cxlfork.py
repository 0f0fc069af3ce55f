# SPDX-License-Identifier: GPL-2.0
"""Clone running processes through shared CXL memory.

A function server checkpoints itself once it is warm, and learns in each clone
that it is one:

    result = cxlfork.checkpoint("resize", handover=[listener.fileno()])
    if result.is_clone:
        request = result.payload

As with os.fork(), the handlers of os.register_at_fork() run: before the
checkpoint, and after it in the parent and in every clone.  The process must
have a single thread.  See cxlfork(2), cxlrestore(2) and libcxlfork(3).
"""

import ctypes
import errno as _errno
import os
import sys
from collections import namedtuple

__all__ = [
    "CheckpointInfo", "Error", "Report", "Result", "check", "checkpoint",
    "checkpoint_pid", "list", "lookup", "pin", "remove", "restore", "set_ttl", "spawn", "unpin",
]

KILL = 1 << 1
PIN = 1 << 2

NAME_MAX = 64
PAYLOAD_MAX = 65536

_SPAWN_SETSID = 1
_LINE_MAX = 512
_NR_REPORTS = 64


class _Report(ctypes.Structure):
    _fields_ = [
        ("reason", ctypes.c_uint32),
        ("fd", ctypes.c_int32),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("text", ctypes.c_char * 160),
    ]


class _Reports(ctypes.Structure):
    _fields_ = [
        ("room", ctypes.c_uint),
        ("found", ctypes.c_uint),
        ("list", ctypes.POINTER(_Report)),
    ]


class _Hooks(ctypes.Structure):
    _fields_ = [
        ("before", ctypes.c_void_p),
        ("after_parent", ctypes.c_void_p),
        ("after_clone", ctypes.c_void_p),
    ]


class _Request(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("pid", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("handover", ctypes.POINTER(ctypes.c_int32)),
        ("nr_handover", ctypes.c_uint32),
        ("payload_size", ctypes.c_uint32),
        ("payload", ctypes.c_void_p),
        ("hooks", ctypes.POINTER(_Hooks)),
        ("ttl", ctypes.c_uint64),
        ("mode", ctypes.c_uint32),
    ]


class _FdMap(ctypes.Structure):
    _fields_ = [("image_fd", ctypes.c_int32), ("ghost_fd", ctypes.c_int32)]


class _Order(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint64),
        ("payload", ctypes.c_char_p),
        ("payload_size", ctypes.c_uint32),
        ("nr_fds", ctypes.c_uint32),
        ("fds", ctypes.POINTER(_FdMap)),
    ]


class _CkptInfo(ctypes.Structure):
    _fields_ = [
        ("cursor", ctypes.c_uint64),
        ("id", ctypes.c_uint64),
        ("state", ctypes.c_uint32),
        ("owner", ctypes.c_uint32),
        ("refs", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("created", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("pages", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("expires", ctypes.c_uint64),
        ("restored", ctypes.c_uint64),
        ("keeps", ctypes.c_uint32),
        ("pins", ctypes.c_uint32),
        ("held", ctypes.c_uint32),
        ("nr_parents", ctypes.c_uint32),
        ("name", ctypes.c_char * NAME_MAX),
    ]


def _load():
    """Load the library with the GIL kept: hooks of CPython run inside."""
    here = os.path.dirname(os.path.abspath(__file__))
    soname = "libcxlfork.so.1"
    names = [soname, os.path.join(here, soname),
             os.path.join("/usr/local/lib", soname)]
    if os.environ.get("CXLFORK_LIBRARY"):
        names = [os.environ["CXLFORK_LIBRARY"]]
    failure = None
    for name in names:
        try:
            return ctypes.PyDLL(name, use_errno=True)
        except OSError as err:
            failure = failure or err
    raise ImportError(f"{soname} is not there ({failure}); install libcxlfork"
                      " or set CXLFORK_LIBRARY") from failure


_lib = _load()


def _declare(name, result, *args):
    function = getattr(_lib, name)
    function.restype = result
    function.argtypes = args
    return function


_p = ctypes.POINTER
_open = _declare("cxlfork_open", ctypes.c_int, ctypes.c_char_p)
_checkpoint = _declare("cxlfork_checkpoint", ctypes.c_int64, ctypes.c_int,
                       _p(_Request), _p(_Reports))
_check = _declare("cxlfork_check", ctypes.c_int, ctypes.c_int, _p(_Request),
                  _p(_Reports))
_restore = _declare("cxlfork_restore", ctypes.c_int, ctypes.c_int, _p(_Order),
                    _p(_Reports))
_spawn = _declare("cxlfork_spawn", ctypes.c_int, ctypes.c_int, _p(_Order),
                  ctypes.c_uint, _p(_Reports))
_spawn_via = _declare("cxlfork_spawn_via", ctypes.c_int, ctypes.c_int,
                      ctypes.c_char_p, _p(_Order), _p(_Reports))
_next = _declare("cxlfork_next", ctypes.c_int, ctypes.c_int, _p(_CkptInfo))
_lookup = _declare("cxlfork_lookup", ctypes.c_int, ctypes.c_int,
                   ctypes.c_char_p, _p(_CkptInfo))
_remove = _declare("cxlfork_remove", ctypes.c_int, ctypes.c_int,
                   ctypes.c_uint64)
_pin = _declare("cxlfork_pin", ctypes.c_int, ctypes.c_int, ctypes.c_uint64,
                ctypes.c_bool)
_set_ttl = _declare("cxlfork_set_ttl", ctypes.c_int, ctypes.c_int,
                    ctypes.c_uint64, ctypes.c_uint64)
_count = _declare("cxlfork_reports_count", ctypes.c_uint, _p(_Reports))
_line = _declare("cxlfork_report_line", ctypes.c_size_t, _p(_Report),
                 ctypes.c_char_p, ctypes.c_size_t)
_reason_name = _declare("cxlfork_reason_name", ctypes.c_char_p, ctypes.c_uint)
_state_name = _declare("cxlfork_ckpt_state_name", ctypes.c_char_p,
                       ctypes.c_uint)
_strerror = _declare("cxlfork_strerror", ctypes.c_char_p, ctypes.c_int)

#: One obstacle. reason is a word ("fd", "vma", ...), fd is -1 and start and
#: end are 0 where there is none, line is all of it for people.
Report = namedtuple("Report", "reason number fd start end value text line")

#: One checkpoint of the directory.
CheckpointInfo = namedtuple(
    "CheckpointInfo",
    "id name state owner refs uid gid mode created bytes pages expires"
    " restored keeps pins held nr_parents")


class Error(OSError):
    """A call failed; reports says what stands in the way."""

    def __init__(self, err, what, reports=()):
        self.reports = tuple(reports)
        text = "; ".join(report.line for report in self.reports)
        super().__init__(err, f"{what}: {text or _strerror(err).decode()}")


class Result(namedtuple("Result", "id payload")):
    """What checkpoint() returns: in the parent the id of the checkpoint and no
    payload, in a clone no id and the bytes that its restorer passed."""

    __slots__ = ()

    @property
    def is_clone(self):
        return self.id is None


class _Room:
    """Room for reports, for the time of one call."""

    def __init__(self, room=_NR_REPORTS):
        self._records = (_Report * room)()
        self.raw = _Reports(room, 0, self._records)

    def reports(self):
        line = ctypes.create_string_buffer(_LINE_MAX)
        found = []
        for i in range(_count(self.raw)):
            record = self._records[i]
            _line(record, line, _LINE_MAX)
            found.append(Report(
                _reason_name(record.reason).decode(), record.reason, record.fd,
                record.start, record.end, record.value,
                record.text.decode("ascii", "replace"),
                line.value.decode()))
        return found

    def fail(self, what):
        """Raise what the last call left in errno."""
        raise Error(ctypes.get_errno(), what, self.reports())


class _Pool:
    """The control device, open for the time of one call."""

    def __init__(self, path=None):
        self.fd = _open(os.fsencode(path) if path else None)
        if self.fd < 0:
            err = ctypes.get_errno()
            path = (path or os.environ.get("CXLFORK_POOL") or "/dev/cxlfork")
            raise Error(err, os.fspath(path))

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def _numbers(fds):
    return [fd if isinstance(fd, int) else fd.fileno() for fd in fds]


def _request(name, handover, pid, kill=False, pin=False, ttl=0, mode=0):
    fds = _numbers(handover)
    request = _Request()
    request.flags = (KILL if kill else 0) | (PIN if pin else 0)
    request.ttl = ttl
    request.mode = mode & 0o66
    request.pid = pid or 0
    request.name = os.fsencode(name) if name else None
    request.handover = (ctypes.c_int32 * len(fds))(*fds)
    request.nr_handover = len(fds)
    return request


def _fork_hooks():
    """What os.fork() does around fork(), as C calls it."""
    def address(function):
        return ctypes.cast(function, ctypes.c_void_p)

    api = ctypes.pythonapi
    return _Hooks(address(api.PyOS_BeforeFork),
                  address(api.PyOS_AfterFork_Parent),
                  address(api.PyOS_AfterFork_Child))


def _reseed():
    """What would repeat itself in every clone, and no fork handler knows."""
    ssl = sys.modules.get("ssl")
    if ssl is not None:     # OpenSSL notices a fork by the pid alone
        ssl.RAND_add(os.urandom(64), 64.0)


def checkpoint(name=None, handover=(), payload_size=4096, *, kill=False,
               ttl=0, mode=0o600, pin=False, pool=None):
    """Checkpoint this process.

    handover: descriptors (numbers or objects with fileno()) that are left out;
    whoever restores hands over one of its own in place of each.
    payload_size: room for what a restorer passes; 0: nothing can be passed.
    kill: end this process once the checkpoint is there.
    ttl: seconds until it expires, 0: never.  mode: what its group and others
    may: 4 see it, 2 delete and change it.  pin: keep it from both.

    Returns a Result.  Raises Error, with reports.
    """
    if not 0 <= payload_size <= PAYLOAD_MAX:
        raise ValueError(f"payload_size is not from 0 to {PAYLOAD_MAX}")
    if sys.is_finalizing():
        raise RuntimeError("no checkpoints during interpreter shutdown")
    request = _request(name, handover, None, kill, pin, ttl, mode)
    payload = None
    if payload_size:
        payload = ctypes.create_string_buffer(payload_size)
        request.payload = ctypes.cast(payload, ctypes.c_void_p)
        request.payload_size = payload_size
    request.hooks = ctypes.pointer(_fork_hooks())
    room = _Room()
    with _Pool(pool) as fd:
        ident = _checkpoint(fd, request, room.raw)
        if ident < 0:
            room.fail("this process can't be checkpointed")
    if ident:
        return Result(ident, None)
    _reseed()
    return Result(None, payload.raw[:request.payload_size] if payload else b"")


def checkpoint_pid(pid, name=None, handover=(), *, kill=False, ttl=0,
                   mode=0o600, pin=False, pool=None):
    """Checkpoint another process, as checkpoint() does; returns the id."""
    request = _request(name, handover, pid, kill, pin, ttl, mode)
    room = _Room()
    with _Pool(pool) as fd:
        ident = _checkpoint(fd, request, room.raw)
        if ident < 0:
            room.fail(f"process {pid} can't be checkpointed")
    return ident


def check(pid=None, handover=(), *, pool=None):
    """List the Reports of what stands in the way of a checkpoint of a process,
    by default this one; an empty list: nothing does."""
    request = _request(None, handover, pid)
    room = _Room(4096)
    with _Pool(pool) as fd:
        if _check(fd, request, room.raw) < 0 and not room.raw.found:
            room.fail("check")
    return room.reports()


def _order(fd, checkpoint, payload, fds):
    fds = {} if fds is None else dict(fds)
    ghost_fds = _numbers(fds.values())
    order = _Order()
    order.id = (checkpoint if isinstance(checkpoint, int)
                else _find(fd, checkpoint).id)
    order.payload = payload
    order.payload_size = len(payload)
    order.nr_fds = len(fds)
    order.fds = (_FdMap * len(fds))(*zip(fds, ghost_fds))
    return order


def restore(checkpoint, payload=b"", fds=None, *, pool=None):
    """Turn this process into a clone of a checkpoint (an id or a name).

    Like os.execv(): returns only by raising Error, and then nothing has
    changed.  fds: {number in the clone: descriptor of this process}.
    """
    room = _Room()
    with _Pool(pool) as fd:
        _restore(fd, _order(fd, checkpoint, payload, fds), room.raw)
        room.fail(f"checkpoint {_text(checkpoint)} can't be restored")


def spawn(checkpoint, payload=b"", fds=None, *, ghost=None, setsid=False,
          pool=None):
    """Make a clone of a checkpoint (an id or a name); returns its pid.

    The clone is a child process, to be waited for as such; or, with ghost, the
    cxlfork-ghost(1) that waits at that socket.
    """
    room = _Room()
    with _Pool(pool) as fd:
        order = _order(fd, checkpoint, payload, fds)
        if ghost:
            pid = _spawn_via(fd, os.fsencode(ghost), order, room.raw)
        else:
            pid = _spawn(fd, order, _SPAWN_SETSID if setsid else 0, room.raw)
        if pid < 0:
            room.fail(f"checkpoint {_text(checkpoint)} can't be restored")
    return pid


def _text(checkpoint):
    return hex(checkpoint) if isinstance(checkpoint, int) else checkpoint


def _info(raw):
    return CheckpointInfo(
        raw.id, raw.name.decode("utf-8", "replace"),
        _state_name(raw.state).decode(), raw.owner, raw.refs, raw.uid, raw.gid,
        raw.mode, raw.created, raw.bytes, raw.pages, raw.expires, raw.restored,
        raw.keeps, raw.pins, raw.held, raw.nr_parents)


def _find(fd, checkpoint):
    raw = _CkptInfo()
    if _lookup(fd, os.fsencode(_text(checkpoint)), raw) < 0:
        err = ctypes.get_errno()
        if err == _errno.ENOENT:
            raise Error(err, f"there is no checkpoint {_text(checkpoint)!r}")
        raise Error(err, f"checkpoint {_text(checkpoint)}")
    return _info(raw)


def lookup(checkpoint, *, pool=None):
    """The CheckpointInfo of an id or a name."""
    with _Pool(pool) as fd:
        return _find(fd, checkpoint)


def list(*, pool=None):     # pylint: disable=redefined-builtin
    """The CheckpointInfo of every checkpoint of every host."""
    raw = _CkptInfo()
    found = []
    with _Pool(pool) as fd:
        while True:
            more = _next(fd, raw)
            if more < 0:
                raise Error(ctypes.get_errno(), "the pool can't be listed")
            if not more:
                return found
            found.append(_info(raw))


def remove(checkpoint, *, pool=None):
    """Delete a checkpoint (an id or a name); clones that run go on.

    Returns False if its host is silent and will do it when it is back.
    """
    with _Pool(pool) as fd:
        ident = (checkpoint if isinstance(checkpoint, int)
                 else _find(fd, checkpoint).id)
        if _remove(fd, ident) == 0:
            return True
        err = ctypes.get_errno()
        if err == _errno.EINPROGRESS:
            return False
        raise Error(err, f"checkpoint {_text(checkpoint)} can't be removed")


def _change(checkpoint, pool, what):
    with _Pool(pool) as fd:
        ident = (checkpoint if isinstance(checkpoint, int)
                 else _find(fd, checkpoint).id)
        if what(fd, ident) < 0:
            raise Error(ctypes.get_errno(),
                        f"checkpoint {_text(checkpoint)} can't be changed")


def pin(checkpoint, *, pool=None):
    """Pin a checkpoint (an id or a name) for this host: it neither expires nor
    can it be deleted."""
    _change(checkpoint, pool, lambda fd, ident: _pin(fd, ident, True))


def unpin(checkpoint, *, pool=None):
    """End this host's pin on a checkpoint (an id or a name)."""
    _change(checkpoint, pool, lambda fd, ident: _pin(fd, ident, False))


def set_ttl(checkpoint, ttl, *, pool=None):
    """Let a checkpoint (an id or a name) expire in ttl seconds; 0: never."""
    _change(checkpoint, pool, lambda fd, ident: _set_ttl(fd, ident, ttl))
