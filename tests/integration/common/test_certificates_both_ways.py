"""Inside the suite both sides show a certificate of the same authority, or there is no call."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_common.rpc.channel import open_channel
from penstock_common.rpc.security import Certificates, Security
from penstock_common.rpc.server import ServerOptions, listening
from penstock_common.sections import MutualTls
from penstock_common.testing.certificates import CertificateFiles


@pytest.fixture
def ours(tmp_path):
    return CertificateFiles.make(tmp_path)


@pytest.fixture
def theirs(tmp_path):
    """Of another authority."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return CertificateFiles.make(folder)


def security_of(files):
    return Security(Certificates.read(MutualTls(cert_file=files.cert, key_file=files.key, ca_file=files.ca)))


async def health_at(port, credentials):
    async with open_channel(f"localhost:{port}", credentials) as channel:
        return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)).status


@pytest.fixture
async def port(ours):
    options = ServerOptions(credentials=security_of(ours).server_credentials())
    async with listening("127.0.0.1:0", [], (), options) as listener:
        await listener.set_serving(serving=True)
        yield listener.port


async def test_who_shows_a_certificate_of_our_authority_is_let_in(port, ours):
    assert await health_at(port, security_of(ours).channel_credentials()) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("shown", ["nothing", "of another authority", "in plaintext"])
async def test_who_shows_something_else_is_not(port, ours, theirs, shown):
    authority = ours.ca.read_bytes()
    credentials = {
        "nothing": grpc.ssl_channel_credentials(authority),
        "of another authority": grpc.ssl_channel_credentials(
            authority, theirs.key.read_bytes(), theirs.cert.read_bytes()
        ),
        "in plaintext": None,
    }[shown]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health_at(port, credentials)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_of_another_authority_is_not_called(port, theirs):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health_at(port, security_of(theirs).channel_credentials())
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
