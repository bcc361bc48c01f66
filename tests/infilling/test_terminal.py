import io
import json
import math
import os
import subprocess
import sys

import pytest
from rich.console import Console

from ilm.errors import UserError
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.jsonl import fill_texts
from ilm.infilling.render import probability, shown
from ilm.infilling.terminal import Terminal, is_dialogue
from ilm.infilling.texts import InputText, lines_of, piped_texts, read_texts
from ilm.models.loading import save_model
from tests.conftest import REPOSITORY, compose, environment
from tests.forked import Forked, run_forked
from tests.infilling.small_models import ENTRIES, corpus, decoding, random_model, vocabulary

ROWS = ENTRIES + 5
NO_BLANK = "The text has no blank"


def fill_lines(lines, infillers, settings, out) -> int:
    texts = [InputText("line", n, f"stdin:{n}", line) for n, line in enumerate(lines, start=1) if line.strip()]
    return fill_texts([texts], lambda text: None, infillers, settings, out)


@pytest.fixture
def terminal(infiller) -> Terminal:
    def load(names):
        if "nope" in names:
            raise UserError("models: 'nope' is no level")
        return dict.fromkeys(names, infiller)

    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    return Terminal({"one": infiller}, decoding(candidates=2), load, console)


def said(terminal: Terminal, *lines: str) -> str:
    terminal.console.file = io.StringIO()
    for line in lines:
        terminal.respond(line)
    return terminal.console.file.getvalue()


def test_candidates_are_shown_with_their_probability(terminal):
    assert said(terminal, "I [word] pasta.").splitlines() == ["1 I eat pasta.  p = 1", "2 I eat pasta.  p = 1"]


def test_text_is_shown_literally(terminal):
    text = "[bold red]I[/] :smile: _ \\[x] https://x.y"
    assert said(terminal, text).splitlines()[-2] == "1 " + text.replace("_", "eat") + "  p = 1"


def test_answers_alone_are_coloured_and_control_characters_harmless():
    values = (((-1.0, -0.5),), (("\x07c\x9b", ""),), True)
    text = shown(Infilling("a\x1b[2J b\x07c\x9b.", ("b\x07c",), ((7, 3),), ((1, 2),), *values))
    assert text.plain == "a␛[2J b␇c\ufffd.  p = 0.22"
    assert [(span.start, span.end) for span in text.spans if "green" in str(span.style)] == [(7, 10)]


def test_colours_of_tokens_and_an_unlikely_end_make_up_the_figure():
    values = ((math.log(0.9), math.log(0.1), math.log(0.2), math.log(0.01)), (-0.1, -0.1))
    texts = (("lun", "", "é", ""), ("b", ""))
    text = shown(Infilling("luné b", ("luné", "b"), ((0, 4), (5, 1)), ((1, 2, 3, 4), (5, 6)), values, texts, True))
    # The two tokens of é have 0.1 * 0.2.
    coloured = [(text.plain[span.start : span.end], str(span.style)) for span in text.spans[:3]]
    assert coloured == [("lun", "bold green"), ("é", "bold red"), ("b", "bold green")]
    assert text.plain == "luné b  p = 0.00015 (0.00018 end 0.01, 0.82)"


def test_texts_of_tokens_make_up_the_answers(infiller):
    random = Infiller(random_model("gpt2", ROWS), infiller.vocabulary)
    for result in random("I [ngram] it[word]", decoding(candidates=30, max_answer_tokens=6))[0]:
        assert tuple(map("".join, result.token_texts)) == result.answers
        assert [len(texts) for texts in result.token_texts] == [len(ids) for ids in result.token_ids]


def test_unfinished_and_tiny_probabilities():
    text = shown(Infilling("ab", ("b",), ((1, 1),), ((1, 2),), ((-1000.0, -2.0),), (("b", ""),), False))
    # exp(-1002) = 10^(-435.16)
    assert text.plain == "ab  p = 6.9e-436 (end 0.14), not finished"


def test_the_likeliest_stands_first(infiller):
    words = infiller.vocabulary
    random = Infiller(random_model("gpt2", ROWS), words)
    terminal = Terminal({"m": random}, decoding(candidates=5, max_answer_tokens=3), dict, Console(width=100))
    lines = said(terminal, "I _ pasta").splitlines()
    found = [float(line.split("p = ")[1].replace(",", " ").split()[0]) for line in lines if "p = " in line]
    assert found == sorted(found, reverse=True)
    assert len(found) == 5


