"""Walking through the texts of a table, and what scripts get of one."""

import io
import json
from functools import partial

import pytest
from rich.console import Console

from ilm.errors import UserError
from ilm.infilling.browse import TextBrowser
from ilm.infilling.jsonl import fill_texts
from ilm.infilling.texts import InputText, draw_blanks, is_table, lines_of, read_texts
from ilm.masking.functions import Sentences, Span, Words
from ilm.models.loading import save_model
from tests.conftest import compose
from tests.infilling.small_models import ENTRIES, corpus, decoding, random_model, vocabulary

ROWS = ENTRIES + 5
CSV = 'id,cefr,essay\nt1,A1,"I like pasta.\nI _ it | a *lot*."\nt2,B1,My name is Anna.\nt3,A1,   \nt4,A2,...\n'


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


@pytest.fixture
def texts(table):
    return read_texts(str(table), corpus())


@pytest.fixture
def walk(texts, infiller) -> TextBrowser:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    settings = decoding(candidates=2)

    return TextBrowser(texts, words(2, seed=42), {"A1": infiller, "B2": infiller}, settings, dict, console)


def words(n: int | None, seed: int = 0):
    return partial(draw_blanks, n_masks=n, function=Words(), seed=seed)


def said(walk: TextBrowser, *lines: str) -> str:
    walk.console.file = io.StringIO()
    for line in lines:
        walk.respond(line)
    return walk.console.file.getvalue()


def test_texts_of_a_table(texts):
    assert [(t.number, t.name, t.about) for t in texts] == [(2, "t1", ("A1",)), (3, "t2", ("B1",)), (5, "t4", ("A2",))]
    assert texts[0].text == "I like pasta.\nI _ it | a *lot*."


