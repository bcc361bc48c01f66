"""docs/tutorial.md: its commands run in order on the sample corpus, with models of two steps, and print what it shows.

What depends on trained weights is compared with numbers and verdicts left out; what `prepare.py` prints, as it stands.
"""

import contextlib
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from ilm.corpus import synthetic
from tests.conftest import REPOSITORY
from tests.forked import run_forked

PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
PREPARE_SAMPLE = "python prepare.py"
CHEAP = {
    "prepare.py": ("num_workers=1",),
    "train.py": (
        *("trainer.max_steps=2", "validation.max_examples=20", "data.num_workers=0"),
        *("model.tokenizer_size=600", "model.architecture.n_layer=1"),
        *("model.architecture.n_embd=32", "model.architecture.n_head=2"),
    ),
    "evaluate.py": ("limit=20",),
    "evaluate.py task=levels": ("limit=20", "task.resamples=100"),
    "evaluate.py task=cloze": ("limit=2", "task.max_answer_tokens=1"),  # models that know nothing search for long
}
VERDICTS = r"equivalent|better|worse|not decided|not tested|[\w-]+ matched|\bto\b"  # and the middle of an interval


class Step(NamedTuple):
    """A command or a piece of Python, and what the page shows of its output."""

    code: str
    shown: str

    @property
    def cheap(self) -> tuple[str, ...]:
        """What makes the command cheap: the options of the longest beginning of it that has some."""
        known = [name for name in CHEAP if self.code.startswith(f"python {name}")]
        return CHEAP[max(known, key=len)]


def steps() -> list[Step]:
    pieces = re.findall(
        r"^ {4}(python \w+\.py[^\n]*)$|^```python\n(.*?)^```|^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
    found: list[Step] = []
    for command, code, shown in pieces:
        if shown:
            found[-1] = found[-1]._replace(shown=found[-1].shown + shown)
        else:
            found.append(Step(command or code, ""))
    return found


def write_sample(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of the sample corpus that the page goes on with, which depend on no others."""
    monkeypatch.setattr(synthetic, "LEVEL_SHARES", {"A1": 0.5, "C1": 0.5})
    path.parent.mkdir(parents=True)
    synthetic.write_csv(path, 4400, seed=0)


def without_widths(line: str) -> str:
    return re.sub(r"[\s━─]+", " ", line)


def without_numbers(line: str) -> str:
    """Also without the rules of tables, and without the empty cells that a model of two steps may leave or fill."""
    line = re.sub(rf"{VERDICTS}|nan|[-+−±]?\d[\d,.:]*( ?%)?", " ", line)
    return re.sub(r"\W+", " ", line).strip()


def test_the_commands_print_what_the_page_shows(tmp_path, monkeypatch, capsys):
    pytest.importorskip("statsmodels", reason="comes with the extra dev")
    write_sample(tmp_path / "data" / "sample" / "sample_15500_0.csv", monkeypatch)
    names = {}
    for step in steps():
        if step.code == PREPARE_SAMPLE:
            continue
        if not step.code.startswith("python "):
            with contextlib.chdir(tmp_path):
                exec(step.code, names)
            printed, exact = capsys.readouterr().out, False
        else:
            script, *arguments = shlex.split(step.code)[1:]
            done = run_forked(tmp_path, script, *arguments, *step.cheap)
            assert done.returncode == 0, done.stdout + done.stderr
            printed, exact = done.stdout + done.stderr, script == "prepare.py"
        read = without_widths if exact else without_numbers
        missing = {read(line) for line in step.shown.splitlines()} - {read(line) for line in printed.splitlines()}
        assert missing <= {"...", ""}, (step.code, missing, printed)
