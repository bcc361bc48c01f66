"""The settings of evaluate.py."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from ilm.config.section import Section, rule
from ilm.config.sections import Corpus, FolderName, Length, Names, Objective, Paths, Positive, Seed

# TRANSITION: until each task is an option of a group. Keys of `evaluation` that task=cloze reads, and what there is
# instead of others.
EVALUATION_OF_CLOZE = ("corpus", "split", "levels", "device")
INSTEAD_IN_CLOZE = {
    "limit": "limit",
    "max_examples": "limit",
    "max_length": "cloze.max_chars",
    "batch_size": "cloze.batch_size",
}


class Evaluation(Section):
    """Perplexity of prepared texts."""

    objective: Objective | None = None
    corpus: str | None = None
    masks: str | None = None
    split: Literal["test", "valid"] = "test"
    levels: list[str] | None = None
    masks_per_document: Positive = 16
    limit: Positive | None = None  # documents per level
    max_examples: Positive | None = None
    max_length: Length = 256  # tokens
    fitting: Literal["naive"] | None = None
    drop_last: bool = False
    row_tokens: int | None = None
    batch_size: Positive = 64  # examples
    device: str = "auto"

    @rule
    def _a_row_holds_the_longest_example(self, at: str) -> Iterator[str]:
        if self.row_tokens is not None and self.row_tokens < self.max_length:
            yield (
                f"{at}row_tokens={self.row_tokens} is shorter than {at}max_length={self.max_length}; "
                "a row holds whole examples"
            )


class Cloze(Section):
    """The cloze test."""

    n_masks: Positive = 1  # blanks of an item
    samples_per_text: Positive = 5  # items
    max_chars: Annotated[int, Field(ge=10)] | None = 500
    seed: Seed = 42
    positions: Literal["human-tokens", "random"] = "human-tokens"
    one_word: bool = True
    candidates: Annotated[int, Field(ge=10)] = 10
    max_answer_tokens: Positive = 10
    mlm_length: Literal["given", "guessed"] = "given"
    batch_size: Positive = 8  # items
    resamples: Positive = 10_000


class Evaluate(Section):
    """`python evaluate.py`."""

    corpus: Corpus
    task: Literal["perplexity", "cloze"]
    models: Names | None
    name: FolderName | None
    input: str | None
    limit: Positive | None  # texts
    evaluation: Evaluation
    cloze: Cloze
    paths: Paths
    cefr: str | None = None  # the chosen option of the group

    @rule
    def _levels_of_the_corpus(self, at: str) -> Iterator[str]:
        if self.evaluation.corpus is None and self.input is None:
            yield from self.corpus.unknown_levels("evaluation.levels", self.evaluation.levels)

    @rule
    def _no_option_of_the_other_task(self, at: str) -> Iterator[str]:
        evaluation = [
            key for key, value in self.evaluation.items() if value != type(self.evaluation).model_fields[key].default
        ]
        cloze = [key for key, value in self.cloze.items() if value != type(self.cloze).model_fields[key].default]
        if self.task == "perplexity":
            if self.input is not None:
                yield "input is for task=cloze"
            if self.limit is not None:
                yield "limit is for task=cloze (see evaluation.limit)"
            yield from (f"cloze.{key} is for task=cloze" for key in cloze)
            return
        for key in evaluation:
            if key not in EVALUATION_OF_CLOZE:
                instead = f": type {INSTEAD_IN_CLOZE[key]}=..." if key in INSTEAD_IN_CLOZE else ""
                yield f"evaluation.{key} is for task=perplexity{instead}"
            elif key in ("corpus", "split") and self.input is not None:
                yield f"evaluation.{key} is for prepared texts, and input={self.input} gives others"
