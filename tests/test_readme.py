"""The commands of README.md and docs/study.md: each is composed and checked, and the numbers are those shipped."""

import re
import shlex

import pytest
from conftest import REPOSITORY, compose

from ilm.config import Evaluate, Infill, Prepare, Train, check
from ilm.files import read_json

SCHEMAS = {"prepare.py": Prepare, "train.py": Train, "evaluate.py": Evaluate, "infill.py": Infill}
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
STUDY = (REPOSITORY / "docs" / "study.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every `python X.py ...` in an indented block or in backticks, without its comment."""
    blocks = re.findall(r"^ {4}(python \w+\.py.*)$", README + STUDY, flags=re.MULTILINE)
    inline = re.findall(r"`(python \w+\.py[^`]*)`", (README + STUDY).replace("\n", " "))
    return sorted({re.sub(r"\s{2,}", " ", text.split("#")[0]).strip() for text in [*blocks, *inline]})


def overrides(command: str) -> list[str]:
    """The arguments, those of a sweep reduced to its first job, the dots that stand for a path filled in."""
    arguments = [argument for argument in shlex.split(command)[2:] if argument not in ("-m", "--help", "...")]
    filled = [argument.replace("=...", "=texts.csv") for argument in arguments]
    return [re.sub(r"^(\w+=)([^,\[\]]+),.*$", r"\1\2", argument) for argument in filled]


def test_there_are_commands():
    assert len(commands()) > 10
    assert {command.split()[1] for command in commands()} == set(SCHEMAS)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_that_works(command):
    script = command.split()[1]
    cfg, choices = compose(script.removesuffix(".py"), *overrides(command))
    check(cfg, SCHEMAS[script], choices)


@pytest.mark.parametrize("row", re.findall(r"^\| `([^`]*=[^`]*)` \|", README, flags=re.MULTILINE))
def test_every_override_of_the_table_is_one_that_works(row):
    cfg, choices = compose("train", *shlex.split(row))
    check(cfg, Train, choices)


def test_every_folder_of_the_map_is_there():
    for folder in re.findall(r"^\| `((?:conf|ilm)/[\w/]*)` \|", README, flags=re.MULTILINE):
        assert (REPOSITORY / folder).is_dir()


def test_the_make_targets_are_there():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`?make (\w+)", README))
    assert targets >= {"quickstart", "test", "smollm2"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_numbers_to_expect_are_those_that_quickstart_shows():
    expected = read_json(REPOSITORY / "docs" / "quickstart.json")
    for kind in ("context", "infill", "infill_textonly"):
        before, after = expected["before"][kind], expected["after"][kind]
        assert f"| {kind} | {before:,.1f} | {after:,.1f} |" in README
