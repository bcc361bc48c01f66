"""The commands of README.md and docs/: each is composed and checked, and the numbers are those shipped."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.config.infill import Infill
from ilm.config.prepare import Prepare
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.files import read_json
from ilm.masking.functions import Hierarchical
from tests.conftest import REPOSITORY, compose

SCHEMAS = {"prepare.py": Prepare, "train.py": Train, "evaluate.py": Evaluate, "infill.py": Infill}
DOCS = REPOSITORY / "docs"
TEXTS = {path: path.read_text(encoding="utf-8") for path in (REPOSITORY / "README.md", *sorted(DOCS.glob("*.md")))}
PAGES = "".join(TEXTS.values())


def commands() -> list[str]:
    """Every `python X.py ...` in an indented block or in backticks, without its comment and where its output goes."""
    lines = re.sub(r"\\\n\s*", "", PAGES)  # a command may go on in the next line
    blocks = re.findall(r"^ {4}(python \w+\.py.*)$", lines, flags=re.MULTILINE)
    inline = re.findall(r"`(python \w+\.py[^`]*)`", PAGES.replace("\n", " "))
    return sorted({re.sub(r"\s{2,}", " ", re.split("[#>]", text)[0]).strip() for text in [*blocks, *inline]})


def overrides(command: str) -> list[str]:
    """The arguments, those of a sweep reduced to its first job, the dots that stand for a path filled in."""
    arguments = [argument for argument in shlex.split(command)[2:] if argument not in ("-m", "--help", "...")]
    filled = [argument.replace("=...", "=texts.csv") for argument in arguments]
    return [re.sub(r"^([\w.]+=)([^,\[\]]+),.*$", r"\1\2", argument) for argument in filled]


def test_there_are_commands():
    assert len(commands()) > 10
    assert {command.split()[1] for command in commands()} == set(SCHEMAS)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_that_works(command):
    script = command.split()[1]
    cfg, choices = compose(script.removesuffix(".py"), *overrides(command))
    check(cfg, SCHEMAS[script], choices)


def overrides_in_tables() -> list[str]:
    """What the tables of docs/settings.md and docs/data.md say to type."""
    pages = TEXTS[DOCS / "settings.md"] + TEXTS[DOCS / "data.md"]
    return re.findall(r"^\| `([^`]*=[^`]*)` \|", pages, flags=re.MULTILINE)


@pytest.mark.parametrize("row", overrides_in_tables())
def test_every_override_of_a_table_is_one_that_works(row):
    of_prepare = re.match(r"split\.|corpus\.extra|check", row) is not None
    cfg, choices = compose("prepare" if of_prepare else "train", *shlex.split(row))
    check(cfg, Prepare if of_prepare else Train, choices)


def test_every_room_of_the_map_is_there():
    rooms = re.findall(r"^ {4}(\w+) {4,}\S", TEXTS[DOCS / "architecture.md"], flags=re.MULTILINE)
    assert set(rooms) == {path.parent.name for path in (REPOSITORY / "ilm").glob("*/__init__.py")}


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings and terms can be linked, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", TEXTS[page], flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([\w-]+)">', TEXTS[page]))


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", TEXTS[page]):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_python_of_the_page_on_data_runs_as_it_stands(prepared, tmp_path, monkeypatch):
    folder = shutil.copytree(prepared / "small", tmp_path / "small", ignore=shutil.ignore_patterns("tokens"))
    vocabulary = Vocabulary(gpt2_tokenizer(), Hierarchical.mask_types)
    TokenStore.open_or_make(folder / "tokens", PreparedCorpus.open(folder), vocabulary, "gpt2")
    monkeypatch.chdir(folder)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXTS[DOCS / "data.md"], flags=re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert len(names["masks"]) == names["mapped"].num_rows > 90
    assert names["answers"]
    assert vocabulary.decode(names["tokens"]) == names["text"]
    assert all(answer in names["text"] and kind in Hierarchical.mask_types for kind, answer in names["answers"])


def test_the_make_targets_are_there():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^ {4})make ([\w-]+)", PAGES, flags=re.MULTILINE))
    assert targets >= {"quickstart", "test", "smollm2"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_numbers_to_expect_are_those_that_quickstart_shows():
    expected = read_json(DOCS / "quickstart.json")
    for kind in ("context", "infill", "infill_textonly"):
        before, after = (f"{expected[when][kind]:,.1f}" for when in ("before", "after"))
        assert f"| {kind} | {before} | {after} |" in TEXTS[REPOSITORY / "README.md"]
        assert f"| {kind} | {before} | {before} | {after} | {after} |" in TEXTS[DOCS / "first_table.md"]
