"""Who may call whom, by real certificates on real sockets, and how renewed ones come into use."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import grpc
import pytest
import yaml
from google.rpc import error_details_pb2, status_pb2

from penstock_common.certificates import Certificates, Renewal
from penstock_common.configuration import Configuration
from penstock_common.peers import Guestlist
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.rpc.renewing import LOOK_AFTER_SECONDS, RenewingChannel
from penstock_common.rpc.security import PeerGuard, Security, channel_credentials
from penstock_common.rpc.server import ServerOptions, listening
from penstock_common.sections import MutualTls, Peers
from penstock_common.service import Service
from penstock_common.testing.certificates import ROLES, Authority
from penstock_suite.app.serve import open_role
from penstock_suite.domain.requests import Role

GRACE = timedelta(minutes=10)
MAY_CALL = {
    "gateway": {"edge"},
    "router": {"gateway"},
    "cache": {"gateway"},
    "embedding": {"gateway", "cache"},
    "inference": {"gateway"},
}


class Bytes:
    """A codec that counts what it decodes."""

    def __init__(self):
        self.decoded = 0

    def encode(self, value):
        return value

    def decode(self, message):
        self.decoded += 1
        return message


@pytest.fixture(scope="module")
def authority():
    return Authority()


def tls_of(files):
    return MutualTls(cert_file=files.cert, key_file=files.key, ca_file=files.ca)


def security_of(files):
    return Security(Certificates.read(tls_of(files)))


@pytest.fixture
def files_of(authority, tmp_path):
    """Returns the files of a name, made at first."""
    return lambda name, **fields: authority.sign(tmp_path / name.replace("*", "any"), name, **fields)


@asynccontextmanager
async def role_of(role, files, names=None):
    """Yield the port of a role, and what it has decoded."""
    received = Bytes()

    async def answer(request, call):
        return b"yes"

    async def answers(request, call):
        yield b"first"
        await asyncio.Event().wait()

    handlers = (
        UnaryMethod("/penstock.test.v1.TestService/Ask", received, Bytes()).served_by(answer),
        StreamMethod("/penstock.test.v1.TestService/Tell", received, Bytes()).served_by(answers),
    )
    guard = PeerGuard(Guestlist(role, names if names is not None else Peers().of(role)))
    options = ServerOptions(credentials=security_of(files).server_credentials(), reflection=False)
    async with listening("127.0.0.1:0", [Service("test", handlers)], [guard], options) as listener:
        yield listener.port, received


async def ask(port, files):
    """Return the outcome of a call with the certificate: its status' code, or OK."""
    credentials = channel_credentials(Certificates.read(tls_of(files)))
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        call = channel.unary_unary("/penstock.test.v1.TestService/Ask")(b"?", timeout=20)
        try:
            assert await call == b"yes"
        except grpc.aio.AioRpcError as error:
            return error
        return None


def detail_of(error):
    info, raw = error_details_pb2.ErrorInfo(), dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert any(packed.Unpack(info) for packed in status_pb2.Status.FromString(raw).details)
    return info


@pytest.mark.parametrize("role", sorted(MAY_CALL))
async def test_role_is_called_by_its_callers_and_by_nobody_else(role, files_of):
    async with role_of(role, files_of(role)) as (port, received):
        for peer in (*ROLES, "penstock", f"{role}.example"):
            received.decoded = 0
            refusal = await ask(port, files_of(peer))
            if peer in MAY_CALL[role]:
                assert (refusal, received.decoded) == (None, 1)
                continue
            assert refusal.code() is grpc.StatusCode.PERMISSION_DENIED
            info = detail_of(refusal)
            assert info.reason == "PEER_NOT_PERMITTED"
            assert (peer in info.metadata["peer"], info.metadata["role"]) == (True, role)
            assert received.decoded == 0


async def test_names_are_settings_and_a_common_name_is_none(files_of):
    spiffe = "spiffe://penstock/ns/prod/sa/gateway"
    async with role_of("router", files_of("router"), [spiffe, "Gateway.Internal"]) as (port, _):
        assert await ask(port, files_of("x", uris=[spiffe])) is None
        assert await ask(port, files_of("gateway.internal")) is None
        for other in (
            files_of("gateway"),
            files_of("y", uris=[spiffe.upper()]),
            files_of("z", uris=["spiffe://penstock/ns/prod/sa/router"]),
            files_of("w", common_name="Gateway.Internal"),
        ):
            assert (await ask(port, other)).code() is grpc.StatusCode.PERMISSION_DENIED
    async with role_of("router", files_of("router"), ["*"]) as (port, _):
        assert await ask(port, files_of("anybody")) is None
    async with role_of("router", files_of("router"), []) as (port, _):
        assert await ask(port, files_of("gateway")) is not None


async def test_certificate_of_another_authority_does_not_get_so_far(files_of, tmp_path):
    async with role_of("router", files_of("router")) as (port, received):
        stranger = Authority().sign(tmp_path / "stranger", "gateway")
        stranger.ca.write_bytes(files_of("router").ca.read_bytes())
        assert (await ask(port, stranger)).code() is grpc.StatusCode.UNAVAILABLE
        assert received.decoded == 0


