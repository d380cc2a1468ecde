"""Commands that need no settings, database or network; `manage.py` and `python -m quota_platform` ask here first."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from limiter import offline
from quota_platform import env

ANCHORS_ONLY = "--anchors-only"


def run(arguments: list[str]) -> int | None:
    """The exit code of such a command; None when it is another one."""
    if arguments[:1] == ["verify_export"]:
        parser = ArgumentParser(
            prog="verify_export",
            description="Check a file against its signed manifest, without settings, database or network.",
        )
        offline.add_export_arguments(parser)
        data = parser.parse_args(arguments[1:])
        return _say(
            lambda: offline.verify_export(
                data.file, beside=data.manifest, public=data.public_key, secret=env.signing_secret()
            )
        )
    if arguments[:1] == ["verify_audit"] and ANCHORS_ONLY in arguments:
        parser = ArgumentParser(prog=f"verify_audit {ANCHORS_ONLY}", description="Check a copy of the anchors alone.")
        offline.add_anchor_arguments(parser)
        data = parser.parse_args([word for word in arguments[1:] if word != ANCHORS_ONLY])
        return _say(lambda: offline.verify_anchors(data.anchors, public=data.public_key, secret=env.signing_secret()))
    return None


def _say(verified: Callable[[], str]) -> int:
    try:
        print(verified())
    except offline.NotVerified as error:
        print(error, file=sys.stderr)
        return 1
    return 0
