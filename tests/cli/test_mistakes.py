"""What Hydra refuses, in our words; and what is printed where a terminal has no characters for it."""

import errno
import shlex
import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ilm.cli import main
from ilm.cli.mistakes import message_of
from tests.conftest import REPOSITORY, compose, environment
from tests.forked import run_forked

ENTRY_POINTS = ("prepare", "train", "evaluate", "infill")


def message(monkeypatch, command: str, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", [f"{command}.py", *arguments])
    with pytest.raises(HydraException) as caught:
        compose(command, *arguments)
    return message_of(caught.value, command)


@pytest.mark.parametrize(
    "path", ["/data/été.csv", "~/a.csv", "日本.csv", "a&b (1).csv", "it's.csv", "a=b.csv", 'x"y.csv']
)
def test_the_quoting_that_is_shown_works(monkeypatch, path):
    shown = message(monkeypatch, "prepare", f"corpus.csv={path}").split("type ")[1]
    (override,) = OverridesParser.create().parse_overrides(shlex.split(shown))
    assert override.value() == path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["models=[B1,", "B2]"], "type models=[B1,B2]"),
        (["models=[B1,", "B2,", "all]", "limit=3"], "type models=[B1,B2,all]"),
        (["models", "=", "A1"], "without spaces: models=A1"),
        (["models"], "without spaces: models=VALUE"),
        (["models=[B1"], "models=[B1: a bracket is not closed"),
        (["task=bleu"], "task=bleu: expected one of cloze, "),
        (["task=clooze"], "; did you mean cloze?"),
        (["cefr=C2"], "task.levels=[C2]"),
    ],
)
def test_what_to_type_instead(monkeypatch, arguments, expected):
    found = message(monkeypatch, "evaluate", *arguments)
    assert expected in found
    assert "search path" not in found
    assert "\n" not in found


def test_a_prepared_corpus_is_no_option_of_the_group(monkeypatch, tmp_path):
    (tmp_path / "seeflex").mkdir()
    (tmp_path / "seeflex" / "manifest.json").touch()
    paths = f"paths.data={tmp_path}"
    assert "type corpus.name=seeflex" in message(monkeypatch, "train", "corpus=seeflex", paths)
    assert message(monkeypatch, "infill", "corpus=seflex", paths).endswith("did you mean corpus.name=seeflex?")
    assert message(monkeypatch, "prepare", "corpus=efcmdat", paths).endswith("did you mean efcamdat?")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_nothing_that_is_printed_ends_a_command(encoding):
    code = (
        "from ilm.cli.main import entry_point\n"
        "from ilm.tables import TextTable, show\n"
        "entry_point(lambda: (print('−1 “中文” é'), show(TextTable('−', ('中文',), [('…',)], 'l'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONIOENCODING=encoding), capture_output=True, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].decode(encoding).startswith("\\u22121 ")


@pytest.mark.parametrize("script", ENTRY_POINTS)
def test_windows_is_one_message(script):
    code = f"import sys; sys.platform = 'win32'; import {script}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, cwd=REPOSITORY
    )
    assert done.returncode == 1
    assert done.stderr == "ilm runs on Linux and macOS; on Windows install it within WSL (type: wsl --install)\n"


def test_a_home_folder_in_quotes(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    options = ["-m", "corpus=sample", "paths.data='~/d'", "paths.experiments='~/e'", "name=a,b"]
    done = run_forked(cwd, "train.py", *options, HOME=str(tmp_path))
    assert f"{tmp_path}/d/sample holds no prepared corpus" in done.stdout + done.stderr
    assert list(cwd.iterdir()) == []


def test_help_that_cannot_be_written_is_one_message(monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    monkeypatch.setattr(main, "help_text", full)
    with pytest.raises(SystemExit) as stopped:
        main.entry_point(lambda: None)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: the disk is full: a file could not be written. Make room")
