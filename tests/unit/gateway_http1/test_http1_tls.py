"""Over TLS only clients whose certificate our authority has signed are served."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta

import pytest

from penstock_common.peers import Guestlist
from penstock_common.sections import MutualTls
from penstock_common.testing.certificates import Authority, CertificateFiles
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.server import serving_http

from .conftest import Client, head

LIMITS = HttpLimits(max_body_bytes=1_000, max_unsent_bytes=10_000, linger_seconds=0.05, tick_seconds=0.02)


def _tls(files):
    return MutualTls(cert_file=files.cert, key_file=files.key, ca_file=files.ca)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return CertificateFiles.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def address(application, files, tmp_path):
    path = tmp_path / "tls.sock"
    tls = _tls(files)
    async with serving_http(application, f"unix:{path}", tls, LIMITS):
        yield str(path)


def context_of(authority, own):
    context = ssl.create_default_context(cafile=str(authority.ca))
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    return context


async def connect(address, authority, own):
    return Client(
        *await asyncio.open_unix_connection(address, ssl=context_of(authority, own), server_hostname="localhost")
    )


async def test_proven_client_is_served(address, files):
    client = await connect(address, files, files)
    client.post("/echo", b"hello")
    assert (await client.answer()).body == b"hello"
    client.get("/stream", "connection: close")
    assert (await client.answer()).body == b"onetwothree"
    assert await client.closed() == b""
    client.writer.close()


async def test_refusal_is_read_over_tls_and_the_connection_then_closed(address, files):
    client = await connect(address, files, files)
    client.send(head("POST", "/echo", "content-length: 3000000") + b"x" * 100_000)
    answered = await client.answer()
    assert (answered.status, answered.header["connection"]) == (413, "close")
    assert await client.closed() == b""
    client.writer.transport.abort()


async def test_client_that_leaves_over_tls_cancels(address, files, application):
    client = await connect(address, files, files)
    client.get("/endless")
    await client.reader.readexactly(100_000)
    client.writer.close()
    async with asyncio.timeout(60):
        await application.cancelled.wait()


@pytest.mark.parametrize("proof", ["none", "another authority's"])
async def test_client_without_our_authoritys_signature_gets_nothing(address, files, application, proof, tmp_path):
    own = CertificateFiles.make(tmp_path) if proof != "none" else None
    # In TLS 1.3 a client learns of it only when it reads.
    reader, writer = await asyncio.open_unix_connection(address)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await writer.start_tls(context_of(files, own), server_hostname="localhost")
        client = Client(reader, writer)
        client.get("/")
        await client.answer()
    writer.transport.abort()
    assert application.seen == []


async def test_only_the_edge_may_come_where_its_name_is_asked_for(application, tmp_path):
    authority, path = Authority(), tmp_path / "peers.sock"
    own, edge, router = (authority.sign(tmp_path / name, name) for name in ("gateway", "edge", "router"))
    async with serving_http(application, f"unix:{path}", _tls(own), LIMITS, Guestlist("gateway", ["edge"])):
        client = await connect(str(path), own, edge)
        client.post("/echo", b"hello")
        assert (await client.answer()).body == b"hello"
        client.writer.close()
        application.seen.clear()
        client = await connect(str(path), own, router)
        client.post("/echo", b"hello")
        refused = await client.answer()
        assert (refused.status, refused.header["connection"]) == (403, "close")
        assert b"router" in refused.body
        client.writer.transport.abort()
        assert application.seen == []


async def test_renewed_certificate_is_shown_and_a_renewed_authority_trusted(application, tmp_path):
    authority, later, path = Authority(), Authority(), tmp_path / "renewed.sock"
    own, edge = authority.sign(tmp_path / "own", "gateway"), authority.sign(tmp_path / "edge", "edge")
    new = later.sign(tmp_path / "new", "edge")
    async with serving_http(application, f"unix:{path}", _tls(own), LIMITS):
        client = await connect(str(path), own, edge)
        before = client.writer.get_extra_info("peercert")["serialNumber"]
        authority.sign(own.cert.parent, "gateway")
        own.ca.write_bytes(later.pem)
        new.ca.write_bytes(authority.pem)
        other = await connect(str(path), new, new)
        assert other.writer.get_extra_info("peercert")["serialNumber"] != before
        for still in (client, other):
            still.post("/echo", b"hello")
            assert (await still.answer()).body == b"hello"
            still.writer.close()
        reader, writer = await asyncio.open_unix_connection(str(path))
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await writer.start_tls(context_of(edge, edge), server_hostname="localhost")
            late = Client(reader, writer)
            late.get("/")
            await late.answer()
        writer.transport.abort()


async def test_plain_client_gets_nothing(address, application):
    client = Client(*await asyncio.open_unix_connection(address))
    client.get("/")
    assert b"HTTP" not in await client.closed()
    client.writer.close()
    assert application.seen == []


async def test_server_over_tls_ends(application, files, tmp_path):
    path = tmp_path / "ends.sock"
    tls = _tls(files)
    async with serving_http(application, f"unix:{path}", tls, LIMITS) as server:
        client = await connect(str(path), files, files)
        client.get("/begun")
        await client.reader.readuntil(b"begun\r\n")
        await server.end(timedelta(milliseconds=10))
    assert application.cancelled.is_set()
    await client.closed()
    client.writer.transport.abort()