async def test_served_role_has_the_guard(files_of, tmp_path):
    """By the command's own composition: ``penstock serve router``, asked by an inference service."""
    files = files_of("router")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "penstock.yaml"
    tls = {"cert_file": str(files.cert), "key_file": str(files.key), "ca_file": str(files.ca)}
    config.write_text(yaml.safe_dump({"services": {"router": {"listen": f"127.0.0.1:{port}"}, "tls": tls}}))
    async with open_role(Role.ROUTER, Configuration.load(config)):
        for name, denied in (("inference", True), ("gateway", False)):
            credentials = channel_credentials(Certificates.read(tls_of(files_of(name))))
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as failed:
                    await channel.unary_unary("/penstock.router.v1.RouterService/Route")(b"\xff", timeout=20)
            assert (failed.value.code() is grpc.StatusCode.PERMISSION_DENIED) is denied, failed.value


# Renewal


def serial_shown(port, ca):
    """Return the certificate that a server shows."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("localhost", port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.getpeercert()["serialNumber"]


async def shown(port, files):
    return await asyncio.to_thread(serial_shown, port, files.ca)


async def test_server_shows_a_renewed_certificate_and_keeps_calls_that_run(authority, files_of):
    files, caller = files_of("router"), files_of("gateway")
    async with (
        role_of("router", files) as (port, _),
        open_channel(f"localhost:{port}", security_of(caller).channel_credentials()) as channel,
    ):
        running = channel.unary_stream("/penstock.test.v1.TestService/Tell")(b"?", timeout=60)
        assert await running.read() == b"first"
        before = await shown(port, files)
        authority.sign(files.cert.parent, "router")
        assert await shown(port, files) != before
        assert not running.done()
        running.cancel()


async def test_half_of_a_pair_leaves_the_certificate_that_was_there(authority, files_of, tmp_path):
    files = files_of("router")
    new = authority.sign(tmp_path / "new", "router")
    async with role_of("router", files) as (port, _):
        before = await shown(port, files)
        shutil.copy(new.key, files.key)
        assert await shown(port, files) == before
        files.cert.write_bytes(b"not one")
        assert await shown(port, files) == before
        files.cert.unlink()
        assert await shown(port, files) == before
        shutil.copy(new.cert, files.cert)
        assert await shown(port, files) != before


async def test_authority_is_renewed_and_the_older_one_no_longer_trusted(files_of, tmp_path):
    files, later = files_of("router"), Authority()
    new = later.sign(tmp_path / "later", "gateway")
    old = files_of("gateway")
    old_ca = old.ca.read_bytes()
    async with role_of("router", files) as (port, _):
        # Both, for a while.
        files.ca.write_bytes(old_ca + later.pem)
        new.ca.write_bytes(old_ca)
        assert await ask(port, old) is None
        assert await ask(port, new) is None
        files.ca.write_bytes(later.pem)
        assert (await ask(port, old)).code() is grpc.StatusCode.UNAVAILABLE
        assert await ask(port, new) is None


async def test_certificates_behind_a_link_that_moves_are_renewed(authority, tmp_path):
    """As Kubernetes does it: the files are links into a folder that is a link."""
    for number in ("1", "2"):
        authority.sign(tmp_path / number, "router")
    (tmp_path / "..data").symlink_to("1")
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    files = type(authority.sign(tmp_path / "3", "x")).within(tmp_path)
    renewal = Renewal(Certificates.read(tls_of(files)))
    assert renewal.look() is None
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    found = renewal.look()
    assert found is not None
    assert found.chain == (tmp_path / "2" / "cert.pem").read_bytes()
    assert renewal.look() is None


async def test_caller_shows_a_renewed_certificate_and_keeps_calls_that_run(files_of, tmp_path):
    """Its old one is of an authority that the server no longer trusts."""
    server, files, later, now = files_of("router"), files_of("gateway"), Authority(), 0.0
    method = UnaryMethod("/penstock.test.v1.TestService/Ask", Bytes(), Bytes())
    stream_method = StreamMethod("/penstock.test.v1.TestService/Tell", Bytes(), Bytes())

    async with AsyncExitStack() as stack:
        port, _ = await stack.enter_async_context(role_of("router", server))

        def opened(held):
            # A pool of its own: channels of one process share connections of the same credentials only.
            channel = open_channel(f"localhost:{port}", channel_credentials(held))
            return channel, SocketChannel(channel)

        channel = RenewingChannel(opened, Certificates.read(tls_of(files)), GRACE, monotonic=lambda: now)
        stack.push_async_callback(channel.aclose)
        running = channel.stream(stream_method, b"?", timeout=60)
        stack.push_async_callback(running.aclose)
        assert await anext(running) == b"first"
        old_ca = files.ca.read_bytes()
        server.ca.write_bytes(later.pem)
        later.sign(files.cert.parent, "gateway")
        files.ca.write_bytes(old_ca)
        now = LOOK_AFTER_SECONDS
        assert await channel.call(method, b"?", timeout=20) == b"yes"
        waiting = asyncio.ensure_future(anext(running))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
