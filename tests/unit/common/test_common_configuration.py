"""The configuration file: references, overrides, faults that say where, secrets that stay secret."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from penstock_common.configuration import (
    Configuration,
    ConfigurationError,
    Duration,
    Secret,
    Section,
    format_duration,
    parse_duration,
)

SECRET = "sk-live-0123456789"


class Limits(Section):
    requests_per_minute: int = 0


class Upstream(Section):
    name: str = "u"
    api_key: Secret = Secret("")
    base_urls: list[str] = []
    limits: Limits = Limits()
    first_token: Duration = timedelta(seconds=30)
    retries: Annotated[int, Field(ge=0)] = 0


class WithoutKeys(Section):
    """What a role that needs no key declares of an upstream."""

    model_config = {"extra": "ignore"}
    name: str = "u"


class Settings(Section):
    upstreams: list[Upstream] = []
    tiers: dict[str, Limits] = {}
    routes: dict[str, str] = {}
    mode: Literal["exact", "semantic"] = "exact"
    cache: Limits | None = None
    listen: Limits = Limits()


class KeylessSettings(Section):
    upstreams: list[WithoutKeys] = []


def settings(text, environment=None, settings_type=Settings):
    return Configuration.parse(text, environment or {}, source="penstock.yaml").settings(settings_type)


def fault(text, environment=None, settings_type=Settings):
    with pytest.raises(ConfigurationError) as caught:
        settings(text, environment, settings_type)
    # Not even the chain of causes may show what was read.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_an_empty_document_gives_the_defaults():
    assert settings("") == settings("# nothing") == Settings()


def test_a_reference_reads_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_KEY", SECRET)
    monkeypatch.setenv("SOME_HOST", "example.com")
    upstream = settings(
        "upstreams: [{api_key: '${SOME_KEY}', base_urls: ['https://${SOME_HOST}/v1', plain]}]"
    ).upstreams[0]
    assert upstream.api_key.get_secret_value() == SECRET
    assert upstream.base_urls == ["https://example.com/v1", "plain"]


def test_a_reference_reads_a_file_without_its_last_line_break(tmp_path):
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    upstream = settings(f"upstreams: [{{api_key: '${{file:{file}}}'}}]").upstreams[0]
    assert upstream.api_key.get_secret_value() == SECRET


def test_a_reference_in_a_mapping_of_plain_values_is_resolved(monkeypatch):
    monkeypatch.setenv("SOME_MODEL", "large")
    assert settings("routes: {code: '${SOME_MODEL}'}").routes == {"code": "large"}


def test_a_missing_variable_is_named_with_its_place(monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    text = fault("upstreams: [{name: a}, {api_key: '${NOT_THERE}'}]")
    assert "upstreams[1]" in text
    assert "the environment variable NOT_THERE is not set" in text


def test_a_missing_file_is_named_with_its_reason(tmp_path):
    text = fault(f"upstreams: [{{api_key: '${{file:{tmp_path}/none}}'}}]")
    assert f"the file {tmp_path}/none: No such file or directory" in text


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00" * 20)
    text = fault(f"upstreams: [{{api_key: '${{file:{tmp_path}/key}}'}}]")
    assert f"the file {tmp_path}/key" in text


def test_a_field_that_a_role_does_not_declare_is_never_resolved(monkeypatch, tmp_path):
    monkeypatch.delenv("NOT_THERE", raising=False)
    text = f"upstreams: [{{name: a, api_key: '${{NOT_THERE}}', base_urls: ['${{file:{tmp_path}/none}}']}}]"
    assert settings(text, settings_type=KeylessSettings).upstreams[0].name == "a"


def test_a_section_that_a_role_does_not_declare_is_never_resolved(monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert settings("unheard_of: {key: '${NOT_THERE}'}") == Settings()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PENSTOCK_MODE", "semantic", Settings()),
        ("PENSTOCK__", "x", Settings()),
        ("OTHER__MODE", "semantic", Settings()),
        ("PENSTOCK_LISTEN__REQUESTS_PER_MINUTE", "7", Settings(listen=Limits(requests_per_minute=7))),
        ("PENSTOCK_TIERS__FREE__REQUESTS_PER_MINUTE", "7", Settings(tiers={"free": Limits(requests_per_minute=7)})),
        ("PENSTOCK_ROUTES__FAQ", "fast", Settings(routes={"faq": "fast"})),
    ],
)
def test_a_variable_with_two_underscores_overrides_a_key(name, value, expected):
    assert settings("", {name: value}) == expected


def test_an_override_replaces_what_the_file_says_and_leaves_the_rest():
    value = settings("routes: {faq: slow, code: large}", {"PENSTOCK_ROUTES__FAQ": "fast"})
    assert value.routes == {"faq": "fast", "code": "large"}


def test_an_override_reaches_into_a_section_that_the_file_leaves_empty():
    assert settings("cache:\n", {"PENSTOCK_CACHE__REQUESTS_PER_MINUTE": "7"}).cache.requests_per_minute == 7


def test_an_overrides_value_is_yaml():
    document = Configuration.parse(
        "",
        {
            "PENSTOCK_A__NUMBER": "1.5",
            "PENSTOCK_A__SWITCH": "off",
            "PENSTOCK_A__LIST": "[a, b]",
            "PENSTOCK_A__TEXT": "plain text",
            "PENSTOCK_A__NOTHING": "",
        },
    )._document
    assert document == {
        "a": {"number": 1.5, "switch": False, "list": ["a", "b"], "text": "plain text", "nothing": None}
    }


def test_an_override_into_a_value_is_refused_by_its_name():
    text = fault("listen: here", {"PENSTOCK_LISTEN__REQUESTS_PER_MINUTE": "7"})
    assert text.startswith("PENSTOCK_LISTEN__REQUESTS_PER_MINUTE: 'listen' is not a section")


def test_an_override_into_a_list_is_refused_by_its_name():
    assert "PENSTOCK_UPSTREAMS__0__NAME" in fault("upstreams: [{name: a}]", {"PENSTOCK_UPSTREAMS__0__NAME": "b"})


def test_an_override_that_is_no_yaml_is_refused_by_its_name_without_its_value():
    text = fault("", {"PENSTOCK_LISTEN__KEY": f"[{SECRET}"})
    assert "PENSTOCK_LISTEN__KEY" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "listen: {request_per_minute: 1}",
            "unknown key 'listen.request_per_minute'; did you mean 'requests_per_minute'?",
        ),
        (
            "upstreams: [{}, {limits: {requests_minute: 1}}]",
            "'upstreams[1].limits.requests_minute'; did you mean 'requests_per_minute'?",
        ),
        ("upstreams: [{apikey: x}]", "'upstreams[0].apikey'; did you mean 'api_key'?"),
        (
            "tiers: {gold: {requests_per_minut: 1}}",
            "'tiers.gold.requests_per_minut'; did you mean 'requests_per_minute'?",
        ),
        ("cache: {requests_per_minut: 1}", "'cache.requests_per_minut'; did you mean 'requests_per_minute'?"),
        ("listen: {zzz: 1}", "unknown key 'listen.zzz'; known are requests_per_minute"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text, message):
    assert message in fault(text)


def test_several_faults_are_all_told():
    text = fault("{listen: {zzz: 1}, mode: odd, upstreams: [{retries: -1, first_token: 3}]}")
    for part in ("listen.zzz", "'mode'", "'upstreams[0].retries'", "'upstreams[0].first_token': a duration such as"):
        assert part in text


def test_an_unknown_section_is_named_with_the_nearest_known_one():
    with pytest.raises(ConfigurationError, match="unknown section 'upstream'; did you mean 'upstreams'"):
        Configuration.parse("upstream: []", {}).refuse_unknown_sections({"upstreams", "models"})
    Configuration.parse("models: []", {}).refuse_unknown_sections({"upstreams", "models"})


def test_a_section_whose_name_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="unknown section '1'"):
        Configuration.parse("1: x", {}).refuse_unknown_sections({"upstreams"})


def test_a_missing_key_is_named():
    class Needy(Section):
        listen: Needs

    assert "'listen.port' is missing" in fault("listen: {}", settings_type=Needy)


class Needs(Section):
    port: int


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "3"])
def test_a_document_that_is_no_mapping_is_refused(text):
    assert fault(text) == "penstock.yaml: it must hold a mapping of sections"


def test_a_document_that_is_no_yaml_is_refused_with_the_place_and_without_its_text():
    text = fault(f"listen: x\napi_key: '{SECRET}\nmore: [\n")
    assert text.startswith("penstock.yaml:4: it is not valid YAML: ")
    assert SECRET not in text


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path, content in (
        (tmp_path / "none.yaml", None),
        (tmp_path, None),
        (tmp_path / "binary.yaml", b"\xff\xfe\xfa"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=str(path)):
            Configuration.load(path, {})


def test_a_file_is_read_with_the_environments_overrides(tmp_path, monkeypatch):
    path = tmp_path / "penstock.yaml"
    path.write_text("listen: {requests_per_minute: 1}")
    assert Configuration.load(path, {}).settings(Settings).listen.requests_per_minute == 1
    monkeypatch.setenv("PENSTOCK_LISTEN__REQUESTS_PER_MINUTE", "2")
    assert Configuration.load(path).settings(Settings).listen.requests_per_minute == 2


def test_settings_do_not_change():
    value = settings("")
    with pytest.raises(ValueError, match="frozen"):
        value.mode = "semantic"


@pytest.mark.parametrize(
    "text",
    [
        "upstreams: [{api_key: {a: '%s'}}]",
        "upstreams: [{api_key: ['%s']}]",
        "upstreams: [{retries: '%s'}]",
        "upstreams: [{first_token: '%s'}]",
        "upstreams: [{limits: '%s'}]",
        "upstreams: ['%s']",
        "mode: '%s'",
        "upstreams: [{name: ['%s']}]",
    ],
)
@pytest.mark.parametrize("how", ["plain", "variable"])
def test_a_secret_in_a_wrong_place_is_not_in_the_error(text, how, monkeypatch):
    monkeypatch.setenv("SOME_KEY", SECRET)
    assert SECRET not in fault(text % (SECRET if how == "plain" else "${SOME_KEY}"))


def test_a_secret_is_not_in_a_repr(monkeypatch):
    monkeypatch.setenv("SOME_KEY", SECRET)
    value = settings("upstreams: [{api_key: '${SOME_KEY}'}]")
    assert SECRET not in repr(value) + str(value) + repr(value.model_dump()) + value.model_dump_json()


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_a_duration_is_written_as_it_can_be_read(value):
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("0.5ms", timedelta(microseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("10m", timedelta(minutes=10)),
        ("1h", timedelta(hours=1)),
        ("30d", timedelta(days=30)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_read_by_its_unit(text, value):
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0ms"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=36), "36h"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_is_exact(value, text):
    assert format_duration(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-1s",
        "1 s",
        "1e3s",
        "1.s",
        "1h30m",
        "٣s",
        "3s\n",
        "1S",
        "999999999.9999999999999d",
        "1" * 400 + "s",
    ],
)
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError):
        parse_duration(text)


def test_the_default_configuration_can_be_parsed():
    root = Path(__file__).parents[3]
    for path in sorted((root / "services/suite/penstock_suite").glob("*.yaml")):
        assert Configuration.load(path, {}) is not None
