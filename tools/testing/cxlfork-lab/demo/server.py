#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A function server: which help articles answer this question?

A text model of 72 MiB, made at the start, and standard library HTTP.

  GET  /health      what runs here, and when it was ready
  POST /infer       a question: the best articles, and a digest of all scores
  POST /checkpoint  {"name": NAME}: checkpoint once this is answered
  GET  /checkpoint  what came of that

A clone goes on behind the checkpoint. Its restorer hands over the socket it
listens at, and as payload a JSON object that says which instance it is.
"""

import time

STARTED = time.monotonic()

# pylint: disable=wrong-import-position
import os   # noqa: E402

os.environ["OPENBLAS_NUM_THREADS"] = "1"    # what has threads can't be cloned

import gc   # noqa: E402
import hashlib  # noqa: E402
import json     # noqa: E402
import random   # noqa: E402
import re   # noqa: E402
import socketserver     # noqa: E402
import sys  # noqa: E402
import zlib     # noqa: E402
from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: E402

import numpy as np  # noqa: E402

import cxlfork  # noqa: E402

IMPORTED = time.monotonic()

BODY_MAX = 65536
BEST = 3


class Model:
    """Word embeddings, a layer that mixes them, and an index of articles."""

    WORDS, WIDTH, HIDDEN, ARTICLES = 32768, 384, 4096, 8192

    def __init__(self, seed=20251120):
        rng = np.random.Generator(np.random.SFC64(seed))

        def weights(*shape):
            array = rng.random(shape, dtype=np.float32)
            array -= np.float32(0.5)
            array *= np.float32(2 / np.sqrt(shape[-1]))
            return array

        self.embedding = weights(self.WORDS, self.WIDTH)
        self.up = weights(self.HIDDEN, self.WIDTH)
        self.down = weights(self.WIDTH, self.HIDDEN)
        self.articles = weights(self.ARTICLES, self.WIDTH)

    @property
    def nbytes(self):
        """Size of all weights."""
        return sum(array.nbytes for array in vars(self).values())

    def infer(self, text):
        """The best articles for a question, and a digest of all scores."""
        words = re.findall(r"\w+", text.lower()) or [""]
        rows = [zlib.crc32(word.encode()) % self.WORDS for word in words]
        x = self.embedding[rows].mean(axis=0)
        x += self.down @ np.maximum(self.up @ x, np.float32(0))
        x /= np.linalg.norm(x)
        scores = self.articles @ x
        best = np.argsort(-scores, kind="stable")[:BEST]
        return {
            "articles": [[int(i), round(float(scores[i]), 6)] for i in best],
            "digest": hashlib.sha256(scores.tobytes()).hexdigest(),
        }


class Server(HTTPServer):
    """Single-threaded; checkpoints itself between two requests."""

    def __init__(self, address):
        self.model = Model()
        self.made = time.monotonic()
        self.wanted = None          # name of the checkpoint that is asked for
        self.outcome = None         # what came of the last one
        self.instance = {"instance": "original"}
        self.token = random.getrandbits(64)
        super().__init__(address, Handler)

    def server_bind(self):
        """As HTTPServer does, but without asking who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def who(self):
        """What differs between the original and its clones."""
        return {
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "token": f"{self.token:016x}",
            **self.instance,
        }

    def checkpoint(self, name):
        """Go into CXL memory; in a clone: begin a life of its own."""
        gc.collect()
        gc.freeze()     # the collector would write to every object it looks at
        try:
            result = cxlfork.checkpoint(name, handover=[self])
        except cxlfork.Error as err:
            self.outcome = {"error": str(err)}
            print(f"server: {err}", file=sys.stderr, flush=True)
            return
        if not result.is_clone:
            self.outcome = {"id": hex(result.id)}
            return
        self.outcome = None
        self.instance = json.loads(result.payload or b"{}")
        self.token = random.getrandbits(64)
        print(f"server: clone {self.who()}", file=sys.stderr, flush=True)

    def run(self):
        """The request loop."""
        while True:
            self.handle_request()
            if self.wanted:
                name, self.wanted = self.wanted, None
                self.checkpoint(name)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_version = "demo"

    # pylint: disable=invalid-name
    def do_GET(self):
        """GET /health, GET /checkpoint"""
        server = self.server
        if self.path == "/health":
            self.answer(200, {
                **server.who(), "weights": server.model.nbytes,
                "listen_fd": server.fileno(), "started": STARTED,
                "imported": IMPORTED, "made": server.made})
        elif self.path == "/checkpoint" and server.outcome:
            self.answer(200, server.outcome)
        else:
            self.answer(404, {"error": "not here"})

    def do_POST(self):
        """POST /infer, POST /checkpoint"""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_MAX:
            self.answer(413, {"error": "how long?"})
            return
        body = self.rfile.read(int(length))
        if self.path == "/infer":
            text = body.decode("utf-8", "replace")
            self.answer(200, {**self.server.who(),
                              **self.server.model.infer(text)})
        elif self.path == "/checkpoint":
            try:
                self.server.wanted = str(json.loads(body)["name"])
            except (ValueError, TypeError, KeyError):
                self.answer(400, {"error": "no name"})
                return
            self.answer(202, {"accepted": self.server.wanted})
        else:
            self.answer(404, {"error": "not here"})

    def answer(self, status, content):
        """Send JSON."""
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: server.py ADDRESS PORT")
    Server((sys.argv[1], int(sys.argv[2]))).run()
