"""Spaces around typed blanks, with tokenizers of other kinds than GPT-2's: contexts are those of training."""

import json

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ilm.examples.alignment import align
from ilm.examples.layout import lay_out
from ilm.examples.tokenize import token_positions
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import decoding, random_model

MASK_TYPES = ("sentence", "ngram", "word")
TRAINING = [
    "She ate leftover pasta for lunch.",
    "I like to eat an apple for lunch and to play tennis with my family.",
    "My name is Anna and I live in Milan with my family. I like pasta.",
    "He said “hello” (twice) and didn't pay 20 euros.",
] * 5

# The strings of the docstring of `ilm.examples.layout`, and others: text, spans in characters, the same text as typed.
LAID_OUT = [
    ("She ate leftover pasta for lunch.", [("ngram", 8, 14), ("word", 27, 5)], "She ate [ngram] for [word]."),
    ("She ate leftover pasta for lunch.", [("word", 0, 3)], "[word] ate leftover pasta for lunch."),
    ("She ate leftover pasta for lunch.", [("sentence", 0, 33)], "[sentence]"),
    ("My name is Anna. I live in Milan.", [("sentence", 17, 16)], "My name is Anna. [sentence]"),
    ("My name is Anna.\nI live in Milan.", [("sentence", 17, 16)], "My name is Anna.\n[sentence]"),
    ("I like  pasta for lunch", [("word", 8, 5)], "I like  [word] for lunch"),
    ("He said “hello” (twice).", [("word", 9, 5), ("word", 17, 5)], "He said “[word]” ([word])."),
]


def sentencepiece() -> Tokenizer:
    """As Llama 2 has it: BPE over characters, a space before every text, bytes for what is not known."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    # Merges across words, as SentencePiece has none, are kept out while training.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Split(Regex(r"[.,()\n]"), "isolated")]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=special, show_progress=False, initial_alphabet=[*"\x01x\n▁"]
    )
    tokenizer.train_from_iterator([text.replace("“", "").replace("”", "") for text in TRAINING], trainer)
    tokenizer.pre_tokenizer = None
    return _without_added_bytes(tokenizer)


def _without_added_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """The bytes are plain entries of the vocabulary; the trainer took them for added tokens."""
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = [token for token in definition["added_tokens"] if token["id"] < 3]
    return Tokenizer.from_str(json.dumps(definition))


def metaspace() -> Tokenizer:
    """As newer SentencePiece models have it: the first word alone gets a space, by the pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="first")
    marks = pre_tokenizers.Split(Regex(r"[.,()“”\n\x01]"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([metaspace, marks])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False, initial_alphabet=[*"\x01x\n"]
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    return tokenizer


def smollm2() -> Tokenizer:
    """Byte-level BPE that splits digits off first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    return tokenizer


@pytest.fixture(scope="module", params=[sentencepiece, metaspace, smollm2], ids=lambda make: make.__name__)
def infiller(request) -> Infiller:
    tokenizer = request.param()
    for name in ("<s>", "</s>", "<unk>"):
        assert tokenizer.token_to_id(name) is not None
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("<unk>", "<s>", "</s>")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    words = Vocabulary(fast, MASK_TYPES)
    return Infiller(random_model("llama", words.size, positions=128), words)


@pytest.mark.parametrize(("text", "spans", "typed"), LAID_OUT)
def test_a_typed_context_is_that_of_training(infiller, text, spans, typed):
    """What training makes of the text and its spans, by the offsets of the tokens."""
    words = infiller.vocabulary
    encoded = words.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    starts, lengths = np.array([(start, length) for _, start, length in spans]).T
    first, last = align(token_positions(encoded.offset_mapping, len(text)), starts, lengths)
    types = [MASK_TYPES.index(name) for name, _, _ in spans]
    runs = list(zip(types, first.tolist(), last.tolist(), strict=True))
    example = lay_out(encoded.input_ids, runs, words, "ilm", 999).input_ids.tolist()
    separator = example.index(words.start_of_infill)
    context = infiller.context(typed)
    assert list(context.ids) == example[: separator + 1]
    # And the answers of training are what the grammar lets the model write, and read as they were.
    answers, answer = [], []
    for i in example[separator + 1 :]:
        answer.append(i)
        if i == words.end_of_infill:
            answers, answer = [*answers, answer], []
    for number, ids in enumerate(answers):
        required = context.answer_prefix(number)
        assert infiller.token_bytes.join(ids[:-1]).startswith(required)
        read = infiller.token_bytes.decode(ids[:-1])[int(context.leading_space[number]) :]
        _, start, length = spans[number]
        assert read == text[start : start + length]


@pytest.mark.parametrize("settings", [{}, {"method": "greedy"}, {"method": "beam"}])
def test_filled_texts_have_the_typed_spaces(infiller, settings):
    for typed, before, after in (("[word] is", "", " is"), ("I like [word].", "I like ", "."), ("(_)", "(", ")")):
        for result in infiller(typed, decoding(candidates=5, max_answer_tokens=4, **settings))[0]:
            assert result.text == before + result.answers[0] + after
            assert result.answers[0].strip()
            if infiller.context(typed).leading_space[0]:
                # The answer's own space is the typed one; after it the model is free.
                ids = result.token_ids[0][:-1]
                assert infiller.token_bytes.decode(ids) == " " + result.answers[0]


def test_the_bytes_of_tokens_are_what_the_tokenizer_decodes(infiller):
    words = infiller.vocabulary
    texts = [*TRAINING[:4], "日本 naïve 😀 x"] if infiller.token_bytes.of[words.encode("日")[-1]] else TRAINING[:4]
    for text in texts:
        ids = words.encode(text)
        if words.tokenizer.unk_token_id in ids:
            continue
        assert infiller.token_bytes.decode(ids).removeprefix(" " * infiller.token_bytes.adds_prefix_space) == text
        assert words.decode(ids) == text


def test_a_forced_beginning_reaches_into_tokens(infiller):
    for result in infiller("She ate pasta for [word:lun...].", decoding(candidates=4, max_answer_tokens=5))[0]:
        assert result.answers[0].startswith("lun")


def test_scores_are_those_of_the_layout(infiller):
    words = infiller.vocabulary
    for text, spans, typed in LAID_OUT:
        answers = [text[start : start + length] for _, start, length in spans]
        context = list(infiller.context(typed).ids)
        filled, _ = infiller.context(typed).fill(answers)
        assert filled == text
        expected = infiller.score(typed, answers)
        assert expected < 0
        tail = []
        for number, answer in enumerate(answers):
            leading_space = infiller.context(typed).leading_space[number]
            ids = (
                words.encode(answer)
                if not number and typed.startswith("[")
                else infiller.token_bytes.encode_continuation(" " * leading_space + answer)
            )
            tail += [*ids, words.end_of_infill]
        with torch.no_grad():
            logits = infiller.model(torch.tensor([context + tail]), use_cache=False).logits[0].double().log_softmax(-1)
        by_hand = sum(float(logits[len(context) - 1 + n, i]) for n, i in enumerate(tail))
        assert expected == pytest.approx(by_hand, abs=1e-3), typed
