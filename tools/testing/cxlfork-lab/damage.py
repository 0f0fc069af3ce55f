#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-2.0
"""Damages a checkpoint in the file behind the CXL memory, as a bad host might.

usage: damage.py BACKING ID list     a line for each: NAME ERRNO REASON
       damage.py BACKING ID serve    does what the lines of the input say: the NAME of
                                     one, or "undo"; says "done" each time

ERRNO and REASON (enum cxlfork_reason) are what a restore must say; 0: anything
but success. "raw" damages leave the checksums wrong, "forged" ones make them right.
"""

import struct
import sys
import time

EUCLEAN, ENOEXEC, EPROTO, ESTALE, EMFILE = 117, 8, 93, 116, 24
IMAGE, VERSION, KERNEL, CPU, CHANGED, LIMIT = 33, 34, 35, 36, 37, 41
EXTENT = 2 << 20
PAGE = 4096
SLOT = 98304
SLOT_REFS = 36864
REF_COUNT = (1 << 23) - 1

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


SECTIONS = ["task", "xstate", "mm", "vmas", "strings", "files", "fds", "sigactions", "leaves",
            "dirty", "parents"]
HEADER = {"magic": (0, 4), "version": (4, 4), "length": (8, 4), "crc": (12, 4), "id": (16, 8),
          "phys_base": (24, 8), "nr_extents": (32, 4), "extents_crc": (36, 4),
          "extents_off": (40, 8), "leaves_off": (48, 8), "data_off": (56, 8),
          "nr_leaves": (64, 8), "nr_pages": (72, 8), "xfeatures": (80, 8), "vdso_id": (136, 4),
          "kernel": (168, 4), "page_shift": (232, 4), "machine": (236, 4)}
HEADER.update({f"cpu{i}": (88 + 4 * i, 4) for i in range(9)})
TASK = {"rip": 128, "cs": 136, "rsp": 152, "ss": 160, "fsbase": 168, "gsbase": 176,
        "rseq": 216, "payload": 256, "payload_size_at": 264}
KERNEL_ADDRESS = 0xFFFF888000001000
LEAF_BITS = {"writable": 1, "pwt": 3, "pcd": 4, "dirty": 6, "pat": 7, "global": 8}
WORD = 0xFFFFFFFF