def test_settings_change_without_leaving(terminal):
    lines = ["candidates 5", "temperature 0.8", "top_p 0.9", "top_k 40", "method greedy", "seed 3"]
    lines += ["max_answer_tokens 7", "max_answer_words 2"]
    answers = said(terminal, ":n 5", *(f":{line}" for line in lines[1:])).splitlines()
    assert answers == [line.replace(" ", "=") for line in lines]
    expected = {"method": "greedy", "candidates": 5, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 3}
    expected |= {"max_answer_tokens": 7, "max_answer_words": 2, "by_probability": True}
    assert terminal.decoding == decoding(**expected)
    assert said(terminal, ":top_p off", ":max_answer_words off") == "top_p=null\nmax_answer_words=null\n"
    assert (terminal.decoding.top_p, terminal.decoding.max_answer_words) == (None, None)
    assert said(terminal, ":distinct on", ":distinct off", ":cut=false") == "distinct=true\ndistinct=false\ncut=false\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":n 0", "candidates=0: expected at least 1"),
        (":n many", "candidates=many: expected"),
        (":top_p 2", "top_p=2: expected at most 1"),
        (":method best", "method=best: expected one of sample, greedy, beam"),
        (":n", ":n is not a command"),
        (":", ": is not a command. Type :help"),
        (":n off", "candidates=null"),
        (":by_probability off", "is not a command"),
        (":frobnicate 3", ":frobnicate 3 is not a command"),
        (":model", ":model is not a command"),
        (":model nope", "'nope' is no level"),
        ("She ate.", NO_BLANK),
        ("a " * 300 + "_", "but only 94 fit: the model is limited to 96"),
    ],
)
def test_a_mistake_is_said_and_changes_nothing(terminal, line, message):
    before = terminal.decoding, terminal.infillers
    assert message in said(terminal, line).replace("\n", " ")
    assert (terminal.decoding, terminal.infillers) == before
    assert "I eat pasta." in said(terminal, "I _ pasta.")


def test_several_models_side_by_side(terminal):
    assert said(terminal, ":model A1 B1") == "Models: A1, B1\n"
    lines = [line.split() for line in said(terminal, "I _ it.").splitlines() if line.strip()]
    assert lines[0] == ["A1", "B1"]
    assert lines[2] == ["1", "I", "eat", "it.", "p", "=", "1"] * 2


def test_help_names_blanks_commands_and_settings(terminal):
    text = said(terminal, ":help")
    for part in ("[sentence] [ngram] [word]", ":n 5", ":model A1 B2", "candidates=2", "top_p=null", "quit"):
        assert part in text


@pytest.mark.parametrize("end", ["quit", None])
def test_the_dialogue_ends_by_quit_or_the_end_of_input(terminal, end):
    lines = iter(["", "no blank", "I _ it.", *([end] if end else [])])

    def read(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    terminal.run(read)
    text = terminal.console.file.getvalue()
    assert NO_BLANK in text
    assert "I eat it." in text
    assert list(lines) == []


def test_texts_of_many_lines(terminal):
    assert said(terminal, "I _ it.\\nAnna").splitlines()[:3] == ["1 I eat it.  ", "  Anna  p = 1", "2 I eat it.  "]
    pasted = said(terminal, "Hello,\n\n:n 5\nI _ it").splitlines()
    assert [line.rstrip() for line in pasted[:4]] == ["1 Hello,", "", "  :n 5", "  I eat it  p = 1"]
    assert terminal.decoding.candidates == 2


def test_ctrl_c_stops_what_is_written_and_nothing_else(terminal, monkeypatch):
    lines = iter(["I _ it.", KeyboardInterrupt, "I _ that.", EOFError])

    def read(prompt: str) -> str:
        line = next(lines, EOFError)
        if isinstance(line, str):
            return line
        raise line

    calls = []

    def interrupted(contexts, original=None):
        calls.append(contexts)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return Terminal.show(terminal, contexts, original)

    monkeypatch.setattr(terminal, "show", interrupted)
    terminal.run(read)
    text = terminal.console.file.getvalue()
    assert text.count("stopped; quit or Ctrl-D ends") == 2
    assert "I eat that." in text
    assert "I eat it." not in text


def test_probabilities_of_each_answer_and_what_was_not_read():
    two = Infilling(
        "a b",
        ("a", "b"),
        ((0, 1), (2, 1)),
        ((1, 2), (1, 2)),
        ((-0.1, 0.0), (-4.5, -1.0)),
        (("a", ""), ("b", "")),
        True,
        (12, 3),
    )
    text = shown(two)
    assert (
        text.plain
        == "a b  p = 0.0037 (0.9, 0.0041), 12 characters at the beginning and 3 characters at the end not read"
    )
    assert [str(span.style) for span in text.spans[:2]] == ["bold green", "bold red"]


def test_the_likeliest_by_search_at_the_terminal(terminal):
    assert said(terminal, ":method beam", ":n 1", "I _ it.").splitlines()[-1] == "I eat it.  p = 1"
    assert terminal.decoding.method == "beam"


def test_limits_that_are_not_understood(terminal):
    assert "[word:l...]" in said(terminal, "I [word:l] it")


def test_nothing_to_fill_is_told(infiller):
    with pytest.raises(UserError, match="No text to fill"):
        fill_lines(["", " "], {"x": infiller}, decoding(), io.StringIO())


def test_lines_in_json_lines_out(infiller):
    out = io.StringIO()
    lines = ["I _ it.", "", "_ [word]"]
    assert fill_lines(lines, {"x": infiller, "y": infiller}, decoding(method="greedy"), out) == 4
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(r["line"], r["model"], r["text"]) for r in records] == [
        (1, "x", "I _ it."),
        (1, "y", "I _ it."),
        (3, "x", "_ [word]"),
        (3, "y", "_ [word]"),
    ]
    (candidate,) = records[0]["candidates"]
    assert candidate["text"] == "I eat it."
    assert (candidate["answers"], candidate["spans"], candidate["complete"]) == (["eat"], [[2, 3]], True)
    assert math.fsum(candidate["token_log_probabilities"][0]) == candidate["log_probability"]
    assert records[2]["candidates"][0]["answers"] == [" eat", "eat"]
    assert records[2]["types"] == ["word", "word"]


