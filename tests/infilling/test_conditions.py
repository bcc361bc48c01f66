"""Conditioned models fill a text after its prefix; others get none."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from ilm.errors import UserError
from ilm.examples.conditions import prefix_line
from ilm.examples.layout import Examples, add_prefixes, lay_out
from ilm.infilling.infiller import Infiller
from ilm.infilling.jsonl import fill_texts
from ilm.infilling.terminal import Terminal
from ilm.infilling.texts import InputText
from ilm.models.scoring import score
from infill import infill
from tests.conftest import compose
from tests.infilling.small_models import ENTRIES, MASK_TYPES, decoding, random_model, vocabulary

WORDS = vocabulary()
TEXT = "I like to eat _ for lunch."


@pytest.fixture(scope="module")
def plain() -> Infiller:
    return Infiller(random_model("gpt2", ENTRIES + 2 + len(MASK_TYPES)), WORDS)


@pytest.fixture(scope="module")
def conditioned() -> Infiller:
    model = random_model("gpt2", ENTRIES + 2 + len(MASK_TYPES))
    model.config.infilling_condition = {"cefr_level": ["A1", "B1"], "l1": ["Thai"]}
    return Infiller(model, WORDS)


def test_the_line_stands_before_the_text(plain, conditioned):
    whole, alone = conditioned.context(TEXT, decoding=decoding(level="B1", l1="Thai")), plain.context(TEXT)
    line = tuple(WORDS.encode(prefix_line({"cefr_level": "B1", "l1": "Thai"})))
    assert whole == replace(alone, ids=line + alone.ids, prefix=line)
    assert conditioned.context(TEXT) == alone
    (by_settings,) = conditioned(TEXT, decoding(level="B1", candidates=3))
    of_level = conditioned.context(TEXT, decoding=decoding(level="B1"))
    assert by_settings == conditioned(of_level, decoding(candidates=3))[0]
    assert by_settings != conditioned(TEXT, decoding(candidates=3))[0]


def test_scores_are_those_of_evaluation(conditioned):
    context = conditioned.context(TEXT, decoding=decoding(level="A1"))
    ids = WORDS.encode("I like to eat pasta for lunch.")
    before = len(WORDS.encode("I like to eat"))
    last = before + len(WORDS.encode(" pasta"))
    example = lay_out(ids, [(MASK_TYPES.index("word"), before, last)], WORDS, "ilm", 99)
    told = add_prefixes(Examples.of([example]), [np.array(WORDS.encode("level: A1\n"), np.int32)])
    nll, _ = score(conditioned.model, told, 99, torch.device("cpu")).total("infill")
    assert conditioned.score(context, ["pasta"]) == pytest.approx(-nll, abs=1e-4)
    assert conditioned.score(TEXT, ["pasta"]) != pytest.approx(-nll, abs=1e-2)


def test_a_long_text_leaves_room_for_the_line(conditioned):
    long = "I like to eat an apple for lunch. " * 9 + "I eat _."
    room = decoding(max_answer_tokens=5, cut=True, level="B1", l1="Thai")
    context = conditioned.context(long, decoding=room)
    assert context.left_out[0] > 0
    assert len(context.ids) + 6 <= conditioned.max_tokens
    assert context.ids[: len(context.prefix)] == context.prefix


def test_what_a_model_cannot_be_told(plain, conditioned):
    with pytest.raises(UserError, match="level=C2: the model knows A1, B1"):
        conditioned.context(TEXT, decoding=decoding(level="C2"))
    for told in ({"level": "B1"}, {"l1": "Thai"}):
        with pytest.raises(UserError, match=r"needs a model conditioned on it.*experiment=conditioned"):
            plain(TEXT, decoding(**told))


def test_beside_a_conditioned_model_others_are_told_nothing(plain, conditioned):
    out = io.StringIO()
    asked = decoding(level="B1")
    fill_texts([[InputText("line", 1, "line 1", TEXT)]], lambda text: None, {"p": plain, "c": conditioned}, asked, out)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    expected = [plain(TEXT, decoding()), conditioned(TEXT, asked)]
    assert [r["candidates"][0]["text"] for r in records] == [group[0].text for (group,) in expected]


def test_at_the_terminal(plain, conditioned):
    console = Console(width=200, file=io.StringIO())
    terminal = Terminal({"c": conditioned}, decoding(), lambda names: {"p": plain}, console)
    terminal.respond(":level B1")
    terminal.respond(TEXT)
    terminal.respond(":model p")
    assert list(terminal.infillers) == ["c"]
    terminal.respond(":level off")
    terminal.respond(":model p")
    terminal.respond(":l1 Thai")
    assert (terminal.decoding.level, terminal.decoding.l1) == (None, None)
    said = console.file.getvalue()
    assert "level=B1\n" in said
    assert said.count("needs a model conditioned on it") == 2


def test_infill_tells_it_of_all_texts(tmp_path, plain, conditioned, capsys):
    from ilm.models.loading import save_model

    for name, infiller in (("c", conditioned), ("p", plain)):
        save_model(infiller.model, WORDS, tmp_path / name)
    (tmp_path / "texts.txt").write_text(TEXT)
    options = (f"input={tmp_path / 'texts.txt'}", "level=B1", "decoding.candidates=1", "device=cpu")
    infill(*compose("infill", f"models=[{tmp_path / 'c'}]", *options))
    record = json.loads(capsys.readouterr().out)
    assert (
        record["candidates"][0]["text"]
        == conditioned(TEXT, decoding(level="B1", top_p=0.95, max_answer_words=1))[0][0].text
    )
    with pytest.raises(UserError, match="level=B1: needs a model conditioned on it"):
        infill(*compose("infill", f"models=[{tmp_path / 'p'}]", *options))
