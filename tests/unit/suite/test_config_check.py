"""`penstock config check`: what `up` would refuse is refused, all of it at once, each with file, line, key and remedy."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.faults import branches
from penstock_suite.adapters.certificates import provide_certificates
from penstock_suite.app.check import checked, settings_type, verdict
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.settings import Settings

GOOD = """
listen: {http: 127.0.0.1:8080, grpc: 127.0.0.1:8081}
upstreams:
  - name: far
    provider: openai_compatible
    base_url: http://127.0.0.1:9/v1
    models: [{name: m, context_window: 4096, price: {input: 1, output: 2}}]
models: [{name: fast, candidates: [far/m]}]
tenants: [{name: demo, tier: pro, models: [fast]}]
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("PENSTOCK_STATE_DIR", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMPTY_KEY", " \n")


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Selection:
        path = tmp_path / "penstock.yaml"
        path.write_text(text)
        return Selection(config=path, state=tmp_path / "state")

    return write


def told(found) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.key, fault.message) for fault in found]


def test_a_good_configuration_is_told_in_a_sentence(written, tmp_path):
    found = verdict(written(GOOD))
    assert (found.is_good, found.faults, found.warnings, found.settings) == (True, (), (), None)
    assert found.summary == "it serves fast at 127.0.0.1:8080 (gRPC 127.0.0.1:8081)"
    assert not (tmp_path / "state").exists(), "a check leaves nothing behind"


def test_settings_are_shown_where_they_are_asked_for(written):
    shown = verdict(written(GOOD), show=True).settings
    assert shown["gateway"]["unary_timeout"] == "1m"


