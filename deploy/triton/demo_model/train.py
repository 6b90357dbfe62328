"""Train the demonstration model from the corpus: tokenizer, weights, written into the Triton model folder.

Run from anywhere: `python deploy/triton/demo_model/train.py`. Needs torch, tokenizers, safetensors, pyyaml. Seeded;
about half an hour on two CPU cores. Stops at once if a held-out question is in the corpus.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus_files import HERE
from dataset import Dataset, Turn
from network import Network, Shape
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

VERSION_FOLDER = HERE.parent / "repository" / "penstock-demo" / "1"
sys.path.append(str(VERSION_FOLDER))
from prompt_text import as_read  # noqa: E402 - lies beside the model that reads so

VOCABULARY = 4096  # most words of the questions whole: they generalise better than pieces, and sequences are shorter
CONTEXT_TOKENS = 512
SPECIAL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
PREPARED_CONVERSATIONS = 4096
# To choose an answer is hard, its text is easy: at first most conversations are one question and a few tokens.
EARLY_PROGRESS = 0.55
CUT_SHARE_EARLY, CUT_SHARE = 0.9, 0.5  # of conversations whose last answer is cut
CUT_TOKENS = (3, 7)
PREFIX_SHARE = 0.05  # of conversations whose last answer is tokenised in two parts, as when one is continued


@dataclass(frozen=True)
class Example:
    """Token ids of a conversation, and which of them the model should say."""

    ids: list[int]
    said: list[bool]


def train_tokenizer(turns: list[Turn]) -> Tokenizer:
    """Byte-level BPE, so that any text has tokens."""
    texts = [text if role == "assistant" else as_read(text) for role, text in turns]
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
        self._dropping.model.dropout = 0.05  # questions in uneven pieces: https://arxiv.org/abs/1910.13267
        self._random = random.Random(seed)
        self.early = True
        self._batch_tokens = batch_tokens
        self._ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Without end: ids and which of them count in the loss, both [batch, length]."""
        while True:
            examples = [
                self._example(self._dataset.conversation(single=self.early)) for _ in range(PREPARED_CONVERSATIONS)
            ]
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
        said: list[bool] = []
        for role, text in turns:
            answer = role == "assistant"
            pieces = self._encode(text, answer)
            ids += [self._ids[f"<|{role}|>"], *pieces, self._ids["<|end|>"]]
            said += [False, *[answer] * (len(pieces) + 1)]
        length = CONTEXT_TOKENS
        if self._random.random() < (CUT_SHARE_EARLY if self.early else CUT_SHARE):
            length = min(length, len(ids) - len(pieces) - 1 + self._random.randint(*CUT_TOKENS))
        return Example(ids[:length], said[:length])

    def _encode(self, text: str, answer: bool) -> list[int]:
        if not answer:
            if self._random.random() < 0.5:
                return self._tokenizer.encode(as_read(text)).ids
            return [self._noise(token) for token in self._dropping.encode(as_read(text)).ids]
        if self._random.random() < PREFIX_SHARE:
            cut = self._random.randint(1, len(text) - 1)
            return self._tokenizer.encode(text[:cut]).ids + self._tokenizer.encode(text[cut:]).ids
        return self._tokenizer.encode(text).ids

    def _noise(self, token: int) -> int:
        """Another token in one of thirty cases, so that the model learns to read past words it does not know."""
        return self._random.randrange(len(SPECIAL_TOKENS), VOCABULARY) if self._random.random() < 0.03 else token


def _tensors(batch: list[Example]) -> tuple[Tensor, Tensor]:
    longest = max(len(example.ids) for example in batch)
    length = -(-longest // 8) * 8 + 1  # few different shapes, or the allocator's memory grows
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    said = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        said[row, : len(example.ids)] = torch.tensor(example.said)
    return ids, said


def loss_of(network: Network, ids: Tensor, said: Tensor) -> Tensor:
    """Mean cross-entropy of the tokens that the model should say."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network.logits(network(ids[:, :-1])[said[:, 1:]])
    return functional.cross_entropy(logits.float(), ids[:, 1:][said[:, 1:]])


def learning_rate(step: int, progress: float, peak: float) -> float:
    """Linear warm-up over 100 steps; flat for half of the run; then straight down."""
    return peak * min(1.0, (step + 1) / 100) * min(1.0, (1.02 - progress) / 0.5)


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
    examples = Examples(dataset, tokenizer, options.seed, options.batch_tokens)
    batches = examples.batches()
    started, average, step, progress = time.monotonic(), 0.0, 0, 0.0
    while progress < 1.0:
        minutes = (time.monotonic() - started) / 60
        progress = max(step / options.steps, minutes / options.minutes)
        examples.early = progress < EARLY_PROGRESS
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, progress, options.learning_rate)
        loss = loss_of(network, *next(batches))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average += (loss.item() - average) * max(0.02, 1 / (step + 1))
        if step % 100 == 0:
            print(f"step {step} progress {progress:.0%} loss {average:.4f} minutes {minutes:.1f}", flush=True)
        step += 1
        if step % options.save_every == 0:
            save(network, tokenizer, options.output)
    save(network, tokenizer, options.output)
    print(f"{step} steps, loss {average:.4f}, {(time.monotonic() - started) / 60:.1f} minutes")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--minutes", type=float, default=30.0, help="ends the run, with its whole schedule, if sooner")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--output", type=Path, default=VERSION_FOLDER)
    return parser.parse_args()


if __name__ == "__main__":
    train(_options())
