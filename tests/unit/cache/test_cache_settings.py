from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penstock_cache.app import build
from penstock_cache.app.meaning import policies_of
from penstock_cache.settings import Settings
from penstock_common.configuration import Configuration, ConfigurationError


def _settings(text: str) -> Settings:
    return Configuration.parse(text, environment={}).settings(Settings)


def test_every_setting_has_a_default() -> None:
    cache = _settings("").cache
    assert (cache.mode, cache.max_temperature, cache.memory_ttl) == ("exact", 0.3, timedelta(minutes=5))


def test_a_bare_off_means_off() -> None:
    assert _settings("cache: {mode: off}").cache.mode == "off"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cache: {mode: sematic}", "cache.mode"),
        ("cache: {semantic: {threshold: 95}}", "cache.semantic.threshold"),
        ("cache: {semantic: {threshold: 1.2}}", "cache.semantic.threshold"),
        ("cache: {semantic: {threshold: 0}}", "cache.semantic.threshold"),
        ("cache: {semantic: {max_error: 0}}", "cache.semantic.max_error"),
        ("cache: {semantic: {floor: 1}}", "cache.semantic.floor"),
        ("cache: {semantic: {timeout: 0s}}", "'cache.semantic.timeout': a duration longer than zero"),
        ("cache: {semantic: {max_entries: 0}}", "cache.semantic.max_entries"),
        ("cache: {semantic: {treshold: 0.9}}", "did you mean 'threshold'"),
        ("cache: {semantic: {threshold: 0.98}}", "strict_threshold is 0.96, below the threshold of 0.98"),
        (
            "cache: {semantic: {models: {fast: {threshold: 0.98}}}}",
            "strict_threshold of the model 'fast' is 0.96, below the threshold of 0.98",
        ),
        (
            "{models: [{name: fast, candidates: [u/m]}], cache: {semantic: {models: {slow: {mode: exact}}}}}",
            "there is no public model 'slow'",
        ),
        ("cache: {mode: on}", "cache.mode"),
        ("cache: {memory_ttl: 0s}", "'cache.memory_ttl': a duration longer than zero"),
        ("cache: {max_temperature: 3}", "cache.max_temperature"),
        ("cache: {memory_entrys: 3}", "did you mean 'memory_entries'"),
    ],
)
def test_a_wrong_setting_is_named(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        _settings(text)


async def _build(text: str) -> str:
    async with build(_settings(text)) as service:
        return service.name


async def test_the_service_refuses_to_start_without_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="cache_key_file' is missing"):
        await _build("cache: {mode: exact}")


async def test_the_service_refuses_a_short_secret(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(b"x" * 31)
    with pytest.raises(ConfigurationError, match="holds 31 bytes, at least 32 are needed"):
        await _build(f"secrets: {{cache_key_file: {key_file}}}")


async def test_the_service_names_a_secret_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        await _build(f"secrets: {{cache_key_file: {tmp_path / 'none'}}}")


async def test_an_old_secret_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    key_file, old = tmp_path / "key", tmp_path / "old"
    key_file.write_bytes(b"x" * 32)
    old.write_bytes(b"x" * 3)
    with pytest.raises(ConfigurationError, match=r"'secrets.old_cache_key_files\[1\]': .* holds 3 bytes"):
        await _build(f"secrets: {{cache_key_file: {key_file}, old_cache_key_files: [{key_file}, {old}]}}")


async def test_a_cache_that_is_off_needs_no_secret() -> None:
    assert await _build("cache: {mode: off}") == "cache"


async def test_a_redis_url_that_is_none_is_named(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(b"x" * 32)
    with pytest.raises(ConfigurationError, match="'redis.cache'"):
        await _build(f"{{secrets: {{cache_key_file: {key_file}}}, redis: {{cache: 'http://localhost'}}}}")


async def test_a_secret_may_begin_and_end_with_any_byte(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(b"\n" + b"x" * 30 + b" ")
    assert await _build(f"secrets: {{cache_key_file: {key_file}}}") == "cache"


def test_answers_are_kept_beyond_their_time_for_the_longest_that_any_model_says() -> None:
    assert _settings("models: [{name: a, candidates: [u/m]}]").longest_stale == timedelta()
    ladders = ["[{stale_if_error: 2h}]", "{model: c}, {stale_if_error: 24h}]", "{template: Sorry.}]"]
    models = ", ".join(f"{{name: m{n}, degradation: [{ladder.removeprefix('[')}}}" for n, ladder in enumerate(ladders))
    assert _settings(f"models: [{models}]").longest_stale == timedelta(hours=24)


def test_a_model_has_what_is_said_of_it_and_the_rest_from_all() -> None:
    policies = policies_of(
        _settings(
            "cache: {semantic: {floor: 0.6, models: {fast: {threshold: 0.95}, slow: {mode: exact}}}}"
        ).cache.semantic
    )
    assert (policies.of("fast").threshold, policies.of("fast").floor, policies.of("fast").is_on) == (0.95, 0.6, True)
    assert not policies.of("slow").is_on
    assert policies.of("other") == policies.usual
