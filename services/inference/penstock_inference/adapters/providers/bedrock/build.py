"""Makes an upstream of Bedrock's from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.bedrock.client import BedrockUpstream, Manners
from penstock_inference.adapters.providers.bedrock.settings import BedrockSettings
from penstock_inference.adapters.providers.free_text import FreeTextUpstream
from penstock_inference.adapters.providers.provider import OpenUpstream

if TYPE_CHECKING:
    # With botocore, which who has an API key needs not.
    from penstock_inference.adapters.providers.bedrock.signing import Signer


@asynccontextmanager
async def open_upstream(settings: BedrockSettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one, or its profile is none.
    """
    manners = Manners(any(model.service_tiers for model in settings.models), settings.passthrough)
    key = settings.api_key.get_secret_value()
    try:
        signer = None if key else await asyncio.to_thread(_signer, settings)
    except ValueError as error:
        raise ConfigurationError(f"'aws_profile' of the upstream '{settings.name}': {error}") from None
    try:
        try:
            upstream = BedrockUpstream(client, settings.address, key, signer, manners)
        except ValueError as error:
            raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
        yield OpenUpstream(FreeTextUpstream(upstream))
    finally:
        if signer is not None:
            signer.close()


def _signer(settings: BedrockSettings) -> Signer:
    from penstock_inference.adapters.providers.bedrock.signing import Signer

    return Signer(settings)