def test_a_column_of_texts_is_enough_and_formats_are_told_by_name(tmp_path):
    (tmp_path / "a.tsv").write_text("x\ttext\n1\tI like it\n")
    assert [(t.name, t.text) for t in read_texts(str(tmp_path / "a.tsv"), corpus())] == [("a:2", "I like it")]
    (tmp_path / "a.csv").write_text("x;text\n1;I like, it\n")
    (found,) = read_texts(str(tmp_path / "a.csv"), corpus("corpus.delimiter=';'"))
    assert found.text == "I like, it"
    (tmp_path / "a.jsonl").write_text('{"answer": "I like\\nit"}\n')
    (found,) = read_texts(str(tmp_path / "a.jsonl"), corpus("corpus.columns.text=answer"))
    assert found.text == "I like\nit"
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    assert [(t.place, t.number, t.text) for t in read_texts(str(tmp_path / "a.txt"), corpus())] == [
        ("line", 1, "one"),
        ("line", 3, "two"),
    ]
    assert [is_table(name) for name in ("a.CSV", "a.csv.gz", "a.xlsx", "a.txt", "a")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, r"input=.*none\.csv cannot be read: no such file"),
        ("empty.csv", "", r"empty\.csv is empty"),
        ("header.csv", "id,text\n", r"header\.csv has no text in its column text"),
        ("blank.csv", "id,text\n1,  \n", "has no text"),
        ("column.csv", "id,words\n1,a\n", r"no column for text: type corpus\.columns\.text=HEADER.* id, words"),
        ("semicolons.csv", "id;text\n1;a\n", r"separated by ';'.* type \"corpus\.delimiter=';'\""),
        ("lines.txt", "\n \n", "has no texts; expected one per line"),
    ],
)
def test_tables_without_texts_are_told(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_texts(str(tmp_path / name), corpus())


def test_masks_depend_on_seed_text_and_attempt(texts):
    def drawn(text, n, seed=0, attempt=0):
        return draw_blanks(text, attempt, n_masks=n, function=Sentences(), seed=seed)

    one = texts[0]
    spans = drawn(one, 3)
    assert len(spans) == 3
    assert spans == sorted(spans, key=lambda s: s.start) == drawn(one, 3)
    assert all(one.text[s.start : s.start + s.length].isalpha() for s in spans)
    assert len({tuple(drawn(one, 3, seed, attempt)) for seed in (0, 1) for attempt in range(3)}) > 2
    assert len(drawn(one, 99)) == 7  # all its words
    assert {s.mask_type for s in drawn(one, None)} == {"sentence"}
    with pytest.raises(UserError, match="t4 has no word to mask"):
        drawn(texts[2], 1)
    with pytest.raises(UserError, match=r"the mask function masks nothing in it\. Type n_masks=1"):
        draw_blanks(one, n_masks=None, function=Words(p=0.0), seed=0)
    line = InputText("line", 1, "a:1", "I _ it")
    assert (drawn(one, 0), drawn(line, None)) == (None, None)  # the blanks are typed
    assert len(drawn(line, 1)) == 1


def test_the_walk(walk):
    walk.begin()
    assert "text 1 of 3 · t1 · A1" in walk.console.file.getvalue()
    second = said(walk, "")
    assert "text 2 of 3 · t2 · B1" in second
    assert second.count("eat") == 2 * 2 * 2  # blanks, candidates, models
    assert "original" in second
    assert "B2: p = " in second
    assert walk.prompt() == "2/3 > "
    assert "text 1 of 3" in said(walk, "p")
    assert "No text 0: type a number from 1 to 3" in said(walk, "p")
    assert "No text 0: type a number from 1 to 3" in said(walk, "0")
    assert "No text -1" in said(walk, "-1")
    assert "The text has no blank" in said(walk, "9" * 5000)
    assert "text 2 of 3" in said(walk, "2")
    assert "No text 4" in said(walk, "4")
    masks = {said(walk, "r").split("original", 1)[1] for _ in range(6)}
    assert len(masks) > 1
    assert "t4 has no word to mask" in said(walk, "n")
    assert "text 2 of 3" in said(walk, "p")


def test_settings_and_models_change_on_the_way(walk):
    said(walk, "2")
    assert said(walk, ":n 3").count("eat") == 3 * 2 * 2
    assert "I eat it" in said(walk, "I _ it")
    assert ":frob is not a command" in said(walk, ":frob")
    help_lines = [line.split() for line in said(walk, ":help").splitlines()]
    assert ["r", "other", "blanks", "in", "this", "one"] in help_lines
    assert [":n", "5", "candidates", "of", "each", "text"] in help_lines


def test_json_lines_of_a_table(texts, infiller):
    out = io.StringIO()
    with pytest.raises(UserError, match=r"1 of 3 texts could not be filled; row 5: t4 has no word"):
        fill_texts([texts], words(1), {"m": infiller}, decoding(candidates=2), out)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(r["row"], r["id"], r["model"]) for r in records] == [(2, "t1", "m"), (3, "t2", "m"), (5, "t4", "m")]
    assert records[1]["text"] == texts[1].text
    assert records[1]["candidates"][0]["answers"][0].strip() == "eat"
    assert len(records[1]["original"]) == 1
    ((start, length),) = records[1]["original_spans"]
    assert records[1]["original"] == [texts[1].text[start : start + length]]
    assert records[1]["types"] == ["word"]
    assert records[1]["original_log_probability"] < 0
    of_each = records[1]["original_answer_log_probabilities"]
    assert len(of_each) == len(records[1]["original"])
    assert sum(of_each) == pytest.approx(records[1]["original_log_probability"])
    assert "error" in records[2]


def test_blanks_typed_in_a_table(texts, infiller):
    out = io.StringIO()
    with pytest.raises(UserError, match="2 of 3 texts could not be filled; row 3: The text has no blank"):
        fill_texts([texts], lambda t: None, {"m": infiller}, decoding(), out)
    record = json.loads(out.getvalue().splitlines()[0])
    assert record["candidates"][0]["text"] == "I like pasta.\nI eat it | a *lot*."


def test_a_mask_that_the_model_does_not_know_is_told(infiller, texts):
    with pytest.raises(UserError, match="no blank for paragraph"):
        infiller.context(texts[0].text, spans=[Span("paragraph", 0, 13)])


