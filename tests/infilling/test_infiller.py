import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast

from ilm.config.train import Train
from ilm.errors import UserError
from ilm.examples.layout import Example, TargetType, lay_out
from ilm.examples.vocabulary import Vocabulary
from ilm.files import write_json
from ilm.infilling.infiller import Infiller
from ilm.models.loading import save_model
from ilm.models.scoring import score
from tests.infilling.small_models import ENTRIES, MASK_TYPES, Bigrams, checked, decoding, random_model, vocabulary

TEXTS = [
    "She ate [ngram] for _.",
    "[sentence]",
    "I like to eat _ for lunch and to play tennis with my family.\n[sentence] I like _.",
    "_ [word] name",
]
BLANKS = [2, 1, 3, 2]
ROWS = ENTRIES + 2 + len(MASK_TYPES)
EXTRA = 7  # rows of the model beyond the tokenizer, as padded checkpoints have them


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def infiller(request, words) -> Infiller:
    return Infiller(random_model(request.param, ROWS + EXTRA), words)


@pytest.fixture
def bigrams(words) -> Infiller:
    return Infiller(Bigrams(ROWS + EXTRA), words)


def everything(results) -> list:
    return [(r.text, r.token_ids, r.complete) for group in results for r in group]


def missing(text: bytes) -> float:
    """How many bytes the last character of a text lacks; infinite for what is no beginning of a text."""
    for count in range(4):
        for first in (b"\x80", b"\x90", b"\xa0")[: 3 if count else 1]:
            try:
                (text + (first + b"\x80\x80")[:count]).decode()
            except UnicodeDecodeError:
                continue
            return count
    return math.inf


def token(vocabulary: Vocabulary, text: str) -> int:
    (found,) = vocabulary.encode(text)
    return found


def require_grammar(infiller: Infiller, texts: list[str], results, candidates: int) -> None:
    """Every rule about what an answer may be, on results of any model."""
    vocabulary, end = infiller.vocabulary, infiller.vocabulary.end_of_infill
    special = set(vocabulary.tokenizer.all_special_ids)
    assert [len(group) for group in results] == [candidates] * len(texts)
    for text, group in zip(texts, results, strict=True):
        context = infiller.context(text)
        for result in group:
            assert len(result.token_ids) == len(result.answers) == len(result.spans) == len(context.types)
            for ids, log_probabilities, leading_space in zip(
                result.token_ids, result.token_log_probabilities, context.leading_space, strict=True
            ):
                assert ids[-1] == end
                assert len(ids) >= 2
                assert not special & set(ids[:-1])
                assert max(ids[:-1]) < vocabulary.base_size
                assert len(log_probabilities) == len(ids)
                assert max(log_probabilities) <= 0
                assert not leading_space or vocabulary.decode(ids).startswith(" ")
                assert missing(infiller.token_bytes.join(ids[:-1])) == 0, "half a character"
            for answer, (start, length) in zip(result.answers, result.spans, strict=True):
                assert result.text[start : start + length] == answer
            assert len(context.ids) + sum(map(len, result.token_ids)) <= infiller.max_tokens


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.9}, {"top_k": 5}, {"temperature": 3.0}, {"method": "greedy"}])
def test_grammar_with_any_model(infiller, settings):
    results = infiller(TEXTS, decoding(candidates=5, **settings))
    require_grammar(infiller, TEXTS, results, 1 if settings.get("method") == "greedy" else 5)


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.99}, {"top_k": 50}, {"method": "greedy"}])
def test_grammar_with_a_model_that_wants_special_tokens(bigrams, words, settings):
    table = bigrams.model.table
    table[:, 0] = table[:, words.start_of_infill] = 50.0  # <|endoftext|>, the separator,
    table[:, ENTRIES + 2 :] = 60.0  # blanks, and rows beyond the tokenizer
    table[:, words.end_of_infill] = 1.0
    results = bigrams(TEXTS, decoding(candidates=6, **settings))
    require_grammar(bigrams, TEXTS, results, 1 if settings.get("method") == "greedy" else 6)
    # Under the model itself such answers are nearly impossible, and that is what is reported.
    assert all(group[0].log_probability < -100 for group in results)


def test_an_answer_is_neither_empty_nor_white_space(bigrams, words):
    space = token(words, " ")
    bigrams.model.table[:, words.end_of_infill] = 30.0
    bigrams.model.table[:, space] = 29.0
    for text in ("a [word].", "a[word]."):
        for result in bigrams(text, decoding(candidates=20))[0]:
            assert result.answers[0].strip()
            # It goes on with spaces as long as there is room: the last token must be another one.
            assert set(result.token_ids[0][:-2]) == {space}
            assert result.token_ids[0][-2] != space


