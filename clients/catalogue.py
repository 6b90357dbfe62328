"""Which clients are run against the stack: each from its registry, in one version, installed apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Installer = Literal["pip", "npm", "go"]

_LANGCHAIN = ("langchain-openai==1.7.4", "langchain-anthropic==1.7.10")
_LLAMA_INDEX = (
    "llama-index-llms-openai-like==0.8.1",
    "llama-index-embeddings-openai-like==0.4.0",
    "llama-index-llms-openai==0.8.3",
)
# It makes MessageParam, which the SDK's 1.0 turned into a union: a foreign defect.
_LLAMA_INDEX_ANTHROPIC = ("llama-index-llms-anthropic==0.12.3", "anthropic==0.125.0")
_PYDANTIC_AI = ("pydantic-ai-slim==2.68.0", "openai==3.57.0", "anthropic==2.14.0")
_COMPLY = ("llm-comply==0.5.0",)
_OPENAI_NODE = ("openai@7.59.0", "zod@4.6.7")
_AI = (
    "ai@7.0.173",
    "@ai-sdk/openai@4.0.118",
    "@ai-sdk/anthropic@4.0.105",
    "@ai-sdk/openai-compatible@3.0.92",
    "zod@4.6.7",
)


@dataclass(frozen=True)
class Client:
    """A client: where it comes from, and the script that runs it. The first package names the folder it is in."""

    name: str
    installer: Installer
    packages: tuple[str, ...]
    script: str
    """A file under python/ or node/: what is checked. One of python/ may run a command that npm installed."""
    shows: str = ""
    """The package whose version is told; the first without."""
    snippet: str = ""
    """A file under snippets/: how its users are told where Penstock is."""
    once: bool = False
    """Whether it makes no difference which provider stands behind."""
    recorded: bool = True

    @property
    def version(self) -> str:
        """What the table says."""
        shown = next(package for package in self.packages if package.startswith(self.shows))
        return shown.replace("==", "@").rsplit("@", 1)[1].removeprefix("v")


CLIENTS = (
    Client(
        "openai (Python), chat completions", "pip", ("openai==3.57.0",), "openai_python.py", snippet="openai_python.py"
    ),
    Client(
        "openai (Python), Responses", "pip", ("openai==3.57.0",), "openai_responses.py", snippet="openai_responses.py"
    ),
    Client("anthropic (Python)", "pip", ("anthropic==2.14.0",), "anthropic_python.py", snippet="anthropic_python.py"),
    Client("openai (Node), chat completions", "npm", _OPENAI_NODE, "openai_node.mjs", snippet="openai_node.mjs"),
    Client(
        "openai (Node), Responses",
        "npm",
        _OPENAI_NODE,
        "openai_responses_node.mjs",
        snippet="openai_responses_node.mjs",
    ),
    Client(
        "anthropic (Node)",
        "npm",
        ("@anthropic-ai/sdk@1.14.0", "zod@4.6.7"),
        "anthropic_node.mjs",
        snippet="anthropic_node.mjs",
    ),
    Client("LangChain, openai", "pip", _LANGCHAIN, "langchain_openai_chat.py", snippet="langchain_openai_chat.py"),
    Client(
        "LangChain, openai by Responses", "pip", _LANGCHAIN, "langchain_responses.py", snippet="langchain_responses.py"
    ),
    Client(
        "LangChain, anthropic",
        "pip",
        _LANGCHAIN,
        "langchain_messages.py",
        "langchain-anthropic",
        snippet="langchain_messages.py",
    ),
    Client("LlamaIndex, openai-like", "pip", _LLAMA_INDEX, "llamaindex.py", snippet="llamaindex.py"),
    Client(
        "LlamaIndex, openai by Responses",
        "pip",
        _LLAMA_INDEX,
        "llamaindex_responses.py",
        "llama-index-llms-openai==",
        snippet="llamaindex_responses.py",
    ),
    Client(
        "LlamaIndex, anthropic",
        "pip",
        _LLAMA_INDEX_ANTHROPIC,
        "llamaindex_messages.py",
        snippet="llamaindex_messages.py",
    ),
    Client("pydantic-ai, chat completions", "pip", _PYDANTIC_AI, "pydanticai.py", snippet="pydanticai.py"),
    Client("pydantic-ai, Responses", "pip", _PYDANTIC_AI, "pydanticai_responses.py", snippet="pydanticai_responses.py"),
    Client("pydantic-ai, anthropic", "pip", _PYDANTIC_AI, "pydanticai_messages.py", snippet="pydanticai_messages.py"),
    Client("instructor", "pip", ("instructor==1.17.0", "anthropic"), "instructing.py", snippet="instructing.py"),
    Client(
        "Vercel AI SDK, openai by chat completions",
        "npm",
        _AI,
        "ai_openai.mjs",
        "@ai-sdk/openai@",
        snippet="ai_openai.mjs",
    ),
    Client(
        "Vercel AI SDK, openai by Responses",
        "npm",
        _AI,
        "ai_responses.mjs",
        "@ai-sdk/openai@",
        snippet="ai_responses.mjs",
    ),
    Client("Vercel AI SDK, anthropic", "npm", _AI, "ai_anthropic.mjs", "@ai-sdk/anthropic", snippet="ai_anthropic.mjs"),
    Client(
        "Vercel AI SDK, openai-compatible",
        "npm",
        _AI,
        "ai_compatible.mjs",
        "@ai-sdk/openai-compatible",
        snippet="ai_compatible.mjs",
    ),
    Client("llm", "pip", ("llm==0.36",), "llm_command.py", snippet="llm_command.sh"),
    Client("aider", "pip", ("aider-chat==0.86.2",), "aider_command.py", snippet="aider_command.sh"),
    Client("Codex", "npm", ("@openai/codex@0.171.0",), "codex_command.py", snippet="codex_command.sh"),
    Client("opencode", "npm", ("opencode-ai@1.18.33",), "opencode_command.py", snippet="opencode_command.sh"),
    Client("llm-comply (openai-chat)", "pip", _COMPLY, "comply.py", recorded=False),
    Client("llm-comply (anthropic)", "pip", _COMPLY, "comply_anthropic.py", recorded=False),
    Client("llm-comply (open-responses)", "pip", _COMPLY, "comply_responses.py", recorded=False),
    Client("schemathesis", "pip", ("schemathesis==4.32.5",), "schema.py", once=True, recorded=False),
    Client(
        "grpcurl",
        "go",
        ("github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",),
        "grpcurl.py",
        once=True,
        recorded=False,
    ),
    Client("ghz", "go", ("github.com/bojand/ghz/cmd/ghz@v0.93.0",), "ghz.py", once=True, recorded=False),
)
