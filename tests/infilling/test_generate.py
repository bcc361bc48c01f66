"""Groups of candidates in one cache, the search for the best, distinct candidates, and texts too long."""

import itertools
import math
import threading

import pytest
import torch

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling import generate
from ilm.infilling.infiller import Infiller
from ilm.masking.functions import Span
from tests.infilling.small_models import ENTRIES, MASK_TYPES, Bigrams, decoding, random_model, vocabulary

ROWS = ENTRIES + 2 + len(MASK_TYPES)
TEXTS = ["She ate [ngram] for _.", "[sentence]", "I like to eat _ for lunch.\n[sentence] I like _.", "_ [word] name"]


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def infiller(request, words) -> Infiller:
    return Infiller(random_model(request.param, ROWS), words)


def own_log_probability(infiller: Infiller, text: str, result) -> float:
    """Of the result's tokens, from one pass over all of them without a cache."""
    context = list(infiller.context(text).ids)
    answers = [i for ids in result.token_ids for i in ids]
    with torch.no_grad():
        logits = infiller.model(torch.tensor([context + answers]), use_cache=False).logits[0].double().log_softmax(-1)
    return sum(float(logits[len(context) - 1 + n, i]) for n, i in enumerate(answers))


@pytest.mark.parametrize("settings", [{}, {"method": "beam", "beams": 6}])
@pytest.mark.parametrize(("at_once", "cached", "read"), [(1, 1, 1), (5, 60, 40), (200, 10_000, 10_000)])
def test_what_shares_the_cache_changes_nothing(infiller, monkeypatch, settings, at_once, cached, read):
    """Groups wait, rows are handed on and the cache grows: each token has its probability all the same."""
    monkeypatch.setattr(generate, "MAX_CACHE_TOKENS", cached)
    monkeypatch.setattr(generate, "MAX_PREFILL_TOKENS", read)
    monkeypatch.setattr(generate, "GROUP_SIZE", 3)
    results = infiller(TEXTS * 2, decoding(candidates=5, max_answer_tokens=12, batch_size=at_once, seed=1, **settings))
    for text, group in zip(TEXTS * 2, results, strict=True):
        assert len(group) == 5
        for result in group:
            assert result.log_probability == pytest.approx(own_log_probability(infiller, text, result), abs=2e-4)
    assert [r.text for r in itertools.chain(*results[:4])] == [r.text for r in itertools.chain(*results[4:])]


def test_the_best_are_the_best_there_are(words):
    """All answers of one or two tokens by hand, and their probabilities."""
    model = Bigrams(ROWS)
    model.table = torch.randn(ROWS, ROWS, generator=torch.Generator().manual_seed(5)) * 3
    infiller, end = Infiller(model, words), words.end_of_infill
    # One token of eight matters, so that the beam holds all that do.
    model.table[:, [i for i in range(ENTRIES) if i % 8]] -= 60
    log = model.table.double().log_softmax(-1)
    texts = [words.decode([i]) for i in range(ENTRIES)]
    first = [i for i in range(1, ENTRIES) if texts[i].startswith(" ")]
    answers: dict[str, float] = {}
    for i in first:
        for j in [None, *range(1, ENTRIES)]:
            path = [words.start_of_infill, i, *([] if j is None else [j]), end]
            text = infiller.token_bytes.decode(path[1:-1])
            if text.strip() and "\ufffd" not in text:
                value = float(sum(log[a, b] for a, b in itertools.pairwise(path)))
                answers[text] = max(value, answers.get(text, -math.inf))
    expected = sorted(answers.items(), key=lambda item: -item[1])[:8]
    found = infiller("a [word:-2 tokens]", decoding(candidates=8, method="beam", beams=300))[0]
    assert [f" {result.answers[0]}" for result in found] == [text for text, _ in expected]
    assert [result.log_probability for result in found] == pytest.approx([value for _, value in expected], abs=1e-4)


