"""Sources of documents: files of texts, or the sample generator."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ilm.config.sections import Corpus, Extra
from ilm.corpus.columns import Reading
from ilm.corpus.reader import ReadReport, read_corpora
from ilm.corpus.synthetic import write_csv
from ilm.errors import UserError
from ilm.files import atomic_file

# Levels of other corpora: EFCAMDAT ends with C1.
BEYOND = ("C2",)


@dataclass
class FileSource:
    """Files of texts; a lenient reading is that of a file of `corpus.extra`."""

    paths: Sequence[Path]
    reading: Reading
    synthetic: ClassVar = False

    @property
    def settings(self) -> dict[str, Any]:
        """The reading options that affect the documents; part of the documents hash."""
        chosen = {name: getattr(self.reading, name) for name in ("sheet", "delimiter", "learner_from_id", "lenient")}
        given = {name: value for name, value in chosen.items() if value}
        return {"levels": sorted(self.reading.levels), "encoding": self.reading.encoding, **given}

    def read(self) -> tuple[pd.DataFrame, ReadReport]:
        """Documents sorted by `writing_id` (`ilm.corpus.reader.read_corpus`), and what became of each row.

        A `split` column is used unchanged. Raises: UserError for faults of the files.
        """
        try:
            return read_corpora(self.paths, self.reading)
        except UserError as error:
            if not self.reading.lenient:
                raise
            raise UserError(
                f"corpus.extra: {error}\n(A file of corpus.extra has its own columns, sheet, delimiter and encoding: "
                f"'corpus.extra=[{{csv: {self.paths[0]}, columns: {{text: HEADER}}, encoding: cp1252}}]')"
            ) from error

    def keep(self, folder: Path, report: ReadReport) -> ReadReport:
        """Called when the corpus is accepted: move files that `read` generated into the corpus folder."""
        return report


class SampleSource(FileSource):
    """A generated sample of `size` texts; its CSV is kept beside the documents as an example of the schema."""

    synthetic = True

    def __init__(self, size: int, seed: int, levels: Sequence[str], keep_columns: Sequence[str] = ()) -> None:
        self.size, self.seed, self.scratch = size, seed, tempfile.TemporaryDirectory()
        # The name carries the settings, to tell samples apart.
        path = Path(self.scratch.name) / f"sample_{size}_{seed}.csv"
        super().__init__([path], Reading(levels, keep_columns=keep_columns, max_dropped=0.0))

    def read(self) -> tuple[pd.DataFrame, ReadReport]:
        write_csv(self.paths[0], size=self.size, seed=self.seed)
        return super().read()

    def keep(self, folder: Path, report: ReadReport) -> ReadReport:
        (path,) = self.paths
        kept = folder / path.name
        with atomic_file(kept) as temporary:
            shutil.copyfile(path, temporary)
        self.scratch.cleanup()
        return replace(report, path=str(kept))


def main_source(corpus: Corpus) -> FileSource:
    """The source of the main corpus: its files, or a generated sample."""
    if corpus.csv is None:
        assert corpus.synthetic is not None  # a rule of the section
        return SampleSource(corpus.synthetic.size, corpus.synthetic.seed, corpus.levels, corpus.keep_columns)
    reading = _reading(corpus, corpus, levels=corpus.levels, learner_from_id=corpus.learner_from_id)
    return FileSource([Path(path) for path in corpus.csv], reading)


def extra_source(extra: Extra, corpus: Corpus) -> FileSource:
    """The source of one of `corpus.extra`, where C2 is a level too."""
    levels = [*corpus.levels, *(level for level in BEYOND if level not in corpus.levels)]
    return FileSource([Path(extra.csv)], _reading(extra, corpus, levels=levels, lenient=True))


def _reading(section: Corpus | Extra, corpus: Corpus, **more: Any) -> Reading:
    return Reading(
        columns=section.columns.model_dump(),
        keep_columns=section.keep_columns,
        encoding=section.encoding or corpus.encoding,
        max_dropped=corpus.max_dropped,
        sheet=section.sheet,
        delimiter=section.delimiter,
        **more,
    )
