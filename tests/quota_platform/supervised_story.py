"""A small demo for the supervisor's tests: run with a directory, it supervises three processes that note their end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from quota_platform.demo.service import STORE, Service
from quota_platform.demo.supervisor import Supervisor

NOTES_ITS_END = """
import os, signal, sys
name, directory = sys.argv[1:]
def end(*_):
    with open(f"{directory}/ended", "a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", name, os.getpid(), flush=True)
signal.pause()
"""
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", "stubborn", os.getpid(), flush=True)
while True:
    signal.pause()
"""
FAILS = "import sys; print('a setting is missing', file=sys.stderr); sys.exit(3)"


def service(name: str, code: str, *arguments: str) -> Service:
    return Service(name, [sys.executable, "-c", code, *arguments], dict(os.environ))


def main(directory: Path, extra: str) -> None:
    services = [service(name, NOTES_ITS_END, name, str(directory)) for name in (STORE, "web", "worker")]
    if extra == "failing":
        services.append(service("broken", FAILS))
    if extra == "stubborn":
        services.append(service("stubborn", STUBBORN))
    supervisor = Supervisor(services)
    supervisor.loop()
    print("ended first:", supervisor.ended_first, flush=True)
    if supervisor.ended_first:
        print(f"last words: {supervisor.last_words(supervisor.ended_first[0])}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