def test_an_answer_may_end_where_much_else_is_likelier(words):
    """After " eat" there are more than 300 tokens likelier than its end, and each of them only leads on and on."""
    (eat,) = words.encode(" eat")
    model = Bigrams(ROWS)
    model.table[words.start_of_infill, eat] = 50.0
    model.table[:, words.end_of_infill] = -1.0
    (best,) = Infiller(model, words)("I _", decoding(method="beam", max_answer_tokens=6))[0]
    assert best.answers == ("eat",)


def test_the_best_come_likeliest_first_and_differ(infiller):
    for group in infiller(TEXTS, decoding(candidates=6, method="beam", max_answer_tokens=5)):
        values = [result.log_probability for result in group]
        assert values == sorted(values, reverse=True)
        assert len({result.answers for result in group}) == 6
    (greedy,) = infiller(TEXTS[3], decoding(method="greedy", max_answer_tokens=5))[0]
    best = infiller(TEXTS[3], decoding(method="beam", beams=40, max_answer_tokens=5))[0][0]
    assert best.log_probability >= greedy.log_probability - 1e-4


def test_texts_that_read_alike_with_other_blanks_are_searched_apart(infiller):
    typed = infiller.context("I [word] like [word]")
    drawn = infiller.context("I [word] like pasta", spans=[Span("word", 14, 5)])
    assert typed.text == drawn.text
    both = infiller([typed, drawn], decoding(method="beam", max_answer_tokens=2))
    assert [len(group[0].answers) for group in both] == [2, 1]


def test_distinct_candidates_are_the_first_that_differ(infiller):
    settings = {"temperature": 0.3, "max_answer_tokens": 2}
    many = infiller("I _ it", decoding(candidates=80, **settings))[0]
    wanted = list(dict.fromkeys(result.answers for result in many))[:10]
    assert len(wanted) == 10 > len({result.answers for result in many[:10]})
    assert [r.answers for r in infiller("I _ it", decoding(candidates=10, distinct=True, **settings))[0]] == wanted


def test_fewer_distinct_candidates_than_asked_for(words):
    (eat,) = words.encode(" eat")
    model = Bigrams(ROWS)
    model.table[words.start_of_infill, eat] = model.table[eat, words.end_of_infill] = 90.0
    assert [r.text for r in Infiller(model, words)("I _", decoding(candidates=3, distinct=True))[0]] == ["I eat"]


def test_candidates_in_the_order_of_their_probability(infiller):
    drawn = infiller(TEXTS, decoding(candidates=6, max_answer_tokens=4))
    ordered = infiller(TEXTS, decoding(candidates=6, max_answer_tokens=4, by_probability=True))
    for one, other in zip(drawn, ordered, strict=True):
        assert sorted(one, key=lambda r: -r.log_probability) == other
    assert drawn != ordered


