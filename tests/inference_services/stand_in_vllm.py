"""A stand-in for vLLM's interpreter that starts in a second, for what vLLM itself cannot be made to do on demand."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import psutil

STAND_IN = '''#!{python}
"""Takes vLLM's arguments, lists its models, loads adapters; has a child like vLLM's engine; hangs, grows or dies when told to."""
import json, os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = sys.argv[1:]
def option(name):
    return arguments[arguments.index(name) + 1]
if os.environ.get("STAND_IN_FAILS"):
    print("loading weights")
    sys.exit("RuntimeError: " + os.environ["STAND_IN_FAILS"])
while (gate := os.environ.get("STAND_IN_WAITS_FOR")) and not os.path.exists(gate):
    time.sleep(0.05)
engine = subprocess.Popen(["sleep", "600"])
hung = threading.Event()
print("engine", engine.pid, flush=True)
models = [option("--served-model-name")]
if "--lora-modules" in arguments:
    models += [module.partition("=")[0] for module in arguments[arguments.index("--lora-modules") + 1:]]

class Handler(BaseHTTPRequestHandler):
    def reply(self, code, document):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())
    def do_GET(self):
        while hung.is_set():
            time.sleep(0.1)
        self.reply(200, {{"data": [{{"id": name}} for name in models]}})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/hang":
            hung.set()
            return self.reply(200, {{}})
        if self.path == "/grow":
            grow = "import time; kept = b'x' * (" + str(body["mib"]) + " << 20); time.sleep(600)"
            subprocess.Popen([sys.executable, "-c", grow])
            return self.reply(200, {{}})
        if self.path == "/say":
            for number in range(body["lines"]):
                print("line", number, "x" * 100, flush=True)
            return self.reply(200, {{}})
        if self.path == "/v1/load_lora_adapter" and "broken" in body["lora_path"]:
            return self.reply(400, {{"error": {{"message": "rank 64 is greater than max_lora_rank 16"}}}})
        models.append(body["lora_name"]) if "unload" not in self.path else models.remove(body["lora_name"])
        self.reply(200, {{}})
    def log_message(self, *_):
        pass
ThreadingHTTPServer((option("--host"), int(option("--port"))), Handler).serve_forever()
'''


def write_stand_in(path: Path) -> Path:
    """Write the stand-in to ``path`` and return it: what ``serving.vllm_python`` may name."""
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return path


def write_model(folder: Path) -> Path:
    """Make a folder that looks like a model and return it."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def order(base_url: str, what: str, **body: int) -> None:
    """Have a stand-in hang, grow or say something."""
    httpx.post(f"{base_url.removesuffix('/v1')}/{what}", json=body, timeout=10).raise_for_status()


def engines(home: Path) -> list[int]:
    """Return the process ids of the stand-in's children, oldest first, from the log."""
    log = home / "logs" / "vllm.log"
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("engine ")] if log.exists() else []


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