FAULTY = [
    ("127.0.0.1:8080", "127.0.0.1:99999", "listen.http", "at most 65535"),
    ("127.0.0.1:8080", "127.0.0.1", "listen.http", "host:port is expected"),
    ("127.0.0.1:8080", "http://127.0.0.1:8080", "listen.http", "host:port is expected"),
    ("127.0.0.1:8080", "8080", "listen.http", "in quotes"),
    ("127.0.0.1:8080", "127.0.0.1:8081", "listen.grpc", "the address of 'listen.http', too"),
    ("127.0.0.1:8080", "0.0.0.0:8081", "listen.grpc", "the address of 'listen.http', too"),
    ("127.0.0.1:8080", "localhost:8081", "listen.grpc", "the address of 'listen.http', too"),
    ("127.0.0.1:8080", "'[::]:8081'", "listen.grpc", "the address of 'listen.http', too"),
    ("listen:", "telemetry: {metrics_listen: 127.0.0.1:8081}\nlisten:", "telemetry.metrics_listen", "'listen.grpc'"),
    ("listen:", "telemetry: {metrics_listen: nowhere}\nlisten:", "telemetry.metrics_listen", "host:port"),
    ("listen:", "telemetry: {otlp: collector:4317}\nlisten:", "telemetry.otlp", "http://"),
    ("listen:", "redis: {state: 'http://r'}\nlisten:", "redis.state", "redis://host:port/db"),
    ("listen:", "redis: {cache: 'redis://r:99999'}\nlisten:", "redis.cache", "redis://host:port/db"),
    ("listen:", "sql: mysql://db\nlisten:", "sql", "postgresql://"),
    ("listen:", "embedding: {model: nobody}\nlisten:", "embedding.model", "is not here: set embedding.path"),
    ("listen:", "embedding: {path: /nowhere}\nlisten:", "embedding.path", "is no directory"),
    (
        "listen:",
        "embedding: {runtime: provider, provider: {base_url: 'http://a/v1', standbys: [{name: b, base_url: 'http://b/v1', revision: '1'}]}}\nlisten:",
        "embedding.provider.revision",
        "each upstream declares its 'revision'",
    ),
    ("listen:", "local: {edge: /nowhere}\nlisten:", "local.edge", "is not there"),
    ("listen:", "local: {redis_server: /nowhere}\nlisten:", "local.redis_server", "is not there"),
    ("listen:", "secrets: {key_pepper_file: /nowhere}\nlisten:", "secrets.key_pepper_file", "No such file"),
    (
        "listen:",
        "secrets: {old_cache_key_files: [/nowhere]}\nlisten:",
        "secrets.old_cache_key_files[0]",
        "No such file",
    ),
    ("listen:", "embeding: {}\nlisten:", "embeding", "did you mean 'embedding'"),
    ("http://127.0.0.1:9/v1", "127.0.0.1:9/v1", "upstreams[0].base_url", "http://"),
    ("http://127.0.0.1:9/v1", "http://h:99999/v1", "upstreams[0].base_url", "port"),
    ("context_window: 4096", "context_window: 0", "upstreams[0].models[0].context_window", "more than 0"),
    ("input: 1", "input: -1", "upstreams[0].models[0].price.input", "at least 0"),
    ("openai_compatible", "openai", "upstreams[0].api_key", "api_key: ${OPENAI_API_KEY}"),
    ("openai_compatible", "openai\n    api_key: ${EMPTY_KEY}", "upstreams[0].api_key", "needs a key"),
    (
        "openai_compatible\n    base_url: http://127.0.0.1:9/v1",
        "anthropic\n    api_key: ''",
        "upstreams[0].api_key",
        "api_key: ${ANTHROPIC_API_KEY}",
    ),
    (
        "openai_compatible\n    base_url: http://127.0.0.1:9/v1",
        "gemini\n    api_key: ''",
        "upstreams[0].api_key",
        "api_key: ${GEMINI_API_KEY}",
    ),
    ("openai_compatible", "openai\n    api_key: ${UNSET_KEY}", "upstreams[0].api_key", "UNSET_KEY is not set"),
    ("openai_compatible", "opnai", "upstreams[0].provider", "unknown provider"),
    ("models: [{name: fast, candidates: [far/m]}]", "", "models", "nothing to serve"),
    ("models: [{name: fast, candidates: [far/m]}]", "models: []", "models", "nothing to serve"),
    ("far/m]", "far/n]", "models[0].candidates[0]", "did you mean 'far/m'"),
    ("far/m]", "far/m, far/m]", "models[0].candidates[1]", "named twice"),
    ("far/m]", "far/m], weights: {far/m: 0}", "models[0].weights", "nobody any weight"),
    ("tier: pro", "tier: prol", "tenants[0].tier", "did you mean 'pro'"),
    ("[fast]", "[fats]", "tenants[0].models[0]", "did you mean 'fast'"),
    ("[fast]", "", "tenants[0].models", "a list, and nothing stands there"),
    ("[fast]", "[fast], keys: [short]", "tenants[0].keys[0]", "shorter than 16"),
    ("[fast]", "[fast], keys: [1234567890123456]", "tenants[0].keys[0]", "in quotes"),
]


@pytest.mark.parametrize("keyed", ["openai\n    api_keys: [sk-one, sk-two]", "anthropic"])
def test_keys_are_there_in_the_plural_too_and_others_servers_need_none(written, keyed):
    assert verdict(written(GOOD.replace("openai_compatible", keyed, 1))).faults == ()


@pytest.mark.parametrize(("old", "new", "key", "says"), FAULTY)
def test_what_up_refuses_is_refused_with_its_line_and_key(written, old, new, key, says):
    text = GOOD.replace(old, new, 1)
    selection = written(text)
    found = verdict(selection)
    faults = [fault for fault in found.faults if fault.key == key]
    assert faults, told(found.faults)
    assert says in faults[0].message
    assert Path(faults[0].file) == selection.config
    if key != "models":
        # Where the last word of the key stands, or what should hold it.
        word = re.split(r"[.\[]", key)[-1].rstrip("]")
        lines = [at for at, line in enumerate(text.splitlines(), start=1) if word in line or word.isdecimal()]
        assert faults[0].line in lines or "needs a key" in says or "api_key: $" in says
    with pytest.raises(Misconfigured, match=re.escape(key)):
        checked(selection)


