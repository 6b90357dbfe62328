"""How much a request matters, as callers of each surface say it and are told it."""

from __future__ import annotations

import pytest


@pytest.fixture
def document(document):
    document["tenants"][0]["tier"] = {**document["tenants"][0]["tier"], "priority": "critical"}
    return document


async def test_a_request_is_told_what_it_got_where_that_is_not_the_usual(suite):
    for word, told in (("critical", "critical"), ("sheddable", "sheddable"), ("default", None), (None, None)):
        headers = {} if word is None else {"x-penstock-priority": word}
        answered = await suite.ask(headers=headers)
        assert answered.status == 200
        assert answered.header.get("x-penstock-priority") == told


async def test_no_request_matters_more_than_its_tier(suite):
    answered = await suite.ask(key=suite.OTHER_KEY, headers={"x-penstock-priority": "critical"})
    assert answered.status == 200
    assert "x-penstock-priority" not in answered.header


async def test_a_word_that_means_nothing_is_refused(suite):
    answered = await suite.ask(headers={"x-penstock-priority": "urgent"})
    assert answered.status == 400
    assert "critical, default, sheddable" in answered.error["message"]
