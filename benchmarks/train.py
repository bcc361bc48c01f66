"""Speed and memory of a training step compared with the reference implementation, optimisation by optimisation.

    python benchmarks/train.py                                  # GPT-2 124M, 8 examples per step, this machine's device
    python benchmarks/train.py --texts mycorpus.csv             # examples from texts of your own

The baseline works as the reference implementation (chrisdonahue/ilm): every example right-padded to 256 tokens,
float32, logits at every position, one cross-entropy for the context and one for the answers, torch's default AdamW.
Optimisations are then added one by one. All rows use the same examples, random weights and dropout (GPT-2's 0.1).

Every row of the table runs in its own process, so that its peak memory is its own. A ratio is the median of the ratios
within a round over all rows, since other programs slow both. Tokens exclude padding. Memory is the process's peak (CPU)
or the peak allocated on the GPU. For GPUs use `benchmarks/gpu.py`; data loading is measured by `benchmarks/loading.py`.
"""

import argparse
import csv
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

import ilm  # noqa: F401  sets what OpenMP reads when it begins

REPOSITORY = Path(__file__).resolve().parent.parent
MAX_LENGTH = 256  # tokens
MODELS = {
    "tiny": {"n_layer": 4, "n_embd": 192, "n_head": 4},
    "gpt2": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "gpt2-medium": {"n_layer": 24, "n_embd": 1024, "n_head": 16},
    "gpt2-large": {"n_layer": 36, "n_embd": 1280, "n_head": 20},
}


@dataclass(frozen=True)
class Variant:
    """The optimisations in a row of the table; the first row is the baseline."""

    name: str
    packed: bool = False
    targets_only: bool = False
    fused_loss: bool = False
    fused_optimizer: bool = False
    precision: str = "fp32"
    compiled: bool = False


def variants(device: str, compiled: bool) -> list[Variant]:
    """The baseline, then the optimisations added one by one."""
    done: dict = {}
    rows = [Variant("reference: padded to 256, two cross-entropies")]
    steps = [
        ("without padding, attention within examples", {"packed": True}),
        ("LM head on targets, one cross-entropy", {"targets_only": True}),
        ("fused cross-entropy", {"fused_loss": True}),
        ("fused AdamW", {"fused_optimizer": True}),
    ]
    steps += [("bf16 autocast", {"precision": "bf16"})]
    if compiled:
        steps += [("torch.compile", {"compiled": True})]
    for name, added in steps:
        done |= added
        rows.append(Variant(f"+ {name}", **done))
    return rows


def main() -> None:
    arguments = _arguments()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")},
        "python": platform.python_version(),
        "sizes": {},
    }
    for batch_size in arguments.batch_size:
        examples = folder / f"examples_{batch_size}.npz"
        write_examples(examples, arguments.texts, (arguments.steps + 1) * batch_size)
        report["sizes"][batch_size] = _measured(arguments, batch_size, examples)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: report[key] for key in ("machine", "versions", "python")}, indent=2))
    print(f"written: {folder / 'report.json'}")


