#!/usr/bin/python3 -IB
# SPDX-License-Identifier: GPL-2.0
"""What the demo measured: a line on each step, the table, chart, and verdict.

usage: report.py line KIND FILE        one line on a step
       report.py value FILE KEY        one value of a step
       report.py table FOLDER SVG      all of it; status 1 if a check fails

FOLDER has cold-1.json, cold.json, ask.json, checkpoint.json, ls.json,
ghosts.json, clone-N.json, again-N.json, digest-before.json, digest-after.json.
"""

import json
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import chart  # noqa: E402  pylint: disable=wrong-import-position

LOCAL_LIMIT = 0.20
MIB = 1 << 20
EMULATED = "Times are those of an emulation in software: only ratios count."


def load(path):
    """A step's JSON."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def mib(count):
    """Bytes for people."""
    return f"{count / MIB:.1f} MiB"


def outcome(answer):
    """What has to be equal wherever a question is answered."""
    return answer["digest"], str(answer["articles"])


def line(kind, path):
    """One line on a step."""
    step = load(path)
    if kind == "cold":
        return (f"first answer after {step['first_answer']:.2f} s: "
                f"interpreter {step['interpreter']:.2f}, "
                f"imports {step['imports']:.2f}, "
                f"{mib(step['weights_bytes'])} of weights "
                f"{step['weights']:.2f}")
    if kind == "ask":
        return (f"{len(step['answers'])} answers in {step['seconds']:.2f} s; "
                f"resident: {mib(step['memory']['rss'])}, "
                f"{mib(step['memory']['rss_anon'])} of it anonymous")
    if kind == "checkpoint":
        return f"checkpoint {step['id']} in {step['seconds']:.2f} s"
    assert kind == "clone"
    first = step["answers"][0]
    return (f"{first['instance']}: process {step['pid']} on {first['host']}: "
            f"restored after {step['restored']:.3f} s, first answer after "
            f"{step['first_answer']:.3f} s, {mib(step['memory']['local'])} "
            "local")


class Demo:
    """All steps of a run."""

    def __init__(self, folder):
        def step(name):
            return load(os.path.join(folder, name + ".json"))

        self.first = step("cold-1")
        self.cold = step("cold")
        self.ask = step("ask")
        self.ghosts = step("ghosts")
        self.clones = [step(f"clone-{n}") for n in range(1, 5)]
        self.again = [step(f"again-{n}") for n in range(1, 5)]
        self.digests = step("digest-before"), step("digest-after")
        ident = step("checkpoint")["id"]
        self.stored = next(c for c in step("ls") if c["id"] == ident)

    def median(self, key):
        """Of the clones."""
        return statistics.median(clone[key] for clone in self.clones)

    def local(self):
        """Median of the clones' local anonymous memory."""
        return statistics.median(c["memory"]["local"] for c in self.clones)

    def checks(self):
        """(does it hold, what) of all that the demo is to show."""
        wanted = [outcome(answer) for answer in self.ask["answers"]]
        original = self.ask["memory"]["rss"]
        tokens = {c["answers"][0]["token"] for c in self.clones}
        tokens.add(self.ask["answers"][0]["token"])
        yield (len(set(wanted)) == len(wanted),
               f"{len(wanted)} questions have {len(set(wanted))} different "
               "answers")
        for clone, again in zip(self.clones, self.again):
            first = clone["answers"][0]
            answers = clone["answers"] + again["answers"]
            same = sum(outcome(a) == w for a, w in zip(answers, 2 * wanted))
            yield (same == 2 * len(wanted) and first["pid"] == clone["pid"],
                   f"{first['instance']}: {same} of {2 * len(wanted)} answers "
                   "equal the original's")
            memory = clone["memory"]
            local = max(memory["local"], memory["rss_anon"],
                        memory["rollup_anon"])
            yield (local < LOCAL_LIMIT * original,
                   f"{first['instance']}: local anonymous memory is "
                   f"{100 * local / original:.1f} % of the original's "
                   f"resident set (limit {100 * LOCAL_LIMIT:.0f} %)")
        yield (len(tokens) == len(self.clones) + 1,
               "the random token of each instance is its own")
        before, after = self.digests
        yield (before["sha256"] == after["sha256"],
               "the checkpoint's bytes in the backing file are unchanged "
               f"(sha256 {after['sha256'][:16]}...; accessed bits: "
               f"{before['accessed']} before, {after['accessed']} after)")

    def rows(self):
        """The table, as cells."""
        memory = self.ask["memory"]
        yield ("", "restored", "first answer", "resident", "anonymous",
               "in CXL", "page tables", "leaves shared")
        yield ("cold start, node0", "-",
               f"{self.cold['first_answer']:.3f} s", mib(memory["rss"]),
               mib(memory["rss_anon"]), "-",
               f"{memory['page_tables'] >> 10} KiB", "-")
        for clone in self.clones:
            memory, first = clone["memory"], clone["answers"][0]
            shared = memory["clone"]["leaves_shared"]
            leaves = shared + memory["clone"]["leaves_local"]
            yield (f"{first['instance']}, {first['host']}",
                   f"{clone['restored']:.3f} s",
                   f"{clone['first_answer']:.3f} s", mib(memory["rss"]),
                   mib(memory["local"]), mib(memory["cxl"]),
                   f"{memory['page_tables'] >> 10} KiB",
                   f"{shared} of {leaves}")
        yield ("median of the clones", f"{self.median('restored'):.3f} s",
               f"{self.median('first_answer'):.3f} s", "",
               mib(self.local()), "", "", "")

    def table(self):
        """The table, as lines."""
        rows = list(self.rows())
        widths = [max(map(len, column)) for column in zip(*rows)]
        for row in rows:
            yield "  ".join(cell.rjust(width) if i else cell.ljust(width)
                            for i, (cell, width)
                            in enumerate(zip(row, widths))).rstrip()

    def summary(self):
        """Below the table."""
        cold, warm = self.cold["first_answer"], self.median("first_answer")
        resident = self.ask["memory"]["rss"]
        ghost = statistics.median(g["rss"] for g in self.ghosts)
        yield (f"first answer: {cold / warm:.1f} times sooner than from a "
               "cold start with all files cached (not cached: "
               f"{self.first['first_answer'] / warm:.1f} times)")
        yield (f"memory: {mib(self.stored['bytes'])} of CXL memory, once, and "
               f"{mib(self.local())} local a clone, where the original has "
               f"{mib(resident)} resident")
        yield (f"a waiting ghost: {ghost / 1024:.0f} KiB resident")
        yield EMULATED

    def svg(self):
        """The chart."""
        def names(clone):
            return clone["answers"][0]["instance"]

        cold = self.cold["first_answer"]
        times = [("cold start", cold, f"{cold:.2f} s", "parent")]
        times += [(names(c), c["first_answer"], f"{c['first_answer']:.2f} s",
                   "clone") for c in self.clones]
        resident = self.ask["memory"]["rss"]
        anonymous = self.ask["memory"]["rss_anon"]
        sizes = [("original, resident", resident, mib(resident), "parent"),
                 ("of it anonymous", anonymous, mib(anonymous), "parent")]
        sizes += [(names(c), c["memory"]["local"], mib(c["memory"]["local"]),
                   "clone") for c in self.clones]
        sizes.append(("CXL memory, once", self.stored["bytes"],
                      mib(self.stored["bytes"]), "cxl"))
        return chart.svg(
            "CXLfork: a Python function, cloned onto another host",
            [("Time to the first answer", times),
             ("Local memory (clones: anonymous, first answer)", sizes)],
            [EMULATED])


def table(folder, path):
    """Print all, write the chart; 0 if every check holds."""
    demo = Demo(folder)
    print(*demo.table(), "", *demo.summary(), "", sep="\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write(demo.svg())
    failed = 0
    for holds, what in demo.checks():
        print("  ok  " if holds else "FAILED", what)
        failed += not holds
    return 1 if failed else 0


def main(argv):
    """Runs one command."""
    if len(argv) == 3 and argv[0] == "line":
        print(line(*argv[1:]))
    elif len(argv) == 3 and argv[0] == "value":
        print(load(argv[1])[argv[2]])
    elif len(argv) == 3 and argv[0] == "table":
        return table(*argv[1:])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