def test_threads_do_not_mix_up_their_texts(infiller):
    expected = {text: infiller(text, decoding(candidates=3, max_answer_tokens=6))[0] for text in TEXTS}
    score = infiller.score("She ate _ it", ["a"])
    found, scores = {}, []

    def fill(text: str) -> None:
        found[text] = infiller(text, decoding(candidates=3, max_answer_tokens=6))[0]
        scores.append(infiller.score("She ate _ it", ["a"]))

    threads = [threading.Thread(target=fill, args=(text,)) for text in TEXTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {t: [r.token_ids for r in g] for t, g in found.items()} == {
        t: [r.token_ids for r in g] for t, g in expected.items()
    }
    assert scores == pytest.approx([score] * len(TEXTS))


def test_an_interruption_leaves_the_model_as_it_was(infiller):
    before = infiller.model.config._attn_implementation
    handle = infiller.model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        infiller("I _", decoding())
    handle.remove()
    assert infiller.model.config._attn_implementation == before
    assert infiller("I _", decoding(max_answer_tokens=3))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_bfloat16_is_near_float32(words, kind):
    """Mostly the same draws, and of every answer the probability that float32 gives its tokens, but for rounding."""
    exact = Infiller(random_model(kind, ROWS), words)
    rough = Infiller(random_model(kind, ROWS).bfloat16(), words)
    settings = decoding(candidates=20, max_answer_tokens=6)
    differences, same = [], 0
    for text, expected, found in zip(TEXTS, exact(TEXTS, settings), rough(TEXTS, settings), strict=True):
        for result, other in zip(found, expected, strict=True):
            tokens = sum(map(len, result.token_ids))
            differences.append(abs(result.log_probability - own_log_probability(exact, text, result)) / tokens)
            same += result.token_ids == other.token_ids
    assert 1e-4 < max(differences) < 0.1
    assert same > len(differences) / 2


class TestTextsTooLong:
    """Models of 96 tokens."""

    def test_what_is_near_the_blanks_is_read(self, infiller, words):
        before, after = "I like pasta. " * 30, " My family." * 30
        text = f"{before}She ate [word] for _.{after}"
        with pytest.raises(UserError, match=r"has \d+ tokens, but only 92 fit.*cut=true to read only what is nearest"):
            infiller(text, decoding())
        results = infiller(text, decoding(cut=True, candidates=3, max_answer_tokens=10))[0]
        room = decoding(max_answer_tokens=10, cut=True)
        for result in results:
            left, right = result.left_out
            assert 0 < left < len(before)
            assert 0 < right < len(after)
            assert result.text.startswith(before)
            assert result.text.endswith(after)
            read = result.text[left : len(result.text) - right]
            assert not read.startswith(" ")
            # The same answers as if no more had been typed.
            typed = f"{before[left:]}She ate [word] for _.{after[: len(after) - right]}"
            assert list(infiller.context(typed).ids) == list(infiller.context(text, decoding=room).ids)
            assert own_log_probability(infiller, typed, result) == pytest.approx(result.log_probability, abs=2e-4)
        assert len(infiller.context(text, decoding=room).ids) <= 96 - 22

    def test_one_side_alone(self, infiller):
        (result,) = infiller("_ is my name." + " I like it." * 40, decoding(cut=True, max_answer_tokens=4))[0]
        assert result.left_out[0] == 0 < result.left_out[1]

    def test_a_text_that_fits_is_read_whole(self, infiller):
        assert infiller("I _ it", decoding(cut=True, max_answer_tokens=90))[0][0].left_out == (0, 0)

    def test_blanks_too_far_apart_or_too_many(self, infiller):
        with pytest.raises(UserError, match=r"From the first blank to the last one .* fill fewer blanks at a time"):
            infiller("_" + " and so on" * 60 + " _", decoding(cut=True))
        with pytest.raises(UserError, match=r"The answers alone take at least 120 tokens.* use fewer blanks"):
            infiller("_ " * 60, decoding(cut=True))


def test_spans_of_a_mask_are_blanks_and_nothing_else_is(infiller):
    text = "I _ [word] like [MASK] pasta."
    context = infiller.context(text, spans=[Span("word", 11, 4), Span("ngram", 23, 5)])
    assert len(context.types) == 2
    (result,) = infiller(context, decoding(max_answer_tokens=4))[0]
    assert result.text.startswith("I _ [word] ")
    assert result.answers[1] in result.text
    assert infiller.score(context, ["like", "pasta"]) < 0
    with pytest.raises(UserError, match="no blank for document: it was trained with sentence, ngram, word"):
        infiller.context(text, spans=[Span("document", 0, 4)])


def test_a_search_closes_every_answer_in_time():
    """Each step of going on is likelier than an end, and yet the short answers are: of all blanks, not of the last."""
    words = vocabulary()
    model = Bigrams(ENTRIES + 5)
    letters = sorted({token for letter in "abcdefghijkl" for token in words.encode(letter)})
    begins = [words.start_of_infill, words.end_of_infill]
    for before in [*letters, *begins]:
        model.table[before, letters] = 8.0
    model.table[letters, words.end_of_infill] = 4.0
    infiller = Infiller(model, words)
    for typed in ("(_)", "(_) (_).", "(_) (_) ([ngram])", "I _ it [word]."):
        for result in infiller(typed, decoding(method="beam", candidates=2, max_answer_tokens=20))[0]:
            assert result.complete
            assert max(map(len, result.token_ids)) <= 3  # with their ends; it is no exhaustive search
