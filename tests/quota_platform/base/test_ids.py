from __future__ import annotations

import os
import re

import pytest

from quota_platform.base.ids import new_id


def test_an_id_is_24_hexadecimal_digits_and_comes_once() -> None:
    made = [new_id() for _ in range(2_000)]
    assert len(set(made)) == 2_000
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in made)


def test_many_ids_ask_the_kernel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    urandom = os.urandom

    def noted(size: int) -> bytes:
        asked.append(size)
        return urandom(size)

    monkeypatch.setattr(os, "urandom", noted)
    for _ in range(1_024):
        new_id()
    assert len(asked) == 4


def test_a_forked_process_makes_other_ids() -> None:
    new_id()  # some are left
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, " ".join(new_id() for _ in range(300)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = set(os.read(reading, 65_536).decode().split())
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 300
    assert not theirs & {new_id() for _ in range(300)}
