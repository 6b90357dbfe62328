"""The configuration file: references, overrides, faults that say where, secrets that stay secret."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from penstock_common.configuration import (
    MAX_WHOLE_NUMBER,
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


@pytest.mark.parametrize("around", ["\n", "\r\n", "\n\n", " ", "\t", "\ufeff"])
@pytest.mark.parametrize("of_file", [True, False], ids=["file", "variable"])
def test_white_space_around_what_a_reference_brings_is_no_part_of_it(around, of_file, tmp_path, monkeypatch):
    held = around + SECRET + around if around != "\ufeff" else around + SECRET
    (tmp_path / "key").write_text(held)
    monkeypatch.setenv("SOME_KEY", held)
    reference = f"${{file:{tmp_path}/key}}" if of_file else "${SOME_KEY}"
    assert settings(f"upstreams: [{{api_key: '{reference}'}}]").upstreams[0].api_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("held", "place"),
    [("a\nb", 2), ("\n\nab\r\ncd\n", 3), ("abc\td", 4), ("a\x00b", 2), ("a\x7fb", 2), ("a\x1b[0mb", 2)],
)
def test_a_control_character_within_what_a_reference_brings_is_refused_with_its_place(
    held, place, tmp_path, monkeypatch
):
    (tmp_path / "key").write_bytes(held.encode())
    text = fault(f"upstreams: [{{name: x, api_key: '${{file:{tmp_path}/key}}'}}]")
    assert text.startswith(
        f"penstock.yaml:1: 'upstreams[0].api_key': the file {tmp_path}/key holds a control character"
    )
    assert text.endswith(f"at character {place}")
    if "\x00" not in held:
        monkeypatch.setenv("SOME_HOST", held)
        text = fault("upstreams: [{base_urls: [a, 'http://${SOME_HOST}/v1']}]")
        assert "'upstreams[0].base_urls[1]': the environment variable SOME_HOST holds a control character" in text


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("abc\ndef", "a control character, such as the end of a line, at character 4"),
        ("abcédef", "at character 4"),
        ("abc\u00a0", "at character 4"),
        ("\u200babc", "at character 1"),
        ("\u201cabc\u201d", "at character 1"),
        ("'abc'", "quotation mark"),
        ('"abc"', "quotation mark"),
    ],
)
def test_a_secret_that_no_header_can_carry_is_refused_with_its_place_and_without_its_text(key, says):
    text = fault(f"upstreams: [{{api_key: {json.dumps(key)}}}]")
    assert "penstock.yaml:1: 'upstreams[0].api_key': " in text
    assert says in text
    assert "abc" not in text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a$${SOME_HOST}", "a${SOME_HOST}"),
        ("$${", "${"),
        ("$${a", "${a"),
        ("$${file:/x} and ${SOME_HOST}", "${file:/x} and here"),
        ("$$${SOME_HOST}", "$${SOME_HOST}"),
        ("costs $5 {or} $$", "costs $5 {or} $$"),
        ("${SOME_HOST}${SOME_HOST}", "herehere"),
        ("${NESTED}", "${SOME_HOST}"),
    ],
)
def test_a_literal_dollar_brace_can_be_written(written, meant, monkeypatch):
    monkeypatch.setenv("SOME_HOST", "here")
    monkeypatch.setenv("NESTED", "${SOME_HOST}")
    assert settings(f"routes: {{a: '{written}'}}").routes == {"a": meant}


@pytest.mark.parametrize("written", ["${", "a${b", "${}", "${file:}", "${A B}", "${A:-default}", "${1A}", "${env:A}"])
def test_what_looks_like_a_reference_and_is_none_says_how_one_is_written(written):
    text = fault(f"routes: {{a: '{written}'}}")
    assert "penstock.yaml:1: 'routes.a': a reference is written ${NAME} or ${file:/path}" in text
    assert "$${" in text


def test_every_reference_that_leads_to_nothing_is_told_beside_other_faults(monkeypatch):
    for name in ("NOT_THERE", "NOR_THIS"):
        monkeypatch.delenv(name, raising=False)
    text = fault("upstreams:\n- {name: '${NOT_THERE}',\n   api_key: '${NOR_THIS}',\n   retries: -1}\nmode: odd")
    assert text.split("; ") == [
        "penstock.yaml:2: 'upstreams[0].name': the environment variable NOT_THERE is not set",
        "penstock.yaml:3: 'upstreams[0].api_key': the environment variable NOR_THIS is not set",
        "penstock.yaml:5: 'mode': one of exact, semantic is expected",
        "penstock.yaml:4: 'upstreams[0].retries': it must be at least 0",
    ]


def test_a_number_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("RETRIES", "7\n")
    assert settings("upstreams: [{retries: '${RETRIES}'}]").upstreams[0].retries == 7


def test_sections_that_begin_with_x_are_the_writers_own_and_hold_anchors():
    configuration = Configuration.parse(
        "x-defaults: &defaults {retries: 3, first_token: 9s}\nx-of: [whatever]\n"
        "upstreams:\n  - {<<: *defaults, name: a}\n  - <<: *defaults\n    retries: 4\n",
        {},
    )
    configuration.refuse_unknown_sections({"upstreams"})
    first, second = configuration.settings(Settings).upstreams
    assert (first.retries, second.retries, second.first_token) == (3, 4, timedelta(seconds=9))


def test_a_merged_value_that_is_wrong_is_told_where_the_anchor_says_it():
    text = fault("x-defaults: &defaults\n  retries: -3\nupstreams:\n  - <<: *defaults\n    name: a\n")
    assert text == "penstock.yaml:2: 'upstreams[0].retries': it must be at least 0"


def test_x_is_a_name_like_any_other_within_sections():
    assert "'listen.x-mine'" in fault("listen: {x-mine: 1}")
    assert settings("tiers: {x-mine: {requests_per_minute: 2}}").tiers["x-mine"].requests_per_minute == 2


def test_two_variables_that_override_one_setting_are_refused():
    text = fault("", {"PENSTOCK_LISTEN__REQUESTS_PER_MINUTE": "7", "PENSTOCK_listen__requests_per_minute": "8"})
    assert "PENSTOCK_LISTEN__REQUESTS_PER_MINUTE says the same setting" in text


def test_a_fault_of_an_override_names_the_variable():
    text = fault("listen: {requests_per_minute: 1}", {"PENSTOCK_LISTEN__REQUESTS_PER_MINUTE": "many"})
    assert text == "PENSTOCK_LISTEN__REQUESTS_PER_MINUTE: 'listen.requests_per_minute': a whole number is expected"


def test_an_override_with_a_key_twice_is_refused():
    assert "PENSTOCK_ROUTES__A:1: 'x' is given twice" in fault("", {"PENSTOCK_ROUTES__A": "{x: 1, x: 2}"})


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


@pytest.mark.parametrize("number", [2**53, 10**23], ids=["one-more", "huge"])
def test_a_number_that_nothing_counts_exactly_is_refused(number):
    text = fault(f"upstreams: [{{name: x, limits: {{requests_per_minute: {number}}}}}]")
    assert "'upstreams[0].limits.requests_per_minute': it must be at most 9007199254740991" in text


def test_the_largest_whole_number_is_taken():
    settings = Configuration.parse(f"retries: {MAX_WHOLE_NUMBER}", {}).settings(Upstream)
    assert settings.retries == MAX_WHOLE_NUMBER
