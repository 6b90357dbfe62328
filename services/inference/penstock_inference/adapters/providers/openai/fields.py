"""Which top-level fields each kind of server takes, beyond those that every one of this format does.

What is not here is sent where the configuration declares ``passthrough``, and
follows the public model's ``unsupported`` elsewhere.
"""

from __future__ import annotations

from penstock_common.llm.hints import HINTS

OF_OPENAI = HINTS | {
    # https://platform.openai.com/docs/api-reference/chat/create, as of openai-python 3.52. What is a field of the
    # contract is not here, nor is the tier of service, which changes the price (`domain/tiers`).
    "logit_bias",
    "moderation",
    "prediction",
    "reasoning",
    "verbosity",
    "web_search_options",
}
OF_COMPATIBLE = frozenset({"logit_bias"})
OF_VLLM = OF_COMPATIBLE | {
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: what shapes one answer. What reaches for
    # the server itself (priority, kv_transfer_params, request_id), or for parts of an answer that nobody carries, is not here.
    "add_generation_prompt",
    "add_special_tokens",
    "allowed_token_ids",
    "bad_words",
    "cache_salt",
    "chat_template_kwargs",
    "continue_final_message",
    "documents",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "guided_whitespace_pattern",
    "ignore_eos",
    "include_reasoning",
    "include_stop_str_in_output",
    "length_penalty",
    "min_p",
    "min_tokens",
    "repetition_penalty",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "stop_token_ids",
    "structured_outputs",
    "truncate_prompt_tokens",
    "user",
}
OF_OLLAMA = frozenset[str]()

READ = frozenset(
    {
        "model", "messages", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "stop", "seed", "frequency_penalty", "presence_penalty", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "logprobs", "top_logprobs",
        "functions", "function_call", "modalities", "audio",
    }
)  # fmt: skip
"""Fields that decide what is asked of whom and what it costs, or that the contract has fields for: an extra field never sets one."""
