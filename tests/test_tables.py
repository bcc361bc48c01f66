"""What reaches a terminal, a page of Markdown and a paper."""

import io

import pytest
from rich.console import Console

from ilm.tables import TextTable, escape_latex, escape_markdown, printable, show, wrap_name


def test_nothing_that_steers_a_terminal_is_left():
    assert printable("a\x1b[2J\x07\x9bb\x7f\r") == "a␛[2J␇\ufffdb␡␍"
    assert printable("\u202eabc\u2066\u2028\udcff") == "\ufffdabc\ufffd\ufffd\ufffd"
    every = "".join(map(chr, range(0x110000)))
    assert len(printable(every)) == len(every)
    printable(every).encode()  # no half of a surrogate pair
    assert not {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - set("\n\t") & set(printable(every))


def test_texts_stay_as_they_are():
    for text in ("She ate.\n\tYes!", "“é” 😀 👩‍👩‍👧 日本", "أحب القهوة \u200f(جدا)"):
        assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample_A1_ilm_tiny", "sample_A1_ilm_tiny"),  # an underscore within a word emphasises nothing
        ("_a_ b _ c", r"\_a\_ b \_ c"),
        ("a | b * `c` \\ ~~d~~ $e$", r"a \| b \* \`c\` \\ \~\~d\~\~ \$e\$"),
        ("[a](b) <0.001 <b> &amp; R&D", r"\[a\](b) <0.001 \<b> \&amp; R\&D"),
        ("one\ttab\ntwo lines \x1b[1m", "one tab<br>two lines ␛\\[1m"),
    ],
)
def test_text_in_markdown_is_literal(text, expected):
    assert escape_markdown(text) == expected


def test_text_in_latex_is_literal():
    text = "a_b & 5 % of $3 #1 {x} ~ ^ \\ <0.001 ±2 −1"
    assert escape_latex(text) == (
        "a\\_b \\& 5 \\% of \\$3 \\#1 \\{x\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} "
        "$<$0.001 $\\pm$2 $-$1"
    )


def test_long_names_are_broken_where_their_parts_end():
    assert wrap_name("ilm:real_all_ilm_smollm2") == ["ilm:real_", "all_ilm_", "smollm2"]
    assert "".join(wrap_name("a" * 40)) == "a" * 40
    assert wrap_name("short") == ["short"]


TABLE = TextTable("Runs of a|b", ("run", "n_texts"), [("a|b", "1"), ("[red]x", "22")], "lr", "50 % [b]", [1])


def test_a_table_in_markdown():
    assert TABLE.markdown().splitlines() == [
        "| run      |   n_texts |",
        "|:---------|----------:|",
        "| a\\|b     |         1 |",
        "| \\[red\\]x |        22 |",
    ]


def test_a_table_in_latex():
    tex = TABLE.latex("More of R&D.")
    assert "\\caption{Runs of a|b. More of R\\&D.}" in tex
    assert "\\begin{tabular}{@{}lr@{}}\n\\toprule\nrun & n\\_texts \\\\\n\\midrule\na|b & 1 \\\\\n" in tex
    long = TextTable("Long", ("a", "b"), [("x", "a_name_of_many_parts")] * 41, "pl").latex()
    assert "\\begin{longtable}{@{}p{0.3\\linewidth}l@{}}" in long
    assert "x & \\shortstack[l]{a\\_name\\_of\\_many\\_ \\\\ parts} \\\\" in long


def test_a_table_in_a_terminal_shows_markup_and_control_codes_as_text():
    console = Console(record=True, width=40, file=io.StringIO())
    console.print(TABLE)
    console.print(TextTable(None, ("x",), [("\x1b[2J",)], "l"))
    text = console.export_text()
    assert "[red]x" in text
    assert "50 % [b]" in text
    assert "␛[2J" in text
    assert sum(line.startswith("├") for line in text.splitlines()) == 1, "a rule above the last row"


def shown_in(width: int, table: TextTable, monkeypatch, capsys) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    show(table)
    return capsys.readouterr().out.splitlines()


RUNS = [f"real_{level}_ilm_gpt2-medium_acl2020_s{seed}" for level in ("A1", "B2+") for seed in (0, 1)]
WIDE = TextTable(
    "Perplexity: gpt2-medium, ilm, hierarchical, with a title longer than a narrow table would be",
    ("run", "A1", "difference"),
    [(run, "27.31 [26.10, 28.52]", "−0.12 [−0.31, −0.05]") for run in RUNS],
    "lrr",
    "A caption of some length, which is to be wrapped where the terminal ends and not where the table does.",
)


def test_names_and_intervals_are_whole_where_they_fit(monkeypatch, capsys):
    lines = shown_in(100, WIDE, monkeypatch, capsys)
    assert lines[0] == WIDE.title
    assert f"│ {RUNS[-1]} │ 27.31 [26.10, 28.52] │ −0.12 [−0.31, −0.05] │" in lines
    assert len(lines) == 1 + 4 + len(RUNS) + 2, "the caption takes two lines of 100 columns"


def test_a_table_that_is_too_wide_is_broken_between_parts_only(monkeypatch, capsys):
    for width in (70, 60, 30):
        lines = shown_in(width, WIDE, monkeypatch, capsys)
        text = "\n".join(lines)
        assert text.count("[−0.31, −0.05] │") == text.count(" −0.12 │") == len(RUNS)
        names = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
        assert "".join(names) == "".join(RUNS)
        assert all(name[-1] in "_-" or any(run.endswith(name) for run in RUNS) for name in names if name)
    assert max(map(len, lines)) > 30, "what is wider even so is not cut off"


def test_tables_are_as_wide_as_the_terminal_or_100_columns(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    show(TextTable("t", ("long text",), [("word " * 60,)], "p"))
    assert max(map(len, capsys.readouterr().out.splitlines())) == 100
