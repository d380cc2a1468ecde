"""The pages of a platform with many tenants in Chromium: when something is painted, and when the rows are there."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MAX_S = 30.0
"""A page that takes longer counts as so long."""
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_DEEP = 40


@dataclass(frozen=True, slots=True)
class Visit:
    """``rows``: what there is when the page has its rows. ``live``: its goal is that of the live pages."""

    name: str
    path: str
    rows: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """Medians, in milliseconds. ``weight``: bytes of the page itself; ``cpu_ms``: processor time that each meter
    counted for it, with its scripts, styles and first frame; ``fault``: why there is no figure.
    """

    visit: Visit
    painted_ms: float = MAX_S * 1000
    complete_ms: float = MAX_S * 1000
    weight: int = 0
    cpu_ms: tuple[float, ...] = ()
    fault: str = ""


def visits() -> list[Visit]:
    """Each page, its search, its orders, and one deep in it."""
    tenant, admin = "tenant-000000", "#result_list tbody tr, table tbody tr"
    search = "Vandelay%2077"
    lists = {
        "tenants/tenant": "o=2",
        "tenants/action": "o=2",
        "tenants/apikey": "o=1",
        "tenants/connection": "o=1",
        "limiter/quotapolicy": "o=1",
        "limiter/assignment": "o=1",
        "limiter/override": "o=1",
        "limiter/alert": "o=1",
        "limiter/throttleevent": "o=1",
    }
    live = [
        Visit("overview", "/dashboard/", "#table tbody tr", live=True),
        Visit("tenants", "/dashboard/tenants/", "table tbody tr", live=True),
        Visit("tenants, searched", f"/dashboard/tenants/?q={search}", "table tbody tr", live=True),
        Visit("tenants, by connection", "/dashboard/tenants/?sort=-connection", "table tbody tr", live=True),
        Visit("tenants, a late page", f"/dashboard/tenants/?page={_DEEP}", "table tbody tr", live=True),
        Visit("one tenant", f"/dashboard/tenants/{tenant}/", "#table tbody tr, #limits tbody tr", live=True),
        Visit("refusals", "/dashboard/refusals/", ".event", live=True),
        Visit("refusals of a tenant", f"/dashboard/refusals/?tenant={tenant}", ".event", live=True),
        Visit("incidents", "/dashboard/incidents/", ".event", live=True),
        Visit("incidents of a tenant", f"/dashboard/incidents/?tenant={tenant}", ".event", live=True),
    ]
    index = [Visit("admin, first page", "/admin/", "main")]
    for name, order in lists.items():
        path = f"/admin/{name}/"
        index += [
            Visit(f"admin, {name}", path, admin),
            Visit(f"admin, {name}, searched", f"{path}?q={search}", "main"),
            Visit(f"admin, {name}, sorted", f"{path}?{order}", admin),
        ]
    return [*live, *index]


def opened(
    port: int, session: str, *, times: int, meters: Sequence[Callable[[], float]] = (), only: Sequence[str] = ()
) -> Iterator[Opened]:
    """Open each with an empty cache. ``meters``: processor seconds used so far."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for visit in visits():
            if not only or any(visit.name.startswith(each) for each in only):
                before = [meter() for meter in meters]
                seen = _opened(browser, f"http://127.0.0.1:{port}", session, visit, times)
                used = [(meter() - began) * 1000 / times for meter, began in zip(meters, before, strict=True)]
                yield dataclasses.replace(seen, cpu_ms=tuple(used))
        browser.close()


def _opened(browser: Any, url: str, session: str, visit: Visit, times: int) -> Opened:
    from playwright.sync_api import Error

    painted, complete, weight = [], [], 0
    for _ in range(times):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(MAX_S * 1000)
        context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        page = context.new_page()
        try:
            response = page.goto(url + visit.path, wait_until="domcontentloaded")
            if response.status != 200:
                return Opened(visit, fault=f"status {response.status}")
            weight = len(response.body())
            page.locator(visit.rows).first.wait_for()
            complete.append(page.evaluate("performance.now()"))
            painted.append(page.evaluate(_PAINTED))
        except Error as error:
            return Opened(visit, fault=str(error).splitlines()[0])
        finally:
            context.close()
    return Opened(visit, statistics.median(painted), statistics.median(complete), weight)
