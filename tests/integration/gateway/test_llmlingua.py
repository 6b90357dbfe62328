"""LLMLingua-2 by its own package, with a model that is made here: which words it leaves out is chance, the rest is not.

`make parity` has the package, in the environment that has torch.
"""

from __future__ import annotations

import re

import pytest

from penstock_common.compression import CompressionSettings
from penstock_common.llm.types import Message, Role, Text
from penstock_gateway.app import compression as composed
from penstock_gateway.domain.compression.compressor import Compressor
from penstock_gateway.domain.compression.turns import Turns

pytest.importorskip("llmlingua", reason="the package 'llmlingua' is not installed: 'make parity' brings it")

TEXT = " ".join(
    f"Station {letter} of the northern line is led by Ada Brook [{at}] and has {at} pumps."
    for at, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", start=1)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A token classifier of one layer, untrained; the package knows by the folder's name how its tokens are written."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert-base-multilingual-cased")
    words = sorted({*re.findall(r"[A-Za-z]+|[^\sA-Za-z]", TEXT), *"0123456789", *(f"##{digit}" for digit in range(10))})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"[unused{at}]" for at in range(1, 100))]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    pieces = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False)
    pieces.save(str(folder / "tokenizer.json"))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertForTokenClassification(BertConfig(vocab_size=len(tokenizer), num_labels=2, **size)).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def counted_by_bytes(monkeypatch):
    """The package counts its tokens by an encoding that it fetches; here by one of bytes."""
    import tiktoken

    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=r"(?s).", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: encoding)


async def test_words_go_and_numbers_and_marks_stay(model, counted_by_bytes):
    settings = CompressionSettings(method="llmlingua2", llmlingua2_model=model, keep=0.6, min_tokens=10, timeout="60s")
    terms = composed.terms_of(settings)
    turns = Turns(Compressor(None, composed.rewriter_for([terms])), terms)
    await turns.shorter(Message(role=Role.USER, parts=(Text(text="Who leads station Q?"),)))
    left = (await turns.shorter(Message(role=Role.TOOL, parts=(Text(text=TEXT),), tool_call_id="c"))).text
    assert 0 < len(left) < 0.8 * len(TEXT)
    kept = re.findall(r"\d+", left.replace(" ", ""))
    assert len(kept) >= 40
    assert left.count("[") == TEXT.count("[")
