"""How fast `evaluate.py task=surprisal` scores words, beside minicons on the same texts and model.

    python benchmarks/surprisal.py
    python benchmarks/surprisal.py --layers 4 --size 192 --texts 16 --masked-texts 4

A random GPT-2 with GPT-2's tokenizer reads texts of the sample corpus. *Left to right*: words per second, beside
`IncrementalLMScorer.token_score` in batches of `--batch`, without and with its correction for where words end, which is
part of what `task=surprisal` gives. *Masked*: each word of a text in turn, beside `conditional_score` of the word given
the text around its blank, one word at a time. All run in turn, `--rounds` times; the best round counts, and on a CPU
the processor's time, whatever else it does. The values are compared.
"""

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from minicons.scorer import IncrementalLMScorer
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.corpus.synthetic import generate
from ilm.evaluation.surprisal.scoring import Reader
from ilm.evaluation.surprisal.words import bounds_of_words
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import END_OF_INFILL, START_OF_INFILL, Vocabulary, blank_token
from ilm.models.devices import with_fused_activations
from ilm.models.packing import row_length

WINDOW = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--texts", type=int, default=32, help="read from left to right")
    parser.add_argument("--masked-texts", type=int, default=2)
    parser.add_argument("--layers", type=int, default=6, help="of the model; 12 is GPT-2")
    parser.add_argument("--size", type=int, default=768, help="of its hidden states")
    parser.add_argument("--batch", type=int, default=8, help="texts that minicons reads at a time")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="minicons")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "minicons"))
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {libraries}, {arguments.device}")
    vocabulary = Vocabulary(gpt2_tokenizer(), ("document", "paragraph", "sentence", "ngram", "word"))
    model = random_model(vocabulary, arguments)
    rows = [*generate(arguments.texts, seed=0)]
    texts = pd.DataFrame(rows)[["writing_id", "text"]].assign(text=lambda table: table["text"].str.strip())
    scorer = IncrementalLMScorer(random_model(vocabulary, arguments), str(arguments.device), vocabulary.tokenizer)
    row_tokens = row_length(None, arguments.device, WINDOW)
    reader = Reader(with_fused_activations(model), vocabulary, WINDOW, row_tokens, arguments.device)
    left_to_right(reader, scorer, texts, arguments)
    masked(reader, scorer, texts.iloc[: arguments.masked_texts], arguments)


def random_model(vocabulary: Vocabulary, arguments: argparse.Namespace) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"n_layer": arguments.layers, "n_embd": arguments.size, "n_head": arguments.size // 64}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary.size, **sizes)).to(arguments.device).eval()


def left_to_right(reader: Reader, scorer: IncrementalLMScorer, texts: pd.DataFrame, arguments) -> None:
    prefixes = [np.zeros(0, dtype=np.int32)] * len(texts)

    def ours() -> float:
        blanks = pd.concat([scores.blanks for scores in reader.read(texts, prefixes, renormalise=False)])
        # minicons gives tokens, of which the second is the first with a value.
        return float(blanks["nll"].sum())

    def theirs(**options) -> float:
        total = 0.0
        for begin in range(0, len(texts), arguments.batch):
            part = texts["text"].iloc[begin : begin + arguments.batch].tolist()
            for text, tokens in zip(part, scorer.token_score(part, surprisal=True, **options), strict=True):
                first = len(reader.vocabulary.encode(text.split()[0]))
                total += sum(value for _, value in tokens[first:])
        return total

    ways = {
        f"minicons, {arguments.batch} texts at a time": theirs,
        f"minicons, {arguments.batch} texts at a time, corrected": lambda: theirs(bow_correction=True),
        "task=surprisal, corrected": ours,
    }
    measure("left to right", ways, sum(len(text.split()) for text in texts["text"]), arguments)


def masked(reader: Reader, scorer: IncrementalLMScorer, texts: pd.DataFrame, arguments) -> None:
    prefixes = [np.zeros(0, dtype=np.int32)] * len(texts)

    def ours() -> float:
        blanks = pd.concat([scores.blanks for scores in reader.mask(texts, prefixes)])
        return float(blanks["nll"].sum() + blanks["end_nll"].sum())

    def theirs() -> float:
        total = 0.0
        for text in texts["text"]:
            for start, end in bounds_of_words(text):
                space = int(text[:start].endswith(" "))  # the answer has it
                context = f"{text[: start - space]}{blank_token('word')}{text[end:]}{START_OF_INFILL}"
                answer = f"{text[start - space : end]}{END_OF_INFILL}"
                total -= scorer.conditional_score([context], [answer], "", lambda values: values.sum().item())[0]
        return total

    ways = {"minicons, one word at a time": theirs, "task=surprisal": ours}
    measure("masked", ways, sum(len(text.split()) for text in texts["text"]), arguments)


def measure(what: str, ways: dict[str, Callable[[], float]], words: int, arguments: argparse.Namespace) -> None:
    clock = time.process_time if arguments.device.type == "cpu" else time.perf_counter
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = clock()
            total = way()
            rates[name] = max(rates[name], words / (clock() - began))
            print(f"{what}, {name}: {rates[name]:,.1f} words/s ({words:,} words, sum {total:,.1f} nats)", flush=True)
    *others, ours = rates.values()
    for name, rate in zip(rates, others, strict=False):
        print(f"{what} beside {name}: {ours / rate:.2f} times")


if __name__ == "__main__":
    main()
