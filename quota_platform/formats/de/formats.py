"""As in English: dates and times that sort, to the second."""

from quota_platform.formats.en.formats import *  # noqa: F403