def test_the_text_around_the_answers_is_the_typed_one(bigrams, words):
    eat, lunch = token(words, " eat"), token(words, " lunch")
    table = bigrams.model.table
    table[words.start_of_infill, eat] = table[eat, words.end_of_infill] = 40.0
    table[words.end_of_infill, lunch] = table[lunch, words.end_of_infill] = 40.0
    leading_space, unspaced = bigrams(["She [word] for _ .", "She[word]:[word]."], decoding())
    assert leading_space[0].text == "She eat for lunch ."
    assert leading_space[0].answers == ("eat", "lunch")
    assert leading_space[0].spans == ((4, 3), (12, 5))
    assert unspaced[0].text == "She eat: lunch."
    assert unspaced[0].answers == (" eat", " lunch")


@pytest.mark.parametrize(
    ("settings", "kept"), [({}, "ABCD"), ({"temperature": 0.5}, "ABCD"), ({"top_k": 2}, "AB"), ({"top_p": 0.75}, "ABC")]
)
def test_answers_come_as_often_as_they_are_probable(bigrams, words, settings, kept):
    """Answers of one token to two blanks, each known to four decimal places: a chi-square test of 4,000 candidates."""
    p = {"A": 0.4, "B": 0.3, "C": 0.2, "D": 0.1}
    table = bigrams.model.table
    table[:] = -100.0
    table[:, words.end_of_infill] = 0.0
    for letter, probability in p.items():
        # The model wants to end before it has begun: what it may not do is shared among what it may.
        table[[words.start_of_infill, words.end_of_infill], token(words, letter)] = math.log(probability) - 3
    weights = {letter: p[letter] ** (1 / settings.get("temperature", 1)) for letter in kept}
    of = {letter: weight / sum(weights.values()) for letter, weight in weights.items()}
    results = bigrams("[word][word]", decoding(candidates=4000, **settings))[0]
    counts = Counter(result.answers for result in results)
    assert set(counts) <= set(itertools.product(kept, repeat=2))
    expected = {pair: 4000 * of[pair[0]] * of[pair[1]] for pair in itertools.product(kept, repeat=2)}
    freedom = len(expected) - 1
    chi_square = sum((counts[pair] - count) ** 2 / count for pair, count in expected.items())
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_log_probabilities_are_those_of_the_model_unscaled(bigrams, words):
    bigrams.model.table = torch.randn(ROWS + EXTRA, ROWS + EXTRA, generator=torch.Generator().manual_seed(3)) * 2
    expected = bigrams.model.table.double().log_softmax(-1)
    for settings in ({}, {"temperature": 0.3}, {"top_k": 3}, {"top_p": 0.5}, {"max_answer_tokens": 2}):
        for result in bigrams("She ate [ngram] for _.", decoding(candidates=3, **settings))[0]:
            previous = words.start_of_infill
            for ids, log_probabilities in zip(result.token_ids, result.token_log_probabilities, strict=True):
                for i, value in zip(ids, log_probabilities, strict=True):
                    assert value == pytest.approx(float(expected[previous, i]), abs=1e-5)
                    previous = i
            assert result.log_probability == pytest.approx(sum(map(sum, result.token_log_probabilities)))


def test_log_probability_is_what_evaluation_scores(infiller):
    """The tokens written, laid out as an example by hand: the NLL of training and evaluation, cache or not."""
    for text, group in zip(TEXTS, infiller(TEXTS, decoding(candidates=4, max_answer_tokens=9)), strict=True):
        context = infiller.context(text)
        for result in group:
            ids, types = list(context.ids), [TargetType.CONTEXT] * len(context.ids)
            for answer in result.token_ids:
                ids += answer
                types += [TargetType.INFILL] * (len(answer) - 1) + [TargetType.INFILL_SPECIAL]
            arrays = np.array(ids, np.int32), np.array(types, np.uint8)
            example = Example(*arrays, len(ids))
            nll, count = score(infiller.model, [example], len(ids), torch.device("cpu")).total("infill")
            assert count == sum(map(len, result.token_ids))
            assert result.log_probability == pytest.approx(-nll, abs=1e-4)


