"""The settings of evaluate.py: what is common to all tasks, and each task's own."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from ilm.config.section import Section, Whole, rule
from ilm.config.sections import Corpus, FilePath, FolderName, Names, Objective, Packing, Paths, Positive, Seed


class Task(Section):
    """Which prepared texts a task takes, and where it computes."""

    corpus: str | None
    split: Literal["test", "valid"]
    levels: list[str] | None
    device: str


class Perplexity(Task, Packing):
    """Perplexity of what is masked in prepared texts."""

    name: Literal["perplexity"]
    masks: str | None
    masks_per_document: Positive
    max_examples: Positive | None
    objective: Objective | None
    fitting: Literal["naive"] | None
    drop_last: bool
    batch_size: Positive  # examples


class Cloze(Task):
    """The cloze test: words that learners wrote are guessed."""

    name: Literal["cloze"]
    n_masks: Positive  # blanks of an item
    samples_per_text: Positive  # items
    max_chars: Annotated[Whole, Field(ge=10)] | None
    seed: Seed
    positions: Literal["human-tokens", "random"]
    one_word: bool
    candidates: Annotated[Whole, Field(ge=10)]
    max_answer_tokens: Positive
    mlm_length: Literal["given", "guessed"]
    batch_size: Positive  # items
    resamples: Positive


class Evaluate(Section):
    """`python evaluate.py`."""

    corpus: Corpus
    task: Annotated[Perplexity | Cloze, Field(discriminator="name")]
    models: Names | None
    name: FolderName | None
    input: FilePath | None
    limit: Positive | None  # texts per level
    paths: Paths
    cefr: str | None = None  # the chosen option of the group

    @rule
    def _texts_of_a_file(self, at: str) -> Iterator[str]:
        if self.input is not None and isinstance(self.task, Perplexity):
            yield "input is for task=cloze"
        elif self.input is not None:
            given = {"corpus": self.task.corpus is not None, "split": self.task.split != "test"}
            for key in (key for key, is_given in given.items() if is_given):
                yield f"task.{key} is for prepared texts, and input={self.input} gives others"
