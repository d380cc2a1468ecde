"""One builder as a process of its own: ``python -m tests.limiter.reports.builder <export> <directory>``.

It prints that it is ready, begins on a line of input, and prints its result.
"""

from __future__ import annotations

import sys

import django
from django.conf import settings
from django.test import override_settings


def main(export_id: str, directory: str) -> None:
    django.setup()
    from limiter.reports import build

    place = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": directory}}
    with override_settings(STORAGES={**settings.STORAGES, "exports": place}):
        print("ready", flush=True)
        sys.stdin.readline()
        print(build.build(export_id, noted_every=1), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
