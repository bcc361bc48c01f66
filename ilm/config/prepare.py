"""The settings of prepare.py."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field

from ilm.config.section import Number, Section, rule
from ilm.config.sections import Corpus, FilePath, Length, Masking, NotNegative, Paths, Seed, Split

KeepTogether = Literal["text", "learner_id", "topic", "near_duplicates"]
KEEP_TOGETHER: tuple[str, ...] = get_args(KeepTogether)
TestOn = Literal["topic", "learner_id", "l1"]
TEST_ON: tuple[str, ...] = get_args(TestOn)


class PrepareSplit(Split):
    """How the split is drawn."""

    seed: Seed
    keep_together: list[KeepTogether]
    test_on: TestOn | None
    near_duplicates: Annotated[Number, Field(gt=0, le=1)] | None  # Jaccard similarity, such as 0.8

    @rule
    def _near_duplicates_are_found(self, at: str) -> Iterator[str]:
        if self.near_duplicates is None and "near_duplicates" in self.keep_together:
            yield f"{at}keep_together names near_duplicates, but {at}near_duplicates is null: type 0.8, for example"


class Prepare(Section):
    """`python prepare.py`."""

    corpus: Corpus
    masking: Masking
    split: PrepareSplit
    num_workers: NotNegative | None  # processes
    max_length: Length
    preview: NotNegative  # texts
    overwrite: bool
    check: bool
    export: FilePath | None  # folder
    paths: Paths

    @rule
    def _there_is_a_source(self, at: str) -> Iterator[str]:
        # Checking what is prepared needs none of its sources.
        corpus = self.corpus
        if not self.check and corpus.csv is None and corpus.synthetic is None and corpus.reference is None:
            yield f"corpus.csv has no value: type corpus.csv=PATH, the CSV file of {corpus.name}"
