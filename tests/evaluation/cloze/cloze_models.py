"""Small BERT, RoBERTa, T5, BART and ILM models with known answers, and their tokenizers, for tests of task=cloze."""

import itertools
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PerceiverConfig,
    PerceiverForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from ilm.config.check import check
from ilm.config.evaluate import Cloze, Evaluate
from ilm.examples.vocabulary import Vocabulary
from ilm.models.loading import save_model
from tests.conftest import compose

# Threads only wait for each other on models of this size.
torch.set_num_threads(1)

WORDS = ["she", "ate", "pasta", "rice", "soup", "for", "lunch", "and", "likes", "it", "left", "."]
SENTENCE = "She ate pasta for lunch."


def options(**more) -> Cloze:
    """The options of task=cloze with short answers, where `more` say nothing else."""
    return _defaults().model_copy(update={"max_answer_tokens": 4} | more)


@cache
def _defaults() -> Cloze:
    cfg, choices = compose("evaluate", "task=cloze")
    return check(cfg, Evaluate, choices).task


def bert_tokenizer() -> PreTrainedTokenizerFast:
    """WordPieces of lower case; `leftover` is left ##over, `pastas` pasta ##s."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##over", "##s", "'", ","]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """RoBERTa's and BART's kind: a byte-level BPE, here one in which all of `WORDS` with their space are tokens."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_byte_level()),
        model_max_length=64,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
    )


@cache
def _byte_level() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS), *(f" {word} {word}" for word in WORDS)] * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer.to_str()


def unmarked_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words alone: nothing tells where a word begins."""
    tokenizer = Tokenizer(
        models.WordLevel({"[UNK]": 0, "[MASK]": 1, "pasta": 2, "rice": 3, "soup": 4}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", mask_token="[MASK]")


def t5_tokenizer(sentinels: int = 4) -> PreTrainedTokenizerFast:
    """SentencePiece's kind: words begin with a bar; what is not in the list is spelled letter by letter."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    capitals = [letter.upper() for letter in letters]
    plain = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [*plain, *((f"▁{word}", -2.0) for word in WORDS), ("▁She", -2.0), (".", -2.0), ("▁", -3.0), ("s", -3.0)]
    pieces += [(letter, -9.0) for letter in [*letters, *capitals, ",", "'"] if letter != "s"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=[f"<extra_id_{number}>" for number in range(sentinels)],
    )


def ilm_vocabulary(mask_types: tuple[str, ...] = ("ngram", "word")) -> Vocabulary:
    """GPT-2's kind of tokenizer with infilling tokens."""
    base = byte_level_tokenizer().backend_tokenizer
    base.post_processor = processors.ByteLevel(trim_offsets=False)
    return Vocabulary(PreTrainedTokenizerFast(tokenizer_object=base, eos_token="</s>", pad_token="<pad>"), mask_types)


_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def bert(rows: int, **more) -> BertForMaskedLM:
    return _random(BertForMaskedLM, BertConfig(vocab_size=rows, max_position_embeddings=64, **_SMALL, **more))


def roberta(rows: int, **more) -> RobertaForMaskedLM:
    config = RobertaConfig(vocab_size=rows, max_position_embeddings=66, pad_token_id=1, **_SMALL, **more)
    return _random(RobertaForMaskedLM, config)


def bart(rows: int) -> BartForConditionalGeneration:
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    return _random(BartForConditionalGeneration, BartConfig(vocab_size=rows, init_std=0.3, **sizes, **heads, **ids))


def perceiver(rows: int) -> PerceiverForMaskedLM:
    sizes = {"num_latents": 4, "d_latents": 16, "d_model": 16, "num_self_attends_per_block": 1, "num_blocks": 1}
    heads = {"num_self_attention_heads": 2, "num_cross_attention_heads": 2, "max_position_embeddings": 32}
    return _random(PerceiverForMaskedLM, PerceiverConfig(vocab_size=rows, **sizes, **heads))


def t5(rows: int) -> T5ForConditionalGeneration:
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "initializer_factor": 3.0}
    config = T5Config(vocab_size=rows, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **sizes)
    return _random(T5ForConditionalGeneration, config)


def gpt2(rows: int, positions: int = 96) -> GPT2LMHeadModel:
    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": positions, "initializer_range": 0.3}
    return _random(GPT2LMHeadModel, GPT2Config(vocab_size=rows, bos_token_id=2, eos_token_id=2, **sizes))


def _random(kind: type, config) -> PreTrainedModel:
    """A model of random weights, large enough that what it says depends on what it reads."""
    if hasattr(config, "initializer_range"):
        config.initializer_range = 0.3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config).eval()


@torch.no_grad()
def always(model: PreTrainedModel, logits: dict[int, float]) -> PreTrainedModel:
    """The model with the same logits everywhere: 0, and those given by id. BERT, RoBERTa, BART."""
    head = model.get_output_embeddings()
    bias = model.final_logits_bias[0] if isinstance(model, BartForConditionalGeneration) else head.bias
    # Tied to the embeddings: what the head reads is made zero.
    model.get_input_embeddings().weight.zero_()
    head.weight.zero_()
    bias.zero_()
    for token, value in logits.items():
        bias[token] = value
    return model


@torch.no_grad()
def chain(model: T5ForConditionalGeneration, tokens: list[int]) -> T5ForConditionalGeneration:
    """A T5 that says one of `tokens` after the other, whatever it reads; but itself it says more likely."""
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("SelfAttention", "EncDecAttention", "DenseReluDense")):
            parameter.zero_()
    embeddings = model.get_input_embeddings().weight
    embeddings.zero_()
    for place, (token, following) in enumerate(itertools.pairwise(tokens)):
        embeddings[token, place] += 6.0
        embeddings[following, place] += 6.0
    return model


def saved(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def saved_ilm(folder: Path, positions: int = 96) -> Path:
    vocabulary = ilm_vocabulary()
    save_model(gpt2(vocabulary.size, positions), vocabulary, folder)
    return folder