@pytest.mark.parametrize(("old", "new", "key", "says"), FAULTY)
def test_every_example_has_one_cause_and_one_line(written, old, new, key, says):
    found = verdict(written(GOOD.replace(old, new, 1)))
    follow_ups = {"models", "tenants[0].models[0]", "models[0].candidates[0]"}
    assert [fault.key for fault in found.faults if fault.key not in follow_ups - {key}] == [key], told(found.faults)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(written):
    found = verdict(
        written("""
listen: {http: 127.0.0.1:99999, grpc: x}
upstreams:
  - name: o
    provider: openai
    base_url: api.openai.com
    models: [{name: m, context_window: 0}]
models:
  - {name: fast, candidates: [o/n]}
tenants:
  - {name: t, tier: {rpm: 1}, models: [fats]}
  - {name: t, tier: golden}
embedding: {model: nope}
gateway: {unary_timeout: 5}
""")
    )
    assert [(fault.line, fault.key) for fault in found.faults] == [
        (2, "listen.http"),
        (2, "listen.grpc"),
        (4, "upstreams[0].api_key"),
        (6, "upstreams[0].base_url"),
        (7, "upstreams[0].models[0].context_window"),
        (9, "models[0].candidates[0]"),
        (11, "tenants[0].tier.rpm"),
        (11, "tenants[0].models[0]"),
        (12, "tenants[1].name"),
        (12, "tenants[1].tier"),
        (13, "embedding.model"),
        (14, "gateway.unary_timeout"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (", price: {input: 1, output: 2}", "", "upstreams[0].models[0].price"),
        ("models: [{name: fast, candidates: [far/m]}]", "embedding: {}", "upstreams[0]"),
    ],
)
def test_what_may_not_have_been_meant_is_a_warning_and_no_fault(written, old, new, key):
    found = verdict(written(GOOD.replace(old, new).replace("models: [fast]", "models: []")))
    assert found.is_good
    assert [warning.key for warning in found.warnings] == [key]


NAMED = """
tiers:
  gold: {models: {fsat: {requests_per_minute: 1}, fast: {}}, teams: {serach: {}}, features: {rag-1: {}, rag-2: {}}}
budgets:
  - {name: a, tenant: dmeo, amount: 1}
  - {name: b, tenant: demo, scope: model/fasst, amount: 1}
  - {name: c, tenant: demo, scope: team/search, amount: 1}
  - {name: d, tenant: demo, scope: key/config-dmeo-1, amount: 1}
  - {name: e, tenant: demo, scope: key/3kTq0aZr81Lm, amount: 1}
  - {name: f, tenant: demo, scope: feature/rag-3, amount: 1}
  - {name: g, tenant: demo, scope: key/config-demo-1, amount: 1}
  - {name: h, tenant: demo, scope: user/3kTq0aZr81Lm, amount: 1}
  - {name: i, tenant: demo, scope: model/fast, amount: 1}
"""


def test_names_in_budgets_and_limits_that_nobody_has_are_told_with_the_nearest(written):
    found = verdict(written(GOOD + NAMED))
    assert found.is_good
    told = {warning.key: warning.message.rpartition(": ")[2] for warning in found.warnings}
    assert told == {
        "tiers.gold.models.fsat": "a limit of the tier 'gold' is of the model 'fsat', which nobody can ask; did you mean 'fast'?",
        "tiers.gold.teams.serach": "is one of them misspelt?",
        "budgets[0].tenant": "unless 'penstock tenants create' has made it, it binds nobody; did you mean 'demo'?",
        "budgets[1].scope": "the budget 'b' is of the model 'fasst', which nobody can ask; did you mean 'fast'?",
        "budgets[2].scope": "is one of them misspelt?",
        "budgets[3].scope": "'penstock keys list' shows those of created keys; did you mean 'config-demo-1'?",
    }


@pytest.mark.parametrize("name", ["ann@example.com", "ann", "3kTq0aZr81Lm2"])
def test_whom_the_body_of_a_request_names_has_no_budget_and_a_sentence_says_so(written, name):
    found = verdict(written(f"{GOOD}budgets: [{{name: a, tenant: demo, scope: 'user/{name}', amount: 1}}]"))
    assert told(found.faults) == [(10, "budgets[0].scope", found.faults[0].message)]
    assert "whom the body of a request names as its user is counted in no budget" in found.faults[0].message


