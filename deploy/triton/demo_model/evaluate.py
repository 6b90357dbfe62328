"""Score the demonstration model on the held-out questions: `python deploy/triton/demo_model/evaluate.py`.

Greedy answers of the numpy runtime itself, so what is measured is what is served. Needs numpy, tokenizers, safetensors
and jinja2. Prints each failure and the score; exits 1 below the goal.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
MODEL_FOLDER = HERE.parent / "repository" / "penstock-demo"
PASSING_RATIO = 0.9


@dataclass(frozen=True)
class Result:
    """One answer and what is wrong with it, if anything."""

    question: str
    answer: str
    has_keyword: bool
    repeats: bool


@dataclass
class Collector:
    """A caller that keeps the whole answer."""

    text: str = ""
    finish_reasons: list[str] = field(default_factory=list)

    def is_cancelled(self) -> bool:
        """Never."""
        return False

    def begin(self, reused_tokens: int) -> None:
        """Nothing to note."""

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Append."""
        self.text += text
        self.finish_reasons.append(finish_reason)

    def fail(self, message: str) -> None:
        """Stop the evaluation."""
        raise RuntimeError(message)

    def release(self) -> None:
        """Nothing to let go."""


def has_keyword(answer: str, keywords: list[str]) -> bool:
    """Whether a listed keyword occurs, case aside."""
    return any(keyword.lower() in answer.lower() for keyword in keywords)


def repeats_four_words(answer: str) -> bool:
    """Whether some run of four words occurs twice."""
    words = answer.lower().split()
    runs = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    return len(set(runs)) < len(runs)


def answers(folder: Path, questions: list[str]) -> list[str]:
    """Greedy answers to single-turn questions."""
    sys.path.insert(0, str(folder))
    import jinja2
    from generator import Generator
    from sampling import SamplingParameters

    template = jinja2.Template((MODEL_FOLDER / "chat_template.jinja").read_text())
    generator = Generator(folder)
    collectors = []
    for question in questions:
        messages = [{"role": "user", "content": question}]
        prompt = template.render(messages=messages, add_generation_prompt=True)
        collectors.append(Collector())
        generator.submit(generator.encode(prompt), SamplingParameters(), collectors[-1])
    generator.close()
    return [collector.text for collector in collectors]


def main() -> int:
    """Exit status 0 if the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MODEL_FOLDER / "1", help="with weights, tokenizer and runtime")
    parser.add_argument("--questions", type=Path, default=HERE / "questions.jsonl")
    options = parser.parse_args()
    entries = [json.loads(line) for line in options.questions.read_text().splitlines()]
    asked = [(text, entry["keywords"]) for entry in entries for text in entry["rewordings"]]
    results = [
        Result(question, answer, has_keyword(answer, keywords), repeats_four_words(answer))
        for (question, keywords), answer in zip(asked, answers(options.folder, [q for q, _ in asked]), strict=True)
    ]
    for result in results:
        if result.repeats or not result.has_keyword:
            print(f"{'repeats' if result.repeats else 'misses'}: {result.question}\n    {result.answer}")
    right, repeating = sum(result.has_keyword for result in results), sum(result.repeats for result in results)
    print(
        f"{right} of {len(results)} answers have a keyword ({right / len(results):.1%}); {repeating} repeat four words"
    )
    return 0 if right >= PASSING_RATIO * len(results) and not repeating else 1


if __name__ == "__main__":
    sys.exit(main())