def test_a_faulty_line_is_said_in_its_place_and_at_the_end(infiller, tmp_path):
    (tmp_path / "texts").write_bytes("\ufeffI _ it.\r\nnone\nI \xe9 _\n".encode() + b"I \xe9 _\n" + "é _".encode())
    out = io.StringIO()
    texts = read_texts(str(tmp_path / "texts"), corpus())
    with pytest.raises(UserError, match=r"2 of 5 texts could not be filled; line 2: The text has no blank"):
        fill_texts([texts], lambda text: None, {"x": infiller}, decoding(), out)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [r["line"] for r in records] == [1, 2, 3, 4, 5]
    assert [r.get("error", "")[:21] for r in records] == ["", NO_BLANK, "", "The text is not valid", ""]
    assert [r["candidates"][0]["text"] for r in records if "candidates" in r] == ["I eat it.", "I é eat", "é eat"]


def test_more_lines_than_one_block(infiller):
    out = io.StringIO()
    assert fill_lines([f"I {i} _" for i in range(150)], {"x": infiller}, decoding(), out) == 150
    texts = [json.loads(line)["candidates"][0]["text"] for line in out.getvalue().splitlines()]
    assert texts == [f"I {i} eat" for i in range(150)]


def test_lines_come_as_they_are_written():
    """In blocks of what is there; a line that is not yet whole, or a character, is waited for."""
    sent = [b"\xef\xbb", b"\xbfone\ntwo\r\nthr", b"ee \xc3", b"\xa9\rfour\xff\r", b"\n", b"five"]

    class Pipe:
        def read1(self, size):
            return sent.pop(0) if sent else b""

    found = [block for block in lines_of(Pipe()) if block]
    assert found == [["one", "two"], ["three é"], ["four\udcff"], ["five"]]


