"""What a configuration needs of the machine that it is checked on: files, programs, models. Nothing is opened or started."""

from __future__ import annotations

import importlib.util
import os
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from penstock_common.faults import KeyPath
from penstock_common.key_material import MIN_BYTES
from penstock_common.sections import Secrets
from penstock_suite.adapters.triton import missing_model
from penstock_suite.app.plan import StackPlan, triton_folders
from penstock_suite.settings import Settings, TlsSettings

Finding = tuple[KeyPath, str]


def missing_resources(plan: StackPlan) -> Iterator[Finding]:
    """Yield what the configuration names and is not there."""
    settings = plan.settings
    if settings.listen.tls is not None:
        yield from unusable_certificate(settings.listen.tls)
    yield from _unusable_secrets(plan)
    yield from _missing_parts(settings)
    yield from _missing_triton(settings)


def missing_credentials(read: Iterable[Any]) -> Iterator[Finding]:
    """Yield the files of credentials that settings name and nobody can read: opening such an upstream is refused."""
    for settings in read:
        for index, upstream in enumerate(getattr(settings, "upstreams", ())):
            path: Path | None = getattr(upstream, "credentials_file", None)
            if path is not None and (not path.is_file() or not os.access(path, os.R_OK)):
                yield ("upstreams", index, "credentials_file"), f"{path} is not there, or not to be read"


def unusable_certificate(tls: TlsSettings) -> Iterator[Finding]:
    """Yield what is wrong with the public port's certificate and key."""
    named = {"cert_file": tls.cert_file, "key_file": tls.key_file}
    unread = [(name, path) for name, path in named.items() if not os.access(path, os.R_OK) or not path.is_file()]
    for name, path in unread:
        yield ("listen", "tls", name), f"{path} is not there, or not to be read"
    if unread:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert_file, tls.key_file, password=lambda: b"")
    except (ssl.SSLError, OSError):
        yield ("listen", "tls"), "the files are not a certificate chain and its unencrypted key, both in PEM"


def _unusable_secrets(plan: StackPlan) -> Iterator[Finding]:
    made_at_the_start = (plan.state.key_pepper, plan.state.cache_key, plan.state.knowledge_key, plan.state.edge_token)
    for place, path in _secret_files(plan.settings.secrets):
        if path in made_at_the_start:
            continue
        try:
            size = len(path.read_bytes())
        except OSError as error:
            yield place, f"{path}: {error.strerror}"
            continue
        if size < MIN_BYTES:
            yield place, f"{path} holds {size} bytes, at least {MIN_BYTES} are needed"


def _secret_files(secrets: Secrets) -> Iterator[tuple[KeyPath, Path]]:
    for name in type(secrets).model_fields:
        named: Path | list[Path] | None = getattr(secrets, name)
        if isinstance(named, list):
            yield from ((("secrets", name, number), path) for number, path in enumerate(named))
        elif named is not None:
            yield ("secrets", name), named


def _missing_parts(settings: Settings) -> Iterator[Finding]:
    local = settings.local
    for name, path in (("edge", local.edge), ("redis_server", local.redis_server)):
        if path is not None and not path.is_file():
            yield ("local", name), f"it names {path}, which is not there"
    if not settings.local_triton_models:
        return
    for name, folder in (
        ("triton_environment", local.triton_environment),
        ("triton_repository", local.triton_repository),
    ):
        if folder is not None and not folder.is_dir():
            yield ("local", name), f"it names {folder}, which is not there"


def _missing_triton(settings: Settings) -> Iterator[Finding]:
    folders = triton_folders(settings.local)
    if not folders.repository.is_dir():
        return
    for index, upstream in enumerate(settings.upstreams):
        if upstream.is_local_triton:
            missing = missing_model(folders, settings.local_triton_models[upstream.name])
            if missing:
                yield (
                    ("upstreams", index, "models"),
                    f"the upstream '{upstream.name}' has the model '{missing}', which {folders.repository} does not hold",
                )


def missing_embedding_model(section: Any) -> Iterator[Finding]:
    """Yield why the model of a section is not on this machine."""
    if not isinstance(section, dict) or importlib.util.find_spec("penstock_embedding") is None:
        return
    # Not at the top: a gateway by itself has these commands, too, and no embedding service.
    from penstock_common.configuration import Configuration, ConfigurationError
    from penstock_embedding.adapters.model_files import missing_files
    from penstock_embedding.settings import Settings as EmbeddingSettings

    try:
        embedding = Configuration({"embedding": section}).settings(EmbeddingSettings).embedding
    except ConfigurationError:
        # Told by the role itself.
        return
    if embedding.runtime != "provider" and (why := missing_files(embedding.model, embedding.path, embedding.hub_id)):
        yield ("embedding", "path" if embedding.path is not None else "model"), why
