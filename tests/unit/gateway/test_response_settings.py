"""The section ``responses``, and what of it cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_gateway.settings import Settings


def settings(**section):
    return Configuration({"responses": section}).settings(Settings).responses


def test_terms_are_those_of_the_section():
    terms = settings(enabled=False, kept="7d", max_turns=10, max_chain_bytes=4096).terms
    assert (terms.enabled, terms.kept, terms.max_turns, terms.max_chain_bytes) == (False, timedelta(days=7), 10, 4096)
    assert settings().terms.kept == timedelta(days=30)


@pytest.mark.parametrize(
    "section",
    [
        {"kept": "0s"}, {"kept": "401d"}, {"sweep_every": "0s"}, {"cancel_wait": "0s"}, {"max_turns": 0},
        {"max_turns": 10_001}, {"max_chain_bytes": 1023}, {"keeps": True},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(section):
    with pytest.raises(ConfigurationError, match=f"responses.{next(iter(section))}"):
        settings(**section)


def test_tenant_may_store_nothing():
    document = {"tenants": [{"name": "a"}, {"name": "b", "store_responses": False}]}
    tenants = Configuration(document).settings(Settings).tenants_by_name()
    assert {name: tenant.stores_responses for name, tenant in tenants.items()} == {"a": True, "b": False}