class Image:
    """The checkpoint's parts in the backing file; writes are remembered."""

    def __init__(self, path, number):
        self.f = open(path, "r+b", buffering=0)  # others write there, too
        self.saved = []
        slots = self.word(72, 8)
        self.entry = slots + ((number >> 8 & 0xFF) - 1) * SLOT + 4096 + (number & 0xFF) * 256
        # what each host holds of it
        self.refs = [slots + SLOT * host + SLOT_REFS +
                     ((number >> 8 & 0xFF) - 1) * 1024 + (number & 0xFF) * 8
                     for host in range(16)]
        self.first = self.word(self.entry + 88, 8)
        self.extents = [self.first // EXTENT]
        self.extents = [self.get(32, 4, base=self.get(40, 8) + 4 * i)
                        for i in range(self.get(32, 4))]

    def read(self, at, length):
        self.f.seek(at)
        return self.f.read(length)

    def word(self, at, length):
        return int.from_bytes(self.read(at, length), "little")

    def at(self, logical):
        return self.extents[logical // EXTENT] * EXTENT + logical % EXTENT

    def get(self, offset, length, base=None):
        return self.word(self.at(offset if base is None else base), length)

    def put(self, at, data):
        """At a place of the file."""
        self.saved.append((at, self.read(at, len(data))))
        self.f.seek(at)
        self.f.write(data)

    def undo(self):
        """All that was written since the last time; the next restore looks anew."""
        for _ in range(1000):
            if not any(self.word(at, 8) & REF_COUNT for at in self.refs):
                break
            time.sleep(0.005)
        for at, data in reversed(self.saved):
            self.f.seek(at)
            self.f.write(data)
        self.saved = []

    def write(self, logical, value, length):
        self.put(self.at(logical), (value & (1 << 8 * length) - 1).to_bytes(length, "little"))

    def load(self, logical, length):
        out = b""
        while length:
            n = min(length, EXTENT - logical % EXTENT)
            out += self.read(self.at(logical), n)
            logical, length = logical + n, length - n
        return out

    def seal(self):
        page = bytearray(self.load(0, PAGE))
        page[12:16] = bytes(4)
        self.write(12, crc32c(page), 4)

    def section(self, name):
        i = SECTIONS.index(name)
        offset, length, _, size = struct.unpack("<QQII", self.load(240 + 24 * i, 24))
        return offset, length, size

    def seal_section(self, name):
        offset, length, _ = self.section(name)
        self.write(240 + 24 * SECTIONS.index(name) + 16, crc32c(self.load(offset, length)), 4)
        self.seal()

    def items(self, name, fmt):
        """The entries of a section, with their offsets."""
        offset, length, size = self.section(name)
        return [(o, struct.unpack(fmt, self.load(o, struct.calcsize(fmt))))
                for o in range(offset, offset + length, size)]

    def vma(self, want):
        """Offset of the first mapping that is wanted: flags, file -> bool."""
        for o, (start, end, flags, _, _, file) in self.items("vmas", "<QQIIQI"):
            if want(start, end, flags, file):
                return o
        raise SystemExit("damage.py: the checkpoint has no such mapping")

    def whole(self):
        """Table of a leaf that is attached: the actor's own memory."""
        for i, (_, (_, nr, flags)) in enumerate(self.items("leaves", "<QII")):
            if flags & 1 and nr == 512:
                return self.get(48, 8) + i * PAGE
        raise SystemExit("damage.py: the checkpoint has no whole leaf")

    def partial(self):
        """Place of an entry in the table of a leaf that is copied."""
        for i, (_, (_, nr, flags)) in enumerate(self.items("leaves", "<QII")):
            if not flags & 1 and nr:
                table = self.get(48, 8) + i * PAGE
                return next(table + 8 * k for k in range(512) if self.get(table + 8 * k, 8))
        raise SystemExit("damage.py: the checkpoint has no partial leaf")


class Damages(dict):
    """name -> (errno, reason, function(image))"""

    def add(self, name, errno, reason, what):
        self[name] = (errno, reason, what)

    def header(self, name, value, errno=EUCLEAN, reason=IMAGE):
        offset, length = HEADER[name]

        def what(image):
            old = image.get(offset, length)
            new = value(old) if callable(value) else value
            image.write(offset, new, length)
            image.seal()
        suffix = sum(1 for k in self if k.startswith(f"forged-header-{name}"))
        self.add(f"forged-header-{name}-{suffix}", errno, reason, what)

    def forge(self, section, label, write, errno=EUCLEAN, reason=IMAGE):
        def what(image):
            write(image, image.section(section)[0])
            image.seal_section(section)
        self.add(f"forged-{section}-{label}", errno, reason, what)

    def field(self, section, label, offset, length, value, errno=EUCLEAN, reason=IMAGE):
        self.forge(section, label, lambda image, at: image.write(
            at + offset, value(image.get(at + offset, length)) if callable(value) else value,
            length), errno, reason)

    def leaf(self, label, change):
        """An entry of an attached leaf, and one of a copied leaf."""
        def entry(image, at):
            image.write(at, change(image.get(at, 8)), 8)
        self.add(f"leaf-{label}", EUCLEAN, IMAGE, lambda i: entry(i, i.whole() + 8 * 77))
        self.add(f"partial-leaf-{label}", EUCLEAN, IMAGE, lambda i: entry(i, i.partial()))


def raw(d):
    """A bit flipped."""
    for name, (offset, _) in HEADER.items():
        errno, reason = (EPROTO, VERSION) if name == "version" else (EUCLEAN, IMAGE)
        d.add(f"raw-header-{name}", errno, reason,
              lambda i, o=offset: i.write(o, i.get(o, 1) ^ 4, 1))
    d.add("raw-header-reserved", EUCLEAN, IMAGE, lambda i: i.write(3000, 1, 1))
    for k, name in enumerate(SECTIONS):
        for field, offset in (("offset", 1), ("length", 9), ("crc", 16), ("entry", 20)):
            d.add(f"raw-section-{name}-{field}", EUCLEAN, IMAGE,
                  lambda i, o=240 + 24 * k + offset: i.write(o, i.get(o, 1) ^ 4, 1))

        def middle(image, name=name):
            offset, length, _ = image.section(name)
            at = offset + length // 2
            image.write(at, image.get(at, 1) ^ 1, 1)
        if name != "parents":   # the actor's has none
            d.add(f"raw-{name}", EUCLEAN, IMAGE, middle)
    d.add("raw-extents", EUCLEAN, IMAGE, lambda i: i.write(
        i.get(40, 8), i.get(i.get(40, 8), 4) ^ 1, 4))
    for field, offset in (("magic", 64), ("version", 68), ("crc", 76), ("id", 80), ("first", 88),
                          ("bytes", 96), ("name", 140)):
        d.add(f"raw-entry-{field}", 0, 0, lambda i, o=offset: i.put(
            i.entry + o, bytes([i.word(i.entry + o, 1) ^ 4])))

    def parents(image):
        image.put(image.entry + 132, bytes([1, 0, 0, 0]))
        covered = bytearray(image.read(image.entry + 64, 192))
        covered[12:16] = bytes(4)
        image.put(image.entry + 76, crc32c(covered).to_bytes(4, "little"))
    d.add("forged-entry-parents", EUCLEAN, IMAGE, parents)


def headers(d):
    """Fields of the header that lie, with the right checksum."""
    d.header("id", lambda v: v + 1)
    d.header("phys_base", lambda v: v + EXTENT)
    d.header("phys_base", lambda v: v + PAGE)
    for value in (0, WORD, lambda v: v + 1, lambda v: v - 1):
        d.header("nr_extents", value)
    d.header("extents_crc", lambda v: v ^ 1)
    for value in (0, EXTENT - 4, EXTENT, 1 << 40, (1 << 64) - 8):
        d.header("extents_off", value)
    for value in (8, 1 << 40, (1 << 64) - PAGE, lambda v: v + 8, lambda v: v - PAGE):
        d.header("leaves_off", value)
    for value in (8, 1 << 40, (1 << 64) - PAGE):
        d.header("data_off", value)
    for value in (0, lambda v: v + 1, lambda v: v - 1, WORD, (1 << 64) - 1):
        d.header("nr_leaves", value)
    for value in (1 << 40, (1 << 64) - 1, 1 << 52):
        d.header("nr_pages", value)
    d.header("vdso_id", lambda v: v ^ 1, ENOEXEC, KERNEL)
    d.header("page_shift", 16, ENOEXEC, KERNEL)
    d.header("machine", 183, ENOEXEC, KERNEL)
    for k in range(9):
        d.header(f"cpu{k}", WORD, ENOEXEC, CPU)
    for k, name in enumerate(SECTIONS):
        for label, offset, length, value in (
                ("offset-odd", 0, 8, lambda v: v + 1), ("offset-huge", 0, 8, (1 << 64) - 8),
                ("length-huge", 8, 8, (1 << 64) - 1), ("length-long", 8, 8, 1 << 30),
                ("entry", 20, 4, lambda v: v + 1), ("entry-none", 20, 4, 0)):
            def what(image, at=240 + 24 * k + offset, length=length, value=value):
                image.write(at, value(image.get(at, length)) if callable(value) else value, length)
                image.seal()
            d.add(f"forged-section-{name}-{label}", EUCLEAN, IMAGE, what)

    def extents(label, change):
        def what(image):
            at, nr = image.get(40, 8), image.get(32, 4)
            change(image, at)
            image.write(36, crc32c(image.load(at, 4 * nr)), 4)
            image.seal()
        d.add(f"forged-extents-{label}", EUCLEAN, IMAGE, what)
    extents("twice", lambda i, at: i.write(at + 4, i.get(at, 4), 4))
    extents("first", lambda i, at: (i.write(at + 4, i.get(at, 4), 4),
                                    i.write(at, i.extents[1], 4)))
    extents("meta", lambda i, at: i.write(at + 4, 0, 4))
    extents("free", lambda i, at: i.write(at + 4, i.word(0x28, 4) - 1, 4))
    extents("outside", lambda i, at: i.write(at + 4, WORD, 4))


def task(d):
    """Registers, addresses, memory."""
    for name, offset in TASK.items():
        value = 0x10 if name in ("cs", "ss") else KERNEL_ADDRESS
        d.field("task", name, offset, 8, value)
    d.field("task", "altstack_flags", 208, 4, WORD)
    d.field("task", "umask", 212, 4, 0o10000)
    d.field("task", "rseq-odd", 216, 8, 0x10001)
    d.field("task", "personality", 252, 4, 0x400000)
    d.field("task", "cwd", 276, 4, WORD)
    d.field("task", "comm", 280, 16, (1 << 128) - 1)
    d.field("xstate", "xfeatures", 512, 8, 1 << 62)
    d.field("xstate", "xcomp_bv", 520, 8, 1 << 63)
    d.field("xstate", "mxcsr", 24, 4, WORD, reason=CPU)
    for label, offset, length, value in (
            ("start_code", 0, 8, KERNEL_ADDRESS), ("brk", 40, 8, 1), ("arg_start", 56, 8, 0x7FFFFFFFEFF0),
            ("mmap_base", 88, 8, 1), ("no-mmap_base", 88, 8, 0), ("vdso", 96, 8, 4097),
            ("vdso-kernel", 96, 8, KERNEL_ADDRESS), ("exe", 104, 4, WORD), ("pkey_map", 108, 4, 0),
            ("exec_pkey", 112, 4, 16), ("nr_auxv", 116, 4, 1000)):
        d.field("mm", label, offset, length, value)
    d.forge("mm", "vdso-taken", lambda i, at: i.write(
        at + 96, i.items("vmas", "<Q")[0][1][0], 8), 0, 0)
    d.forge("strings", "garbage", lambda i, at: i.put(i.at(at), b"A" * i.section("strings")[1]))
    d.forge("files", "path", lambda i, at: i.write(at, WORD, 4))
    d.field("files", "mtime", 24, 8, lambda v: v + 1, ESTALE, CHANGED)
    d.field("files", "size", 16, 8, lambda v: v + 1, ESTALE, CHANGED)
    d.field("fds", "kind", 4, 4, 99)
    d.field("fds", "flags", 8, 4, WORD)

    def last_fd(image, _):
        image.write(image.items("fds", "<I")[-1][0], 1 << 20, 4)
    d.forge("fds", "limit", last_fd, EMFILE, LIMIT)
    d.forge("fds", "order", lambda i, at: i.write(at, 1 << 20, 4))
    d.forge("fds", "negative", lambda i, at: i.write(i.items("fds", "<I")[-1][0], WORD, 4), 0, 0)


def mappings(d):
    """VMAs and leaves."""
    anon = lambda s, e, fl, f: f == WORD and fl & 2 and e - s > 2 * EXTENT  # noqa: E731
    backed = lambda s, e, fl, f: f != WORD  # noqa: E731

    def vma(label, want, offset, length, value, errno=EUCLEAN, reason=IMAGE):
        def write(image, _):
            at = image.vma(want) + offset
            image.write(at, value(image.get(at, length)) if callable(value) else value, length)
        d.forge("vmas", label, write, errno, reason)
    vma("start-odd", anon, 0, 8, lambda v: v + 1)
    vma("end-kernel", anon, 8, 8, KERNEL_ADDRESS)
    vma("empty", anon, 8, 8, PAGE)
    vma("overlap", anon, 0, 8, PAGE)
    vma("unknown-flag", anon, 16, 4, lambda v: v | 1 << 31)
    vma("write-not-allowed", anon, 16, 4, lambda v: v & ~(1 << 4))
    vma("shared", anon, 16, 4, lambda v: v | 1 << 6)
    vma("pkey", anon, 20, 4, 99)
    vma("file", anon, 32, 4, 12345)
    vma("protection", anon, 16, 4, lambda v: v & ~3)
    vma("executable", anon, 16, 4, lambda v: v | 1 << 2)
    vma("no-pages", anon, 16, 4, lambda v: v | 1 << 12, 0, 0)
    vma("pgoff", backed, 24, 8, (1 << 64) - 1)
    vma("shared-writable", backed, 16, 4, lambda v: v | 1 << 6 | 1 << 4)
    vma("stack-of-a-file", backed, 16, 4, lambda v: v | 1 << 7)
    d.field("leaves", "addr-odd", 0, 8, lambda v: v + PAGE)
    d.field("leaves", "addr-kernel", 0, 8, 0xFFFF888000000000)
    d.field("leaves", "addr-nowhere", 0, 8, EXTENT)
    d.field("leaves", "too-many", 8, 4, 513)
    d.field("leaves", "one-more", 8, 4, lambda v: v + 1)
    d.field("leaves", "none", 8, 4, 0)
    d.forge("leaves", "twice", lambda i, at: i.write(at + 16, i.get(at, 8), 8))
    for label, bit in LEAF_BITS.items():
        d.leaf(label, lambda v, b=bit: v | 1 << b)
    d.leaf("not-special", lambda v: v & ~(1 << 9))
    d.leaf("supervisor", lambda v: v & ~4)
    d.leaf("not-present", lambda v: v & ~1)
    d.leaf("gone", lambda v: 0)
    d.leaf("swap", lambda v: 0x400)
    d.leaf("software-bits", lambda v: v | 1 << 10)
    d.leaf("page-zero", lambda v: v & ~0xFFFFFFFFFF000)
    d.leaf("superblock", lambda v: v & ~0xFFFFFFFFFF000 | v & 0 | BASE)
    d.leaf("host-memory", lambda v: v & ~0xFFFFFFFFFF000 | 0x1000000)
    d.leaf("beyond", lambda v: v & ~0xFFFFFFFFFF000 | 0xFFFFFFFFFF000)
    d.leaf("pkey", lambda v: v | 5 << 59)
    d.leaf("nx", lambda v: v ^ 1 << 63)


BASE = 0


def serve(path, number, damages):
    """One at a time; at the end all is as it was."""
    global BASE  # pylint: disable=global-statement
    image = Image(path, number)
    BASE = image.get(24, 8)
    try:
        while line := sys.stdin.readline():
            image.undo()
            if line != "undo\n":
                damages[line.rstrip("\n")][2](image)
            print("done", flush=True)
    finally:
        image.undo()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    path, number, command = sys.argv[1], int(sys.argv[2], 0), sys.argv[3]
    damages = Damages()
    for kind in (raw, headers, task, mappings):
        kind(damages)
    if command == "list":
        for name, (errno, reason, _) in damages.items():
            print(name, errno, reason)
    elif command == "serve":
        serve(path, number, damages)
    else:
        sys.exit(__doc__)


main()