def test_greedy_decoding_with_cache_is_decoding_without(infiller):
    """The whole text read anew for every token, one text at a time, and the grammar spelled out once more."""
    vocabulary = infiller.vocabulary
    for text, blanks, (result,) in zip(
        TEXTS, BLANKS, infiller(TEXTS, decoding(method="greedy", max_answer_tokens=6)), strict=True
    ):
        context = infiller.context(text)
        ids, answers = list(context.ids), []
        for blank in range(blanks):
            answer: list[int] = []
            while not answer or answer[-1] != vocabulary.end_of_infill:
                with torch.no_grad():
                    logits = infiller.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
                # With 6 tokens an answer: those that still leave as many as its last character lacks bytes.
                written = infiller.token_bytes.join(answer)
                of = infiller.token_bytes.of
                allowed = [i for i in range(1, ENTRIES) if missing(written + of[i]) <= 5 - len(answer)]
                if not answer and context.leading_space[blank]:
                    allowed = [i for i in allowed if vocabulary.decode([i]).startswith(" ")]
                elif vocabulary.decode(answer).strip() and not missing(written):
                    allowed = [*allowed, vocabulary.end_of_infill]
                answer.append(max(allowed, key=lambda i: float(logits[i])))
                ids.append(answer[-1])
            answers.append(tuple(answer))
        assert result.token_ids == tuple(answers)


@pytest.mark.parametrize("settings", [{"top_p": 0.9}, {"temperature": 1.3, "top_k": 40}])
def test_results_depend_on_neither_batch_nor_neighbours(infiller, settings):
    settings = {**settings, "candidates": 3, "seed": 5, "max_answer_tokens": 8}
    expected = infiller(TEXTS, decoding(batch_size=32, **settings))
    assert everything(infiller(TEXTS, decoding(batch_size=1, **settings))) == everything(expected)
    assert everything(infiller(TEXTS, decoding(batch_size=3, **settings))) == everything(expected)
    assert everything(infiller(TEXTS[::-1], decoding(batch_size=7, **settings))[::-1]) == everything(expected)
    assert everything([infiller(text, decoding(**settings))[0] for text in TEXTS]) == everything(expected)
    assert everything(infiller([TEXTS[2], TEXTS[0], TEXTS[2]], decoding(**settings))) == everything(
        [expected[2], expected[0], expected[2]]
    )
    fewer = infiller(TEXTS, decoding(**{**settings, "candidates": 2}))
    assert everything(fewer) == everything([group[:2] for group in expected])


def test_seeds_and_candidates_draw_anew(bigrams):
    first, second = (bigrams(TEXTS[0], decoding(candidates=3, seed=seed))[0] for seed in (0, 1))
    assert len({result.token_ids for result in first + second}) == 6


def test_no_text_gives_no_result(bigrams):
    assert bigrams([], decoding()) == []


def test_an_answer_that_runs_out_of_tokens_is_closed_and_kept(bigrams, words):
    eat = token(words, " eat")
    bigrams.model.table[:, eat] = 50.0
    (result,) = bigrams("a [word] b [word]", decoding(method="greedy", max_answer_tokens=3))[0]
    assert result.token_ids == ((eat, eat, eat, words.end_of_infill),) * 2
    assert result.text == "a eat eat eat b eat eat eat"
    assert not result.complete
    # Closed by force, but the end counts with what the model gives it.
    end = float(bigrams.model.table[eat].double().log_softmax(-1)[words.end_of_infill])
    assert [values[-1] for values in result.token_log_probabilities] == pytest.approx([end, end])


def test_an_answer_that_ends_at_the_limit_is_complete(bigrams, words):
    eat = token(words, " eat")
    bigrams.model.table[words.start_of_infill, eat] = 50.0
    bigrams.model.table[eat, words.end_of_infill] = 50.0
    (result,) = bigrams("a [word]", decoding(method="greedy", max_answer_tokens=1))[0]
    assert (result.token_ids, result.complete) == (((eat, words.end_of_infill),), True)


