"""Makes a relay from an upstream's settings."""

from __future__ import annotations

from datetime import timedelta

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings
from penstock_inference.adapters.relay.http_relay import HttpRelay, RelayTimes

_CONNECT = timedelta(seconds=3)


def relay_to(settings: UpstreamSettings, client: HttpPools) -> HttpRelay:
    """Return who passes requests to the upstream's first address, with its first key.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    _, place = settings.endpoints()[0]
    url, headers = getattr(place, "base_url", "") or getattr(place, "own_url", ""), place.key_headers()
    assert headers is not None, "the settings say so"
    raw = settings.raw
    times = RelayTimes(settings.timeouts.connect or _CONNECT, raw.answer_timeout, raw.idle_timeout)
    try:
        return HttpRelay(client, url, headers, settings.name, times)
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
