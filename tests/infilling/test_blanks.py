import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context, parse_blanks
from ilm.infilling.token_bytes import TokenBytes
from tests.reference_data import DOCUMENTS, MASK_TYPES

WORD, NGRAM, SENTENCE = 4, 3, 2


@pytest.fixture(scope="module")
def gpt2() -> Vocabulary:
    return Vocabulary(gpt2_tokenizer(), MASK_TYPES)


@pytest.fixture(scope="module")
def token_bytes(gpt2) -> TokenBytes:
    return TokenBytes(gpt2)


@pytest.mark.parametrize(
    ("text", "pieces", "types"),
    [
        ("She ate [ngram] for _.", ("She ate ", " for ", "."), (NGRAM, WORD)),
        ("[sentence][word] [MASK]", ("", "", " ", ""), (SENTENCE, WORD, WORD)),
        ("_", ("", ""), (WORD,)),
        ("_ _\n_", ("", " ", "\n", ""), (WORD, WORD, WORD)),
        ('He said "_", (_) and [_]?', ('He said "', '", (', ") and [_]?"), (WORD, WORD)),
        ("_'s dog, _!", ("", "'s dog, ", "!"), (WORD, WORD)),
        ("[word]_ _[word]", ("", "", " ", "", ""), (WORD, WORD, WORD, WORD)),
        ("un[word]ed", ("un", "ed"), (WORD,)),
        ("a_b __ ___ _x y_ ^_^ -_- [verb] [Word] [word ] <|infill_word|>", None, ()),
        ("no blank", None, ()),
        ("", None, ()),
    ],
)
def test_what_is_a_blank(text, pieces, types):
    assert parse_blanks(text, MASK_TYPES)[:2] == (pieces or (text,), types)


def test_the_default_is_word_or_else_the_last_type():
    assert parse_blanks("_ [MASK]", ("word", "other"))[1] == (0, 0)
    assert parse_blanks("_ [MASK]", ("sentence_terminal", "other"))[1] == (1, 1)


def test_a_mask_type_may_hold_any_characters():
    assert parse_blanks("a [n.gram] [nxgram] [a|b]", ("n.gram", "a|b"))[:2] == (("a ", " [nxgram] ", ""), (0, 1))


@given(st.text(alphabet="a_[]() \nword.MASK"), st.data())
def test_nothing_but_the_blanks_changes(text, data):
    pieces, types, limits = parse_blanks(text, ("word",))
    context = Context(text, pieces, types, limits, (False,) * len(types), ())
    answers = data.draw(st.lists(st.text(), min_size=len(types), max_size=len(types)))
    filled, spans = context.fill(answers)
    assert [filled[start : start + length] for start, length in spans] == answers
    kept = filled
    for start, length in reversed(spans):
        kept = kept[:start] + "\0" + kept[start + length :]
    assert kept.split("\0") == list(pieces) or "\0" in filled


def test_the_worked_example(gpt2, token_bytes):
    context = Context.parse("She ate [ngram] for _ .", token_bytes)
    assert gpt2.decode(context.ids) == "She ate<|infill_ngram|> for<|infill_word|> .<|startofinfill|>"
    assert context.ids == (3347, 15063, 50262, 329, 50263, 764, 50257)
    assert context.leading_space == (True, True)
    assert context.fill(["leftover pasta", "lunch"]) == ("She ate leftover pasta for lunch .", ((8, 14), (27, 5)))


@pytest.mark.parametrize(
    ("text", "context", "leading_space"),
    [
        ("[word] is", "<|infill_word|> is", False),
        ("Hi.\n[word]", "Hi.\n<|infill_word|>", False),
        ("a  [word]", "a <|infill_word|>", True),
        ("(_)", "(<|infill_word|>)", False),
        (" [word]", "<|infill_word|>", True),
    ],
)
def test_one_space_is_lost_before_a_blank(gpt2, token_bytes, text, context, leading_space):
    made = Context.parse(text, token_bytes)
    assert gpt2.decode(made.ids) == context + "<|startofinfill|>"
    assert made.leading_space == (leading_space,)


def test_white_space_is_split_as_before_a_word(gpt2, token_bytes):
    # At the end of a text "\n\n" is one token, 628; before a word it is two.
    assert Context.parse("Hi.\n\n[sentence]", token_bytes).ids == (17250, 13, 198, 198, 50261, 50257)
    assert Context.parse("Hi.   [word]", token_bytes).ids == (17250, 13, 220, 220, 50263, 50257)
    assert Context.parse("Hi [word]\n\n", token_bytes).ids == (17250, 50263, 628, 50257)


def test_a_tokenizer_without_spaced_words_keeps_the_space(gpt2):
    token_bytes = TokenBytes(gpt2)
    token_bytes.words_carry_space = False
    context = Context.parse("a [word]", token_bytes)
    assert gpt2.decode(context.ids) == "a <|infill_word|><|startofinfill|>"
    assert context.leading_space == (False,)


def test_control_tokens_in_a_text_stay_text(gpt2, token_bytes):
    ids = Context.parse("<|endofinfill|><|endoftext|> _", token_bytes).ids
    assert [i for i in ids if i >= 50256] == [50263, 50257]


def test_contexts_are_those_of_the_reference(gpt2, token_bytes):
    """Documents with their spans typed as blanks give the context tokens of the reference's rows."""
    compared = 0
    for document in DOCUMENTS:
        text, ids = document["text"], document["ids_official"]
        for mask in document["masks"]:
            row = (mask.get("rows") or {}).get("256")
            if not (
                mask["mask"] and isinstance(mask.get("aligned"), list) and isinstance(row, dict) and "inputs" in row
            ):
                continue
            spans = [text[start : start + length] for _, start, length in mask["mask"]]
            runs = [gpt2.decode(ids[first : first + length]) for _, first, length in mask["aligned"]]
            # Only spans of whole words: inside a word the span is widened, which nobody who types a text can do.
            whole = all(run in (span, f" {span}") and span.strip() for run, span in zip(runs, spans, strict=True))
            if not whole or "\ufffd" in text or gpt2.start_of_infill not in row["inputs"]:
                continue
            typed, done = "", 0
            for name, start, length in mask["mask"]:
                typed += text[done:start] + f"[{name.lower()}]"
                done = start + length
            expected = row["inputs"][: row["inputs"].index(gpt2.start_of_infill) + 1]
            made = Context.parse(typed + text[done:], token_bytes)
            assert list(made.ids) == expected, (document["name"], mask["name"])
            compared += 1
    assert compared > 150


def test_a_text_without_a_blank_is_refused(gpt2, token_bytes):
    with pytest.raises(UserError, match=r"no blank.*_ or \[MASK\].*\[document\] \[paragraph\]"):
        Context.parse("She ate [verb].", token_bytes)


def test_bytes_that_are_no_text_are_refused(gpt2, token_bytes):
    with pytest.raises(UserError, match=r"UTF-8.*character 6"):
        Context.parse("He is\udcff _", token_bytes)
