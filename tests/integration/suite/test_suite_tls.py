"""`listen.tls`: both public ports speak TLS, and the machine's own commands still find the stack."""

import json
import ssl
import urllib.request

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_common.testing.certificates import CertificateFiles


@pytest.fixture
def certificates(tmp_path):
    return CertificateFiles.make(tmp_path)


@pytest.fixture
def config_with_tls(config, certificates):
    document = yaml.safe_load(config.read_text())
    document["listen"]["tls"] = {"cert_file": str(certificates.cert), "key_file": str(certificates.key)}
    config.write_text(yaml.safe_dump(document))
    return config


def health_over(channel) -> int:
    with channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5).status


@pytest.mark.parametrize("workers", [1, 2])
def test_both_public_ports_prove_themselves(start, penstock, config_with_tls, certificates, workers):
    stack = start("--config", config_with_tls, "--workers", workers)
    ready = stack.until("ready")
    assert ready["http"].startswith("https://")
    trusting = ssl.create_default_context(cafile=str(certificates.ca))
    with urllib.request.urlopen(f"{ready['http']}/readyz", context=trusting, timeout=60) as answer:
        assert answer.status == 200
    proven = grpc.ssl_channel_credentials(certificates.ca.read_bytes())
    assert health_over(grpc.secure_channel(ready["grpc"], proven)) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        health_over(grpc.insecure_channel(ready["grpc"]))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    # The edge, and whoever asks on this machine, come by the sockets in the state folder.
    with urllib.request.urlopen(
        urllib.request.Request(f"{ready['http']}/api/v1/models", headers={"authorization": f"Bearer {ready['key']}"}),
        context=trusting,
        timeout=5,
    ) as answer:
        assert [model["name"] for model in json.load(answer)["models"]] == ["fast"]
    told = penstock("status", "--state", stack.state, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["ready"] is True
    key = (stack.state / "operator-key").read_text().strip()
    remote = ("--address", ready["grpc"], "--ca", certificates.ca)
    for where in ("--config", config_with_tls, "--state", stack.state), remote:
        told = penstock("tenants", "list", *where, "--json", PENSTOCK_OPERATOR_KEY=key)
        assert told.returncode == 0, told.stderr
        assert [tenant["name"] for tenant in json.loads(told.stdout)] == ["demo"]


def test_a_certificate_that_is_not_there_is_told_in_a_sentence(penstock, config_with_tls, certificates, tmp_path):
    certificates.key.unlink()
    told = penstock("up", "--config", config_with_tls, "--state", tmp_path / "state")
    assert told.returncode == 2
    assert "'listen.tls'" in told.stderr
    assert str(certificates.key) in told.stderr
