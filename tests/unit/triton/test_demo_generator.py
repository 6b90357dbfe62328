"""Continuous batching of the demonstration model's runtime, without Triton."""

import threading

import pytest

TURNS = "<|user|>What is a token?<|end|><|assistant|>A token is a piece of text.<|end|>"
PROMPTS = [
    "<|user|>What does the router do?<|end|><|assistant|>",
    "<|user|>Who are you?<|end|><|assistant|>",
    "<|user|>hi<|end|><|assistant|>",
    f"<|system|>You are a helpful assistant.<|end|>{TURNS * 4}<|user|>What does the cache do?<|end|><|assistant|>",
    f"{TURNS * 12}<|user|>What is vLLM?<|end|><|assistant|>",
    "<|user|>What is streaming?<|end|><|assistant|>Streaming",
]


def test_answers_are_the_same_together_as_alone(start):
    alone = start(active_sequences=1, prefix_cache_mib=0)
    expected = [alone.ask(prompt).wait().text for prompt in PROMPTS]
    assert all(expected)
    together = start(active_sequences=20, prefill_tokens_per_step=32, prefix_cache_mib=0)
    asked = [(text, together.ask(prompt)) for prompt, text in zip(PROMPTS * 4, expected * 4, strict=True)]
    assert [(caller.wait().text, caller.finish_reason) for _, caller in asked] == [(text, "stop") for text, _ in asked]


def test_a_new_request_joins_between_the_tokens_of_another(start, make_caller):
    model = start()
    joined = make_caller()

    def join(running):
        if running.tokens == 10:
            model.ask(PROMPTS[1], joined)

    first = model.ask(PROMPTS[0], make_caller(on_token=join), ignore_eos=True, max_tokens=200)
    joined.wait()
    assert not first.done.is_set()
    assert first.wait().tokens == 200


def test_a_long_prompt_is_read_in_pieces_between_the_tokens_of_others(start, make_caller):
    model = start(prefill_tokens_per_step=16)
    tokens_when = {}
    running = make_caller()

    def note(_):
        tokens_when.setdefault("answered", running.tokens)

    long = make_caller(on_token=note)

    def send(caller):
        if caller.tokens == 5:
            tokens_when["sent"] = caller.tokens
            model.ask(PROMPTS[4], long, max_tokens=1)

    running.on_token = send
    model.ask(PROMPTS[2], running, ignore_eos=True, max_tokens=100)
    long.wait()
    running.wait()
    steps = len(model.encode(PROMPTS[4])) // 16
    assert steps >= 8
    assert tokens_when["answered"] - tokens_when["sent"] >= steps


def test_a_cancelled_request_frees_its_slot_at_the_next_step(start, make_caller):
    model = start(active_sequences=1)
    waiting = make_caller()

    def leave(caller):
        if caller.tokens == 3:
            model.ask(PROMPTS[1], waiting, max_tokens=2)
            caller.is_gone = True

    cancelled = model.ask(PROMPTS[0], make_caller(on_token=leave), ignore_eos=True)
    assert waiting.wait().tokens == 2
    assert cancelled.released
    assert cancelled.tokens == 3


def test_a_request_cancelled_in_the_queue_never_begins(start, make_caller):
    model = start(active_sequences=1)
    queued = make_caller(is_gone=True)

    def send(caller):
        if caller.tokens == 3:
            model.ask(PROMPTS[1], queued)

    model.ask(PROMPTS[0], make_caller(on_token=send), max_tokens=8, ignore_eos=True).wait()
    assert queued.wait().released
    assert queued.reused_tokens is None


def test_those_who_wait_begin_in_order_of_arrival(start, make_caller):
    model = start(active_sequences=2, prefix_cache_mib=0)
    order = []
    callers = [
        make_caller(on_token=lambda caller, number=number: order.append(number) if caller.finish_reason else None)
        for number in range(12)
    ]
    for caller in callers:
        model.ask(PROMPTS[2], caller, max_tokens=4, ignore_eos=True)
    for caller in callers:
        caller.wait()
    assert order == sorted(order)


def test_a_request_is_refused_when_slots_and_queue_are_full(start, make_caller, runtime):
    model = start(active_sequences=1, queued_requests=2)
    began, go_on = threading.Event(), threading.Event()

    def hold(_):
        began.set()
        go_on.wait(60)

    first = model.ask(PROMPTS[0], make_caller(on_token=hold), max_tokens=2)
    assert began.wait(60)
    queued = [model.ask(PROMPTS[1], max_tokens=2) for _ in range(2)]
    with pytest.raises(runtime.generator.QueueFullError, match="queue is full: 2 requests wait"):
        model.ask(PROMPTS[2])
    go_on.set()
    assert [caller.wait().tokens for caller in (first, *queued)] == [2, 2, 2]
    assert model.ask(PROMPTS[2], max_tokens=1).wait().tokens == 1


def test_sampled_answers_keep_their_seed_in_a_batch(start):
    model = start(prefix_cache_mib=0)
    hot = {"temperature": 2.0, "seed": 7, "max_tokens": 30}
    alone = model.ask(PROMPTS[0], **hot).wait().text
    crowd = [model.ask(prompt) for prompt in PROMPTS]
    again = model.ask(PROMPTS[0], **hot).wait().text
    other = model.ask(PROMPTS[0], **{**hot, "seed": 8}).wait().text
    for caller in crowd:
        caller.wait()
    assert alone == again
    assert alone != other


def test_a_step_that_fails_ends_its_requests_and_the_next_ones_go_on(start, make_caller):
    model = start(active_sequences=2)
    cache = model.generator._transformer.cache
    whole = cache.keys

    def break_off(caller):
        if caller.tokens == 3:
            cache.keys = None

    broken = [model.ask(PROMPTS[0], make_caller(on_token=break_off), ignore_eos=True), model.ask(PROMPTS[1])]
    assert [caller.wait().error for caller in broken] == ["internal error in the model"] * 2
    cache.keys = whole
    after = [model.ask(PROMPTS[0], max_tokens=5) for _ in range(3)]
    assert [caller.wait().tokens for caller in after] == [5, 5, 5]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"active_sequences": "0"}, "at least 1"),
        ({"queued_requests": "-1"}, "not be negative"),
        ({"slots": "3"}, "unknown parameter 'slots'"),
        ({"prefix_cache_mib": "much"}, "much"),
    ],
)
def test_limits_that_could_never_run_are_refused(parameters, message, runtime):
    config = {"parameters": {name: {"string_value": value} for name, value in parameters.items()}}
    with pytest.raises(ValueError, match=message):
        runtime.limits.limits_of(config)


def test_limits_are_read_from_the_models_configuration(runtime):
    config = {"parameters": {"active_sequences": {"string_value": "3"}}}
    assert runtime.limits.limits_of(config) == runtime.limits.Limits(active_sequences=3)
    assert runtime.limits.limits_of({}) == runtime.limits.Limits()
