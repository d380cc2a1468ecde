#!/usr/bin/env python
"""Django's command line for the quota platform."""

import os
import sys

from django.core.management import execute_from_command_line

from quota_platform import offline

if __name__ == "__main__":
    if (code := offline.run(sys.argv[1:])) is not None:
        sys.exit(code)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")
    execute_from_command_line(sys.argv)
