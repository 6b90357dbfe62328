"""Train the demonstration model from the corpus: tokenizer, weights, written into the Triton model folder.

Run from anywhere: `python deploy/triton/demo_model/train.py`. Needs torch, tokenizers, safetensors, pyyaml. Seeded;
about half an hour on two CPU cores. Stops at once if a held-out question is in the corpus.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from dataset import HERE, Dataset, Turn
from network import Network, Shape
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

VERSION_FOLDER = HERE.parent / "repository" / "penstock-demo" / "1"
VOCABULARY = 2048
CONTEXT_TOKENS = 512
SPECIAL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
PREPARED_CONVERSATIONS = 8192
QUESTION_WEIGHT = 0.1  # of a question's tokens in the loss; an answer's weigh 1
PREFIX_SHARE = 0.05  # of conversations whose last answer is tokenised in two parts, as when one is continued


@dataclass(frozen=True)
class Example:
    """Token ids of a conversation and the loss weight of each."""

    ids: list[int]
    weights: list[float]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE, so that any text has tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Examples:
    """Turns conversations into batches of similar length."""

    def __init__(self, dataset: Dataset, tokenizer: Tokenizer, seed: int, batch_tokens: int) -> None:
        self._dataset = dataset
        self._tokenizer = tokenizer
        self._dropping = Tokenizer.from_str(tokenizer.to_str())
        self._dropping.model.dropout = 0.1  # questions in uneven pieces: https://arxiv.org/abs/1910.13267
        self._random = random.Random(seed)
        self._batch_tokens = batch_tokens
        self._ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Without end: ids and loss weights, both [batch, length]."""
        while True:
            examples = [self._example(self._dataset.conversation()) for _ in range(PREPARED_CONVERSATIONS)]
            examples.sort(key=lambda example: len(example.ids))
            batches: list[list[Example]] = [[]]
            for example in examples:
                if batches[-1] and (len(batches[-1]) + 1) * len(example.ids) > self._batch_tokens:
                    batches.append([])
                batches[-1].append(example)
            self._random.shuffle(batches)
            yield from map(_tensors, batches)

    def _example(self, turns: list[Turn]) -> Example:
        ids: list[int] = []
        weights: list[float] = []
        for role, text in turns:
            answer = role == "assistant"
            pieces = self._encode(text, answer)
            ids += [self._ids[f"<|{role}|>"], *pieces, self._ids["<|end|>"]]
            weights += [0.0, *[1.0 if answer else QUESTION_WEIGHT] * len(pieces), 1.0 if answer else 0.0]
        return Example(ids[:CONTEXT_TOKENS], weights[:CONTEXT_TOKENS])

    def _encode(self, text: str, answer: bool) -> list[int]:
        if not answer:
            if self._random.random() < 0.5:
                return self._tokenizer.encode(text).ids
            return [self._noise(token) for token in self._dropping.encode(text).ids]
        if self._random.random() < PREFIX_SHARE:
            cut = self._random.randint(1, len(text) - 1)
            return self._tokenizer.encode(text[:cut]).ids + self._tokenizer.encode(text[cut:]).ids
        return self._tokenizer.encode(text).ids

    def _noise(self, token: int) -> int:
        """Another token in one of thirty cases, so that the model learns to read past words it does not know."""
        return self._random.randrange(len(SPECIAL_TOKENS), VOCABULARY) if self._random.random() < 0.03 else token


def _tensors(batch: list[Example]) -> tuple[Tensor, Tensor]:
    length = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    weights = torch.zeros(len(batch), length)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids, weights


def loss_of(network: Network, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of each next token."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(ids[:, :-1])
    losses = functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    flat = weights[:, 1:].flatten()
    return (losses * flat).sum() / flat.sum().clamp(min=1.0)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 100 steps, then a cosine down to 2 % of the peak."""
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def save(network: Network, tokenizer: Tokenizer, folder: Path) -> None:
    """fp16 weights with the shape in their metadata, and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().to(torch.float16).contiguous() for name, value in network.state_dict().items()}
    metadata = {"heads": str(network.shape.heads), "layers": str(network.shape.layers)}
    save_file(tensors, folder / "weights.safetensors", metadata | {"context_tokens": str(CONTEXT_TOKENS)})
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def train(options: argparse.Namespace) -> None:
    """The whole run."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    dataset = Dataset(options.seed)
    tokenizer = train_tokenizer(dataset.texts())
    network = Network(Shape(tokenizer.get_vocab_size()))
    size = sum(parameter.numel() for parameter in network.parameters())
    print(f"{len(dataset.facts)} facts, {tokenizer.get_vocab_size()} tokens, {size:,} parameters", flush=True)
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    batches = Examples(dataset, tokenizer, options.seed, options.batch_tokens).batches()
    started, average = time.monotonic(), None
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.learning_rate)
        loss = loss_of(network, *next(batches))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 100 == 0 or step + 1 == options.steps:
            print(f"step {step} loss {average:.4f} minutes {(time.monotonic() - started) / 60:.1f}", flush=True)
        if step % options.save_every == options.save_every - 1:
            save(network, tokenizer, options.output)
    save(network, tokenizer, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=VERSION_FOLDER)
    return parser.parse_args()


if __name__ == "__main__":
    train(_options())
