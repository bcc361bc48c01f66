"""Ways to split a corpus: drawn at random, given by its file, or everything held out for testing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from ilm.corpus.leakage import LeakReport, SharedWith, leak_report, seen_in_training, shared_with
from ilm.corpus.splitting.assign import SplitReport, assign_splits, given_split
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class TrainValidTest:
    """Splits drawn by `ilm.corpus.splitting.assign.assign_splits`, or given by a column of the source."""

    seed: int
    keep_together: Sequence[str]
    test_on: str | None = None
    near_duplicates: float | None = None
    test_only: ClassVar = False

    def settings(self, given: bool) -> dict[str, Any]:
        """The settings that determine the splits, for the documents hash; `given`: by a column of the source."""
        if given:
            # The seed still selects the validation examples, so it remains part of the data.
            return {"seed": self.seed, "given": True}
        settings: dict[str, Any] = {"seed": self.seed, "keep_together": sorted(set(self.keep_together))}
        if self.test_on is not None:
            settings["test_on"] = self.test_on
        if "near_duplicates" in self.keep_together:
            settings["near_duplicates"] = self.near_duplicates
        return settings

    def assign(self, documents: pd.DataFrame) -> tuple[pd.DataFrame, SplitReport]:
        """The documents with their column `split`, drawn or given."""
        if "split" not in documents:
            documents["split"], report = assign_splits(
                documents,
                self.seed,
                self.keep_together,
                test_on=self.test_on,
                near_duplicates=self.near_duplicates,
            )
        elif self.test_on is None:
            report = given_split(documents)
        else:
            raise UserError(
                f"split.test_on={self.test_on}, but the file gives its own splits: type split.test_on=null, or "
                "corpus.columns.split='' to ignore them"
            )
        for level, split in report.empty:
            log.warning(
                "warning: level %s has no %s documents; training and evaluating on it will be refused", level, split
            )
        return documents, report

    def leaks(self, documents: pd.DataFrame, given: bool) -> LeakReport:
        """The leak report of documents read back from disk. Raises: RuntimeError if a guarantee is violated."""
        test_on = None if given else self.test_on
        report = leak_report(documents, near_duplicates=self.near_duplicates, test_on=test_on)
        violated = report.violated(self.keep_together)
        if violated and not given:
            raise RuntimeError(f"the split violates keep_together: {'; '.join(violated)}")
        for line in violated:
            log.warning("warning: splits given by the file: %s", line)
        return report

    @property
    def leaks_asked(self) -> dict[str, Any]:
        """The settings of the leak report."""
        return {"near_duplicates": self.near_duplicates, "test_on": self.test_on}


@dataclass(frozen=True)
class HeldOut:
    """Every document is test data, for models trained on the corpus `main`.

    `drop_trained_on`: documents equal or nearly equal to one of its training data are left out.
    """

    main: PreparedCorpus
    near_duplicates: float | None = None
    drop_trained_on: bool = False

    test_only: ClassVar = True
    seed: ClassVar = 0  # nothing is drawn

    def settings(self, given: bool) -> dict[str, Any]:
        settings: dict[str, Any] = {"seed": self.seed, "test_only": True}
        if self.drop_trained_on:
            settings["drop_trained_on"] = self.leaks_asked
        return settings

    def assign(self, documents: pd.DataFrame) -> tuple[pd.DataFrame, SplitReport]:
        documents["split"] = pd.Series("test", index=documents.index, dtype="str")
        if self.drop_trained_on:
            _, seen = seen_in_training(documents, self.main.documents, self.near_duplicates)
            dropped = f"{seen.sum():,} of {len(seen):,} texts that are in the training data of {self.main.name}"
            if seen.all():
                raise UserError(
                    f"corpus.extra: drop_trained_on drops {dropped}: none are left; type drop_trained_on: false"
                )
            log.info("dropped %s", dropped)
            documents = documents[~seen].reset_index(drop=True)
        return documents, given_split(documents)

    def leaks(self, documents: pd.DataFrame, given: bool) -> SharedWith:
        return shared_with(documents, self.main.documents, near_duplicates=self.near_duplicates)

    @property
    def leaks_asked(self) -> dict[str, Any]:
        return {
            "corpus": self.main.name,
            "documents_hash": self.main.documents_hash,
            "near_duplicates": self.near_duplicates,
        }


SplitStrategy = TrainValidTest | HeldOut