def test_positions_that_run_out_leave_a_token_for_every_answer(words):
    eat = token(words, " eat")
    model = Bigrams(ROWS, positions=20)
    model.table[:, eat] = 50.0
    infiller = Infiller(model, words)
    text = "a [word] b [word] [word]"
    n = len(infiller.context(text).ids)
    (result,) = infiller(text, decoding(method="greedy"))[0]
    assert [len(ids) for ids in result.token_ids] == [20 - n - 4, 2, 2]
    assert not result.complete
    require_grammar(infiller, [text], [[result]], 1)
    # A text that fills all positions but those: one token an answer. With one more token it is too long.
    full = "a" * (20 - n) + text
    assert len(infiller.context("a" * (14 - n) + text).ids) == 14
    (result,) = infiller("a" * (14 - n) + text, decoding())[0]
    assert [len(ids) for ids in result.token_ids] == [2, 2, 2]
    with pytest.raises(UserError, match=r"has 20 tokens, but only 14 fit: the model is limited to 20, at least 6"):
        infiller(full, decoding())


def test_a_given_limit_holds_below_the_positions(words):
    infiller = Infiller(Bigrams(ROWS, positions=96), words, max_tokens=12)
    results = infiller("a [word]", decoding(candidates=20))
    require_grammar(infiller, ["a [word]"], results, 20)
    assert Infiller(Bigrams(ROWS, positions=96), words, max_tokens=500).max_tokens == 96


