"""Speed of data loading, start-up time of a run, and memory over an epoch.

    python benchmarks/loading.py                      # 723,282 texts: 9.3 million examples
    python benchmarks/loading.py --texts 100000       # fewer

Uses the corpus of `benchmarks/prepare.py`, or prepares it: synthetic texts of 330 characters on average, 16 masks each,
GPT-2's tokens, the train split of all levels.

Three tables. *Start*: what a run does once before its first step. *Speed*: the loader alone, batches discarded, for
`--seconds` each, in rows of 4,096 tokens as on a GPU. Besides rates it shows examples per second of CPU time, which
depends less on other programs, for the process that makes batches and for the training process (the same one without
workers). Ratios compare the former with the baseline, batches of 8 examples made in the training process. *Epoch*: one
epoch through one worker, with the memory of both processes (proportional set size without mapped files, which the
system may drop at any time).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
ROW_TOKENS = 4096
MAKER = "examples per CPU second, maker"


def main() -> None:
    arguments = _arguments()
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "versions": {name: version(name) for name in ("torch", "numpy", "pyarrow", "pandas")},
        "python": platform.python_version(),
    }
    corpus = _prepared(arguments.folder.resolve(), arguments.texts)
    train, report["start"] = _start(corpus)
    _print("start", report["start"])
    report["speed"] = _speeds(train, arguments.seconds, arguments.workers)
    _print("speed", report["speed"])
    report["epoch"] = _epoch(train)
    _print("epoch", report["epoch"])
    (arguments.folder / "report_loading.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: report[key] for key in ("machine", "versions")}, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=723_282)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="processes that make batches")
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement of speed")
    parser.add_argument(
        "--folder", type=Path, default=Path("results/benchmark_prepare"), help="for the corpus and the report"
    )
    return parser.parse_args()


def _prepared(folder: Path, size: int) -> Path:
    data = folder / f"data_{size}"
    corpus = data / f"c{size}"
    if not (corpus / "manifest.json").is_file():
        from ilm.corpus.columns import REQUIRED
        from ilm.corpus.synthetic import write_csv

        folder.mkdir(parents=True, exist_ok=True)
        source = folder / f"texts_{size}.csv"
        if not source.exists():
            write_csv(source, size=size, seed=1, floor=size * 7 // 100, columns=REQUIRED)
        names = ("corpus=custom", f"corpus.name=c{size}", f"corpus.csv={source}", f"paths.data={data}")
        subprocess.run([sys.executable, "prepare.py", *names], cwd=REPOSITORY, check=True)
    if not (corpus / "tokens").is_dir():
        prepare = REPOSITORY / "benchmarks" / "prepare.py"
        subprocess.run([sys.executable, str(prepare), "--tokenize", str(corpus)], cwd=REPOSITORY, check=True)
    return corpus


def _start(folder: Path) -> tuple["object", list[dict]]:
    """The train split's examples; time and memory of each step of a run's start-up."""
    from ilm.corpus.store import PreparedCorpus
    from ilm.examples.dataset import InfillingDataset, first_by_hash
    from ilm.examples.token_store import TokenStore
    from ilm.examples.tokenizers import gpt2_tokenizer
    from ilm.examples.vocabulary import Vocabulary
    from ilm.masking.store import MaskStore
    from ilm.training.batch_plan import StepPlan
    from ilm.training.sampling import Shuffled

    rows = []

    def timed(what: str, work: Callable):
        begin, of_processor = time.perf_counter(), time.process_time()
        result = work()
        seconds = {"seconds": time.perf_counter() - begin, "CPU seconds": time.process_time() - of_processor}
        seconds = {name: round(value, 2) for name, value in seconds.items()}
        rows.append({"what": what, **seconds, "MB in use": round(_memory(psutil.Process()) / 1e6)})
        return result

    corpus = PreparedCorpus.open(folder)
    timed("documents.parquet", lambda: corpus.documents)
    masks = MaskStore.open(next((folder / "masks").iterdir()))
    vocabulary = Vocabulary(gpt2_tokenizer(), masks.mask_types)
    tokens = TokenStore.open_or_make(folder / "tokens", corpus, vocabulary, "gpt2")
    levels = corpus.manifest["settings"]["levels"]

    def store(split: str) -> InfillingDataset:
        of_split = corpus.rows(split, levels)
        return InfillingDataset(of_split, masks.splits[split], tokens, vocabulary, objective="ilm", max_length=256)

    train = timed("survey of the train split", lambda: store("train"))
    rows[-1]["examples"] = len(train)
    valid = timed("survey of the valid split", lambda: store("valid"))
    rows[-1]["examples"] = len(valid)
    ids = corpus.documents["writing_id"].array
    timed("500 validation examples chosen by hash", lambda: first_by_hash(valid, ids, 0, 500))
    order = Shuffled(len(train), 0)
    plan = StepPlan(order, train, batch_size=8)
    timed("order of an epoch", lambda: plan.step(0))
    plan = StepPlan(order, train, max_tokens=2**15)
    timed("order of an epoch, cut into blocks of tokens", lambda: plan.step(0))
    # Half of an epoch's, since about 7 of 10 tokens are context targets.
    timed("step at which half the targets are reached", lambda: plan.first_step_reaching(train.n_tokens // 3))
    return train, rows


def _speeds(train, seconds: float, worker_counts: list[int]) -> list[dict]:
    """Examples and tokens per second of the loader, by batch and workers; the first row is the baseline."""
    rows = []
    divisions = (
        ("8 examples", {"batch_size": 8}),
        ("8 examples x 3", {"batch_size": 8, "accumulate": 3}),
        ("64 examples", {"batch_size": 64}),
        ("32,768 tokens", {"max_tokens": 2**15}),
    )
    for name, division in divisions:
        batches = _batches(train, division)
        for workers in worker_counts:
            rate = _rate(_loaded(batches, workers), seconds)
            rows.append({"batch": name, "loader": f"{workers} worker{'s' * (workers != 1)}", **rate})
    baseline = rows[0][MAKER]
    return [{**row, "ratio": round(row[MAKER] / baseline, 2)} for row in rows]


def _batches(train, division: dict):
    from ilm.training.batch_plan import StepPlan
    from ilm.training.micro_batches import MicroBatchDataset
    from ilm.training.sampling import Shuffled

    plan = StepPlan(Shuffled(len(train), 0), train, **division)
    levels = np.zeros(int(train.documents.max()) + 1, dtype=np.int64)
    return MicroBatchDataset(train, plan, row_tokens=ROW_TOKENS, level_codes=levels, n_levels=5)


def _loaded(batches, workers: int, stop: int = 10**9) -> Iterator:
    from ilm.training.datamodule import RangeSampler, micro_batch_loader

    return iter(micro_batch_loader(batches, RangeSampler(range(stop)), workers))


def _rate(batches: Iterator, seconds: float) -> dict[str, int]:
    """Examples and tokens per second, after the first batches."""
    for _ in range(20):
        next(batches)
    examples = tokens = 0
    begin, own, workers = time.perf_counter(), time.process_time(), _cpu_of_workers()
    while time.perf_counter() - begin < seconds:
        batch = next(batches)
        examples += len(batch.numbers)
        tokens += sum(row.input_ids.shape[1] for row in batch.rows)
    passed, own, workers = time.perf_counter() - begin, time.process_time() - own, _cpu_of_workers() - workers
    return {
        "examples/s": round(examples / passed),
        "tokens/s": round(tokens / passed),
        MAKER: round(examples / (workers or own)),
        "examples per CPU second, training process": round(examples / own),
    }


def _cpu_of_workers() -> float:
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def _epoch(train, workers: int = 1) -> list[dict]:
    """One epoch in batches of 32,768 tokens: time and memory after a tenth, at half and at the end."""
    batches = _batches(train, {"max_tokens": 2**15})
    total = batches.plan.steps_of_epochs(1)
    begin, rows, examples = time.perf_counter(), [], 0
    for number, batch in enumerate(_loaded(batches, workers, total), start=1):
        examples += len(batch.numbers)
        if number in (-(-total // 10), -(-total // 2), total - 1):
            seconds = time.perf_counter() - begin
            row = {"epoch": f"{number / total:.0%}", "seconds": round(seconds, 1), "examples": examples}
            rows.append(row | _memories())
    return rows


def _memories() -> dict[str, int]:
    process = psutil.Process()
    loader = sum(_memory(child) for child in process.children(recursive=True))
    return {"MB, training process": round(_memory(process) / 1e6), "MB, worker": round(loader / 1e6)}


def _memory(process: psutil.Process) -> int:
    """A process's memory in bytes without mapped files; memory shared by processes is divided between them."""
    sizes = {}
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]:
        name, value, _ = line.split()
        sizes[name] = int(value) * 1024
    return sizes["Pss_Anon:"] + sizes["Pss_Shmem:"]


def _print(name: str, rows: list[dict]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    print(f"\n{name}\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        values = (row.get(column, "") for column in columns)
        print("| " + " | ".join(f"{v:,}" if isinstance(v, int | float) else v for v in values) + " |", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
