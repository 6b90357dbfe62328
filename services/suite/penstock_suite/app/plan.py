"""From a selection to a plan: which configuration, which folder, which parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from penstock_common.configuration import Configuration
from penstock_common.datasheet.described import described
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_suite.adapters.triton import TritonFolders
from penstock_suite.domain.effective import LocalParts, completed, has_demo_key, without_triton
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.state_folder import StateFolder
from penstock_suite.settings import Document, LocalSettings, Settings

STATE_VARIABLE = "PENSTOCK_STATE_DIR"
LOCAL_STATE = Path(".state")

_PACKAGED_SOURCE = "the packaged configuration"
_PACKAGED = "default.yaml"
_PACKAGED_WITHOUT_TRITON = "without_triton.yaml"
# Stands for the local Triton that a check does not start.
_NOT_STARTED = "127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What the file says, the suite's own sections of it, and where the state lies."""

    written: Configuration
    settings: Settings
    state: StateFolder

    @property
    def source(self) -> str:
        """What errors call the file."""
        return self.written.source

    @property
    def lacks_weights(self) -> bool:
        """Whether it is the packaged configuration, without the embedding model that belongs to it."""
        return self.source == _PACKAGED_SOURCE and self.settings.embedding is None

    @property
    def has_demo_key(self) -> bool:
        """Whether a tenant gets the demo key."""
        return has_demo_key(dict(self.written.document), self.settings.local.demo_tenant)

    @property
    def edge_token(self) -> Path:
        """The file of what the edge proves itself with: the configuration's, or the stack's own."""
        return self.settings.secrets.edge_token_file or self.state.edge_token

    def configuration(self, *, redis_url: str = "", triton_grpc: str = _NOT_STARTED) -> Configuration:
        """Return what the services read: the file, completed with the local parts."""
        local, state = self.settings.local, self.state
        parts = LocalParts(
            state=state,
            redis_url=redis_url,
            triton_grpc=triton_grpc,
            chat_templates=_chat_templates(self.settings, triton_folders(local).repository),
            demo_tenant=local.demo_tenant,
            demo_key=_reference(state.demo_key),
            operator_key=_reference(state.operator_key),
            triton_key=_reference(state.triton_key),
        )
        return self.written.with_document(completed(dict(self.written.document), parts))


def make_plan(selection: Selection) -> StackPlan:
    """Return the plan of the selected stack; nothing is made or started.

    Raises:
        ConfigurationError: if the file cannot be used.
        Misconfigured: if nothing would be left to serve.
    """
    configuration = load(selection)
    configuration.refuse_unknown_sections(set(Document.model_fields))
    return plan_of(selection, known_part(selection, configuration))


def load(selection: Selection) -> Configuration:
    """Return the selected file, as it is written, with what the datasheet knows of its models.

    Raises:
        ConfigurationError: if it, or a datasheet, cannot be read.
    """
    return described(load_alone(selection))


def load_alone(selection: Selection) -> Configuration:
    """Return the selected file, as it is written.

    Raises:
        ConfigurationError: if it cannot be read.
    """
    if selection.config is not None:
        return Configuration.load(selection.config)
    packaged = Configuration.load(_packaged(without=selection.without_triton))
    return Configuration(dict(packaged.document), _PACKAGED_SOURCE, revision=packaged.revision)


def known_part(selection: Selection, configuration: Configuration) -> Configuration:
    """Return the sections that somebody knows, without those of a Triton that the selection leaves out."""
    document = Document.known_of(configuration)
    if selection.config is None and not _has_weights(document["embedding"]["model"]):
        del document["embedding"]
        document["cache"] = {**document["cache"], "mode": "exact"}
        # Nothing finds passages without it.
        document["models"] = [model for model in document["models"] if "knowledge" not in model]
    if not selection.without_triton:
        return configuration.with_document(document)
    # Places in these lists are others than in the file.
    moved = ("upstreams", "models")
    places = {path: place for path, place in configuration.places.items() if path[1:] == () or path[0] not in moved}
    return Configuration(without_triton(document), configuration.source, places, configuration.revision)


def has_default_weights() -> bool:
    """Return whether the default embedding model is on this machine, and what runs it."""
    return find_spec("penstock_embedding") is not None and _has_weights(DEFAULT_EMBEDDING_MODEL)


def _has_weights(model: str) -> bool:
    # Not at the top: a gateway by itself has these commands, too, and no embedding service.
    from penstock_embedding.adapters.model_files import has_weights

    return has_weights(model)


def plan_of(selection: Selection, configuration: Configuration) -> StackPlan:
    """Return the plan of a configuration."""
    settings = configuration.settings(Settings)
    if selection.without_triton and not settings.models:
        raise Misconfigured(
            f"without Triton, {configuration.source} has no model left: give a model a candidate of another provider"
        )
    return StackPlan(configuration, settings, StateFolder(state_root(selection.state, settings), os.getuid()))


def unplanned(selection: Selection, configuration: Configuration) -> Configuration:
    """Return what the services read of a configuration that has no plan, for a look at its other faults."""
    parts = LocalParts(state=StateFolder(state_root(selection.state)), triton_grpc=_NOT_STARTED)
    return configuration.with_document(completed(dict(configuration.document), parts))


def state_root(chosen: Path | None, settings: Settings | None = None) -> Path:
    """Return the absolute state folder.

    Chosen, from the environment, from the file, the one that `make run` keeps
    in the current folder, or the user's own, in this order.
    """
    named = os.environ.get(STATE_VARIABLE)
    if chosen is None and named:
        chosen = Path(named)
    if chosen is None and settings is not None:
        chosen = settings.state_dir
    if chosen is None and LOCAL_STATE.is_dir():
        chosen = LOCAL_STATE
    if chosen is None:
        chosen = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "penstock"
    return chosen.expanduser().absolute()


def _reference(path: Path) -> str:
    # Absent until the first start, and a check must not make it.
    return f"${{file:{path}}}" if path.is_file() else ""


def _packaged(*, without: bool) -> Path:
    # Without Triton the default has no model; a provider stands in where the environment has its key.
    if without and not os.environ.get("OPENAI_API_KEY"):
        raise Misconfigured(
            "without Triton the packaged configuration needs a provider: set OPENAI_API_KEY, "
            "or name a configuration with --config"
        )
    return Path(str(files("penstock_suite"))) / (_PACKAGED_WITHOUT_TRITON if without else _PACKAGED)


def triton_folders(local: LocalSettings) -> TritonFolders:
    """Return where Triton's environment and models are: configured, or in the checkout that this package lies in."""
    checkout = _checkout()
    return TritonFolders(
        local.triton_environment or checkout / ".triton",
        local.triton_repository or checkout / "deploy" / "triton" / "repository",
    )


def _checkout() -> Path:
    within = Path(__file__).resolve().parents[4]
    return within if (within / "deploy" / "triton").is_dir() else Path.cwd()


def _chat_templates(settings: Settings, repository: Path) -> dict[str, Path]:
    paths = {
        name: repository / name / "chat_template.jinja"
        for names in settings.local_triton_models.values()
        for name in names
    }
    return {name: path for name, path in paths.items() if path.is_file()}
