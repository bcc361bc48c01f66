"""Models of a few thousand weights for the tests of infilling, over a byte-level BPE of 320 entries."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from ilm.config.check import build, check
from ilm.config.infill import Decoding, Infill
from ilm.config.sections import Corpus
from ilm.examples.vocabulary import Vocabulary
from tests.conftest import compose

# Threads only wait for each other on models of this size.
torch.set_num_threads(1)

MASK_TYPES = ("sentence", "ngram", "word")
END_OF_TEXT = "<|endoftext|>"
ENTRIES = 320
SENTENCES = (
    "She ate leftover pasta for lunch.",
    "I like to eat an apple for lunch and to play tennis with my family.",
    "My name is Anna and I live in Milan with my family. I like pasta.",
)


def vocabulary(mask_types: tuple[str, ...] = MASK_TYPES) -> Vocabulary:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ENTRIES,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT)
    found = Vocabulary(fast, mask_types)
    assert found.base_size == ENTRIES
    return found


def random_model(kind: str, rows: int, positions: int = 96, scale: float = 0.3):
    """A GPT-2 or Llama with random weights, large enough that its predictions are far from uniform."""
    sizes = {
        "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": positions},
        "llama": {
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
            "max_position_embeddings": positions,
        },
    }[kind]
    config = AutoConfig.for_model(
        kind, vocab_size=rows, bos_token_id=0, eos_token_id=0, initializer_range=scale, **sizes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def decoding(**values) -> Decoding:
    """One candidate drawn from all tokens of a whole text, of any number of words, where `values` say nothing else."""
    return build(Decoding, **({"candidates": 1, "top_p": None, "cut": False, "max_answer_words": None} | values))


def checked(root: str, kind: type, *overrides: str):
    """What `python <root>.py <overrides>` is to do."""
    cfg, choices = compose(root, *overrides)
    return check(cfg, kind, choices)


def corpus(*overrides: str) -> Corpus:
    """How infill.py reads texts."""
    return checked("infill", Infill, *overrides).corpus


class Bigrams(GPT2LMHeadModel):
    """A model whose logits are `table[last token]`, exactly, whatever the batch; the cache is a real one."""

    def __init__(self, rows: int, positions: int = 96):
        super().__init__(
            GPT2Config(
                vocab_size=rows,
                n_layer=1,
                n_embd=4,
                n_head=1,
                n_positions=positions,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
        self.table = torch.zeros(rows, rows)

    def forward(self, input_ids, logits_to_keep=0, **arguments):
        output = super().forward(input_ids, logits_to_keep=logits_to_keep, **arguments)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        output.logits = self.table[input_ids][:, kept]
        return output
