"""Speed of training, scoring and infilling on a GPU, in one process and under 200 seconds.

    python -m benchmarks.gpu                          # GPT-2 124M on this machine's GPU
    python -m benchmarks.gpu --device cpu --quick     # a tiny model and one step per row, to try the script itself

Training steps are those of `benchmarks/train.py`: the reference implementation's (rows padded to 256 tokens, logits at
every position, two cross-entropies, torch's default AdamW) in float32 and bfloat16, and ours. Ratios are to padded rows
with the same number of examples per step. Each row is printed, and appended to `--out` as JSON, as soon as it is
measured; a row that fails or runs out of memory says so, and so does one skipped for lack of time.

Tokens exclude padding. MFU: the share of the card's dense bfloat16 peak that 6 x parameters x tokens/s amounts to
(Chowdhery et al. 2022, arXiv 2204.02311, appendix B, without attention).
"""

import argparse
import copy
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from transformers import GPT2LMHeadModel

from benchmarks.infill import contexts_of, random_infiller
from benchmarks.train import REPOSITORY, new_model, padded, padded_loss, write_examples
from ilm.config.infill import Decoding
from ilm.examples.layout import Example
from ilm.models.devices import compile_in_place, is_out_of_memory, with_fused_activations
from ilm.models.packing import pack, row_length
from ilm.models.scoring import forward_module, row_loss, score

LIMIT = 200.0  # seconds in total
# One epoch of all six models of the study: 16 masks of each of 723,282 texts, once by level and once together.
EPOCH_TOKENS = 1.6e9
# Examples per step in the study.
STUDY_BATCH = 8
# Dense bfloat16 peaks in TFLOP/s (float16 before Ampere), from the tables at nvidia.com/en-us/data-center/h200, /h100,
# /a100, /l40s, /l40, /l4, /a10, /v100 and /tesla-t4; half of those given with sparsity.
PEAKS = {"H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L40": 181, "L4": 121, "A10": 125}
PEAKS |= {"V100": 125, "T4": 65}


def peak_of(card: str) -> float | None:
    """The peak of a card in TFLOP/s, by its whole name: an L40 is not an L4. None if unknown, such as an H100 NVL."""
    known = [name for name in PEAKS if re.search(rf"\b{name}\b(?! NVL)", card)]
    return PEAKS[max(known, key=len)] if known else None


@dataclass(frozen=True)
class Way:
    """How a row of the table trains; `row_tokens=None` pads every example."""

    name: str
    batch: int
    row_tokens: int | None = None
    half: bool = True
    compiled: bool = False


def ways(quick: bool, compiled: bool) -> list[Way]:
    """The rows of the table, baselines first."""
    batches, rows = ((1, 2), (512,)) if quick else ((8, 128), (4096, 16384))
    found = []
    for batch in batches:
        found += [Way("padded, float32", batch, half=False), Way("padded, bfloat16", batch)]
        found += [Way("ours, bfloat16", batch, rows[0])]
    if not quick:
        found += [Way("ours, bfloat16", size, rows[-1]) for size in (512, 1024)]
    if compiled:
        found += [Way("ours, compiled", batch, rows[0], compiled=True) for batch in batches]
        found += [Way("ours, compiled", 1024, rows[-1], compiled=True)] if not quick else []
    return found


