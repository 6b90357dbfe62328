"""A configuration to begin with: commented, and for the providers that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """An upstream as the file has it, below ``upstreams:``."""

    candidate: str
    """upstream/model."""
    text: str
    variable: str = ""
    """What the environment must hold."""


EXAMPLES: Mapping[str, Example] = {
    "openai": Example(
        "openai/gpt-4o-mini",
        """\
  - name: openai
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: ${OPENAI_API_KEY}                  # read from the environment when the stack starts
    models:
      - name: gpt-4o-mini
        context_window: 128000
        capabilities: [chat, tools, json_schema, vision]
        price: {input: 0.15, cached_input: 0.075, output: 0.60}   # USD per million tokens
""",
        "OPENAI_API_KEY",
    ),
    "anthropic": Example(
        "anthropic/claude-haiku-4-5",
        """\
  - name: anthropic
    provider: anthropic
    api_key: ${ANTHROPIC_API_KEY}
    models:
      - name: claude-haiku-4-5
        context_window: 200000
        capabilities: [chat, tools, json_schema, vision]
        price: {input: 1, cached_input: 0.10, output: 5}   # USD per million tokens: look it up before you rely on it
""",
        "ANTHROPIC_API_KEY",
    ),
    "openai_compatible": Example(
        "compatible/my-model",
        """\
  - name: compatible                            # any server that speaks OpenAI's format
    provider: openai_compatible
    base_url: http://127.0.0.1:8000/v1          # ends before /chat/completions
    # api_key: ${COMPATIBLE_API_KEY}            # if it asks for one
    models:
      - name: my-model                          # as that server calls it
        context_window: 8192
        capabilities: [chat]
        price: {input: 0, output: 0}            # USD per million tokens
""",
    ),
    "azure_openai": Example(
        "azure/my-deployment",
        """\
  - name: azure
    provider: azure_openai
    base_url: https://my-resource.openai.azure.com   # the resource alone
    api_key: ${AZURE_OPENAI_API_KEY}            # or `entra: true`
    models:
      - name: my-deployment                     # as the deployment is called
        context_window: 128000
        capabilities: [chat, tools, json_schema, vision]
        price: {input: 0.15, cached_input: 0.075, output: 0.60}   # USD per million tokens, of the model behind it
""",
        "AZURE_OPENAI_API_KEY",
    ),
    "deepseek": Example(
        "deepseek/deepseek-chat",
        """\
  - name: deepseek
    provider: deepseek
    api_key: ${DEEPSEEK_API_KEY}
    models:
      - name: deepseek-chat
        context_window: 128000
        capabilities: [chat, tools]
        price: {input: 0.28, cached_input: 0.028, output: 0.42}   # USD per million tokens: look it up before you rely on it
""",
        "DEEPSEEK_API_KEY",
    ),
    "vllm": Example(
        "vllm/Qwen/Qwen3-8B",
        """\
  - name: vllm
    provider: vllm
    base_url: http://127.0.0.1:8000/v1
    # api_key: ${VLLM_API_KEY}                  # if it was started with --api-key
    models:
      - name: Qwen/Qwen3-8B                     # what `vllm serve` was given
        context_window: 32768
        capabilities: [chat, tools, json_schema]
        price: {input: 0, output: 0}
""",
    ),
    "ollama": Example(
        "ollama/llama3.2",
        """\
  - name: ollama
    provider: ollama
    base_url: http://127.0.0.1:11434/v1
    models:
      - name: llama3.2                          # as `ollama list` calls it
        context_window: 8192                    # what Ollama was told to give it, not what the model could have
        capabilities: [chat, tools]
        price: {input: 0, output: 0}
""",
    ),
    "bedrock": Example(
        "bedrock/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        """\
  - name: bedrock
    provider: bedrock
    region: eu-central-1
    api_key: ${AWS_BEARER_TOKEN_BEDROCK}        # without it: the AWS credentials that are found, as AWS' own tools do
    models:
      - name: eu.anthropic.claude-haiku-4-5-20251001-v1:0   # a model's id, an inference profile's, or an ARN
        context_window: 200000
        capabilities: [chat, tools, json_schema, vision]
        price: {input: 1.10, cached_input: 0.11, output: 5.50}   # USD per million tokens: look it up before you rely on it
""",
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "triton": Example(
        "local/penstock-demo",
        """\
  - name: local
    provider: triton                            # without `grpc: host:port`, the stack starts the one of `make setup`
    models:
      - name: penstock-demo
        context_window: 512
        capabilities: [chat]
        price: {input: 0, output: 0}
""",
    ),
}

_FILE = """\
# A configuration of Penstock. docs/configuration.md has every key, and so has `penstock config reference`.
#
#   penstock config check --config {path}
#   penstock up --config {path}
#
# ${{NAME}} reads a variable of the environment, ${{file:/run/secrets/x}} a file; a literal ${{ is written $${{.

listen:
  http: 127.0.0.1:8080                          # REST and the wire formats; for another port, change it here
  grpc: 127.0.0.1:8081

# Whom Penstock calls, and which of their models.
upstreams:
{upstreams}
# What callers ask for. Candidates stand in order of preference: where one fails, the next is asked.
models:
  - name: chat
    candidates:
{candidates}
# Who may ask: free has 10 requests a minute, pro 100, enterprise 1000. `penstock keys create --tenant demo` makes keys.
tenants:
  - name: demo
    tier: pro

# This tenant gets the key that `penstock up` makes and keeps in its state folder.
local: {{demo_tenant: demo}}

# What was answered before is answered again: `off`, or `exact` for the same request word by word.
cache: {{mode: exact, max_temperature: 0.3}}
"""


def example_configuration(providers: Sequence[str], path: str) -> str:
    """Return the file for these providers, each once; ``path`` is what its comments call it."""
    examples = [EXAMPLES[name] for name in dict.fromkeys(providers)]
    return _FILE.format(
        path=path,
        upstreams="\n".join(example.text for example in examples),
        candidates="".join(f"      - {example.candidate}\n" for example in examples),
    )