def test_a_tenants_own_limits_are_looked_at_and_what_is_malformed_is_left_to_the_gateway(written):
    own = "tenants: [{name: demo, tier: {models: {slow: {requests_per_minute: 1}}}, models: [fast]}]"
    found = verdict(written(GOOD.replace("tenants: [{name: demo, tier: pro, models: [fast]}]", own)))
    assert [warning.key for warning in found.warnings] == ["tenants[0].tier.models.slow"]
    assert not verdict(written(GOOD + "budgets: [1, {scope: 7}]\ntiers: [x]\n")).is_good


@pytest.mark.parametrize(("mode", "keys"), [("off", ["models[0].degradation[0].stale_if_error"]), ("exact", [])])
def test_a_stale_answer_needs_a_cache(written, mode, keys):
    models = "models: [{name: fast, candidates: [far/m], degradation: [{stale_if_error: 1h}]}]"
    text = GOOD.replace("models: [{name: fast, candidates: [far/m]}]", models) + f"\ncache: {{mode: {mode}}}\n"
    found = verdict(written(text))
    assert (found.is_good, [warning.key for warning in found.warnings]) == (True, keys)


@pytest.mark.parametrize("provider", ["ollama", "vllm"])
def test_a_server_of_ones_own_needs_no_price(written, provider):
    text = GOOD.replace("openai_compatible", provider).replace(", price: {input: 1, output: 2}", "")
    assert verdict(written(text)).warnings == ()


def test_a_file_of_credentials_that_is_not_there_is_a_fault(written, tmp_path):
    cloud = f"provider: vertex\n    project: p\n    region: global\n    credentials_file: {tmp_path}/key.json"
    text = re.sub(r"provider: openai_compatible\n.*", cloud, GOOD)
    (fault,) = verdict(written(text)).faults
    assert fault.key == "upstreams[0].credentials_file"
    (tmp_path / "key.json").write_text("{}")
    assert verdict(written(text)).is_good


def test_a_certificate_that_is_none_or_of_another_key_is_a_fault(written, tmp_path):
    provide_certificates(tmp_path, ["one", "other"], timedelta(days=1))
    text = GOOD.replace("grpc:", f"tls: {{cert_file: {tmp_path}/one/cert.pem, key_file: %s}}, grpc:")
    assert verdict(written(text % (tmp_path / "one/key.pem"))).is_good
    (fault,) = verdict(written(text % (tmp_path / "other/key.pem"))).faults
    assert fault.key == "listen.tls"
    (fault,) = verdict(written(text % "/nowhere")).faults
    assert fault.key == "listen.tls.key_file"


def test_a_file_for_roles_of_their_own_is_looked_at_as_they_would(written):
    services = "services: {router: {target: 'dns:///router:9002'}}\n"
    found = verdict(written(services + GOOD))
    assert found.is_good
    assert "roles" in found.summary
    with pytest.raises(Misconfigured, match="'services': it says where roles are that run by themselves"):
        checked(written(services + GOOD))
    found = verdict(written(services.replace(":9002", "") + GOOD))
    assert [fault.key for fault in found.faults] == ["services.router.target"]
    found = verdict(written(services.replace("target: '", "target: 'http://") + GOOD))
    assert [fault.key for fault in found.faults] == ["services.router.target"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "x-mine: {a: 1}\n"])
def test_a_file_that_says_nothing_has_nothing_to_serve(written, text):
    (fault,) = verdict(written(text)).faults
    assert "config init" in fault.message


@pytest.mark.parametrize(
    "text",
    ["- a", "a: [", "a: 1\na: 2", "just text", "a: 1\n---\nb: 2", "\x00", "a: {b: &c [*c]}", "%YAML 9.9\n---\na"],
)
def test_a_file_that_cannot_be_read_is_a_verdict_and_no_traceback(written, text):
    (fault, *_) = verdict(written(text)).faults
    assert fault.file.endswith("penstock.yaml")


