# SPDX-License-Identifier: GPL-2.0
"""The Python module where the system calls fail: hooks, errors, structures."""

import ctypes
import errno
import os
import unittest

import cxlfork


class Module(unittest.TestCase):
    def test_structures(self):
        """As <linux/cxlfork.h> and cxlfork.h have them."""
        sizes = {"_Report": 192, "_FdMap": 8, "_CkptInfo": 168, "_Order": 32,
                 "_Reports": 16, "_Hooks": 24, "_Request": 72}
        for name, size in sizes.items():
            self.assertEqual(ctypes.sizeof(getattr(cxlfork, name)), size, name)

    def test_names(self):
        """What is public is there after "import *"."""
        public = {name for name, what in vars(cxlfork).items()
                  if getattr(what, "__module__", "") == "cxlfork" and not name.startswith("_")}
        self.assertEqual(public, set(cxlfork.__all__))

    def test_no_pool(self):
        with self.assertRaises(cxlfork.Error) as caught:
            cxlfork.list(pool="/dev/no-such-pool")
        self.assertEqual(caught.exception.errno, errno.ENOENT)
        self.assertIsInstance(caught.exception, OSError)

    def test_not_a_pool(self):
        for call in (lambda: cxlfork.list(pool="/dev/null"),
                     lambda: cxlfork.lookup("x", pool="/dev/null"),
                     lambda: cxlfork.remove(5, pool="/dev/null"),
                     lambda: cxlfork.pin(5, pool="/dev/null"),
                     lambda: cxlfork.unpin("x", pool="/dev/null"),
                     lambda: cxlfork.set_ttl(5, 60, pool="/dev/null")):
            with self.assertRaises(cxlfork.Error) as caught:
                call()
            self.assertEqual(caught.exception.errno, errno.ENOTTY)

    def test_arguments(self):
        with self.assertRaises(ValueError):
            cxlfork.checkpoint(payload_size=-1)
        with self.assertRaises(ValueError):
            cxlfork.checkpoint(payload_size=cxlfork.PAYLOAD_MAX + 1)
        with self.assertRaises(cxlfork.Error) as caught:
            cxlfork.checkpoint("x" * 64, pool="/dev/null")
        self.assertEqual(caught.exception.errno, errno.ENAMETOOLONG)

    @unittest.skipIf(os.path.exists("/proc/self/cxlfork_stat"),
                     "this kernel has cxlfork")
    def test_no_call(self):
        seen = []
        os.register_at_fork(before=lambda: seen.append("before"),
                            after_in_parent=lambda: seen.append("parent"),
                            after_in_child=lambda: seen.append("child"))
        with open("/dev/null") as file, \
                self.assertRaises(cxlfork.Error) as caught:
            cxlfork.checkpoint("x", handover=[0, file], pool="/dev/null")
        self.assertEqual(caught.exception.errno, errno.ENOSYS)
        self.assertEqual(seen, ["before", "parent"])
        self.assertEqual(caught.exception.reports, ())

    def test_import_after_failure(self):
        with self.assertRaises(cxlfork.Error):
            cxlfork.checkpoint(pool="/dev/null")
        with self.assertRaises(ImportError):
            __import__("there_is_no_such_module")

    def test_spawn(self):
        for call in (cxlfork.spawn, cxlfork.restore):
            with self.assertRaises(cxlfork.Error):
                call(0x10100, b"payload", {3: 1}, pool="/dev/null")
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)      # no ghost is left over


if __name__ == "__main__":
    unittest.main()
