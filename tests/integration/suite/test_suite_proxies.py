"""`penstock up` behind a balancer: X-Forwarded-For and the PROXY protocol through the edge, reflection by setting."""

import json
import socket

import grpc
import pytest
import yaml
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc


@pytest.fixture
def stack(start, config, request):
    """A stack with the ``listen`` that a test names."""
    document = yaml.safe_load(config.read_text())
    document["listen"].update(request.param)
    config.write_text(yaml.safe_dump(document))
    stack = start("--config", config)
    stack.ready = stack.until("ready")
    stack.config = config
    return stack


def status_of(stack, key, opening=b"", forwarded=""):
    """Return the status of a request on a connection that begins with ``opening``; 0 where it is cut."""
    host, _, port = stack.ready["http"].rpartition("/")[2].rpartition(":")
    head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
    head += f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(opening + head.encode() + b"\r\n")
        try:
            answer = connection.makefile("rb").readline().split()
        except ConnectionError:
            return 0
        return int(answer[1]) if answer else 0


def bounded_key(penstock, stack):
    told = penstock(
        "keys", "create", "--tenant", "demo", "--network", "192.0.2.0/24", "--json", "--config", stack.config, "--state",
        stack.state,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)["key"]


TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}


@pytest.mark.parametrize("stack", [TRUSTED], indirect=True)
def test_balancers_word_reaches_allowed_networks(penstock, stack):
    key = bounded_key(penstock, stack)
    assert status_of(stack, key, forwarded="192.0.2.1") == 200
    assert status_of(stack, key, forwarded="192.0.2.1, 198.51.100.1") == 403
    assert status_of(stack, key) == 403


@pytest.mark.parametrize("stack", [{**TRUSTED, "proxy_protocol": True}], indirect=True)
def test_proxy_protocol_reaches_allowed_networks(penstock, stack):
    key = bounded_key(penstock, stack)
    assert status_of(stack, key, b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n") == 200
    assert status_of(stack, key, b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\r\n", "192.0.2.1") == 403
    assert status_of(stack, key) == 0
    told = penstock("status", "--state", stack.state, "--json")
    assert json.loads(told.stdout)["ready"] is True, told.stderr


def services_told(address):
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    with grpc.insecure_channel(address) as channel:
        told = next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=20))
        return [service.name for service in told.list_services_response.service]


@pytest.mark.parametrize("stack", [{"reflection": False}], indirect=True)
def test_reflection_is_switched_off(stack):
    with pytest.raises(grpc.RpcError) as refused:
        services_told(stack.ready["grpc"])
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("stack", [{}], indirect=True)
def test_nobody_is_believed_and_reflection_on_by_default(penstock, stack):
    assert "penstock.gateway.v1.ChatService" in services_told(stack.ready["grpc"])
    assert status_of(stack, bounded_key(penstock, stack), forwarded="192.0.2.1") == 403


@pytest.mark.parametrize(
    ("listen", "named"),
    [({"proxy_protocol": True}, "trusted_proxies"), ({"trusted_proxies": ["10.0.0.1/8"]}, "10.0.0.0/8")],
)
def test_setting_that_cannot_be_is_told(penstock, config, listen, named):
    document = yaml.safe_load(config.read_text())
    document["listen"].update(listen)
    config.write_text(yaml.safe_dump(document))
    told = penstock("config", "check", "--config", config)
    assert told.returncode == 2
    assert named in told.stderr
