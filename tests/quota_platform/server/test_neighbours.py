"""The places of a server's web processes: one each, free again when its process ends, closed to other users."""

from __future__ import annotations

import multiprocessing
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from quota_platform.server.neighbours import AbstractNames, FileNames, Group, Neighbours, PlaceNames, is_own, names

SIZES = {Group.PAGES: 1, Group.CALLS: 2}
Make = Callable[[], PlaceNames]


@pytest.fixture(params=["abstract", "files"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Names as each process of one server makes them for itself."""
    secret = secrets.token_bytes(32)
    return lambda: AbstractNames(secret) if request.param == "abstract" else FileNames(secret, parent=str(tmp_path))


def process(make: Make, *, backlog: int = 8) -> Neighbours:
    made = Neighbours(make(), sizes=SIZES, call_prefixes=("/invoke/",))
    if made.listening is not None:
        made.listening.listen(backlog)
    return made


def end(*ended: Neighbours) -> None:
    for each in ended:
        assert each.listening is not None
        each.listening.close()
        if isinstance(each._names, FileNames):
            each._names.release()


def test_the_first_process_is_for_pages_and_the_others_are_for_calls(make: Make) -> None:
    found = [process(make) for _ in range(4)]
    assert [each.group for each in found] == [Group.PAGES, Group.CALLS, Group.CALLS, Group.CALLS]
    assert found[3].listening is None, "there are only so many places"
    end(*found[:3])


def test_the_place_of_a_process_that_ended_is_taken_by_the_next_one(make: Make) -> None:
    pages, calls = process(make), process(make)
    end(pages)
    assert calls.reach() is None
    again = process(make)
    assert again.group is Group.PAGES
    link = calls.reach()
    assert link is not None and is_own(link)
    link.close()
    end(calls, again)


def test_a_process_without_a_place_takes_one_that_becomes_free(make: Make) -> None:
    pages, *calls, spare = (process(make) for _ in range(4))
    served: list[Group] = []
    spare.once_for_pages(lambda: served.append(spare.group))
    assert not spare.take_place() and served == []
    end(pages)
    assert spare.take_place() and spare.take_place()
    assert served == [Group.PAGES], "once"
    assert spare.elsewhere("/invoke/a") and not spare.elsewhere("/admin/")
    end(*calls, spare)


def test_a_process_that_has_a_place_keeps_it(make: Make) -> None:
    pages, calls = process(make), process(make)
    end(pages)
    assert calls.take_place() and calls.group is Group.CALLS
    end(calls)


def test_a_process_that_does_not_listen_yet_is_not_reached(make: Make) -> None:
    pages = Neighbours(make(), sizes=SIZES, call_prefixes=())
    calls = process(make)
    assert pages.group is Group.PAGES
    assert calls.reach() is None
    end(pages, calls)


def test_a_process_for_pages_reaches_those_for_calls_in_turn(make: Make) -> None:
    pages, *calls = (process(make) for _ in range(3))
    for _ in range(2):
        for each in calls:
            link = pages.reach()
            assert link is not None and each.listening is not None
            accepted, _ = each.listening.accept()
            accepted.close()
            link.close()
    end(pages, *calls)


def test_a_process_whose_links_all_wait_is_passed_over(make: Make) -> None:
    pages, calls = process(make, backlog=0), process(make)
    links = [calls.reach(), calls.reach()]
    assert links[0] is not None and links[1] is None
    links[0].close()
    end(pages, calls)


def test_a_path_belongs_to_one_of_the_groups(make: Make) -> None:
    pages, calls = process(make), process(make)
    assert [each.elsewhere("/invoke/a") for each in (pages, calls)] == [True, False]
    assert [each.elsewhere("/admin/") for each in (pages, calls)] == [False, True]
    end(pages, calls)


def test_servers_do_not_meet(tmp_path: Path) -> None:
    first, second = (process(lambda: AbstractNames(secrets.token_bytes(32))) for _ in range(2))
    assert first.group is second.group is Group.PAGES
    end(first, second)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    secret = secrets.token_bytes(32)
    FileNames(secret, parent=str(tmp_path))
    [folder] = tmp_path.iterdir()
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="not a folder of this process's own"):
        FileNames(secret, parent=str(tmp_path))


def test_a_process_that_was_started_alone_has_no_neighbours() -> None:
    assert multiprocessing.parent_process() is None
    assert names() is None


def test_a_peer_of_another_user_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = socket.socketpair()
    with first, second:
        assert is_own(first)
        monkeypatch.setattr("os.geteuid", lambda: 12_345)
        assert not is_own(first)