def test_another_program_may_ask_line_by_line(model_folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    command = (f"models=[{model_folder}]", "decoding.method=greedy")
    process = Forked(tmp_path, "infill.py", *command, stdin=tmp_path / "pipe")
    with open(tmp_path / "pipe", "w", encoding="utf-8") as pipe:
        for number, text in enumerate(("I _ it.", "_ [word]"), start=1):
            pipe.write(f"{text}\n")
            pipe.flush()
            record = json.loads(process.line(number - 1))  # while more may come
            assert (record["line"], record["text"]) == (number, text)
    found = process.wait(30)
    assert (found.returncode, found.stdout.count("\n"), found.stderr) == (0, 2, "")


def test_input_that_cannot_be_read():
    with pytest.raises(UserError, match=r"input=/no/such/file cannot be read: no such file"):
        read_texts("/no/such/file", corpus())


@pytest.fixture
def model_folder(tmp_path):
    words = vocabulary()
    save_model(random_model("gpt2", ROWS), words, tmp_path / "exported")
    return tmp_path / "exported"


def test_the_entry_point_fills_a_file(model_folder, tmp_path, capsys):
    from infill import infill

    (tmp_path / "texts").write_text("She ate [ngram] for _.\n[sentence]\n")
    given = [f"models=[{model_folder}]", f"input={tmp_path / 'texts'}", "device=cpu", "seed=4"]
    cfg, choices = compose("infill", *given, "decoding.candidates=2", "decoding.max_answer_tokens=5")
    infill(cfg, choices)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fill = Infiller.from_pretrained(model_folder)
    expected = fill(
        ["She ate [ngram] for _.", "[sentence]"], decoding(candidates=2, top_p=0.95, max_answer_tokens=5, seed=4)
    )
    found = [[candidate["text"] for candidate in record["candidates"]] for record in records]
    assert found == [[result.text for result in group] for group in expected]


def test_the_command_reads_stdin_and_exits_with_2_on_a_mistake(model_folder, tmp_path, monkeypatch):
    found = run_forked(tmp_path, "infill.py", f"models=[{tmp_path}]", "decoding.candidates=1")
    assert (found.returncode, found.stdout) == (2, "")
    assert "holds no model" in found.stderr
    assert found.stderr.count("\n") == 1


def test_stdin_is_read_where_it_is_no_terminal(model_folder, monkeypatch, capsys):
    from infill import infill

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é _\n".encode())))
    cfg, choices = compose("infill", f"models=[{model_folder}]", "decoding.method=greedy")
    infill(cfg, choices)
    (record,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["text"] == "é _"
    assert len(record["candidates"]) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["decoding.candidates=0"], "decoding.candidates=0: expected at least 1"),
        (["decoding.temperature=0"], "decoding.temperature=0: expected more than 0"),
        (["decoding.top_p=1.5"], "decoding.top_p=1.5: expected at most 1"),
        (["+decoding.topp=0.9"], "unknown key decoding.topp; did you mean decoding.top_p?"),
        (["models=[A1]", "paths.data=/no/such"], "holds no prepared corpus"),
        (["models=[/no/such]"], "The model folder /no/such does not exist"),
    ],
)
def test_mistakes_of_the_command_line(given, message):
    from infill import infill

    with pytest.raises(UserError) as error:
        infill(*compose("infill", *given))
    assert message in str(error.value)


def test_probabilities_smaller_than_any_float_are_written_out():
    digits = {
        math.log(0.25): "0.25",
        math.log(9.2): "9.2e-400",
        math.log(9.97): "1e-399",
        math.log(9.04e-5) - 400 * math.log(10): "9e-405",
        -0.001: "> 0.99",
        0.0: "1",
    }
    for value, expected in digits.items():
        assert probability(value - 400 * math.log(10) if value > 0 else value) == expected


def test_ctrl_c_before_the_first_prompt_leads_to_it(terminal, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "begin", interrupted)
    lines = iter(["I _ it.", "exit"])
    terminal.run(lambda prompt: next(lines))
    text = terminal.console.file.getvalue()
    assert "stopped" in text
    assert "I eat it." in text


def test_bytes_that_are_no_utf_8_end_nothing(terminal):
    lines = iter([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "I _ it.", "quit"])

    def read(prompt: str) -> str:
        line = next(lines)
        if isinstance(line, str):
            return line
        raise line

    terminal.run(read)
    text = terminal.console.file.getvalue()
    assert "not valid UTF-8" in text
    assert "I eat it." in text


def test_what_is_typed_or_named_cannot_steer_the_terminal(terminal):
    for line in (":n \x1b[2J", ":\x1b]0;title\x07", ":model \x9b31m", "\x1b[31m no blank", "I _ \x1b[2J\udcff"):
        text = said(terminal, line)
        assert not set(text) & {"\x1b", "\x07", "\x9b"}
        text.encode()


def test_full_memory_is_told_and_ends_nothing(terminal, infiller, monkeypatch):
    forward = type(infiller.model).forward

    def full(self, *arguments, **options):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(infiller.model), "forward", full)
    assert "Out of memory with up to 128 candidates at a time" in said(terminal, "I _ it.")
    monkeypatch.setattr(type(infiller.model), "forward", forward)
    assert "I eat it." in said(terminal, ":batch_size 16", "I _ it.")


