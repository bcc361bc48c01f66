"""`--help`: the purpose, the groups, the configuration with its comments, five examples that work."""

import re
import shlex

import pytest

from ilm.cli.help import group_names, help_text
from ilm.config.keys import flat
from tests.config.checked import SCHEMAS, checked
from tests.conftest import run_command


@pytest.fixture(scope="module", params=SCHEMAS)
def command(request) -> tuple[str, list[str]]:
    return request.param, help_text(request.param, ["--help"]).splitlines()


def test_the_help_is_short(command):
    _, lines = command
    assert len(lines) < 120


def test_every_group_has_a_line_with_its_options(command):
    root, lines = command
    for group in group_names(root):
        (line,) = [line for line in lines if line.startswith(f"  {group} ")]
        assert re.fullmatch(rf"  {group} +\w.*: [\w\[\]\- ]+", line)
    assert not [line for line in lines if "_common" in line or re.match(r"  (hydra|base) ", line)]


def test_every_key_is_there(command):
    root, lines = command
    settings = checked(root).model_dump()
    text = "\n".join(lines)
    for key, _ in flat(settings):
        if root == "train" and key.startswith("corpus."):
            key = "corpus.name"  # the others say how texts are read, which prepare.py does
        last = key.rsplit(".", 1)[-1]
        assert re.search(rf"\b{re.escape(last)}: ", text) or last in ("_partial_", "cefr"), key


def test_five_examples_that_work(command):
    root, lines = command
    examples = [line.split("#")[0] for line in lines if line.startswith(f"  python {root}.py")]
    assert len(examples) == 5
    for example in examples:
        overrides = [part for part in shlex.split(example)[2:] if part != "-m"]
        overrides = [re.sub(r"=([^\[,]*),.*", r"=\1", part) for part in overrides]
        checked(root, *overrides)


def test_comments_stand_beside_their_keys():
    lines = help_text("train", []).splitlines()
    assert any(re.fullmatch(r"    max_length: 512 +# tokens; longer examples are truncated.*", line) for line in lines)
    assert any(re.fullmatch(r"    max_epochs: 1 +# passes over the examples; -1: no limit", line) for line in lines)
    assert any(
        re.fullmatch(r"  split\.seed: null +# part of the data, never swept; null: as prepared", line) for line in lines
    )


def test_the_chosen_options_are_shown():
    text = help_text("evaluate", ["task=cloze", "--help", "limit=3"])
    assert "cloze" in text
    assert "[cloze] comparison forms levels memorisation perplexity surprisal" in text
    assert "samples_per_text: 5" in text
    assert "max_length" not in text
    assert "limit: 3" in text
    tiny = help_text("train", ["model=tiny"])
    assert "tokenizer_size: 4096" in tiny
    assert "entries of the corpus BPE" in tiny


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_command_line_shows_it(flag, tmp_path):
    done = run_command(tmp_path, "train.py", flag, "cefr=D9")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == help_text("train", []) + "\n"