class Report:
    """Prints rows of the table and appends them to a file as they are measured; keeps them for the summary."""

    def __init__(self, out: Path, parameters: int, peak: float | None):
        self.out, self.parameters, self.peak = out, parameters, peak
        self.rates: dict[Way, float] = {}

    def add(self, **values) -> None:
        with open(self.out, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def header(self) -> None:
        print("| | examples a step | row tokens | tokens/s | MFU | memory | of padded float32 | of padded bfloat16 |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)

    def training(self, way: Way, rate: float, memory: int | None) -> None:
        self.rates[way] = rate
        ratios = [rate / base if (base := self._padded(way.batch, half)) else None for half in (False, True)]
        mfu = rate * 6 * self.parameters / (self.peak * 1e12) if self.peak else None
        cells = (f"{rate:,.0f}", _cell(mfu, ".1%"), _cell(memory and memory / 1e9, ".1f", " GB"))
        self._line(way, *cells, *(_cell(ratio, ".1f") for ratio in ratios))
        self.add(**asdict(way), tokens_per_second=rate, mfu=mfu, memory=memory, ratios=ratios)

    def failed(self, way: Way, reason: str) -> None:
        self._line(way, reason, "", "", "", "")
        self.add(**asdict(way), failed=reason)

    def _line(self, way: Way, *cells: str) -> None:
        print(f"| {way.name} | {way.batch} | {way.row_tokens or 256} | {' | '.join(cells)} |", flush=True)

    def _padded(self, batch: int, half: bool) -> float | None:
        """The rate of padded rows; if they did not fit, of those with fewer examples, which are about as fast."""
        found = {way.batch: rate for way, rate in self.rates.items() if way.row_tokens is None and way.half is half}
        return found.get(max((size for size in found if size <= batch), default=0))

    def summary(self, tokens_per_example: float) -> None:
        ours = {way: rate for way, rate in self.rates.items() if way.row_tokens is not None}
        small = max((rate for way, rate in ours.items() if way.batch <= STUDY_BATCH), default=None)
        if ours:
            best = max(ours, key=ours.get)
            hours = EPOCH_TOKENS / ours[best] / 3600
            print(f"\none epoch of the six models ({EPOCH_TOKENS:.1e} tokens) at {best}: {hours:.2f} hours")
            self.add(best=asdict(best), hours_of_an_epoch=hours)
        if small:
            folder, levels = REPOSITORY / "conf" / "cefr_level", ("A1", "A2", "B1", "B2", "C1", "all")
            steps = sum(yaml.safe_load((folder / f"{level}.yaml").read_text())["max_steps"] for level in levels)
            hours = steps * STUDY_BATCH * tokens_per_example / small / 3600
            print(f"their {steps:,} steps of {STUDY_BATCH} examples: {hours:.2f} hours")
            self.add(steps=steps, hours_of_the_steps=hours)


def _cell(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _arguments(argv)
    began, device, quick = time.perf_counter(), torch.device(arguments.device), arguments.quick
    on_gpu = device.type == "cuda"
    card = torch.cuda.get_device_name(device) if on_gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    examples, vocabulary = _examples(arguments, 8 if quick else 2048)
    base = new_model("tiny" if quick else "gpt2", vocabulary)
    parameters = sum(parameter.numel() for parameter in base.parameters())
    peak = peak_of(card)
    report = Report(arguments.out, parameters, peak)
    about = {"device": card, "torch": torch.__version__, "parameters": parameters, "peak_tflops": peak}
    print(json.dumps(about), end="\n\n", flush=True)
    report.add(**about)
    report.header()
    limit = float("inf") if quick else LIMIT
    left = lambda: limit - (time.perf_counter() - began)  # noqa: E731
    seconds, reserve = (0.0, 0.0) if quick else (5.0, 40.0)
    for way in ways(quick, on_gpu):
        # Compiling takes longest.
        if left() < reserve + (30 if way.compiled else 10):
            report.failed(way, "no time left")
            continue
        try:
            report.training(way, *_train(copy.deepcopy(base), examples, way, device, seconds))
        except Exception as error:  # the next row may work, and a table with a gap is better than none
            report.failed(way, "out of memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"[:80])
        if on_gpu:
            torch.cuda.empty_cache()
    report.summary(sum(len(example.input_ids) for example in examples) / len(examples))
    _scoring(report, copy.deepcopy(base).to(device), examples, device, 0.0 if quick else 5.0)
    if left() > 10:
        _infilling(report, device, quick, arguments.texts)
    print(f"\n{time.perf_counter() - began:.0f} s; written: {arguments.out}")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a tiny model and one step per row")
    parser.add_argument("--texts", type=Path, help="CSV file with a column `text`, instead of synthetic texts")
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"), help="file of JSON lines, appended to")
    return parser.parse_args(argv)


def _examples(arguments: argparse.Namespace, count: int) -> tuple[list[Example], int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "examples.npz"
        write_examples(path, arguments.texts, count)
        with np.load(path) as stored:
            ends = np.cumsum(stored["lengths"])[:-1]
            parts = zip(np.split(stored["ids"], ends), np.split(stored["types"], ends), strict=True)
            return [Example(ids, types, len(ids)) for ids, types in parts], int(stored["vocabulary"])


def _train(
    model: GPT2LMHeadModel, examples: list[Example], way: Way, device: torch.device, seconds: float
) -> tuple[float, int | None]:
    """(tokens per second, peak bytes on a GPU) of optimizer steps: two untimed ones, then `seconds` of them; or one."""
    on_gpu, warm_up = device.type == "cuda", 2 if seconds else 0
    model = model.to(device).train()
    if way.row_tokens and on_gpu:
        with_fused_activations(model)
    if way.compiled:
        compile_in_place(forward_module(model), device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True if way.row_tokens else None)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    timed = tokens = begin = 0
    for number, batch in enumerate(_batches(examples, way.batch)):
        if number == warm_up:
            begin = _now(device)
        torch.manual_seed(number)
        _backward(model, batch, way, device)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if number >= warm_up:
            tokens += sum(len(example.input_ids) for example in batch)
            timed = _now(device) - begin
            if timed >= seconds:
                break
    return tokens / timed, torch.cuda.max_memory_allocated(device) if on_gpu else None


def _backward(model: GPT2LMHeadModel, batch: list[Example], way: Way, device: torch.device) -> None:
    """The gradient of one step, row by row as in `ilm.training.module`."""
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=way.half)
    if way.row_tokens is None:
        with autocast:
            loss = padded_loss(model, padded(batch, device))
        loss.backward()
        return
    for row in pack(batch, way.row_tokens):
        row = row.to(device)
        weights = torch.full((len(row.targets),), 1 / len(batch), device=device)
        with autocast:
            loss, _ = row_loss(model, row, weights)
        loss.backward()


def _batches(examples: list[Example], size: int) -> Iterator[list[Example]]:
    number = 0
    while True:
        yield [examples[(number + one) % len(examples)] for one in range(size)]
        number += size


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _scoring(report: Report, model: GPT2LMHeadModel, examples: list[Example], device: torch.device, seconds: float):
    """Examples per second in float32, as `evaluate.py` scores them, and in bfloat16, with the difference it makes."""
    nll = {}
    for half in (False, True):
        rows = row_length(None, device, max(len(example.input_ids) for example in examples))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            if seconds:
                score(model, examples[:64], rows, device)  # warm-up
            begin, done = _now(device), 0
            while not done or _now(device) - begin < seconds:
                nll[half] = score(model, examples, rows, device).nll
                done += len(examples)
        rate = done / (_now(device) - begin)
        name = "bfloat16" if half else "float32"
        difference = float(np.abs(nll[half].mean() - nll[False].mean())) if half else 0.0
        print(f"scoring in {name}: {rate:,.0f} examples/s, mean NLL differs by {difference:.1e}", flush=True)
        report.add(scoring=name, examples_per_second=rate, difference=difference)


def _infilling(report: Report, device: torch.device, quick: bool, texts: Path | None) -> None:
    """Infills per second, counted as in `benchmarks/infill.py`, without its plain loop."""
    infiller = random_infiller("float32", device, small=quick)
    contexts, candidates = contexts_of(infiller, 2 if quick else 64, texts), 2 if quick else 5
    decoding = Decoding(candidates=candidates, top_p=0.95, batch_size=128)
    infiller(contexts[:2], decoding)
    begin = _now(device)
    infiller(contexts, decoding)
    rate = len(contexts) * candidates / (_now(device) - begin)
    print(f"infilling: {rate:,.1f} infills/s ({candidates} candidates of {len(contexts)} contexts)", flush=True)
    report.add(infills_per_second=rate)


if __name__ == "__main__":
    sys.exit(main())
