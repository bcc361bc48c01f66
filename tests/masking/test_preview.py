import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ilm.masking.functions import Hierarchical, Span
from ilm.masking.preview import cut, preview

LUNCH = "She ate leftover pasta for lunch."
SPANS = [Span("ngram", 8, 14), Span("word", 27, 5)]


def rendered(text, spans, colour=False):
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=colour, color_system="standard" if colour else None)
    console.print(preview(text, spans, Hierarchical.mask_types))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_document_context_and_answers():
    assert rendered(LUNCH, SPANS) == [
        "document  She ate leftover pasta for lunch.",
        "context   She ate <|infill_ngram|> for <|infill_word|>.",
        "answers   ngram leftover pasta",
        "          word lunch",
    ]


def test_each_type_has_its_colour_in_all_three_parts():
    lines = "\n".join(rendered(LUNCH, SPANS, colour=True))
    assert lines.count("\x1b[7;32m") == 3  # ngram: reversed green
    assert "\x1b[7;32mleftover pasta\x1b[0m for \x1b[7;33mlunch\x1b[0m." in lines


def test_nothing_masked():
    assert rendered("Hi!", []) == ["document  Hi!", "context   Hi!", "answers   none: nothing is masked"]


def test_text_is_neither_markup_nor_terminal_codes():
    text = "[bold]Hi[/bold] :smile: [/] \x1b[31m\x07\x9b0m\x7f"
    document, context, answer = rendered(text, [Span("word", 6, 2)])
    assert document == "document  [bold]Hi[/bold] :smile: [/] ␛[31m␇\ufffd0m␡"
    assert context == "context   [bold]<|infill_word|>[/bold] :smile: [/] ␛[31m␇\ufffd0m␡"
    assert answer == "answers   word Hi"


def test_cut_into_context_and_answers():
    assert cut(LUNCH, SPANS) == (["She ate ", " for ", "."], ["leftover pasta", "lunch"])
    assert cut("abc", [("word", 0, 1), ("word", 1, 2)]) == (["", "", ""], ["a", "bc"])
    assert cut("abc", []) == (["abc"], [])


@given(st.text(), st.integers(0, 9))
def test_any_text_is_shown(text, seed):
    length = min(seed, len(text))
    assert rendered(text, [Span("word", 0, length)] if length else [])
