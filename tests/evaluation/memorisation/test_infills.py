"""Answers that are kept."""

import json
from types import SimpleNamespace

from ilm.evaluation.kept_lines import KeptLines
from ilm.evaluation.memorisation.infills import KEY, fill


def test_the_file_of_answers_is_read_a_few_times_however_many_there_are(tmp_path, monkeypatch):
    keys = [(f"A1-{number}", 0) for number in range(20)]
    kept = KeptLines(tmp_path / "answers.jsonl", KEY)
    kept.path.write_text("".join(json.dumps(dict(zip(KEY, key, strict=True))) + "\n" for key in keys))
    reads, read = [], KeptLines.read
    monkeypatch.setattr(KeptLines, "read", lambda self: reads.append(self) or read(self))
    found = fill(None, [SimpleNamespace(key=key) for key in keys], None, kept, "cpu")
    assert list(found) == keys
    assert len(reads) <= 2
