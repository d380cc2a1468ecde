"""Starting and stopping: in the event loop, in a thread, as a process; and outages."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import requests
from django.core.management import CommandError, call_command

from quota_platform.embedded import free_port
from quota_platform.sandbox import Running, kept, running, running_in_thread
from quota_platform.sandbox.accounts import Accounts
from tests.patience import HANG_S
from tests.quota_platform.sandbox.conftest import CLIENT, SECRET, Caller

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "256.0.0.1"
"""A command that fails to fail fails here, and serves nobody."""
FORM = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}


async def test_a_sandbox_listens_at_its_printed_address(sandbox: Running) -> None:
    assert sandbox.base_url == f"http://{sandbox.address}"
    assert sandbox.control_url == sandbox.base_url + "/__sim__"


async def test_a_given_port_is_taken() -> None:
    port = free_port()
    async with running(port=port) as sandbox:
        assert sandbox.base_url.endswith(f":{port}")


async def test_held_calls_do_not_delay_the_end() -> None:
    async with aiohttp.ClientSession() as session:
        async with running(clients={CLIENT: SECRET}, profile="stall") as sandbox:
            caller = Caller(sandbox.base_url, session)
            await caller.sign_in()
            call = asyncio.create_task(caller.invoke())
            await sandbox.state.log.reached(2)
        assert (await call).status == 200


def test_blocking_code_runs_the_sandbox_in_a_thread() -> None:
    with running_in_thread(clients={CLIENT: SECRET}) as sandbox:
        with requests.Session() as session:
            assert session.post(f"{sandbox.base_url}/oauth/token", data=FORM, timeout=HANG_S).status_code == 200
            counters = session.get(f"{sandbox.control_url}/counters", timeout=HANG_S).json()
    assert counters["tokens_minted"] == {CLIENT: 1}


async def test_a_closed_listener_refuses_and_an_open_one_responds_at_the_same_port(
    signed_in: Caller, sandbox: Running
) -> None:
    await sandbox.listener.close()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await Caller(sandbox.base_url, session, signed_in.token).invoke()
    with pytest.raises(aiohttp.ClientError):
        await signed_in.invoke()
    await sandbox.listener.open()
    assert (await signed_in.invoke()).status == 200


async def test_an_outage_ordered_over_http_gets_a_response_and_ends_on_request(
    signed_in: Caller, sandbox: Running
) -> None:
    await signed_in.control("POST", "outage", {"for_seconds": 3000})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await Caller(sandbox.base_url, session, signed_in.token).invoke()
    sandbox.listener.open_after(0)
    await sandbox.listener.opened()
    async with aiohttp.ClientSession() as session:
        assert (await Caller(sandbox.base_url, session, signed_in.token).invoke()).status == 200


def command(*options: str, clients: str = "", access_keys: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "cxone_sandbox", "--port", "0", *options],
        cwd=ROOT,
        env=os.environ | {"SANDBOX_CLIENTS": clients, "SANDBOX_ACCESS_KEYS": access_keys},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], start: str) -> str:
    """The rest of the first line that begins with ``start``."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line.removeprefix(start).strip()
    raise AssertionError(process.communicate()[1])


def test_the_command_serves_until_sigterm() -> None:
    process = command("--profile", "instant", "--seed", "1", clients=f"4600002/{CLIENT}:{SECRET}", access_keys="k:s")
    try:
        base_url = until(process, "Sandbox: ")
        control_url = until(process, "Control: ")
        assert requests.post(f"{base_url}/oauth/token", data=FORM, timeout=HANG_S).status_code == 200
        accounts = requests.get(f"{control_url}clients", timeout=HANG_S).json()
        assert accounts["clients"] == [{"client_id": CLIENT, "unit": 4_600_002, "auth": "any"}]
        assert accounts["access_keys"] == [{"access_key_id": "k", "unit": 4_600_001}]
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_accounts_that_were_added_outlive_a_restart_in_a_file_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    before = Accounts()
    kept.restore(before, file)
    before.add_client(CLIENT, secret=SECRET, unit=4_600_002)
    before.add_access_key("k", secret="s", unit=4_600_001)
    before.changed()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    process = command("--profile", "instant", "--accounts", str(file), clients="given:secret")
    try:
        base_url, control_url = until(process, "Sandbox: "), until(process, "Control: ")
        assert requests.post(f"{base_url}/oauth/token", data=FORM, timeout=HANG_S).status_code == 200
        added = {"access_key_id": "later", "access_key_secret": "s"}
        assert requests.post(f"{control_url}access-keys", json=added, timeout=HANG_S).ok
    finally:
        process.kill()
        process.communicate()
    after = Accounts()
    kept.restore(after, file)
    assert after.clients.keys() == {"given", CLIENT} and after.access_keys.keys() == {"k", "later"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_of_accounts_that_cannot_be_read_stops_the_command_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text('{"version": 1, "clients": [{"secret": "canary"}]}')
    with pytest.raises(CommandError) as said:
        call_command("cxone_sandbox", host=NOWHERE, accounts=file)
    assert str(said.value) == f"{file} does not hold accounts of a sandbox (KeyError); delete it."


def test_without_accounts_the_command_invents_a_client() -> None:
    process = command()
    try:
        match = re.search(r"client id (\S+), secret (\S+)", until(process, "No client was given."))
        assert match is not None
        form = FORM | {"client_id": match[1], "client_secret": match[2]}
        assert requests.post(f"{until(process, 'Sandbox: ')}/oauth/token", data=form, timeout=HANG_S).status_code == 200
    finally:
        process.kill()
        process.communicate()


def test_an_account_that_cannot_be_read_stops_the_command_without_repeating_it() -> None:
    with pytest.raises(CommandError, match=re.escape("[UNIT/]ID:SECRET")) as said:
        call_command("cxone_sandbox", host=NOWHERE, client=["canary"])
    assert "canary" not in str(said.value)
