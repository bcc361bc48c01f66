"""Infills a second, beside a plain loop without a cache: GPT-2 with 124 million random weights.

    python benchmarks/infill.py                                  # 20 contexts x 5 candidates
    python benchmarks/infill.py --texts mycorpus.csv --dtype bfloat16

The contexts are texts of the sample corpus (or of a CSV with a column `text`) under masks of the paper's function, as
in training. Random weights never end an answer, so each blank takes as many tokens as the text that stood there, for
both sides and for every candidate. The scale of the last layer norm is raised so that the predictions are about as
peaked as those of a trained model; the report says how peaked. Both draw with top_p=0.95.

The plain loop fills one context at a time, its candidates as one batch, which is how the reference implementation
(chrisdonahue/ilm) works: the whole text goes through the model again for every token. It fills `--plain` of the
contexts once, a part of them in each round; its time for all of them is estimated by the tokens that would go through
the model. Between these parts the infiller fills all contexts, and its median counts.
"""

import argparse
import csv
import json
import os
import platform
import random
import statistics
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.config.infill import Decoding
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import BlankLimits, Context
from ilm.infilling.infiller import DTYPES, Infiller
from ilm.masking.functions import Hierarchical
from ilm.masking.preview import cut

TOP_P = 0.95
PEAKED = 6.0  # factor of the last layer norm


def main() -> None:
    arguments = _arguments()
    infiller = random_infiller(arguments.dtype)
    contexts, lengths = _contexts(_texts(arguments.texts), infiller, arguments.contexts)
    decoding = Decoding(candidates=arguments.candidates, top_p=TOP_P, batch_size=arguments.batch_size)
    infiller(contexts[:2], decoding)  # warm up
    plain, ours, results = [], [], []
    for round_ in range(arguments.rounds):
        part = range(round_, min(arguments.plain, len(contexts)), arguments.rounds)
        plain.append(_seconds(lambda part=part: _fill_plainly(infiller, contexts, lengths, part, arguments.candidates)))
        begin = time.perf_counter()
        results = infiller(contexts, decoding)
        ours.append(time.perf_counter() - begin)
        print(
            f"round {round_ + 1}: {len(part)} contexts plainly {plain[-1]:.1f} s, all of ours {ours[-1]:.1f} s",
            flush=True,
        )
    infills = len(contexts) * arguments.candidates
    work = [_tokens_read(len(context.ids), own) for context, own in zip(contexts, lengths, strict=True)]
    all_plain = sum(plain) * sum(work) / sum(work[: arguments.plain])
    tokens = [v for group in results for r in group for values in r.token_log_probabilities for v in values[:-1]]
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "contexts": len(contexts),
        "tokens of a context": statistics.mean(len(context.ids) for context in contexts),
        "blanks of a context": statistics.mean(map(len, lengths)),
        "tokens of the answers of a context": statistics.mean(map(sum, lengths)),
        "mean log-probability of a token drawn": statistics.mean(tokens),
        "contexts filled plainly": min(arguments.plain, len(contexts)),
        "plain, infills/s": infills / all_plain,
        "ours, infills/s": infills / statistics.median(ours),
        "ours, fastest and slowest": [infills / min(ours), infills / max(ours)],
        "ratio": all_plain / statistics.median(ours),
    }
    print(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128, help="candidates written together")
    parser.add_argument("--plain", type=int, default=20, help="contexts that the plain loop fills")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the weights, on both sides")
    parser.add_argument("--texts", type=Path, help="CSV file with a column `text`")
    return parser.parse_args()


def random_infiller(dtype: str, device: str | torch.device = "cpu", small: bool = False) -> Infiller:
    """An infiller of a GPT-2 with random weights, `small` of two narrow layers."""
    vocabulary, shape = Vocabulary(gpt2_tokenizer(), Hierarchical.mask_types), {}
    if small:
        shape = {"n_layer": 2, "n_embd": 32, "n_head": 2}
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary.size, **shape)).eval()
    model.transformer.ln_f.weight.data.mul_(PEAKED)
    return Infiller(model.to(device, DTYPES[dtype]), vocabulary)


def contexts_of(infiller: Infiller, count: int, file: Path | None) -> list[Context]:
    """Texts of a CSV file, else synthetic ones, with blanks."""
    return _contexts(_texts(file), infiller, count)[0]


def _texts(file: Path | None) -> list[str]:
    """Those of a CSV file, else synthetic ones."""
    if file is not None:
        with open(file, encoding="utf-8", newline="") as opened:
            return [row["text"] for row in csv.DictReader(opened)]
    import tempfile

    from ilm.corpus.synthetic import write_csv

    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "texts.csv", size=1000, seed=1, floor=70)
        return _texts(Path(folder) / "texts.csv")


def _contexts(texts: list[str], infiller: Infiller, count: int) -> tuple[list[Context], list[list[int]]]:
    """Texts with blanks, limited to the tokens that stood in each blank, and these numbers."""
    rng, mask, encode = random.Random(0), Hierarchical(), infiller.vocabulary.encode
    contexts, lengths = [], []
    for text in rng.sample(texts, len(texts)):
        spans = mask(text, rng)
        # Texts of every length up to the longest examples of training, as a shuffled corpus gives them.
        if spans and len(encode(text)) <= 200:
            counts = [len(encode(" " + answer)) for answer in cut(text, spans)[1]]
            limits = tuple(BlankLimits(n, n) for n in counts)
            contexts.append(replace(infiller.context(text, spans=spans), limits=limits))
            lengths.append(counts)
        if len(contexts) == count:
            break
    return contexts, lengths


def _tokens_read(context: int, lengths: list[int]) -> int:
    """Tokens of a candidate that the plain loop sends through the model."""
    return sum(context + step for step in range(sum(lengths) + len(lengths)))


def _seconds(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@torch.inference_mode()
def _fill_plainly(
    infiller: Infiller, contexts: list[Context], lengths: list[list[int]], part: range, candidates: int
) -> list[torch.Tensor]:
    """Token ids (candidates, T) of each context of `part`, filled without a cache."""
    base, end = infiller.vocabulary.base_size, infiller.vocabulary.end_of_infill
    filled = []
    for number in part:
        ids = torch.tensor([contexts[number].ids] * candidates)
        for length in lengths[number]:
            for step in range(length + 1):
                probabilities = infiller.model(ids, use_cache=False).logits[:, -1].float().softmax(-1)
                probabilities[:, base:end] = probabilities[:, end + 1 :] = 0
                ordered, order = probabilities.sort(-1, descending=True)
                ordered[ordered.cumsum(-1) - ordered > TOP_P] = 0
                token = order.gather(1, ordered.multinomial(1))
                ids = torch.cat([ids, torch.full_like(token, end) if step == length else token], dim=1)
        filled.append(ids)
    return filled


if __name__ == "__main__":
    main()
