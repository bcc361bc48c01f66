"""Kept records: read back by key; what a killed process left half-written is made again."""

import pytest

from ilm.evaluation.kept_lines import KeptLines
from ilm.progress import ProgressLog

RECORDS = [{"id": f"é{number}", "value": number} for number in range(4)]


def kept(path) -> KeptLines:
    return KeptLines(path / "a" / "b.jsonl", ("id",))


def add(lines: KeptLines, *batches) -> None:
    lines.add(batches, ProgressLog(4, "test", "records"))


def test_records_come_back_by_key(tmp_path):
    assert kept(tmp_path).read() == {}
    add(kept(tmp_path), RECORDS[:2], RECORDS[2:])
    assert kept(tmp_path).read() == {(record["id"],): record for record in RECORDS}


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-3], lambda content: content[:-1], lambda content: content + b'{"x": 1}\n']
)
def test_a_damaged_end_is_cut_off(tmp_path, damage):
    add(kept(tmp_path), RECORDS)
    file = kept(tmp_path).path
    file.write_bytes(damage(file.read_bytes()))
    there = kept(tmp_path).read()
    assert list(there.values()) in (RECORDS, RECORDS[:3])
    add(kept(tmp_path), [record for record in RECORDS if (record["id"],) not in there])
    assert list(kept(tmp_path).read().values()) == RECORDS