def test_any_other_error_of_the_model_is_a_bug(terminal, infiller, monkeypatch):
    def broken(self, *arguments, **options):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(type(infiller.model), "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        terminal.respond("I _ it.")


def test_commands_as_hydra_has_them(terminal):
    assert said(terminal, ":n=5", ":temperature=0.5", ":models=[A1,B1]").splitlines() == [
        "candidates=5",
        "temperature=0.5",
        "Models: A1, B1",
    ]


def test_names_of_models_may_have_spaces_and_brackets(terminal):
    for typed, names in (
        ('"my runs/A1" B1', ["my runs/A1", "B1"]),
        ("[A1, B1]", ["A1", "B1"]),
        ("A1,B1", ["A1", "B1"]),
        ("*_[AB]1", ["*_[AB]1"]),
    ):
        said(terminal, f":model {typed}")
        assert list(terminal.infillers) == names
    assert "has an unclosed quote" in said(terminal, ':model "A1')


def test_a_model_that_cannot_be_asked_is_named_and_the_others_fill(terminal, infiller):
    words = vocabulary(("word",))
    terminal.infillers = {"one": infiller, "other": Infiller(random_model("gpt2", ROWS), words)}
    told = said(terminal, "I [ngram] it.")
    assert told.startswith("other: The text has no blank. Write _ or [MASK]")
    assert "\n1 I eat it.  p = 1\n" in told
    assert said(terminal, "none").count("The text has no blank") == 2
    assert said(terminal, "I [word:-0 tokens]").count("\n") == 1  # what all say is told once


def test_what_looks_like_a_blank_and_is_none_is_told(terminal):
    assert said(terminal, "I [Word] it_ [wrod:l...] and _ [word].").splitlines()[:3] == [
        "read as text, not as blanks: [Word] [wrod:l...]",
        "1 I [Word] it_ [wrod:l...] and eat eat.  p = 1 (1, 1)",
        "2 I [Word] it_ [wrod:l...] and eat eat.  p = 1 (1, 1)",
    ]


def test_the_width_of_the_search_can_be_changed(terminal):
    assert (
        said(terminal, ":n 1", ":beams 2", ":n 3").splitlines()[-1].startswith("beams=2: expected candidates=3 or more")
    )
    assert said(terminal, ":beams 0", ":n 3").splitlines() == ["beams=0", "candidates=3"]


def test_models_stand_below_each_other_in_a_narrow_terminal(infiller):
    console = Console(file=io.StringIO(), width=40)
    narrow = Terminal({"A1": infiller, "B1": infiller}, decoding(candidates=2), dict, console)
    assert said(narrow, "I _ it.").splitlines() == [
        *("", "A1", "1 I eat it.  p = 1", "2 I eat it.  p = 1"),
        *("", "B1", "1 I eat it.  p = 1", "2 I eat it.  p = 1"),
    ]


def test_no_colours_where_they_are_not_wanted(infiller, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for no_color in (False, True):
        console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=no_color)
        terminal = Terminal({"A1": infiller}, decoding(), dict, console)
        assert ("\x1b[1;32meat" in said(terminal, "I _ it.")) is not no_color


def test_json_lines_in_place_of_texts_are_told(infiller):
    out = io.StringIO()
    lines = ['{"text": "I _ it."}', "{I _ it.", '{"a":' * 100_000 + " _", "[1] _ it"]
    with pytest.raises(UserError, match=r"1 of 4 texts could not be filled; line 1: The line is a JSON object"):
        fill_lines(lines, {"x": infiller}, decoding(cut=True), out)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [list(record) for record in records[:2]] == [
        ["line", "model", "text", "error"],
        ["line", "model", "text", "types", "candidates"],
    ]


def test_a_pipe_whose_reader_has_gone_is_no_news(infiller):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out, pytest.raises(UserError, match="The output cannot be written") as error:
        fill_lines(["I _ it"], {"x": infiller}, decoding(), out)
    assert error.value.reported


def test_output_that_nobody_takes(model_folder, tmp_path):
    """A full disk: no traceback, and nothing more at the end of Python."""
    (tmp_path / "texts").write_text("I _ it\n" * 3)
    writer = os.open("/dev/full", os.O_WRONLY)
    command = [
        sys.executable,
        str(REPOSITORY / "infill.py"),
        f"models=[{model_folder}]",
        f"input={tmp_path / 'texts'}",
    ]
    found = subprocess.run(command, cwd=tmp_path, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "The output cannot be written: No space left" in found.stderr


def test_no_stdin_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert not is_dialogue()
    with pytest.raises(UserError, match="There is no input"):
        next(piped_texts())
