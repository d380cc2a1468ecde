"""The demo's Django in a process that stays, for what the tests of the browser do in it: to start it takes seconds.

As ``python -m tests.browser.shell`` it reads a line of JSON with some code, runs it as ``manage.py shell -c`` would,
and writes a line of JSON with its output and its traceback, if it failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping

from tests.patience import HANG_S


class Shell:
    """Begun with the first code."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)
        self._process: subprocess.Popen[str] | None = None

    def run(self, code: str) -> str:
        """The output of this code; raises RuntimeError with its traceback."""
        process = self._process = self._process or self._begun()
        assert process.stdin is not None and process.stdout is not None
        hang = threading.Timer(HANG_S, process.kill)
        hang.start()
        process.stdin.write(json.dumps(code) + "\n")
        line = process.stdout.readline()
        hang.cancel()
        if not line:
            raise RuntimeError(f"the shell ended with exit code {process.wait()} in:\n{code}")
        output, failure = json.loads(line)
        if failure:
            raise RuntimeError(f"{failure}\nin:\n{code}")
        return str(output)

    def _begun(self) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", __name__]
        return subprocess.Popen(
            line, env=self._variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


def main() -> None:
    import django

    django.setup()
    responses = sys.stdout
    for line in sys.stdin:
        output, failure = io.StringIO(), ""
        with contextlib.redirect_stdout(output):
            try:
                exec(json.loads(line), {})
            except Exception:
                failure = traceback.format_exc()
        responses.write(json.dumps([output.getvalue(), failure]) + "\n")
        responses.flush()


if __name__ == "__main__":
    main()
