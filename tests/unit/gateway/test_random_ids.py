"""Ids are taken from a pool, and nobody else gets them: not another taker, not a process that was forked off."""

from __future__ import annotations

import os

import pytest

from penstock_gateway.surfaces.arrival import RandomIds


@pytest.mark.parametrize("size", [1, 12, 16, 4096])
def test_an_id_is_as_long_as_was_asked_for(size):
    ids = RandomIds()
    for _ in range(5):
        taken = ids.take(size)
        assert len(taken) == 2 * size
        assert set(taken) <= set("0123456789abcdef")


def test_no_digits_are_handed_out_twice():
    ids = RandomIds()
    taken = [ids.take(16) for _ in range(2_000)]
    assert len(set(taken)) == len(taken)


def test_two_pools_have_nothing_in_common():
    assert RandomIds().take(16) != RandomIds().take(16)


def test_forked_process_has_a_pool_of_its_own(monkeypatch):
    ids = RandomIds()
    ids.take(16)
    rest = ids._digits[ids._used :]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert not rest.startswith(ids.take(16))