def test_the_entry_point_fills_a_table(table, tmp_path, capsys, monkeypatch):
    from infill import infill

    save_model(random_model("gpt2", ROWS), vocabulary(), tmp_path / "model")
    table.write_text(CSV.replace("t4,A2,...\n", ""), encoding="utf-8")
    given = [f"models=[{tmp_path / 'model'}]", f"input={table}", "n_masks=2", "seed=42", "decoding.candidates=1"]
    runs = []
    for _ in range(2):
        infill(*compose("infill", *given, "decoding.max_answer_tokens=4"))
        runs.append(capsys.readouterr().out)
    assert runs[0] == runs[1]
    assert [len(json.loads(line)["original"]) for line in runs[0].splitlines()] == [2, 2]
    infill(*compose("infill", *given[:2], "masking=sentences", "decoding.max_answer_tokens=4"))
    assert json.loads(capsys.readouterr().out.splitlines()[0])["original"]
    infill(*compose("infill", *given, "limit=1"))
    assert [json.loads(line)["row"] for line in capsys.readouterr().out.splitlines()] == [2]
    # A person at both ends walks.
    monkeypatch.setattr("ilm.infilling.terminal.is_dialogue", lambda: True)
    monkeypatch.setattr(TextBrowser, "run", TextBrowser.begin)
    infill(*compose("infill", *given, "decoding.max_answer_tokens=4"))
    assert "text 1 of 2 · t1 · A1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["n_masks=3"], "n_masks draws blanks in the texts of a file: type input=FILE"),
        (["limit=3"], "limit takes the first texts of a file: type input=FILE"),
        (["limit=0", "input=x.csv"], "limit=0: expected at least 1"),
        (["n_masks=-1", "input=x.csv"], "n_masks=-1: expected at least 0"),
        (["dtype=int8"], "dtype=int8: expected one of float32, bfloat16"),
        (["decoding.method=best"], "decoding.method=best: expected one of sample, greedy, beam"),
        (["decoding.beams=2"], "decoding.beams=2: expected decoding.candidates=3 or more, or 0"),
    ],
)
def test_mistakes_of_the_command_line_with_tables(given, message):
    from infill import infill

    with pytest.raises(UserError) as error:
        infill(*compose("infill", *given))
    assert message in str(error.value)


def test_ids_and_texts_of_a_table_cannot_steer_the_terminal(tmp_path, infiller):
    path = tmp_path / "texts.csv"
    path.write_text(
        'id,cefr,text\n"\x1b[2Jt1","A\x9b1","I \x1b[31m like\x07 it"\n"\x1b[2Jt2",A1,"..."\n', encoding="utf-8"
    )
    texts = read_texts(str(path), corpus())
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    walk = TextBrowser(texts, words(1), {"m": infiller}, decoding(), dict, console)
    walk.begin()
    shown = walk.console.file.getvalue() + said(walk, "n")
    assert "␛[2Jt1 · A\ufffd1" in shown
    assert "␛[2Jt2 has no word to mask" in shown
    assert not set(shown) & {"\x1b", "\x9b", "\x07"}


def test_rows_left_out_are_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("ilm.infilling.texts.log.warning", lambda message, *values: told.append(message % values))
    path = tmp_path / "texts.csv"
    path.write_text("id,text\n1,I like it\n2,a,b\n3,  \n" + "4,\n" * 6, encoding="utf-8")
    assert [text.number for text in read_texts(str(path), corpus())] == [2]
    assert told == [
        f"skipped in {path}: wrong number of fields, 1 row(s) (3)",
        f"skipped in {path}: no text, 7 row(s) (4, 5, 6, 7, 8, ...)",
    ]


def test_a_file_of_lines_has_the_same_lines_as_where_scripts_read_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\x0bstill\u2028one\r\n\ntwo\x85too".encode())
    texts = read_texts(str(path), corpus())
    assert [(text.number, text.text) for text in texts] == [(1, "one\x0bstill\u2028one"), (3, "two\x85too")]
    with path.open("rb") as stream:
        assert [line for block in lines_of(stream) for line in block if line.strip()] == [text.text for text in texts]
    with pytest.raises(UserError, match=r"is a folder"):
        read_texts(str(tmp_path), corpus())


def test_a_person_walks_through_a_file_of_lines_with_typed_blanks(tmp_path, capsys, monkeypatch):
    from infill import infill

    save_model(random_model("gpt2", ROWS), vocabulary(), tmp_path / "model")
    (tmp_path / "texts.txt").write_text("I _ it.\nYou [word] it.\n", encoding="utf-8")
    monkeypatch.setattr("ilm.infilling.terminal.is_dialogue", lambda: True)
    monkeypatch.setattr(TextBrowser, "run", TextBrowser.begin)
    given = [f"models=[{tmp_path / 'model'}]", f"input={tmp_path / 'texts.txt'}", "decoding.max_answer_tokens=4"]
    infill(*compose("infill", *given))
    assert "text 1 of 2 · texts:1" in capsys.readouterr().out
