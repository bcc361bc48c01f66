"""docs/infilling.md and README.md: their Python runs as it stands, the settings and defaults are those there are."""

import re

import yaml

from ilm.config.infill import Decoding
from ilm.models.loading import save_model
from tests.conftest import REPOSITORY
from tests.infilling.small_models import ENTRIES, random_model, vocabulary

PAGE = (REPOSITORY / "docs" / "infilling.md").read_text(encoding="utf-8")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_three_lines_fill_a_text(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len([line for line in block.splitlines() if line]) == 3
    folder = re.search(r'from_pretrained\("(.*?)"\)', block)[1]
    save_model(random_model("gpt2", ENTRIES + 5), vocabulary(), tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    assert capsys.readouterr().out.count("I live in ") == 3


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    (block,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    folder = re.search(r'from_pretrained\("(.*?)"\)', block)[1]
    save_model(random_model("gpt2", ENTRIES + 5), vocabulary(), tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    answers = [candidate.answers[0] for candidate in names["candidates"]]
    assert len(set(answers)) == 10
    assert all(len(answer.split()) == 1 for answer in answers)


def test_the_settings_are_those_there_are():
    table = PAGE.partition("## Settings")[2].partition("Which method?")[0]
    named = {name for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(Decoding.model_fields)
    conf = yaml.safe_load((REPOSITORY / "conf" / "infill.yaml").read_text(encoding="utf-8"))
    assert set(conf["decoding"]) == set(Decoding.model_fields)
    assert {**conf["decoding"], **{key: conf[key] for key in ("level", "l1", "seed")}} == Decoding().model_dump()
