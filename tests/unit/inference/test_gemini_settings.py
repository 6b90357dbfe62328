"""How Gemini and Vertex AI are described, and which of it is told to be wrong."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from penstock_inference.adapters.providers.gemini.settings import GeminiSettings
from penstock_inference.adapters.providers.vertex.settings import VertexSettings

KNOWN = {"name": "g", "models": [{"name": "m", "context_window": 9}]}
GEMINI = {**KNOWN, "provider": "gemini"}
VERTEX = {**KNOWN, "provider": "vertex", "project": "ours", "region": "global"}


def gemini(**more):
    return GeminiSettings.model_validate({**GEMINI, **more})


def vertex(**more):
    return VertexSettings.model_validate({**VERTEX, **more})


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"base_url": "https://generativelanguage.googleapis.com"}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"base_url": "https://a/v1/"}, "https://a/v1"),
        ({"base_url": "https://a/v1alpha"}, "https://a/v1alpha"),
        ({"base_url": "https://a/gemini"}, "https://a/gemini/v1beta"),
    ],
)
def test_the_version_may_be_left_out(said, url):
    ((_, place),) = gemini(**said).endpoints()
    assert place.versioned_url == gemini(**said).versioned_url == url


def test_each_key_is_a_place_of_its_own():
    places = gemini(api_keys=["key-one", "key-two"]).endpoints()
    assert [place.api_key.get_secret_value() for _, place in places] == ["key-one", "key-two"]
    assert "key" not in "".join(name for name, _ in places)


@pytest.mark.parametrize("safety", [{"HARASSMENT": "BLOCK_NONE"}, {"HARM_CATEGORY_HARASSMENT": "NONE"}])
def test_words_that_google_does_not_have_are_told(safety):
    with pytest.raises(ValidationError):
        gemini(safety=safety)


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({}, "https://aiplatform.googleapis.com/v1/projects/ours/locations/global"),
        ({"region": "us"}, "https://aiplatform.us.rep.googleapis.com/v1/projects/ours/locations/us"),
        ({"region": "eu"}, "https://aiplatform.eu.rep.googleapis.com/v1/projects/ours/locations/eu"),
        (
            {"region": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/ours/locations/europe-west4",
        ),
        ({"base_url": "https://private.p.googleapis.com/"}, "https://private.p.googleapis.com/v1/projects/ours/locations/global"),
        ({"base_url": "http://a/v1beta1"}, "http://a/v1beta1/projects/ours/locations/global"),
    ],
)  # fmt: skip
def test_a_region_is_at_its_own_address(said, url):
    ((_, place),) = vertex(**said).endpoints()
    assert place.location_url == vertex(**said).location_url == url


@pytest.mark.parametrize("said", [
    {"project": ""}, {"region": ""}, {"region": "a/b"}, {"project": "a/../b"}, {"api_key": "k"}, {"api_keys": ["k"]},
    {"betas": ["a"]}, {"publisher": "anthropic", "safety": {"HARM_CATEGORY_HARASSMENT": "OFF"}}, {"publisher": "mistralai"},
])  # fmt: skip
def test_what_vertex_cannot_be_is_told(said):
    with pytest.raises(ValidationError):
        vertex(**said)


def test_another_region_or_other_credentials_are_another_upstream(tmp_path):
    path = tmp_path / "c.json"
    path.write_text("one")
    makings = vertex(credentials_file=str(path)).makings()
    assert makings == vertex(credentials_file=str(path)).makings()
    assert makings != vertex(credentials_file=str(path), region="us").makings()
    path.write_text("two")
    assert makings != vertex(credentials_file=str(path)).makings()


def test_google_s_library_is_loaded_by_nobody_who_has_opened_no_upstream_of_it():
    script = (
        "import sys, penstock_inference.app\nprint(*[name for name in sys.modules if name.startswith('google.auth')])"
    )
    loaded = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
