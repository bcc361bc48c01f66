"""The settings of evaluate.py: what is common to all tasks, and each task's own."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ilm.config.infill import Decoding
from ilm.config.section import Number, Section, Whole, rule
from ilm.config.sections import (
    Corpus,
    FilePath,
    FolderName,
    Length,
    Names,
    NotNegative,
    Objective,
    Only,
    Packing,
    Paths,
    Positive,
    Seed,
    Values,
)


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class Task(Section):
    """Which prepared texts a task takes."""

    corpus: str | None
    split: Literal["test", "valid"]
    levels: list[str] | None


class Masked(Section):
    """The examples that are scored."""

    split: Literal["test", "valid"]
    masks: str | None
    masks_per_document: Positive
    max_length: Length


class Scored(Task, Masked):
    """The examples that are compared, and how differences between models are judged."""

    also_score: Literal["test", "valid"] | None
    condition: Annotated[Values, AfterValidator(_distinct)]
    only: Only | None
    baselines: list[Literal["ngram", "base"]]
    fitting: Literal["naive", "complete"] | None
    smallest_effect: Annotated[Number, Field(gt=0)]  # nats a target
    resamples: Annotated[Whole, Field(ge=100)]


class Perplexity(Scored, Packing):
    """Perplexity of masked spans of prepared texts; missing scores are computed."""

    name: Literal["perplexity"]
    max_examples: Positive | None
    objective: Objective | None
    drop_last: bool
    batch_size: Positive  # examples
    device: str


class Comparison(Scored):
    """The same report from kept scores alone."""

    name: Literal["comparison"]


class Memorisation(Masked, Packing):
    """What models repeat of their training texts, and whether losses reveal these."""

    name: Literal["memorisation"]
    levels: list[str] | None
    infills_per_document: Positive
    decoding: Decoding
    resamples: Annotated[Whole, Field(ge=100)]
    batch_size: Positive  # examples
    device: str

    @rule
    def _filled_masks_are_scored(self, at: str) -> Iterator[str]:
        if self.infills_per_document > self.masks_per_document:
            yield (
                f"{at}infills_per_document={self.infills_per_document}: expected {at}masks_per_document="
                f"{self.masks_per_document} or fewer"
            )


class Cloze(Task):
    """The cloze test: models predict words that learners wrote."""

    name: Literal["cloze"]
    condition: str
    device: str
    n_masks: Positive  # blanks of an item
    samples_per_text: Positive  # items
    max_chars: Annotated[Whole, Field(ge=10)] | None
    seed: Seed
    positions: Literal["human-tokens", "random", "edits"]
    corrected: str  # column
    candidates: Annotated[Whole, Field(ge=10)]
    max_answer_tokens: Positive
    batch_size: Positive  # items
    resamples: Positive


class Forms(Task):
    """Learners' forms against corrected ones."""

    name: Literal["forms"]
    condition: str
    corrected: str  # column
    annotator: NotNegative
    context: Literal["learner", "corrected"]
    resamples: Positive
    seed: Seed
    batch_size: Positive  # edits
    device: str


class Levels(Task):
    """Which level wrote a text: a posterior over levels from its losses under the models of all levels."""

    name: Literal["levels"]
    likelihood: Literal["left_to_right", "document"]
    max_length: Length
    prior: Literal["uniform", "fitted"]
    masks: Positive | None  # of each text
    resamples: Annotated[Whole, Field(ge=100)]
    seed: Seed
    device: str


class Surprisal(Task):
    """How surprising each word of a text is."""

    name: Literal["surprisal"]
    condition: str
    max_length: Annotated[Whole, Field(ge=16)] | None  # tokens
    renormalise: bool
    infill: bool
    format: Literal["csv", "parquet"]
    device: str


class Evaluate(Section):
    """`python evaluate.py`."""

    corpus: Corpus
    task: Annotated[
        Perplexity | Comparison | Cloze | Forms | Levels | Memorisation | Surprisal, Field(discriminator="name")
    ]
    models: Names | None
    name: FolderName | None
    input: FilePath | None
    limit: Positive | None  # texts per level
    paths: Paths
    cefr: str | None = None  # the chosen option of the group

    @rule
    def _texts_of_a_file(self, at: str) -> Iterator[str]:
        if self.input is not None and isinstance(self.task, Masked):
            yield f"input is not for task={self.task.name}, which is about prepared texts; task=cloze reads a file"
        elif self.input is not None:
            given = {"corpus": self.task.corpus is not None, "split": self.task.split != "test"}
            for key in (key for key, is_given in given.items() if is_given):
                yield f"task.{key} is for prepared texts, and input={self.input} gives others"

    @rule
    def _models_of_all_levels(self, at: str) -> Iterator[str]:
        if isinstance(self.task, Levels) and self.cefr is not None:
            yield f"cefr={self.cefr} takes the models of one level, and task=levels needs several: type models=[A1,B1]"
