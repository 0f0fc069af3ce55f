# SPDX-License-Identifier: GPL-2.0
"""The Python module where the system calls work (fake_kernel.so)."""

import os
import sys
import threading

import cxlfork

seen = []
os.register_at_fork(before=lambda: seen.append("before"),
                    after_in_parent=lambda: seen.append("parent"),
                    after_in_child=lambda: seen.append("clone"))

if os.environ.get("FAKE_OBSTACLES"):
    reports = cxlfork.check(pool="/dev/null")
    assert [report.reason for report in reports] == ["fd", "fd"], reports
    assert reports[1].fd == 4 and "a socket" in reports[1].line
    try:
        cxlfork.checkpoint(pool="/dev/null")
    except cxlfork.Error as err:
        assert len(err.reports) == 2 and "descriptor 3" in str(err), err
        assert seen == ["before", "parent"]
        sys.exit(print("refused"))
    sys.exit("no error")

pid = os.getpid()
lock = threading.Lock()
with lock:
    result = cxlfork.checkpoint("name", handover=[0], pool="/dev/null")
if result.is_clone:
    assert result == (None, b"hello"), result
    assert seen == ["before", "clone"], seen
    assert os.getpid() != pid
    thread = threading.Thread(target=seen.append, args=("thread",))
    thread.start()      # needs a runtime that knows that it was forked
    thread.join()
    import colorsys     # needs the import lock
    assert colorsys and seen[-1] == "thread"
    print("clone is well", flush=True)
    os._exit(0)
assert result.id == 0x10100 and result.payload is None, result
assert seen == ["before", "parent"], seen
assert cxlfork.check(pool="/dev/null") == []
assert cxlfork.checkpoint_pid(pid, pool="/dev/null") == 0x10100
child = cxlfork.spawn(0x20200, b"payload", {5: sys.stdin}, pool="/dev/null")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("parent is well")
