"""Background work, key material, sections that several roles read, the scope of a request."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from penstock_common.background import background_work
from penstock_common.configuration import Configuration, ConfigurationError, Section
from penstock_common.key_material import read_key_material
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.sections import PublicModel, Redis, Secrets, Telemetry, split_candidate


async def test_background_work_is_finished_before_the_context_ends():
    done, go = [], asyncio.Event()

    async def work(name):
        await go.wait()
        done.append(name)

    async with background_work() as start:
        start(work("a"))
        start(work("b"))
        assert done == []
        go.set()
    assert sorted(done) == ["a", "b"]


async def test_work_may_start_more_work():
    done = []
    async with background_work() as start:

        async def parent():
            start(child())

        async def child():
            done.append("child")

        start(parent())
    assert done == ["child"]


async def test_work_that_fails_is_logged_and_disturbs_neither_the_context_nor_the_other_work():
    done, defect = [], OSError("on purpose")

    async def fail():
        raise defect

    async def succeed():
        await asyncio.sleep(0)
        done.append("other")

    with capture_logs() as logged:
        async with background_work() as start:
            start(fail())
            start(succeed())
    assert done == ["other"]
    assert [(entry["event"], entry["exc_info"]) for entry in logged] == [("background_work_failed", defect)]


async def test_an_error_in_the_context_ends_its_work():
    ended = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    with pytest.raises(ExceptionGroup):
        async with background_work() as start:
            start(wait())
            await asyncio.sleep(0)
            raise OSError
    assert ended == ["work"]


def test_key_material_is_the_files_bytes_whatever_they_are(tmp_path):
    # One random key in twenty begins or ends with white space.
    file = tmp_path / "pepper"
    file.write_bytes(b" " + b"k" * 30 + b"\n")
    assert read_key_material(file, "secrets.key_pepper_file") == b" " + b"k" * 30 + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "holds 0 bytes, at least 32"),
        (b"short\n", "holds 6 bytes"),
    ],
)
def test_key_material_that_cannot_be_used_is_refused_with_its_setting_and_without_its_bytes(tmp_path, content, message):
    file = tmp_path / "pepper"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_key_material(file, "secrets.key_pepper_file")
    assert "'secrets.key_pepper_file'" in str(caught.value)
    assert "short" not in str(caught.value)


def test_key_material_that_is_not_named_is_missing():
    with pytest.raises(ConfigurationError, match="'secrets.cache_key_file' is missing"):
        read_key_material(None, "secrets.cache_key_file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_key_material_that_may_not_be_read_is_refused(tmp_path):
    file = tmp_path / "pepper"
    file.write_bytes(b"k" * 32)
    file.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        read_key_material(file, "secrets.key_pepper_file")


@given(st.text(st.characters(exclude_characters="/"), min_size=1), st.text(min_size=1))
def test_a_candidate_is_split_at_its_first_slash(upstream, model):
    assert split_candidate(f"{upstream}/{model}") == (upstream, model)


@pytest.mark.parametrize("text", ["", "openai", "/gpt", "openai/", "/"])
def test_a_candidate_without_both_sides_is_refused(text):
    with pytest.raises(ConfigurationError, match="must be written upstream/model"):
        split_candidate(text)


class Settings(Section):
    models: list[PublicModel] = []
    redis: Redis = Redis()
    telemetry: Telemetry = Telemetry()
    secrets: Secrets = Secrets()


def read(text):
    return Configuration.parse(text, {}).settings(Settings)


def test_sections_may_all_be_left_out():
    settings = read("")
    assert (settings.redis.state, settings.telemetry.otlp, settings.secrets.cache_key_file) == ("", "", None)
    assert settings.telemetry.sample_ratio == 0.01
    assert settings.telemetry.capture_content is False


def test_a_models_names_are_kept():
    model = read("models: [{name: m, candidates: [hf/org/model], weights: {hf/org/model: 3}, policy: cost}]").models[0]
    assert (model.candidates, model.weights, model.policy) == (["hf/org/model"], {"hf/org/model": 3}, "cost")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "models: [{name: m, candidates: [gpt]}]",
            "'models[0].candidates[0]': candidate 'gpt' must be written upstream/model",
        ),
        ("models: [{name: ''}]", "'models[0].name'"),
        ("models: [{candidates: [a/b]}]", "'models[0].name' is missing"),
        ("models: [{name: m, policy: cheap}]", "'models[0].policy'"),
        ("models: [{name: m, weights: {a/b: -1}}]", "'models[0].weights.a/b'"),
        ("telemetry: {sample_ratio: 1.1}", "'telemetry.sample_ratio'"),
        ("telemetry: {sample_ratio: -0.1}", "'telemetry.sample_ratio'"),
        ("redis: {url: x}", "unknown key 'redis.url'"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(text, part):
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert part in str(caught.value)


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.none() | st.floats(0, 10))
def test_a_scope_comes_back_from_metadata_without_its_deadline(request_id, tenant, traceparent, deadline):
    scope = RequestScope(request_id, tenant, traceparent, deadline)
    assert RequestScope.from_metadata(scope.to_metadata()) == RequestScope(request_id, tenant, traceparent)


def test_a_scope_reads_over_what_is_not_its_own():
    assert RequestScope.from_metadata((("x-request-id", b"bytes"), ("other", "x"))) == RequestScope()
    assert CURRENT_SCOPE.get() == RequestScope()
    assert RequestScope().to_metadata() == ()
