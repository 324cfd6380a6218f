import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cia.leash import Leashed

GRANDPARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
print(child.pid, flush=True)
time.sleep(120)
"""


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_stop_ends_the_command_and_its_children() -> None:
    leashed = Leashed([sys.executable, "-c", GRANDPARENT], stdout=subprocess.PIPE)
    assert leashed.process.stdout
    grandchild = int(leashed.process.stdout.readline())
    leashed.stop()
    assert gone_within(grandchild, 1)
    assert leashed.poll() is not None


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(120)"
    leashed = Leashed([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert leashed.process.stdout
    leashed.process.stdout.readline()
    started = time.monotonic()
    leashed.stop(grace_seconds=0.5)
    assert 0.4 < time.monotonic() - started < 5


def test_nothing_outlives_a_starter_that_was_killed_with_sigkill() -> None:
    script = (
        "import subprocess, sys, time; from cia.leash import Leashed\n"
        f"leashed = Leashed([sys.executable, '-c', {GRANDPARENT!r}], stdout=subprocess.PIPE)\n"
        "print(leashed.process.stdout.readline().decode().strip(), leashed.group, flush=True); time.sleep(120)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    grandchild, group = (int(number) for number in starter.stdout.readline().split())
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    assert gone_within(grandchild, 5)
    assert gone_within(group, 15)


def test_the_exit_code_of_the_command_comes_through() -> None:
    assert Leashed([sys.executable, "-c", "raise SystemExit(7)"]).wait(20) == 7
