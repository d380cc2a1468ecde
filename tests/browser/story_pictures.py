"""Takes the pictures of the demo's stories in docs/pictures/: ``python -m tests.browser.story_pictures [story …]``.

On a demo with its traffic, in real time: ten minutes for all of them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from quota_platform.demo import environment
from quota_platform.env import BASE_DIR
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor

PICTURES = BASE_DIR / "docs" / "pictures"
FIRST_TRAFFIC_S = 10.0


class Story(NamedTuple):
    """The page it is watched on, a text that shows it has come so far, and when to take the picture after that."""

    path: str
    shows: str
    then_s: float


STORIES = {
    "noisy_neighbour": Story("/dashboard/", "exportContacts", 45),
    "herd": Story("/dashboard/tenants/globex/", "confirmBooking", 14),
    "hidden_limit": Story("/dashboard/", "learned at", 75),
    "shared_unit": Story("/dashboard/tenants/hooli/", "pace of the connection", 110),
    "shared_herd": Story("/dashboard/tenants/hooli/", "reserveSeat", 14),
    "slow_hour": Story("/dashboard/", "cutting helped", 5),
}
LONGEST_S = 400
"""The story before may not be over."""


def main() -> None:
    var = Path(tempfile.mkdtemp(prefix="quota-stories-"))
    demo = LiveDemo(var, traffic=True, pseudo_language=False)
    try:
        demo.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light").new_page()
            visitor = Visitor(page, demo.url)
            visitor.sign_in(*demo.sign_in)
            time.sleep(FIRST_TRAFFIC_S)
            for name in sys.argv[1:] or STORIES:
                _take(name, STORIES[name], visitor, control_url=f"http://{environment.sandbox_address(demo.variables)}")
            browser.close()
    finally:
        demo.stop()
        shutil.rmtree(var, ignore_errors=True)


def _take(name: str, story: Story, visitor: Visitor, *, control_url: str) -> None:
    began = time.monotonic()
    order = json.dumps({"story": name}).encode()
    request = urllib.request.Request(f"{control_url}/__sim__/story", data=order, method="POST")
    urllib.request.urlopen(request).close()
    visitor.open(story.path)
    page: Page = visitor.page
    page.get_by_text(story.shows).filter(visible=True).first.wait_for(timeout=LONGEST_S * 1000)
    time.sleep(story.then_s)
    page.screenshot(path=PICTURES / f"{name}-1440-light.png", full_page=True)
    print(f"{name}: after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
