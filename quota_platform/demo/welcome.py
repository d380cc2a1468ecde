"""The process that waits until a call can pass, says so, writes ``demo.json`` and then stays out of the way."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from quota_platform.demo import environment, facts, tokens

PATIENCE_SECONDS = 60.0


class NotReady(SystemExit):
    """The platform or the sandbox did not become ready; the message holds the last response."""


def wait_until_ready(url: str, *, token: str = "", patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Return once ``url`` answers 200; raise :class:`NotReady` when it does not in time.

    ``token`` opens its details.
    """
    deadline = time.monotonic() + patience_seconds
    response = "nothing"
    while time.monotonic() < deadline:
        ready, response = _ask(url, token)
        if ready:
            return
        time.sleep(0.1)
    raise NotReady(f"The platform was not ready after {patience_seconds:.0f} s; {url} last answered: {response}")


def wait_for_both(variables: Mapping[str, str]) -> None:
    """Return once a call can pass; the first one also needs the sandbox, for its token."""
    wait_until_ready(environment.sandbox_sign(variables))
    wait_until_ready(environment.platform_sign(variables), token=variables.get("METRICS_TOKEN", ""))


def _ask(url: str, token: str) -> tuple[bool, str]:
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(asked, timeout=2) as response:
            return response.status == 200, f"{response.status}"
    except urllib.error.HTTPError as error:
        with error:
            return False, f"{error.code} {error.read(2000).decode('utf-8', 'replace')}"
    except OSError as error:
        return False, f"no connection ({error})"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    var = Path(os.environ["VAR_DIR"])
    wait_for_both(os.environ)
    known = facts.facts(os.environ, tokens=tokens.read(var))
    facts.write(var, known)
    print(facts.greeting(known, var=var), flush=True)
    signal.pause()


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m quota_platform.demo.welcome", description=__doc__).parse_args()
    main()
