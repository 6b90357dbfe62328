"""Which of our providers a model of LiteLLM's is: by the prefix of its name, as its documentation lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A provider of ours, where it is, and the variable that usually holds its key; ``own_address``: it must say where it is."""

    provider: str
    base_url: str = ""
    variable: str = ""
    own_address: bool = False


OPENAI = Origin("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
COMPATIBLE = Origin("openai_compatible", own_address=True)


def _compatible(base_url: str, variable: str) -> Origin:
    return Origin("openai_compatible", base_url, variable)


ORIGINS: Mapping[str, Origin] = {
    "openai": OPENAI,
    "text-completion-openai": OPENAI,
    "azure": Origin("azure_openai", variable="AZURE_API_KEY", own_address=True),
    "azure_ai": COMPATIBLE,
    "anthropic": Origin("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "gemini": Origin("gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    "vertex_ai": Origin("vertex"),
    "bedrock": Origin("bedrock"),
    "hosted_vllm": Origin("vllm", own_address=True),
    "vllm": Origin("vllm", own_address=True),
    "ollama": Origin("ollama", "http://127.0.0.1:11434/v1"),
    "ollama_chat": Origin("ollama", "http://127.0.0.1:11434/v1"),
    "openai_like": COMPATIBLE,
    "litellm_proxy": COMPATIBLE,
    "llamafile": COMPATIBLE,
    "lm_studio": COMPATIBLE,
    "groq": _compatible("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": _compatible("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Origin("deepseek", "", "DEEPSEEK_API_KEY"),
    "xai": _compatible("https://api.x.ai/v1", "XAI_API_KEY"),
    "openrouter": _compatible("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together_ai": _compatible("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "fireworks_ai": _compatible("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "perplexity": _compatible("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "cerebras": _compatible("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "nvidia_nim": _compatible("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "deepinfra": _compatible("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "sambanova": _compatible("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
}
# Families whose names LiteLLM takes without a prefix, and whose key must not be shown to OpenAI.
FAMILIES = {"claude": "anthropic", "gemini": "vertex_ai"}
# Words between the provider and the model that choose an interface of the provider's; ours chooses by itself.
ROUTES = frozenset({"converse", "invoke", "converse_like", "responses", "chat", "openai"})


def origin_of(model: str, said: str, has_address: bool) -> tuple[Origin | None, str]:
    """Return who serves a model of LiteLLM's, None where nobody here does, and the provider's own name of it.

    ``said`` is its ``custom_llm_provider``, or ''. A name without a known prefix is that of its family's maker, else OpenAI's, or
    a compatible server's where it has an address of its own: LiteLLM looks it up in a table of names, which Penstock has none of.
    """
    prefix, _, rest = model.partition("/")
    if said:
        return ORIGINS.get(said), rest if prefix == said and rest else model
    if prefix in ORIGINS and rest:
        return ORIGINS[prefix], _without_route(rest)
    if rest and prefix in UNKNOWN:
        return None, rest
    if not rest and (family := FAMILIES.get(model.partition("-")[0])) and not has_address:
        return ORIGINS[family], model
    return (COMPATIBLE if has_address else OPENAI), model


def _without_route(model: str) -> str:
    route, _, rest = model.partition("/")
    return rest if rest and route in ROUTES else model


UNKNOWN = frozenset({
    "cohere", "cohere_chat", "huggingface", "sagemaker", "sagemaker_chat", "replicate", "watsonx", "databricks", "snowflake",
    "github", "github_copilot", "cloudflare", "ai21", "nlp_cloud", "palm", "clarifai", "triton", "predibase", "oci", "aleph_alpha",
    "voyage", "jina_ai", "infinity", "bytez", "dashscope", "moonshot", "novita", "nebius", "baseten", "friendliai",
})  # fmt: skip
"""Prefixes of LiteLLM's that no provider of ours answers to; another prefix is a part of the model's name."""
