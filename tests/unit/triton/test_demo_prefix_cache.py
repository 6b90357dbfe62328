"""Prefix reuse of the demonstration model's runtime, without Triton."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SYSTEM = "<|system|>You are a helpful assistant who answers questions about Penstock and its services.<|end|>"
FIRST = f"{SYSTEM}<|user|>What does the router do?<|end|><|assistant|>"
SECOND = f"{SYSTEM}<|user|>What is streaming?<|end|><|assistant|>"
SHAPE = (2, 3, 2, 64, 4)  # layers, slots, heads, context, head width
BLOCK_BYTES = 2 * 2 * 2 * 8 * 4 * 4


def test_a_common_beginning_is_reused_and_changes_no_answer(start):
    without = start(prefix_cache_mib=0)
    expected = [without.ask(prompt).wait().text for prompt in (FIRST, SECOND)]
    counted = []
    model = start(count=lambda prompt, reused: counted.append((prompt, reused)))
    common = len(model.encode(SYSTEM))
    answers = [model.ask(prompt).wait() for prompt in (FIRST, SECOND)]
    assert [answer.text for answer in answers] == expected
    assert answers[0].reused_tokens == 0
    assert common - 8 < answers[1].reused_tokens <= common + 1  # the user's marker is common too
    assert counted == [
        (len(model.encode(prompt)), answer.reused_tokens)
        for prompt, answer in zip((FIRST, SECOND), answers, strict=True)
    ]


def test_the_earlier_turns_of_a_conversation_are_reused_with_their_answers(start):
    model = start()
    answer = model.ask(FIRST).wait().text
    before = f"{FIRST}{answer}<|end|>"
    following = model.ask(f"{before}<|user|>and the cache?<|end|><|assistant|>").wait()
    assert following.reused_tokens > len(model.encode(FIRST))
    assert following.reused_tokens > len(model.encode(before)) - 10


def test_a_prompt_seen_whole_leaves_a_token_to_compute(start):
    model = start()
    texts = [model.ask(FIRST, max_tokens=20).wait().text for _ in range(3)]
    assert len(set(texts)) == 1
    again = model.ask(FIRST, max_tokens=1).wait()
    assert len(model.encode(FIRST)) - 8 <= again.reused_tokens < len(model.encode(FIRST))


def test_nothing_is_kept_where_the_cache_has_no_room(start):
    model = start(prefix_cache_mib=0)
    assert [model.ask(FIRST, max_tokens=1).wait().reused_tokens for _ in range(2)] == [0, 0]


def fill(runtime, cache, ids, slot):
    """Write into the slot what these tokens would leave there: a value that depends on all before it."""
    for position in range(len(ids)):
        value = float(hash(tuple(ids[: position + 1])) % 10_000)
        cache.keys[:, slot, :, position] = value
        cache.values[:, slot, :, position] = -value


def expected_in(ids, tokens):
    return [float(hash(tuple(ids[: position + 1])) % 10_000) for position in range(tokens)]


@given(
    prompts=st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=64), min_size=1, max_size=30),
    most_blocks=st.integers(0, 12),
)
@settings(deadline=None, max_examples=60)
def test_what_comes_back_is_what_was_stored_and_the_bound_holds(runtime, prompts, most_blocks):
    slots = runtime.transformer.SlotCache(SHAPE)
    prefixes = runtime.prefix_cache.PrefixCache(slots, most_blocks * BLOCK_BYTES)
    for ids in prompts:
        slots.keys[:, 1], slots.values[:, 1] = 0, 0
        reused = prefixes.restore(ids, 1)
        assert reused < len(ids)
        assert reused % 8 == 0
        assert slots.keys[0, 1, 0, :reused].max(-1).tolist() == expected_in(ids, reused)
        assert (slots.values[:, 1, :, :reused] == -slots.keys[:, 1, :, :reused]).all()
        fill(runtime, slots, ids, 2)
        prefixes.store(ids, 2)
        assert len(prefixes) <= most_blocks


def test_the_least_recently_used_goes_first_and_leaves_before_their_roots(runtime):
    slots = runtime.transformer.SlotCache(SHAPE)
    prefixes = runtime.prefix_cache.PrefixCache(slots, 4 * BLOCK_BYTES)
    root, old, young = [1] * 8, [2] * 8, [3] * 8
    for ids in (root + old, root + young):
        fill(runtime, slots, ids, 0)
        prefixes.store(ids, 0)
    assert prefixes.restore([*root, *old, 0], 1) == 16  # now younger than the other branch
    prefixes.store([9] * 16, 0)
    assert prefixes.restore([*root, *young, 0], 1) == 8
    assert prefixes.restore([*root, *old, 0], 1) == 16


def test_a_block_is_a_copy_that_the_slots_next_user_cannot_change(runtime):
    slots = runtime.transformer.SlotCache(SHAPE)
    prefixes = runtime.prefix_cache.PrefixCache(slots, 8 * BLOCK_BYTES)
    ids = list(range(16))
    fill(runtime, slots, ids, 0)
    prefixes.store(ids, 0)
    slots.keys[:] = np.nan
    assert prefixes.restore([*ids, 1], 2) == 16
    assert not np.isnan(slots.keys[:, 2, :, :16]).any()


@pytest.mark.parametrize("tokens", [1, 7, 8])
def test_a_prompt_without_a_whole_block_before_its_last_token_reuses_nothing(tokens, runtime):
    slots = runtime.transformer.SlotCache(SHAPE)
    prefixes = runtime.prefix_cache.PrefixCache(slots, 8 * BLOCK_BYTES)
    ids = list(range(tokens))
    prefixes.store(ids, 0)
    assert prefixes.restore(ids, 1) == 0
