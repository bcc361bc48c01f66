"""What became of a file of texts, in lines for the log: the tables are gone when the terminal is closed."""

from collections.abc import Iterator, Mapping
from typing import Any

from ilm.corpus.reader import ReadReport
from ilm.corpus.splitting.assign import SPLITS, SplitReport


def read_lines(report: ReadReport, source: str) -> Iterator[str]:
    """Rows of `source` read, kept, and dropped or noted by cause."""
    yield f"{source}: {report.rows:,} rows, {report.kept:,} kept, {report.rows - report.kept:,} dropped"
    for word, causes in (("dropped", report.dropped), ("noted", report.notes)):
        for cause, found in causes.items():
            rows = ", ".join(map(str, found["rows"])) + (", ..." if found["count"] > len(found["rows"]) else "")
            yield f"{word}: {cause}: {found['count']:,} (rows {rows})"


def split_lines(report: SplitReport) -> Iterator[str]:
    """Sizes of the splits, levels that miss their targets, and what the splits guarantee."""
    sizes = {split: sum(size[split] for size in report.sizes.values()) for split in SPLITS}
    how = "given by the file" if report.given else f"drawn with split.seed={report.seed}"
    yield f"split: {', '.join(f'{split} {size:,}' for split, size in sizes.items())}, {how}"
    for level, miss in report.misses.items():
        yield f"split: {level}: {', '.join(f'{split} {count:+,}' for split, count in miss.items())} from the target"
    for guarantee, state in report.guarantees.items():
        yield f"split: {guarantee}: {state}"


def leak_lines(leaks: Mapping[str, Any]) -> Iterator[str]:
    """The leak report of a manifest (`LeakReport` or `SharedWith`)."""
    if "corpus" in leaks["asked"]:
        here, main = leaks["documents"], leaks["asked"]["corpus"]
        yield f"leaks: {leaks['texts']:,} of {here:,} texts equal one of the training data of {main}"
        near = leaks["near_duplicates"]
        yield f"leaks: nearly equal: {near if isinstance(near, str) else f'{near:,} of {here:,}'}"
        return
    for kind in ("texts", "learners", "topics"):
        found = leaks[kind]
        several = found if isinstance(found, str) else f"{found['values']:,} ({found['documents']:,} documents)"
        yield f"leaks: {kind} in several splits: {several}"
    near = leaks["near_duplicates"]
    if isinstance(near, str):
        yield f"leaks: near-duplicates in train: {near}"
    else:
        counts = ", ".join(
            f"{split} {count:,} of {near['documents'][split]:,}" for split, count in near["near"].items()
        )
        yield f"leaks: near-duplicates in train: {counts} (similarity {near['similarity']:g})"
    if "unseen_test_values" in leaks:
        yield f"leaks: values of test data elsewhere: {leaks['unseen_test_values']}"
