"""Which clients are run against the stack: each from its registry, in one version, installed apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Installer = Literal["pip", "npm", "go"]


@dataclass(frozen=True)
class Client:
    """A client: where it comes from, and the script that runs it. The first package is the client itself."""

    name: str
    installer: Installer
    packages: tuple[str, ...]
    script: str
    """A file under python/ or node/: what is checked."""


CLIENTS = (
    Client("openai (Python)", "pip", ("openai==3.57.0",), "openai_python.py"),
    Client("anthropic (Python)", "pip", ("anthropic==2.14.0",), "anthropic_python.py"),
    Client("LangChain", "pip", ("langchain-openai==1.7.4",), "langchain.py"),
    Client(
        "LlamaIndex",
        "pip",
        ("llama-index-llms-openai-like==0.8.1", "llama-index-embeddings-openai-like==0.4.0"),
        "llamaindex.py",
    ),
    Client("pydantic-ai", "pip", ("pydantic-ai-slim==2.68.0", "openai==3.57.0"), "pydanticai.py"),
    Client("instructor", "pip", ("instructor==1.17.0",), "instructing.py"),
    Client("llm", "pip", ("llm==0.36",), "llm_command.py"),
    Client("llm-comply (openai-chat)", "pip", ("llm-comply==0.5.0",), "comply.py"),
    Client("llm-comply (anthropic)", "pip", ("llm-comply==0.5.0",), "comply_anthropic.py"),
    Client("schemathesis", "pip", ("schemathesis==4.32.5",), "schema.py"),
    Client("openai (Node)", "npm", ("openai@7.59.0", "zod@4.6.7"), "openai_node.mjs"),
    Client("Vercel AI SDK, openai", "npm", ("@ai-sdk/openai@4.0.118", "ai@7.0.173", "zod@4.6.7"), "ai_openai.mjs"),
    Client(
        "Vercel AI SDK, openai-compatible",
        "npm",
        ("@ai-sdk/openai-compatible@3.0.92", "ai@7.0.173", "zod@4.6.7"),
        "ai_compatible.mjs",
    ),
    Client("grpcurl", "go", ("github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",), "grpcurl.py"),
    Client("ghz", "go", ("github.com/bojand/ghz/cmd/ghz@v0.93.0",), "ghz.py"),
)
