"""Which configuration, which folder; and what a wrong configuration is told."""

import importlib.util
from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_gateway.settings import GatewaySettings
from penstock_suite.adapters.addresses import Address, parse_address
from penstock_suite.app.check import checked, verdict
from penstock_suite.app.local_processes import longest_answer
from penstock_suite.app.plan import make_plan, state_root
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Selection


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("PENSTOCK_STATE_DIR", "XDG_STATE_HOME", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Selection:
        path = tmp_path / "penstock.yaml"
        path.write_text(text)
        return Selection(config=path, state=tmp_path / "state")

    return write


def test_the_state_folder_is_chosen_then_named_then_the_checkouts_then_the_users(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert state_root(None) == Path("~/.local/state/penstock").expanduser()
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert state_root(None) == Path("/x/penstock")
    (tmp_path / ".state").mkdir()
    assert state_root(None) == tmp_path / ".state"
    monkeypatch.setenv("PENSTOCK_STATE_DIR", "/named")
    assert state_root(None) == Path("/named")
    assert state_root(Path("relative")) == Path.cwd() / "relative"


def test_the_file_may_name_the_state_folder(written, tmp_path):
    selection = Selection(config=written("state_dir: /elsewhere").config)
    assert make_plan(selection).state.root == Path("/elsewhere")


def effective_settings(selection):
    """Return what `config check --show` shows."""
    told = verdict(selection, show=True)
    assert not told.faults
    return told.settings


def test_the_packaged_configuration_has_no_fault(tmp_path):
    sections = effective_settings(Selection(state=tmp_path))
    assert sections["models"][0]["name"] == "penstock-demo"
    assert sections["telemetry"]["sample_ratio"] == 1.0
    assert sections["upstreams"][0]["grpc"] == ""
    assert list(tmp_path.iterdir()) == [], "a check leaves nothing behind"


def test_effective_settings_are_a_configuration_again(written, tmp_path):
    import yaml

    first = effective_settings(Selection(state=tmp_path))
    again = effective_settings(Selection(config=written(yaml.safe_dump(first)).config, state=tmp_path))
    assert again == first


def test_the_packaged_configuration_without_triton_takes_a_provider(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    sections = effective_settings(Selection(state=tmp_path, without_triton=True))
    assert sections["upstreams"][0]["provider"] == "openai"
    assert "sk-from-the-environment" not in str(sections)


def test_secrets_are_masked(written, monkeypatch):
    monkeypatch.setenv("A_KEY", "provider-secret-1234")
    sections = effective_settings(
        written("""
upstreams:
  - {name: u, provider: openai, base_url: 'https://a/v1', api_key: '${A_KEY}', models: [{name: m, context_window: 1}]}
models: [{name: fast, candidates: [u/m]}]
redis: {state: 'redis://:redis-secret@r/0', cache: 'redis://r/1'}
tenants: [{name: t, tier: free, keys: [tenant-secret-1234]}]
""")
    )
    text = str(sections)
    assert "redis://:**********@r/0" in text
    for secret in ("provider-secret-1234", "redis-secret", "tenant-secret-1234"):
        assert secret not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lisen: {}", ["unknown section 'lisen'", "did you mean 'listen'?"]),
        ("listen: {htp: x}", ["unknown key 'listen.htp'", "did you mean 'http'?"]),
        ("- a", ["must hold a mapping"]),
        ("a: [", ["is not valid YAML"]),
        ("cache: {mode: sometimes}", ["'cache.mode'"]),
        ("cache: {mode: semantic}", ["'cache.mode'", "'embedding: {model", "'services.embedding.target'"]),
        (
            "models: [{name: m, candidates: [u/x], degradation: [{model: n}]}]",
            ["'n', which is no public model; known are m"],
        ),
        ("models: [{name: m, candidates: [nobody/x]}]", ["'nobody/x', which no upstream has"]),
        ("models: [{name: m, candidates: [x]}]", ["upstream/model"]),
        ("upstreams: [{name: u, provider: openai, base_url: 'https://a', api_key: '${UNSET_KEY}', models: [{name: m, context_window: 1}]}]",
         ["environment variable UNSET_KEY is not set"]),
        ("upstreams: [{name: u, provider: nobody, models: [{name: m, context_window: 1}]}]", ["unknown provider 'nobody'"]),
        ("tenants: [{name: t, tier: gold}]", ["'gold'", "known are"]),
        ("tenants: [{name: t, keys: [short]}]", ["shorter than 16"]),
        ("local: {demo_tenant: nobody}\ntenants: [{name: t}]", ["'nobody', which 'tenants' does not have"]),
        ("services: {rooter: {target: 'dns:///router:9002'}}", ["'services.rooter'", "did you mean 'router'"]),
        ("qdrant: {path: /x, url: 'http://q:6334'}", ["'qdrant'", "leave out one of them"]),
        ("qdrant: {url: 'http://q:6333'}", ["'qdrant.url'", "6334"]),
        ("listen: {tls: {cert_file: a}}", ["'listen.tls.key_file' is missing"]),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_told_in_a_line(written, text, words):
    with pytest.raises((Misconfigured, ConfigurationError)) as told:
        checked(written(text))
    message = str(told.value)
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    assert "Value error" not in message


def test_every_fault_has_a_line_of_its_own_and_only_one(written):
    with pytest.raises(Misconfigured) as told:
        checked(
            written("upstreams: [{provider: vllm}]\ntenants: [{name: t, tier: gold}]\ngateway: {x: 3}\nembedding: {}")
        )
    faults = [fault.partition("penstock.yaml:")[2] for fault in told.value.faults]
    assert faults == [
        "1: 'upstreams[0].name' is missing",
        "1: 'upstreams[0].models' is missing",
        "2: 'tenants[0].tier': the tenant 't' has the tier 'gold'; known are enterprise, free, pro",
        "3: unknown key 'gateway.x'; known are " + ", ".join(sorted(GatewaySettings.model_fields)),
    ]


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        make_plan(Selection(config=tmp_path / "absent.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        make_plan(Selection(config=binary))


def test_a_configuration_that_only_triton_serves_has_nothing_left_without_it(written):
    text = "upstreams: [{name: l, provider: triton, models: [{name: a, context_window: 9}]}]\nmodels: [{name: a, candidates: [l/a]}]"
    with pytest.raises(Misconfigured, match="no model left"):
        make_plan(Selection(config=written(text).config, without_triton=True))


@pytest.mark.parametrize(
    ("text", "address", "from_here"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80), "127.0.0.1:80"),
        ("0.0.0.0:80", Address("0.0.0.0", 80), "127.0.0.1:80"),
        (":80", Address("", 80), "127.0.0.1:80"),
        ("[::]:80", Address("::", 80), "[::1]:80"),
        ("host:0", Address("host", 0), "host:0"),
    ],
)
def test_addresses_are_read_and_reached(text, address, from_here):
    assert parse_address(text, "listen.http") == address
    assert str(address.from_here) == from_here


@pytest.mark.parametrize("text", ["", "8080", "host:", "host:port", "host:70000", "host:-1"])
def test_what_is_no_address_is_refused_with_its_setting(text):
    with pytest.raises(Misconfigured, match=r"'listen\.http': host:port is expected"):
        parse_address(text, "listen.http")


def test_the_packaged_configuration_serves_embeddings_where_the_weights_are_installed(monkeypatch, tmp_path):
    selection = Selection(state=tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: found("json") if "gt_all" in name else found(name, *more)
    )
    monkeypatch.setattr("penstock_embedding.adapters.model_files.CARRIER_FOLDER", ".")
    assert make_plan(selection).settings.embedding["load"] == "on_first_use"
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if "gt_all" in name else found(name, *more)
    )
    assert make_plan(selection).settings.embedding is None


@pytest.mark.parametrize(
    ("gateway", "seconds"),
    [("", 610), ("gateway: {stream_timeout: 30m}", 1810), ("gateway: {unary_timeout: 20m, stream_timeout: 5m}", 1210)],
)
def test_the_edge_waits_longer_than_the_gateway_lets_anything_last(written, gateway, seconds):
    plan = make_plan(written(f"tenants: []\n{gateway}\n"))
    assert longest_answer(plan).total_seconds() == seconds
