#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The demo's client, in a node: starts servers and clones, asks, measures.

Each command prints one JSON object. Times are in seconds of the node's clock.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 120


class Trouble(Exception):
    """Something did not work; the text says what."""


def request(address, method, path, body=None):
    """One request to HOST:PORT: status and the JSON that comes back."""
    host, port = address.rsplit(":", 1)
    link = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        link.request(method, path, body)
        response = link.getresponse()
        return response.status, json.loads(response.read())
    finally:
        link.close()


def infer(address, question):
    """The answer to a question."""
    status, answer = request(address, "POST", "/infer", question.encode())
    if status != 200:
        raise Trouble(f"{address} answers {status}: {answer}")
    return answer


def numbers(path):
    """Lines of a /proc file that are a name and a number; kB become bytes."""
    found = {}
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            words = line.split()
            if len(words) in (2, 3) and words[1].isdecimal():
                scale = 1024 if words[2:] == ["kB"] else 1
                found[words[0].rstrip(":")] = int(words[1]) * scale
    return found


def memory(pid):
    """What a process takes, in bytes; of a clone also what it shares."""
    status = numbers(f"/proc/{pid}/status")
    rollup = numbers(f"/proc/{pid}/smaps_rollup")
    found = {
        "rss": status["VmRSS"], "rss_anon": status["RssAnon"],
        "rss_file": status["RssFile"], "page_tables": status["VmPTE"],
        "rollup_anon": rollup["Anonymous"],
    }
    clone = numbers(f"/proc/{pid}/cxlfork_stat")
    if clone:
        found.update(
            clone=clone, local=clone["pages_local"] * PAGE,
            cxl=clone["pages_cxl"] * PAGE)
    return found


def wait_for(address, question, process):
    """Ask until there is an answer."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return infer(address, question)
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise Trouble(f"the server ended ({process.returncode})") \
                    from None
            if time.monotonic() > until:
                raise
        time.sleep(0.005)


def cold(args):
    """Start a server, ask it, and end it unless it shall stay."""
    host, port = args.address.rsplit(":", 1)
    with open(args.log, "ab") as log:
        begin = time.monotonic()
        # pylint: disable=consider-using-with
        process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "server.py"), host, port],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            start_new_session=True)
    try:
        answer = wait_for(args.address, args.questions[0], process)
        end = time.monotonic()
        _, health = request(args.address, "GET", "/health")
        report = {
            "pid": process.pid, "first_answer": end - begin, "answer": answer,
            "interpreter": health["started"] - begin,
            "imports": health["imported"] - health["started"],
            "weights": health["made"] - health["imported"],
            "weights_bytes": health["weights"],
            "listen_fd": health["listen_fd"],
        }
    except BaseException:
        process.kill()
        raise
    if not args.stay:
        process.kill()
        process.wait()
    return report


def ask(args):
    """Ask all questions; what the server takes."""
    begin = time.monotonic()
    answers = [infer(args.address, question) for question in args.questions]
    return {"answers": answers, "seconds": time.monotonic() - begin,
            "memory": memory(answers[0]["pid"])}


def checkpoint(args):
    """Let the server checkpoint itself."""
    body = json.dumps({"name": args.name}).encode()
    status, answer = request(args.address, "POST", "/checkpoint", body)
    if status != 202:
        raise Trouble(f"/checkpoint: {status}: {answer}")
    begin = time.monotonic()
    status, answer = request(args.address, "GET", "/checkpoint")
    seconds = time.monotonic() - begin
    if status != 200 or "id" not in answer:
        raise Trouble(f"no checkpoint: {answer.get('error', status)}")
    return {"id": answer["id"], "seconds": seconds}


def restore(args):
    """Order a clone from a ghost, ask it all questions."""
    instance = json.dumps({"instance": args.instance})
    begin = time.monotonic()
    done = subprocess.run(
        ["cxlfork", "restore", "--ghost", args.ghost, "--payload", instance,
         "--listen", f"{args.listen_fd}={args.address}", args.name],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"cxlfork restore: {done.stderr.strip()}")
    restored = time.monotonic()
    answers = [infer(args.address, args.questions[0])]
    end = time.monotonic()
    pid = int(done.stdout)
    report = {"pid": pid, "restored": restored - begin,
              "first_answer": end - begin, "memory": memory(pid)}
    answers += [infer(args.address, q) for q in args.questions[1:]]
    report["answers"] = answers
    report["memory_after_all"] = memory(pid)
    return report


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", default=os.path.join(HERE, "inputs.txt"))
    sub = parser.add_subparsers(dest="command", required=True)
    for command in (cold, ask, checkpoint, restore):
        p = sub.add_parser(command.__name__, help=command.__doc__)
        p.set_defaults(run=command)
        p.add_argument("address", metavar="HOST:PORT")
        if command is cold:
            p.add_argument("--log", required=True)
            p.add_argument("--stay", action="store_true")
        elif command is not ask:
            p.add_argument("--name", required=True)
        if command is restore:
            p.add_argument("--ghost", required=True)
            p.add_argument("--instance", required=True)
            p.add_argument("--listen-fd", type=int, required=True)
    args = parser.parse_args(argv)
    with open(args.inputs, encoding="utf-8") as file:
        args.questions = file.read().splitlines()
    return args


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    try:
        print(json.dumps(options.run(options)))
    except (OSError, ValueError, Trouble, http.client.HTTPException) as err:
        sys.exit(f"client: {options.command}: {err}")
