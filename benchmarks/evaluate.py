"""How fast `evaluate.py` scores, beside padded batches, and how long the statistics of a whole study take.

    python benchmarks/evaluate.py
    python benchmarks/evaluate.py --device cuda --examples 20000

*Scoring*: real tokens per second of a random GPT-2 on random examples as long as those of learners' texts (median 78
tokens). The baselines score every position of padded batches: padded to 256 tokens, as the reference implementation
does, and to the longest example. All run in turn, `--rounds` times; the best round counts, on a CPU by the processor's
time (start it with OMP_NUM_THREADS=1).

*Levels*: whole texts of these lengths per second under one model, renormalised without the infilling tokens, beside
padded batches without that.

*Statistics*: the matrix of six models with one seed on five levels, all contrasts, groups and the omnibus, from losses
of as many texts as EFCAMDAT's test split, with 10,000 resamples.
"""

import argparse
import platform
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from ilm.evaluation.comparison.records import Model
from ilm.evaluation.comparison.study import HEADLINE, compare
from ilm.evaluation.losses import Losses, Texts
from ilm.examples.layout import Example, TargetType
from ilm.models.left_to_right import score_texts
from ilm.models.scoring import score

# The test split of EFCAMDAT.
TEXTS = {"A1": 34_116, "A2": 21_535, "B1": 11_654, "B2": 4_024, "C1": 1_001}
PADDING_BATCH, LONGEST = 8, 256
TOKENS = 50_257  # of GPT-2, without the infilling tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6, help="of the model; 12 is GPT-2")
    parser.add_argument("--row-tokens", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=10_000)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {arguments.device}")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=TOKENS + 7, n_positions=512, n_layer=arguments.layers)
    model = GPT2LMHeadModel(config).to(arguments.device).eval()
    examples = random_examples(arguments.examples)
    scoring(model, examples, arguments)
    levels(model, examples, arguments)
    statistics(arguments.resamples)


def scoring(model: PreTrainedModel, examples: list[Example], arguments: argparse.Namespace) -> None:
    ways = {
        f"padded to {LONGEST} tokens, {PADDING_BATCH} examples a batch": lambda: padded(model, examples, LONGEST),
        f"padded to the longest, {PADDING_BATCH} examples a batch": lambda: padded(model, examples),
        f"rows of {arguments.row_tokens} tokens": lambda: float(
            score(model, examples, arguments.row_tokens, arguments.device).nll.sum()
        ),
    }
    measure(ways, sum(len(example.input_ids) for example in examples), "real tokens", arguments)


def levels(model: PreTrainedModel, examples: list[Example], arguments: argparse.Namespace) -> None:
    texts = [example.input_ids for example in examples]

    def ours() -> float:
        options = {"window": model.config.n_positions, "row_tokens": arguments.row_tokens, "device": arguments.device}
        return float(sum(np.nansum(of.nll) for of in score_texts(model, texts, kept=TOKENS, **options)))

    ways = {
        f"texts padded to the longest, {PADDING_BATCH} a batch": lambda: padded(model, examples),
        "task=levels, left to right": ours,
    }
    measure(ways, len(texts), "texts", arguments)


def measure(ways: dict[str, Callable[[], float]], amount: int, unit: str, arguments: argparse.Namespace) -> None:
    """Print each way's best rate, and how the last compares with the others."""
    clock = time.process_time if arguments.device.type == "cpu" else time.perf_counter
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = clock()
            total = way()
            rates[name] = max(rates[name], amount / (clock() - began))
            print(f"{name}: {rates[name]:,.1f} {unit}/s (sum of NLL {total:,.1f})", flush=True)
    (*others, (ours, best)) = rates.items()
    for name, rate in others:
        print(f"{ours} beside {name}: {best / rate:.2f} times")


def random_examples(count: int) -> list[Example]:
    rng = np.random.default_rng(0)
    found = []
    for length in np.clip(rng.lognormal(np.log(78), 0.45, count).astype(int), 12, LONGEST):
        types = np.full(length, TargetType.CONTEXT, dtype=np.uint8)
        types[-length // 6 :] = TargetType.INFILL
        ids = rng.integers(0, TOKENS, length).astype(np.int32)
        found.append(Example(ids, types, int(length)))
    return found


@torch.inference_mode()
def padded(model: PreTrainedModel, examples: list[Example], width: int | None = None) -> float:
    """The sum of the NLL of all targets, in batches padded to `width` tokens, or to their longest example."""
    total = 0.0
    for begin in range(0, len(examples), PADDING_BATCH):
        batch = examples[begin : begin + PADDING_BATCH]
        longest = max(len(example.input_ids) for example in batch)
        ids = torch.zeros(len(batch), width or longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, example in enumerate(batch):
            ids[row, : len(example.input_ids)] = torch.from_numpy(example.input_ids.astype(np.int64))
            mask[row, : len(example.input_ids)] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        labels = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
        total += float(cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=-100))
    return total


def statistics(resamples: int) -> None:
    rng = np.random.default_rng(0)
    levels = np.repeat(list(TEXTS), list(TEXTS.values()))
    n = len(levels)
    columns = {"writing_id": np.arange(n).astype(str), "cefr_level": levels}
    columns |= {"l1": rng.choice(["Arabic", "Chinese", "German", "Portuguese"], n), "text": "a text of five words"}
    texts = Texts(pd.DataFrame(columns), np.arange(n), "text")
    targets = np.maximum(1, rng.lognormal(4, 0.7, n).round()).astype(int)
    nll = np.stack([rng.normal(3, 0.5, n) * targets for _ in range(6)])
    losses = Losses(nll, targets, np.arange(n), pd.DataFrame({"l1": columns["l1"]}))
    models = [Model(level, level, (number,)) for number, level in enumerate([*TEXTS, "all"])]
    began = time.perf_counter()
    study = compare({HEADLINE: losses}, texts, models, resamples)
    seconds = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sizes = f"{len(study.matrix)} cells, {len(study.contrasts)} contrasts, {len(study.by_group)} groups"
    print(f"statistics of {n:,} texts: {sizes}, {resamples:,} resamples: {seconds:.1f} s, {gigabytes:.1f} GiB at most")


if __name__ == "__main__":
    main()
