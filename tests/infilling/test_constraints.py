"""What the answer to one blank may be: typed, given, and kept by any model."""

import random
import time

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import BlankLimits, Context, parse_blanks
from ilm.infilling.candidates import GeneratedSequence
from ilm.infilling.constraints import AnswerConstraints, ConstraintState
from ilm.infilling.infiller import Infiller
from ilm.infilling.token_bytes import TokenBytes
from tests.infilling.small_models import ENTRIES, MASK_TYPES, Bigrams, decoding, random_model, vocabulary

ROWS = ENTRIES + 2 + len(MASK_TYPES)


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.fixture(scope="module")
def infiller(words) -> Infiller:
    return Infiller(random_model("gpt2", ROWS, positions=64), words)


@pytest.mark.parametrize(
    ("typed", "limits"),
    [
        ("[word:l...]", BlankLimits(prefix="l")),
        ("[word:l…]", BlankLimits(prefix="l")),
        ("[word:2-5 tokens]", BlankLimits(2, 5)),
        ("[MASK:3 tokens]", BlankLimits(3, 3)),
        ("[word:-4 tokens]", BlankLimits(1, 4)),
        ("[word:2- tokens]", BlankLimits(2, None)),
        ("[word:2-5 tokens:left...]", BlankLimits(2, 5, "left")),
        ("[word:12 tokens:30...]", BlankLimits(12, 12, "30")),
        ("[word:at 9...]", BlankLimits(prefix="at 9")),
        ("[word:1 word]", BlankLimits(min_words=1, max_words=1)),
        ("[word:2-5 words]", BlankLimits(min_words=2, max_words=5)),
        ("[word:2- words:left...]", BlankLimits(min_words=2, prefix="left")),
        ("[word:-3words]", BlankLimits(max_words=3)),
        ("[word]", BlankLimits()),
    ],
)
def test_limits_are_typed_behind_a_colon(typed, limits):
    assert parse_blanks(f"a {typed}.", MASK_TYPES) == (("a ", "."), (2,), (limits,))


@pytest.mark.parametrize(
    "typed",
    [
        "[word:]",
        "[word:foo]",
        "[word:5-2 tokens]",
        "[word:5-2 words]",
        "[word:0 words]",
        "[word:1 word:a b...]",
        "[word:0 tokens]",
        "[word: l...]",
        "[word:-]",
        f"[word:{'9' * 20}]",
    ],
)
def test_limits_that_are_none_are_told(typed):
    with pytest.raises(UserError):
        parse_blanks(typed, MASK_TYPES)


@pytest.mark.parametrize("typed", ["[ngram:3]", "[ngram:2-5]", "[ngram:2-5:left...]", "[ngram:-5]"])
def test_a_number_says_what_it_counts(typed):
    with pytest.raises(UserError, match=r"does not say what it counts\. Type \[\.\.\.:[-0-9]+ words\], or "):
        parse_blanks(typed, MASK_TYPES)


def test_many_open_brackets_are_read_at_once():
    """The time grows with the text, not with its square."""
    text, begin = "[word:" * 20_000, time.perf_counter()
    assert parse_blanks(text, MASK_TYPES)[0] == (text,)
    assert time.perf_counter() - begin < 10


def test_brackets_of_other_words_stay_text():
    assert parse_blanks("[verb:l...] [note: 3]", MASK_TYPES)[1] == ()


@pytest.mark.parametrize("settings", [{}, {"method": "greedy"}, {"top_p": 0.9}, {"method": "beam"}])
def test_limits_are_kept_by_any_model(infiller, settings):
    text = "She ate [ngram:2-4 tokens] for [word:lu...] and _."
    results = infiller(text, decoding(candidates=4, max_answer_tokens=6, **settings))[0]
    assert len(results) == (1 if settings.get("method") == "greedy" else 4)
    for result in results:
        first, second, third = (len(ids) - 1 for ids in result.token_ids)
        assert 2 <= first <= 4
        assert 1 <= second <= 6
        assert 1 <= third <= 6
        assert result.answers[1].startswith("lu")
        assert result.text == f"She ate {result.answers[0]} for {result.answers[1]} and {result.answers[2]}."


@pytest.mark.parametrize("settings", [{}, {"method": "greedy"}, {"top_p": 0.9}, {"method": "beam"}])
@pytest.mark.parametrize(
    "limits",
    [
        BlankLimits(max_words=1),
        BlankLimits(min_words=2, max_words=2),
        BlankLimits(min_words=3, max_words=5),
        BlankLimits(min_words=4),
        BlankLimits(min_words=4, max_tokens=4),  # every token begins a word
        BlankLimits(5, 5, max_words=1),
        BlankLimits(prefix="at 9", max_words=2),
        BlankLimits(prefix="at ", min_words=3, max_words=3),
        BlankLimits(prefix="日本", min_words=2, max_words=2, max_tokens=9),
    ],
)
@pytest.mark.parametrize("text", ["She ate [ngram] for lunch", "[ngram]"])
def test_answers_have_as_many_words_as_asked(infiller, text, limits, settings):
    context = infiller.context(text, [limits])
    results = infiller(context, decoding(candidates=6, max_answer_tokens=7, **settings))[0]
    for result in results:
        (answer,) = result.answers
        words = answer.encode().split()
        assert limits.min_words <= len(words) <= (limits.max_words or 99), answer
        assert len(words) != limits.max_words or not answer.encode()[-1:].isspace()
        assert answer.startswith(limits.prefix)
        assert limits.min_tokens <= len(result.token_ids[0]) - 1 <= max(7, limits.max_tokens or 0)