def test_score_is_the_evaluation_of_the_filled_text(infiller):
    vocabulary = infiller.vocabulary
    document = vocabulary.encode("She ate leftover pasta for lunch.")
    upto = {vocabulary.decode(document[:i]): i for i in range(len(document) + 1)}
    ends = [
        upto[text]
        for text in (
            "She ate",
            "She ate leftover pasta",
            "She ate leftover pasta for",
            "She ate leftover pasta for lunch",
        )
    ]
    spans = [(1, *ends[:2]), (2, *ends[2:])]
    example = lay_out(document, spans, vocabulary, "ilm", 999)
    expected = -score(infiller.model, [example], 999, torch.device("cpu")).total("infill")[0]
    assert infiller.score("She ate [ngram] for [word].", ["leftover pasta", "lunch"]) == pytest.approx(
        expected, abs=1e-4
    )
    assert infiller.score("She ate[ngram] for[word].", [" leftover pasta", " lunch"]) == pytest.approx(
        expected, abs=1e-4
    )
    # And the same once more from nothing but the model's logits.
    ids = example.input_ids.tolist()
    with torch.no_grad():
        log_probabilities = infiller.model(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
    separator = ids.index(vocabulary.start_of_infill)
    by_hand = sum(float(log_probabilities[t, ids[t + 1]]) for t in range(separator, len(ids) - 1))
    assert expected == pytest.approx(by_hand, abs=1e-4)


def test_answers_in_the_tokenizers_own_tokens_score_as_they_were_drawn(infiller):
    compared = 0
    for text, group in zip(TEXTS, infiller(TEXTS, decoding(candidates=60, max_answer_tokens=3)), strict=True):
        context = infiller.context(text)
        for result in group:
            leading_space = [
                " " * space + answer for answer, space in zip(result.answers, context.leading_space, strict=True)
            ]
            whole = infiller.vocabulary.encode(result.text)
            drawn = [i for ids in result.token_ids for i in ids[:-1]]
            context_tokens = [i for i in context.ids if i < ENTRIES]
            alone = infiller.vocabulary.encode(" ")[0]  # a space that no word took stays in the context
            if (
                "\ufffd" not in result.text
                and not any(ids[0] == alone for ids in result.token_ids)
                and sorted(whole) == sorted([*context_tokens, *drawn])
                and all(
                    tuple(infiller.vocabulary.encode(answer)) == ids[:-1]
                    for answer, ids in zip(leading_space, result.token_ids, strict=True)
                )
            ):
                assert infiller.score(text, result.answers) == pytest.approx(result.log_probability, abs=1e-4)
                compared += 1
    assert compared >= 10


def test_the_score_of_each_answer_is_that_of_its_tokens(infiller):
    text = "She ate [ngram] for [word]."
    for result in infiller(text, decoding(candidates=8, max_answer_tokens=3, seed=4))[0]:
        scores = infiller.answer_scores(text, result.answers)
        first = infiller.answer_scores(text, (result.answers[0], "lunch"))
        assert len(scores) == 2
        assert scores[0] == pytest.approx(first[0], abs=1e-4)
        assert infiller.score(text, result.answers) == pytest.approx(sum(scores))
    (best,) = infiller(text, decoding(method="greedy", max_answer_tokens=3))[0]
    retold = [infiller.vocabulary.encode(f" {answer}") for answer in best.answers]
    if [[*ids, infiller.vocabulary.end_of_infill] for ids in retold] == [list(ids) for ids in best.token_ids]:
        assert infiller.answer_scores(text, best.answers) == pytest.approx(best.answer_log_probabilities, abs=1e-4)


def test_score_refuses_what_is_no_answer(bigrams):
    for answers in (["pasta"], ["pasta", ""], ["a", "b", "c"]):
        with pytest.raises(UserError, match="expected 2 answers"):
            bigrams.score("She ate [ngram] for [word].", answers)
    with pytest.raises(UserError, match="share a token"):
        bigrams.score("I [word][word].", ["li", "ke"])
    with pytest.raises(UserError, match=r"have \d+ tokens, but the model is limited to 96"):
        bigrams.score("[sentence]", ["x" * 100])


def test_a_truncated_text_is_scored_as_far_as_it_is_read(infiller):
    text = "many words " * 60 + "I _ pasta." + " and so on" * 60
    context = infiller.context(text, decoding=decoding(cut=True, max_answer_tokens=3))
    before, after = context.left_out
    assert min(before, after) > 0
    expected = infiller.score(text[before : len(text) - after], ["eat"])
    assert infiller.score(context, ["eat"]) == pytest.approx(expected)


def test_a_model_with_too_few_rows_is_refused(words):
    with pytest.raises(UserError, match=f"{ROWS - 1} embedding rows, but its tokenizer {ROWS} tokens"):
        Infiller(Bigrams(ROWS - 1), words)


def test_a_model_that_computes_nan_is_refused(bigrams):
    bigrams.model.table[:] = math.nan
    with pytest.raises(UserError, match="NaN"):
        bigrams("a _", decoding())


@pytest.fixture
def run(tmp_path, words):
    """A finished run's folder."""

    def make(*overrides: str, model: str = "model=tiny"):
        folder = tmp_path / "sample_A1_ilm"
        config = checked("train", Train, "cefr=A1", "data.max_length=64", model, *overrides).model_dump()
        save_model(random_model("gpt2", ROWS), words, folder / "model")
        write_json(folder / "run.json", {"identity": {}, "commands": []})
        write_json(folder / "status.json", {"state": "finished"})
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return folder

    return make


def test_a_runs_folder_and_its_model_folder_are_the_same_model(run, words):
    folder = run()
    expected = Infiller(random_model("gpt2", ROWS), words)(TEXTS[0], decoding(max_answer_tokens=5))
    for path in (folder, folder / "model", str(folder)):
        loaded = Infiller.from_pretrained(path, "cpu")
        # Trained from random weights on 64 tokens: the positions after them are noise.
        assert loaded.max_tokens == 64
        assert loaded.vocabulary.mask_types == MASK_TYPES
        assert everything(loaded(TEXTS[0], decoding(max_answer_tokens=5))) == everything(expected)


def test_a_pretrained_model_takes_all_its_positions(run):
    assert Infiller.from_pretrained(run(model="model=gpt2")).max_tokens == 96


@pytest.mark.parametrize("objective", ["lm", "naive", "no_context_ilm", "reverse_lm"])
def test_other_objectives_are_refused(run, objective):
    folder = run(f"objective={objective}")
    for path in (folder, folder / "model"):
        with pytest.raises(UserError, match=f"objective={objective}, but filling blanks .*objective=ilm"):
            Infiller.from_pretrained(path)


def test_folders_that_hold_no_model_are_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        Infiller.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no model"):
        Infiller.from_pretrained(tmp_path / "empty")
    folder = run()
    write_json(folder / "status.json", {"state": "interrupted"})
    with pytest.raises(UserError, match=r"sample_A1_ilm is interrupted, not finished"):
        Infiller.from_pretrained(folder)
    (folder / "model").rename(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"No causal language model"):
        Infiller.from_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"device=warp cannot be used"):
        Infiller.from_pretrained(tmp_path / "model", "warp")


def test_a_model_without_infilling_tokens_is_refused(tmp_path, words):
    base = words.tokenizer.backend_tokenizer.from_str(words.tokenizer.backend_tokenizer.to_str())
    plain = PreTrainedTokenizerFast(tokenizer_object=type(base).from_str(without_infilling_tokens(base.to_str())))
    plain.save_pretrained(tmp_path)
    random_model("gpt2", ROWS).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no infilling tokens"):
        Infiller.from_pretrained(tmp_path)


def without_infilling_tokens(definition: str) -> str:
    parsed = json.loads(definition)
    parsed["added_tokens"] = [t for t in parsed["added_tokens"] if "infill" not in t["content"]]
    return json.dumps(parsed)
