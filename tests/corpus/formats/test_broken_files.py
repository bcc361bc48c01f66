"""Thousands of broken files, none of which may crash the reader or shorten a corpus in silence.

`make broken-files` reads 10,000 of them; BROKEN_FILES=n in the environment sets the number.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ilm.corpus.columns import Reading
from ilm.corpus.reader import read_corpus
from ilm.corpus.row_validation import NO_L1_COLUMN, UNKNOWN_L1
from ilm.errors import UserError
from tests.corpus.formats.broken_files import LEVELS, NAMES, BrokenFile, broken_file

COUNT = int(os.environ.get("BROKEN_FILES", "300"))
IN_ONE_TEST = 50
SECONDS = 20  # of processor time, for a file of at most 20 MB


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not read after {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(file: BrokenFile, folder: Path) -> str:
    """Read the file and compare with what is known of it; the message if it was refused."""
    path = folder / file.name
    path.write_bytes(file.content)
    message = ""
    try:
        with time_limit():
            documents, report = read_corpus(path, Reading(LEVELS, encoding=file.encoding, max_dropped=1.0))
    except UserError as error:
        message = str(error)
    if message:
        assert file.expected is None or file.refused, f"a whole file is refused: {message}"
        assert str(path) in message
        assert len(message) < 3000
        return message
    assert not file.refused, "it should be refused"
    lost = sum(found["count"] for found in report.dropped.values())
    assert report.rows == report.kept + lost
    assert len(documents) == report.kept > 0
    assert list(documents) == list(NAMES)
    ids = documents["writing_id"].tolist()
    assert ids == sorted(set(ids))
    found = {row[0]: row for row in map(tuple, documents.to_numpy().tolist())}
    if file.expected is not None:
        assert report.rows == file.records
        assert found == file.expected
    named = "l1" in report.columns_used  # else its name was damaged, which is noted of every row
    assert named or NO_L1_COLUMN in report.notes
    for writing_id, row in file.untouched.items():
        if writing_id in found:
            assert found[writing_id] == (row if named else (row[0], UNKNOWN_L1, *row[2:]))
        else:
            assert lost, f"{writing_id} is lost without a cause"
    return ""


@pytest.mark.parametrize("first", range(0, COUNT, IN_ONE_TEST))
def test_broken_files(first, tmp_path):
    wrong = []
    for seed in range(first, min(first + IN_ONE_TEST, COUNT)):
        file = broken_file(seed)
        try:
            check(file, tmp_path)
        except Exception as error:  # whatever the reader lets through is what is looked for
            wrong.append(
                f"{seed} {file.name} {file.encoding} {file.changes}: {type(error).__name__} {str(error)[:300]}"
            )
    assert not wrong, "\n".join(wrong)


def test_the_files_are_the_same_each_time_and_of_every_kind(tmp_path):
    files = [broken_file(seed) for seed in range(200)]
    assert files == [broken_file(seed) for seed in range(200)]
    refused = sum(bool(check(file, tmp_path)) for file in files)
    whole = sum(file.expected is not None and not file.refused for file in files)
    assert 40 < refused < 160
    assert 30 < whole < 160
    assert {re.sub(r"corpus", "", file.name) for file in files} >= {".csv", ".json", ".parquet", ".xlsx", ".csv.gz"}
