"""``python -m quota_platform ROLE [ARGUMENTS]`` becomes that process: web, worker, beat, migrate, sandbox, …"""

from __future__ import annotations

import os
import sys

from quota_platform import env, offline, roles


def main(arguments: list[str]) -> None:
    """Check the settings, then replace this process; a missing one is named before anything starts."""
    usage = f"usage: python -m quota_platform {{web,{','.join(roles.PLAIN)},<manage.py command>}} …"
    if not arguments:
        raise SystemExit(usage)
    if arguments[0] in ("-h", "--help"):
        print(usage)
        sys.exit(0)
    if (code := offline.run(arguments)) is not None:
        sys.exit(code)
    data = env.load()
    line = roles.command(
        arguments[0],
        arguments[1:],
        workers=data.WEB_WORKERS,
        pages_workers=data.PAGES_WORKERS,
        stop_grace_s=data.STOP_GRACE_SECONDS,
    )
    os.execv(line[0], line)


if __name__ == "__main__":
    main(sys.argv[1:])
