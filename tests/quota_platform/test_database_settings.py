"""TLS to PostgreSQL with an authority and a certificate of one's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.db.utils import ConnectionHandler

from limiter.stores.servers import SYSTEM, Certificates
from quota_platform.database_settings import database
from tests.tls import Authority, tls_before

pytest_plugins = ["tests.postgres"]


def over_tls(url: str, certificates: Certificates, var: Path) -> bool:
    """Whether libpq speaks TLS when it connects as Django would have it."""
    backend = ConnectionHandler({"default": database(url, certificates, var=var)})["default"]
    with backend.get_new_connection(backend.get_connection_params()) as connection:
        return bool(connection.pgconn.ssl_in_use)


def test_the_database_is_reached_over_tls_and_its_certificate_is_verified(tmp_path: Path, postgres_url: str) -> None:
    authority, stranger = Authority(tmp_path), Authority(_made(tmp_path / "stranger"))
    socket = parse_qs(urlsplit(postgres_url).query)["host"][0] + "/.s.PGSQL.5432"
    with tls_before(lambda: asyncio.open_unix_connection(socket), authority.issue("server"), asks=True) as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        client = authority.issue("client")
        assert over_tls(url, client, tmp_path)
        for wrong in (Certificates(authority.ca), Certificates(stranger.ca, client.cert, client.key)):
            with pytest.raises(psycopg.OperationalError):
                over_tls(url, wrong, tmp_path)


def test_tls_parameters_of_the_url_take_precedence_and_none_are_set_without_files(tmp_path: Path) -> None:
    url = "postgresql://db.test/quota"
    assert database(url, SYSTEM, var=tmp_path)["OPTIONS"] == {}
    assert database(url, Certificates("/ca.pem"), var=tmp_path)["OPTIONS"] == {
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
    }
    assert (
        database(f"{url}?sslmode=verify-ca", Certificates("/ca.pem"), var=tmp_path)["OPTIONS"]["sslmode"] == "verify-ca"
    )


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
