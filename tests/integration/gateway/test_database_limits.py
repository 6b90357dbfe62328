"""What a process may use of its database, and how it reaches a PostgreSQL that asks for certificates and passwords."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from penstock_common.sql.address import DatabaseAddress, DatabaseLimits
from penstock_common.sql.database import open_database
from penstock_common.sql.postgresql import RETRY_AFTER, DatabaseUnavailable, PostgresConnector
from penstock_common.sql.schema import upgrade
from penstock_common.testing.certificates import CertificateFiles
from penstock_common.testing.postgres_server import PostgresServer, ServerTls, postgres_programs
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import api_keys

QUICK = DatabaseLimits(pool_size=2, connect_timeout=timedelta(seconds=1), statement_timeout=timedelta(seconds=1))
AWAY = (OSError, sa.exc.SQLAlchemyError)
IN_TIME = 60
PASSWORD = "s3cret-pa55word"


async def answers(engine):
    async with engine.connect() as connection:
        return (await connection.execute(sa.text("SELECT 1"))).scalar()


async def test_no_more_connections_than_the_pool_has(database_url):
    async with asyncio.timeout(IN_TIME), open_database(database_url, QUICK) as engine:
        async with engine.connect(), engine.connect():
            with pytest.raises(AWAY):
                await answers(engine)
        assert await answers(engine) == 1


async def test_who_finds_no_connection_free_waits_for_one(database_url):
    patient = DatabaseLimits(pool_size=1, connect_timeout=timedelta(seconds=IN_TIME))
    async with open_database(database_url, patient) as engine:
        async with engine.connect():
            waiting = asyncio.create_task(answers(engine))
            await asyncio.sleep(0)
        assert await waiting == 1


@asynccontextmanager
async def table_locked(database_url):
    """Another process writes, and does not end."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()
        return
    async with open_database(database_url) as engine, engine.begin() as connection:
        await connection.execute(sa.text("LOCK TABLE api_keys"))
        yield


async def test_statement_that_waits_for_a_lock_ends_in_time(database_url):
    async with asyncio.timeout(IN_TIME), open_database(database_url, QUICK) as engine:
        await upgrade(engine, GATEWAY)
        async with table_locked(database_url):
            with pytest.raises(AWAY):
                async with engine.begin() as connection:
                    await connection.execute(api_keys.delete())
        async with engine.begin() as connection:
            await connection.execute(api_keys.delete())


async def test_slow_statement_costs_nobody_else_a_connection(postgres):
    async with asyncio.timeout(IN_TIME), open_database(postgres.create_database(), QUICK) as engine:
        before = await backend(engine)
        with pytest.raises(sa.exc.DBAPIError, match="statement timeout"):
            async with engine.connect() as connection:
                await connection.execute(sa.text("SELECT pg_sleep(3600)"))
        assert await backend(engine) == before


async def backend(engine):
    async with engine.connect() as connection:
        return (await connection.execute(sa.text("SELECT pg_backend_pid()"))).scalar()


async def test_server_that_is_not_there_is_told_by_its_name_without_secrets():
    url = f"postgresql://penstock:{PASSWORD}@127.0.0.1:1/penstock?sslpassword={PASSWORD}"
    async with open_database(url, QUICK) as engine:
        with pytest.raises(DatabaseUnavailable, match=r"^the database at postgresql://127.0.0.1:1/penstock ") as away:
            await answers(engine)
    assert PASSWORD not in str(away.value) + repr(engine)


async def test_server_that_is_away_is_tried_once_a_second():
    now = 100.0
    address = DatabaseAddress.parse("postgresql://penstock@127.0.0.1:1/penstock")
    connector = PostgresConnector(address, QUICK, monotonic=lambda: now)

    async def told():
        with pytest.raises(DatabaseUnavailable) as away:
            await connector.connect()
        return str(away.value).partition("/penstock ")[2].partition(":")[0]

    assert [await told(), await told()] == ["cannot be used", "does not answer"]
    now += RETRY_AFTER.total_seconds()
    assert [await told(), await told()] == ["cannot be used", "does not answer"]


# TLS and passwords


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return CertificateFiles.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return CertificateFiles.make(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def guarded(certificates):
    """A PostgreSQL that talks over TLS alone, and asks for a certificate and a password."""
    try:
        postgres_programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    tls = ServerTls(certificates.cert, certificates.key, client_ca_file=certificates.ca)
    with PostgresServer(password=PASSWORD, tls=tls) as server:
        yield server


def parameters(authority, own):
    return f"?sslmode=verify-full&sslrootcert={authority.ca}&sslcert={own.cert}&sslkey={own.key}"


async def test_tls_parameters_of_the_address_count(guarded, certificates):
    url = guarded.url_over_tcp(query=parameters(certificates, certificates))
    async with open_database(url) as engine, engine.connect() as connection:
        encrypted = sa.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert (await connection.execute(encrypted)).scalar() is True


@pytest.mark.parametrize(
    "fault", ["unknown authority", "stranger's certificate", "no certificate", "no tls", "wrong password"]
)
async def test_what_does_not_fit_is_refused_without_the_password(guarded, certificates, strangers, fault, caplog):
    caplog.set_level(logging.DEBUG)
    query = {
        "unknown authority": parameters(strangers, certificates),
        "stranger's certificate": parameters(certificates, strangers),
        "no certificate": f"?sslmode=verify-full&sslrootcert={certificates.ca}",
        "no tls": "?sslmode=disable",
        "wrong password": parameters(certificates, certificates),
    }[fault]
    url = guarded.url_over_tcp(query=query)
    if fault == "wrong password":
        url = url.replace(PASSWORD, PASSWORD.swapcase())
    async with asyncio.timeout(IN_TIME), open_database(url) as engine:
        with pytest.raises(DatabaseUnavailable) as refused:
            await answers(engine)
    told = (str(refused.value) + repr(refused.value.__cause__) + caplog.text).casefold()
    assert PASSWORD not in told
    assert "cannot be used" in told
