"""`make run`: prepare, set up, start everything, and stop everything."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import psycopg
import redis

from limiter.stores.servers import Certificates, Servers
from quota_platform import embedded, roles
from quota_platform.demo import environment, facts, lock, service, settings
from quota_platform.demo.supervisor import Supervisor
from quota_platform.env import BASE_DIR


class SetupFailed(SystemExit):
    """A step before the start went wrong; the message says which and what to do."""


def main(arguments: Sequence[str]) -> int:
    """The whole story; the exit code is 0 when a person stopped it."""
    _parser().parse_args(arguments)
    chosen = settings.load()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with lock.held(chosen.VAR_DIR, say=say):
            _check_port(chosen.PORT)
            facts.forget(chosen.VAR_DIR)
            say(f"Preparing {chosen.VAR_DIR} (generated secrets, kept for the next start)")
            variables = environment.prepare(chosen)
            set_up(variables)
            try:
                return run(variables)
            finally:
                facts.forget(chosen.VAR_DIR)
    except KeyboardInterrupt:
        say("Stopped during setup; `make run` takes it up again")
        return 0


def _parser() -> argparse.ArgumentParser:
    """It takes no arguments: all choices come from the environment."""
    return argparse.ArgumentParser(
        prog="python -m quota_platform.demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Start the whole platform with demo data, as `make run` does; Ctrl-C ends it and keeps the data.",
        epilog=f"Environment variables, of the demo and any other of docs/settings.md:\n{settings.described()}",
    )


def set_up(variables: Mapping[str, str]) -> None:
    """Bring the database up to date and seed it, beside a running store: saving a row rings the workers' bell."""
    data = {**environment.for_platform(variables), **variables}
    with _store(variables):
        _check_database(variables["DATABASE_URL"])
        say(f"Migrating the database at {_without_password(variables['DATABASE_URL'])}")
        _step(roles.migrate(), data)
        say("Seeding tenants, policies, keys and people")
        _step([*roles.MANAGE, "seed_demo", "--skip-checks"], data)


def run(variables: Mapping[str, str]) -> int:
    """Start every process and stay until a signal comes or one of them ends."""
    services = service.all_of(variables)
    say(f"Starting {', '.join(s.name for s in services)}")
    supervisor = Supervisor(services)
    supervisor.loop()
    if supervisor.ended_first is None:
        say("Stopped; the data is kept")
        return 0
    name, code = supervisor.ended_first
    say(f"{name} ended by itself with exit code {code}, so everything was stopped")
    # Web processes that cannot start are started again and again: it is the welcome that gives up waiting for them.
    for each in (name, "web") if name == "welcome" else (name,):
        say(f"The last words of {each}:\n{supervisor.last_words(each)}")
    return 1


@contextlib.contextmanager
def _store(variables: Mapping[str, str]) -> Iterator[None]:
    if "VALKEY_PORT" not in variables:
        _check_store(variables["REDIS_URL"])
        yield
        return
    try:
        say(f"Starting the store for the setup: {embedded.chosen_server()}")
        store = embedded.start_valkey(
            directory=service.store_directory(variables), port=int(variables["VALKEY_PORT"]), durable=True
        )
    except embedded.DidNotStart as error:
        raise SetupFailed(f"{error}\n{_remedy(error.writer, variables['VAR_DIR'])}".rstrip()) from None
    try:
        yield
    finally:
        store.stop()


def _remedy(writer: str, var: str) -> str:
    """What to do about a store that found another one's data; ``var`` is where the demo keeps everything."""
    if not writer:
        return ""
    another = f"Leave {embedded.SETTING} out" if os.environ.get(embedded.SETTING) else f"Set {embedded.SETTING}"
    forget = "make reset" if Path(var) == BASE_DIR / "var" else f"rm -r {shlex.quote(var)}"
    return f"{another}, so that the demo runs on {writer} or newer; or forget the demo's data: {forget}"


def _check_store(url: str) -> None:
    say(f"Using the store at {_without_password(url)}")
    try:
        files = (os.environ.get(f"REDIS_{kind}_FILE", "") for kind in ("CA", "CERT", "KEY"))
        servers = Servers.of(url, Certificates(*files))
        with redis.Redis.from_url(
            servers.url, **servers.options(), socket_connect_timeout=3, socket_timeout=3
        ) as client:
            client.ping()
    except ValueError:  # its words would repeat the URL, which may hold a password
        raise SetupFailed("REDIS_URL cannot be read; write it as redis://:password@host:port/0") from None
    except redis.RedisError as error:
        raise SetupFailed(
            f"REDIS_URL does not answer. Its last words:\n{embedded.indented(str(error).splitlines())}\n"
            "Start that server, or leave REDIS_URL out to use the embedded one"
        ) from None


def _check_database(url: str) -> None:
    if not url.startswith(("postgres://", "postgresql://")):
        return
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.ProgrammingError:
        return  # the URL has parameters that are Django's, not the driver's; migrating will report its faults
    except psycopg.OperationalError as error:
        raise SetupFailed(
            f"DATABASE_URL does not answer. Its last words:\n{embedded.indented(str(error).splitlines())}\n"
            "Start that server, or leave DATABASE_URL out to use SQLite"
        ) from None


def _step(line: list[str], data: dict[str, str]) -> None:
    if code := subprocess.run([*line, "--verbosity", "0"], env=data).returncode:
        raise SetupFailed(f"`manage.py {line[2]}` failed with exit code {code}; its message stands above")


def _check_port(port: int) -> None:
    if not environment.is_free(port):
        raise SetupFailed(
            f"Port {port} is in use on this machine. Choose another one: PORT={min(port + 1, 65_535)} make run"
        )


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(line: str) -> None:
    print(f"==> {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