def vocabulary_of_bytes() -> Vocabulary:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return Vocabulary(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>"), MASK_TYPES)


@pytest.mark.parametrize("settings", [{}, {"method": "greedy"}, {"method": "beam"}])
def test_a_blank_of_type_word_is_one_word_by_default(infiller, settings):
    text = "She ate [word] for [ngram:2-3 words] and [word:at 9...] or [word:2- words] and _ [word:3 words]."
    one = Decoding().max_answer_words
    assert one == 1
    for result in infiller(text, decoding(candidates=4, max_answer_tokens=8, max_answer_words=one, **settings))[0]:
        counts = [len(answer.encode().split()) for answer in result.answers]
        assert counts[0] == counts[4] == 1
        assert 2 <= counts[1] <= 3
        assert counts[2] == 2  # the fewest that its prefix leaves
        assert counts[3] >= 2  # what is typed counts alone
        assert counts[5] == 3


@pytest.mark.parametrize(("typed", "most"), [("She ate [ngram]", 1), ("She ate [word]", None)])
def test_other_types_and_null_have_any_number_of_words(infiller, typed, most):
    results = infiller(typed, decoding(candidates=8, max_answer_tokens=8, max_answer_words=most))[0]
    assert max(len(result.answers[0].encode().split()) for result in results) > 1


@pytest.mark.parametrize("bytes_alone", [False, True])
def test_any_token_allowed_leaves_a_way_to_the_words_asked(words, bytes_alone):
    """Whatever is drawn, the words are there when the tokens run out: from the fewest on."""
    if bytes_alone:  # a space is a token of its own
        words = vocabulary_of_bytes()
    token_bytes = TokenBytes(words)
    assert token_bytes.words_carry_space is not bytes_alone
    constraints = AnswerConstraints(words, token_bytes, words.size, torch.device("cpu"))
    draws = random.Random(3)
    for _ in range(300):
        least, most = draws.randint(1, 4), draws.choice([None, 0, 2])
        most = None if most is None else least + most
        prefix = draws.choice([b"", b" ", b" lunch", b" at "])
        prefix = prefix if most is None or most > 1 else prefix.rstrip()
        context = Context.from_pieces("", ("", ""), (2,), (BlankLimits(min_words=least, max_words=most),), token_bytes)
        sequence = GeneratedSequence.begin(context, 0)
        sequence.prefix = prefix
        of_words = least if not bytes_alone else 2 * least
        tokens_left = draws.randint(0, 3) + (token_bytes.min_tokens(prefix) if prefix else 1) + of_words
        while tokens_left:
            missing = max(least - sequence.n_words, 0)
            left = None if most is None else most - sequence.n_words
            at = (
                sequence.prefix,
                sequence.partial,
                not sequence.has_text,
                False,
                tokens_left,
                sequence.in_word,
                missing,
            )
            allowed = constraints.allowed_tokens(ConstraintState(*at, left))
            allowed = [i for i in allowed.nonzero().flatten().tolist() if i != words.end_of_infill]
            if not allowed:
                break
            sequence.append(draws.choice(allowed), 0.0, constraints)
            tokens_left -= 1
        written = token_bytes.join(sequence.token_ids[0])
        assert least <= len(written.split()) <= (most or 99), (least, most, prefix, written)
        assert sequence.n_words == len(written.split())
        assert not sequence.prefix
        assert not sequence.partial


def test_a_prefix_may_end_inside_a_token(words):
    """The model wants " lunch", one token; " l" and " lu" must not keep it from that."""
    (lunch,) = words.encode(" lunch")
    model = Bigrams(ROWS)
    model.table[words.start_of_infill, lunch] = model.table[lunch, words.end_of_infill] = 50.0
    infiller = Infiller(model, words)
    for prefix in ("l", "lu", "lunc", "lunch"):
        for settings in ({"method": "greedy"}, {"seed": 3}):
            (result,) = infiller(f"for [word:{prefix}...]", decoding(**settings))[0]
            assert result.token_ids == ((lunch, words.end_of_infill),), prefix
    # Another beginning: the tokens are others, and the probability remains the model's own.
    (result,) = infiller("for [word:lx...]", decoding(method="greedy"))[0]
    assert result.answers[0].startswith("lx")
    assert result.log_probability < -40


def test_a_prefix_of_several_words_and_characters_beyond_ascii(infiller):
    for prefix in ("at 9", "naïve “x", "日本"):
        context = infiller.context("I [ngram]", [BlankLimits(prefix=prefix)])
        for result in infiller(context, decoding(candidates=3, max_answer_tokens=30))[0]:
            assert result.answers[0].startswith(prefix)


def test_limits_given_replace_those_typed(infiller):
    text = "I [word:l...] and [word:2 tokens]."
    (result,) = infiller(infiller.context(text, [BlankLimits(max_tokens=1), None]), decoding(seed=1))[0]
    assert [len(ids) - 1 for ids in result.token_ids] == [1, 2]
    many = infiller([text, infiller.context("a _", [BlankLimits(3, 3)])], decoding())
    assert many[0][0].answers[0].startswith("l")
    assert len(many[1][0].token_ids[0]) == 4


def test_log_probabilities_of_limited_answers_are_the_models_own(infiller):
    """Closed at once or led by a prefix: the same tokens have the same probability without limits."""
    free = infiller("I [word] it", decoding(candidates=40, max_answer_tokens=2))[0]
    limited = (
        infiller("I [word:-2 tokens] it", decoding(candidates=40))[0]
        + infiller("I [word:-2 tokens:l...] it", decoding(candidates=20))[0]
    )
    known = {result.token_ids: result.log_probability for result in free}
    both = [result for result in limited if result.token_ids in known]
    assert len(both) >= 10
    for result in both:
        assert result.log_probability == pytest.approx(known[result.token_ids], abs=1e-4)


def test_limits_that_cannot_be_kept_are_told(infiller):
    with pytest.raises(UserError, match=r"begins with 'xxyyzz' has at least \d tokens, not at most 1"):
        infiller("[word:-1 token:xxyyzz...]", decoding())
    with pytest.raises(UserError, match=r"has \d+ tokens, but only 11 fit: .* limited to 64, at least 53 of them"):
        infiller("a " * 20 + "[word:50-60 tokens] [word]", decoding())
    for own in (BlankLimits(prefix="lunch " * 300), BlankLimits(min_words=300), BlankLimits(300)):
        with pytest.raises(UserError, match=r"alone take at least \d+ tokens, but the model is limited to 64"):
            infiller.context("_", [own], decoding(max_answer_tokens=8, cut=True))
    with pytest.raises(UserError, match="An answer of at least 3 words has at least 3 tokens, not at most 2"):
        infiller.context("_", [BlankLimits(max_tokens=2, min_words=3)])
    with pytest.raises(UserError, match="has 2 blanks, but limits are given for 1"):
        infiller.context("_ _", [None])


def test_every_allowed_token_leaves_a_way(words):
    """From any place of a prefix to its end, within the tokens_left there is."""
    token_bytes = TokenBytes(words)
    constraints = AnswerConstraints(words, token_bytes, ROWS, torch.device("cpu"))
    for prefix in (b" lunch", b" leftover pa", "é日".encode()):
        assert 1 <= token_bytes.min_tokens(prefix) <= len(prefix)
        for tokens_left in range(token_bytes.min_tokens(prefix), len(prefix) + 2):
            allowed = (
                constraints.allowed_tokens(ConstraintState(prefix, b"", True, False, tokens_left))
                .nonzero()
                .flatten()
                .tolist()
            )
            assert allowed.pop() == words.end_of_infill
            assert allowed
            for text in (token_bytes.of[i] for i in allowed):
                assert text.startswith(prefix) or prefix.startswith(text)
                assert token_bytes.min_tokens(prefix[len(text) :]) <= tokens_left - 1


def test_characters_of_gpt2_in_parts_can_be_finished():
    """Its vocabulary has tokens that end one character and begin the next."""
    gpt2 = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    token_bytes = TokenBytes(gpt2)
    constraints = AnswerConstraints(gpt2, token_bytes, gpt2.size, torch.device("cpu"))
    for character in "é—日😀":
        whole = character.encode()
        for part in range(1, len(whole)):
            for tokens_left in range(1, 5):
                position = ConstraintState(b"", whole[:part], True, False, tokens_left)
                found = constraints.allowed_tokens(position).nonzero().flatten().tolist()
                assert found.pop() == gpt2.end_of_infill
                texts = [whole[:part] + token_bytes.of[i] for i in found]
                # Every byte is a token of its own.
                assert texts or tokens_left < len(whole) - part
                assert whole in texts or len(whole) - part > 1
                if tokens_left == 1:
                    assert all(text.decode().strip() for text in texts)


def test_tokens_that_begin_a_string_are_all_found(words):
    token_bytes = TokenBytes(words)
    for string in (b" l", b" lunch", b"a", b"\xff", b" ", "é".encode()):
        assert set(token_bytes.beginning_with(string)) == {
            i for i, text in enumerate(token_bytes.of) if text.startswith(string)
        }
        shorter = {i for i, text in enumerate(token_bytes.of) if text and len(text) < len(string)}
        assert set(token_bytes.prefixes_of(string)) == {i for i in shorter if string.startswith(token_bytes.of[i])}