def _arguments() -> argparse.Namespace:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="gpt2")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8], help="examples per step")
    parser.add_argument("--row-tokens", type=int, default=None, help="tokens per row; default as in training")
    parser.add_argument("--steps", type=int, default=3, help="timed steps per process, after one untimed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="on a CPU; default: all cores")
    parser.add_argument(
        "--processor-time", action="store_true", help="count CPU time; use with --threads 1 on a busy machine"
    )
    parser.add_argument("--compile", action="store_true", help="also torch.compile")
    parser.add_argument("--only", type=int, nargs="*", default=[], help="rows of the table besides the baseline, 0")
    parser.add_argument(
        "--texts", type=Path, default=None, help="CSV file with a column text; default: synthetic texts"
    )
    parser.add_argument("--folder", type=Path, default=Path("results/benchmark_train"), help="for examples and report")
    return parser.parse_args()


def _measured(arguments: argparse.Namespace, batch_size: int, examples: Path) -> list[dict]:
    rows = variants(arguments.device, arguments.compile)
    if arguments.only:
        rows = [row for number, row in enumerate(rows) if number in {0, *arguments.only}]
    found: list[list[dict]] = [[] for _ in rows]
    for _ in range(arguments.rounds):
        for row, results in zip(rows, found, strict=True):
            results.append(_run(arguments, batch_size, examples, row))
            print(".", end="", file=sys.stderr, flush=True)
    print(f"\n{arguments.model}, {batch_size} examples per step of {found[0][0]['tokens_per_example']:.0f} tokens\n")
    columns = ["", "tokens/s", "spread", "ratio", "added", "memory", "of baseline"]
    print("| " + " | ".join(columns) + " |\n|---" + "|---:" * (len(columns) - 1) + "|")
    table, before = [], None
    for row, results in zip(rows, found, strict=True):
        rates = [result["tokens_per_second"] for result in results]
        ratio = median(
            result["tokens_per_second"] / base["tokens_per_second"]
            for result, base in zip(results, found[0], strict=True)
        )
        memory = median(result["memory"] for result in results)
        share = memory / median(base["memory"] for base in found[0])
        cells = [
            *(row.name, f"{median(rates):,.0f}", f"{min(rates):,.0f} to {max(rates):,.0f}", f"{ratio:.2f}"),
            *("" if before is None else f"x {ratio / before:.2f}", f"{memory / 1e9:.1f} GB", f"{share:.2f}"),
        ]
        print("| " + " | ".join(cells) + " |", flush=True)
        table.append({"row": asdict(row), "rates": rates, "ratio": ratio, "memory": memory, "loss": results[0]["loss"]})
        before = ratio
    return table


def _run(arguments: argparse.Namespace, batch_size: int, examples: Path, row: Variant) -> dict:
    work = {
        "examples": str(examples),
        "batch_size": batch_size,
        "steps": arguments.steps,
        "device": arguments.device,
        "model": arguments.model,
        "row_tokens": arguments.row_tokens,
        "variant": asdict(row),
        "threads": arguments.threads,
        "processor_time": arguments.processor_time,
    }
    command = [sys.executable, __file__, "--worker", json.dumps(work)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{row.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write_examples(path: Path, texts: Path | None, count: int) -> None:
    """Write `count` examples with the default masks, from a CSV file or synthetic texts, in random order."""
    from ilm.corpus.synthetic import write_csv
    from ilm.examples.alignment import align
    from ilm.examples.layout import lay_out
    from ilm.examples.tokenize import token_positions
    from ilm.examples.tokenizers import gpt2_tokenizer
    from ilm.examples.vocabulary import Vocabulary
    from ilm.masking.functions import Hierarchical

    source = texts or path.with_suffix(".csv")
    if texts is None:
        # With more texts of the higher, longer levels than in EFCAMDAT, for a mean of 330 characters.
        write_csv(source, size=max(2_000, count), seed=1, floor=max(2_000, count) * 7 // 100)
    with open(source, encoding="utf-8", newline="") as file:
        documents = [row["text"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(documents)
    tokenizer, masking = gpt2_tokenizer(), Hierarchical()
    vocabulary, columns = Vocabulary(tokenizer, Hierarchical.mask_types), []
    for number in range(10 * count):
        text = documents[number % len(documents)]
        encoded = tokenizer(text, split_special_tokens=True, return_offsets_mapping=True)
        positions = token_positions(encoded.offset_mapping, len(text))
        spans = masking(text, random.Random(number))
        starts, lengths = (
            np.array([getattr(span, key) for span in spans], dtype=np.int64) for key in ("start", "length")
        )
        firsts, lasts = align(positions, starts, lengths)
        if (firsts[1:] < lasts[:-1]).any():
            continue
        kinds = [Hierarchical.mask_types.index(span.mask_type) for span in spans]
        tokens = list(zip(kinds, firsts.tolist(), lasts.tolist(), strict=True))
        columns.append(lay_out(encoded.input_ids, tokens, vocabulary, "ilm", MAX_LENGTH))
        if len(columns) == count:
            break
    ids, types = (np.concatenate([getattr(e, key) for e in columns]) for key in ("input_ids", "target_types"))
    np.savez(path, ids=ids, types=types, lengths=[len(e.input_ids) for e in columns], vocabulary=vocabulary.size)


# In the process of a row ------------------------------------------------------------------------------------------


def _work(work: dict) -> None:
    import torch

    from ilm.examples.layout import Example
    from ilm.models.devices import compile_in_place
    from ilm.models.packing import pack, row_length
    from ilm.models.scoring import forward_module

    variant, device = Variant(**work["variant"]), torch.device(work["device"])
    if work["threads"]:
        torch.set_num_threads(work["threads"])
    clock = time.process_time if work["processor_time"] else time.perf_counter
    stored = np.load(work["examples"])
    ends = np.cumsum(stored["lengths"])[:-1]
    parts = zip(np.split(stored["ids"], ends), np.split(stored["types"], ends), strict=True)
    examples = [Example(ids, types, len(ids)) for ids, types in parts]
    model = new_model(work["model"], int(stored["vocabulary"])).to(device).train()
    if variant.compiled:
        compile_in_place(forward_module(model), device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=5e-5, weight_decay=0.0, fused=True if variant.fused_optimizer else None
    )
    batch, row_tokens = work["batch_size"], row_length(work["row_tokens"], device, MAX_LENGTH)
    seconds, tokens, losses = [], [], []
    for step in range(work["steps"] + 1):
        chosen = examples[step * batch : (step + 1) * batch]
        rows = [row.to(device) for row in pack(chosen, row_tokens)] if variant.packed else [padded(chosen, device)]
        torch.manual_seed(step)
        _wait(device)
        begin = clock()
        losses.append(0.0)
        parts = _losses(model, rows, variant)
        while True:  # backward per row, as in training
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=variant.precision == "bf16"):
                loss = next(parts, None)
            if loss is None:
                break
            loss.backward()
            losses[-1] += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)
        seconds.append(clock() - begin)
        tokens.append(sum(len(example.input_ids) for example in chosen))
    on_gpu = device.type == "cuda"
    result = {
        "tokens_per_second": sum(tokens[1:]) / sum(seconds[1:]),
        "tokens_per_example": sum(tokens) / len(tokens) / batch,
        "memory": torch.cuda.max_memory_allocated(device)
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "loss": losses[-1],
    }
    print(json.dumps(result))


def new_model(name: str, vocabulary: int):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", vocab_size=vocabulary, **MODELS[name])
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _wait(device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def padded(examples: list, device):
    """Ids and target types (examples, 256), right-padded with zeros."""
    import torch

    ids, types = np.zeros((2, len(examples), MAX_LENGTH), dtype=np.int64)
    for row, example in enumerate(examples):
        ids[row, : len(example.input_ids)] = example.input_ids
        types[row, : len(example.input_ids)] = example.target_types
    return torch.from_numpy(ids).to(device), torch.from_numpy(types).to(device)


def _losses(model, rows: list, variant: Variant) -> Iterator:
    """For each row, its part of the mean NLL of the context targets plus that of the infill targets of all rows."""
    import torch

    from ilm.models.scoring import row_loss, target_nll

    if not variant.packed:
        yield padded_loss(model, *rows)
        return
    kinds = torch.cat([row.target_types for row in rows]) == 1
    shares = torch.where(kinds, 1 / kinds.sum().clamp(min=1), 1 / (~kinds).sum().clamp(min=1))
    for row, weights in zip(rows, shares.split([len(row.targets) for row in rows]), strict=True):
        if variant.fused_loss:
            yield row_loss(model, row, weights)[0]
        elif variant.targets_only:
            yield (target_nll(model, row) * weights).sum()
        else:
            yield _two_losses(model, row, weights)


def padded_loss(model, batch: tuple):
    """Two cross-entropies, with logits at every position of padded rows (`padded`)."""
    import torch
    from torch.nn.functional import cross_entropy

    ids, types = batch
    logits = model(ids, use_cache=False).logits[:, :-1].transpose(1, 2)
    return sum(
        cross_entropy(logits, torch.where(_of(types[:, 1:], kind), ids[:, 1:], -1), ignore_index=-1)
        for kind in (False, True)
    )


def _two_losses(model, row, weights):
    """Two cross-entropies, with logits at every position of a row without padding."""
    import torch
    from torch.nn.functional import cross_entropy

    from ilm.models.packed_attention import boundary_arguments, replaced_attention

    with replaced_attention(model):
        arguments = boundary_arguments(row.boundaries, row.longest)
        logits = model(input_ids=row.input_ids, position_ids=row.position_ids, use_cache=False, **arguments).logits[0]
    total = 0.0
    for kind in (row.target_types == 1, row.target_types != 1):
        if kind.any():
            wanted = torch.full_like(row.input_ids[0], -1)
            wanted[row.predictors[kind]] = row.targets[kind]
            total = total + cross_entropy(logits, wanted, ignore_index=-1, reduction="sum") * weights[kind][0]
    return total


def _of(types, infill: bool):
    """Which target types are CONTEXT, or with `infill` those of answers."""
    return types >= 4 if infill else types == 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _work(json.loads(sys.argv[2]))
    else:
        main()