def every_key(model: type[BaseModel], path: tuple = ()):
    """Yield every setting with its path, lists with one item, mappings with one name."""
    for name, field in model.model_fields.items():
        for form in branches(field.annotation):
            yield (*path, name)
            inner, step = form, ()
            if getattr(form, "__origin__", None) is list:
                inner, step = form.__args__[0], (0,)
            elif getattr(form, "__origin__", None) is dict:
                inner, step = form.__args__[1], ("x",)
            for one in branches(inner):
                if step:
                    yield (*path, name, *step)
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield from every_key(one, (*path, name, *step))


def nested(path, value):
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


ROLES = [*map(settings_type, Role), Settings]
OURS = re.compile(r"\b[A-Z][a-z]+[A-Z]\w+\b|\bSettings\b|\bSection\b|pydantic|function-|\binstance of\b|Input should")


@pytest.mark.parametrize("wrong", [None, True, -1, 1.5, "\x00", "word", [], [[]], {}, {"no such": {}}, 10**30])
def test_no_message_speaks_of_our_classes(wrong):
    said = []
    for role in ROLES:
        for path in dict.fromkeys(every_key(role)):
            text = yaml.safe_dump(nested(path, wrong))
            try:
                Configuration.parse(text, {}).settings(role)
            except ConfigurationError as error:
                said += [(path, fault) for fault in error.faults]
    assert [path for path, fault in said if not (fault.key and fault.line)] == []
    known = {"OPENAI_API_KEY", "ChatML", "EdDSA"}
    assert [(path, fault) for path, fault in said if set(OURS.findall(fault.message)) - known] == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GOOD.replace("4096", "2147483648"), "upstreams[0].models[0].context_window"),
        (GOOD.replace("[far/m]}", f"[far/m], weights: {{far/m: {10**23}}}}}"), "models[0].weights.far/m"),
        (GOOD + f"tiers: {{pro: {{requests_per_minute: {10**23}}}}}\n", "tiers.pro.requests_per_minute"),
        (GOOD + "gateway: {max_body_bytes: 2147483648}\n", "gateway.max_body_bytes"),
        (GOOD + "gateway: {grpc_streams_per_connection: 2147483648}\n", "gateway.grpc_streams_per_connection"),
        (GOOD + "gateway: {grpc_connections: 2147483648}\n", "gateway.grpc_connections"),
    ],
    ids=["window", "weight", "tier", "body", "streams", "connections"],
)
def test_numbers_that_would_not_fit_where_they_go_are_refused(written, text, key):
    with pytest.raises(Misconfigured, match=re.escape(f"'{key}': it must be at most")):
        checked(written(text))


MEANING = (
    GOOD
    + """
cache: {mode: semantic}
embedding: {model: all-MiniLM-L6-v2}
secrets: {cache_key_file: CACHE_KEY}
services:
  cache: {listen: 127.0.0.1:9003}
  embedding: {target: 'dns:///embedding:9004'}
qdrant: {url: 'http://qdrant:6334'}
"""
)


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("", "", []),
        ("qdrant: {url: 'http://qdrant:6334'}", "qdrant: {path: /var/lib/vectors}", []),
        ("qdrant: {url: 'http://qdrant:6334'}", "", [("qdrant", "a replica of the cache cannot open the folder")]),
        ("qdrant: {url: 'http://qdrant:6334'}", "qdrant: {}", [("qdrant", "or, for a cache that never has a replica")]),
        ("  embedding: {target: 'dns:///embedding:9004'}", "", [("cache.mode", "'services.embedding.target'")]),
        ("mode: semantic", "mode: exact", []),
    ],
)
def test_a_cache_by_itself_asks_a_server_that_its_replicas_can_ask_too(written, tmp_path, old, new, faults):
    key = tmp_path / "cache-key"
    key.write_bytes(b"k" * 32)
    found = verdict(written(MEANING.replace(old, new).replace("CACHE_KEY", str(key))), Role.CACHE)
    assert [
        (fault.key, text) for fault, (_, text) in zip(found.faults, faults, strict=True) if text in fault.message
    ] == faults


def test_an_exact_cache_needs_no_vectors(written):
    assert verdict(written(GOOD + "cache: {mode: exact}\n")).is_good
