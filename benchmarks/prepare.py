"""Time, memory and disk of preparing a corpus, at several sizes, beside the reference's way of working.

    python benchmarks/prepare.py                                     # 10,000, 100,000 and 723,282 texts
    python benchmarks/prepare.py --sizes 10000 --texts mycorpus.csv  # fewer; and masks of texts of your own

Every size is one run of `prepare.py` (read, split, 16 masks a document, verify that nothing leaks, tokens of GPT-2 to
count what cuts take) and one of the token store alone, as processes of their own. Time is wall-clock time of the whole
process. Memory is the largest sum, over the process and its children, of the proportional set size (pages that several
processes share count once), looked at every 0.5 s. The texts are those of the sample corpus: synthetic, 330 characters
on average.

The baseline, on 1,000 of the same texts: NLTK's own tokenizers for every text in one process, which is how the
reference implementation (chrisdonahue/ilm) makes masks, and for tokens the tokenizer library's character offsets.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENS = "of which tokens of GPT-2, alone"
COLUMNS = ("texts", "step", "seconds", "texts/s", "peak MB", "MB on disk")


def main() -> None:
    arguments = _arguments()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in arguments.sizes:
        source = folder / f"texts_{size}.csv"
        if not source.exists():
            _write_texts(source, size)
        rows += _measured(folder, source, size, arguments.workers)
        _print(rows[-2:])
    baseline = _baseline(folder / f"texts_{arguments.sizes[0]}.csv")
    own = {path.name: _mask_speed(path, arguments.workers) for path in arguments.texts}
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "workers": arguments.workers,
        "versions": {name: version(name) for name in ("nltk", "tokenizers", "pyarrow", "pandas", "numpy")},
        "python": platform.python_version(),
        "sizes": rows,
        "baseline": baseline,
        "own texts": own,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: report[key] for key in ("machine", "versions", "baseline", "own texts")}, indent=2))
    print(f"written: {folder / 'report.json'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 723_282], help="texts")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw masks")
    parser.add_argument("--texts", type=Path, nargs="*", default=[], help="CSV files to draw masks of as well")
    parser.add_argument("--folder", type=Path, default=Path("results/benchmark_prepare"), help="for files and report")
    return parser.parse_args()


def _write_texts(path: Path, size: int) -> None:
    from ilm.corpus.columns import REQUIRED
    from ilm.corpus.synthetic import write_csv

    print(f"writing {size:,} synthetic texts to {path}", flush=True)
    # More texts of the higher, longer levels than in EFCAMDAT: so the mean is 330 characters.
    write_csv(path, size=size, seed=1, floor=size * 7 // 100, columns=REQUIRED)


def _measured(folder: Path, source: Path, size: int, workers: int) -> list[dict]:
    data = folder / f"data_{size}"
    prepare = [
        *(sys.executable, "prepare.py", "corpus=custom", f"corpus.name=c{size}", f"corpus.csv={source}"),
        *(f"num_workers={workers}", f"paths.data={data}", "overwrite=true"),
    ]
    shutil.rmtree(data, ignore_errors=True)
    tokenize = [sys.executable, __file__, "--tokenize", str(data / f"c{size}")]
    rows = []
    for step, command, below in ((f"prepare ({workers} workers)", prepare, "."), (TOKENS, tokenize, "tokens")):
        shutil.rmtree(data / f"c{size}" / "tokens", ignore_errors=True)  # prepare.py has made them
        seconds, peak = _run(command)
        disk = _bytes(data / f"c{size}" / below) / 1e6
        rows.append(dict(zip(COLUMNS, (size, step, seconds, size / seconds, peak / 1e6, disk), strict=True)))
    return rows


def _run(command: list[str]) -> tuple[float, int]:
    """Wall-clock seconds and peak bytes of memory of a command and its children."""
    begin = time.perf_counter()
    process = psutil.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with _watched(process) as peak:
        _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nended with {process.returncode}:\n{errors[-2000:]}")
    return time.perf_counter() - begin, peak[0]


@contextmanager
def _watched(process: psutil.Process) -> Iterator[list[int]]:
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peak[0] = max(peak[0], _memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _memory(process: psutil.Process) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_full_info().pss
    except psutil.Error:  # one has just ended
        pass
    return total


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _tokenize(folder: Path) -> None:
    from ilm.corpus.store import PreparedCorpus
    from ilm.examples.token_store import TokenStore
    from ilm.examples.tokenizers import gpt2_tokenizer
    from ilm.examples.vocabulary import Vocabulary
    from ilm.masking.functions import Hierarchical

    vocabulary = Vocabulary(gpt2_tokenizer(), Hierarchical.mask_types)
    TokenStore.open_or_make(folder / "tokens", PreparedCorpus.open(folder), vocabulary, "gpt2")


def _texts(path: Path, most: int) -> list[str]:
    with open(path, encoding="utf-8", newline="") as file:
        return [row["text"] for row, _ in zip(csv.DictReader(file), range(most), strict=False)]


def _baseline(path: Path, size: int = 1_000) -> dict[str, float]:
    """Texts a second of one process: NLTK alone and ours; the library's offsets and ours. And the ratios."""
    import pandas as pd

    from ilm.examples.tokenize import token_positions, tokenize
    from ilm.examples.tokenizers import gpt2_tokenizer
    from ilm.masking import functions

    texts = _texts(path, 2 * size)
    warm_up, texts = texts[:size], texts[size:]
    tokenizer = gpt2_tokenizer()
    function = functions.Hierarchical()

    def masks(of: list[str]) -> None:
        for text in of:
            for example in range(16):
                function(text, random.Random(example))

    def offsets(of: list[str]) -> None:
        for text in of:
            encoded = tokenizer(text, split_special_tokens=True, return_offsets_mapping=True)
            token_positions(encoded.offset_mapping, len(text))

    def rate(work: Callable[[], object]) -> float:
        begin = time.perf_counter()
        work()
        return len(texts) / (time.perf_counter() - begin)

    masks(warm_up)
    ours = rate(lambda: masks(texts))
    functions.segment, own = _nltk_segmentation(), functions.segment
    nltk = rate(lambda: masks(texts))
    functions.segment = own
    series = pd.Series(texts, dtype="str")
    tokens = rate(lambda: list(tokenize(series, tokenizer)))
    by_offsets = rate(lambda: offsets(texts))
    return {
        "masks, texts/s, NLTK alone": nltk,
        "masks, texts/s, ours": ours,
        "masks, ratio": ours / nltk,
        "tokens, texts/s, the library's offsets": by_offsets,
        "tokens, texts/s, ours": tokens,
        "tokens, ratio": tokens / by_offsets,
    }


def _nltk_segmentation() -> Callable:
    """`ilm.masking.segmentation.segment` with NLTK's tokenizers alone, once a text as there."""
    from functools import lru_cache

    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    from ilm.masking.segmentation import Document, Paragraph, Sentence
    from ilm.masking.sentences import punkt_parameters
    from ilm.masking.words import align

    punkt, tokenizer = PunktSentenceTokenizer(punkt_parameters()), NLTKWordTokenizer()

    def words(sentence: str, offset: int) -> tuple[tuple[int, int], ...]:
        pieces = [(start, sentence[start:end]) for start, end in punkt.span_tokenize(sentence)]
        return tuple(
            (offset + start + first, last - first)
            for start, piece in pieces
            for first, last in align(tokenizer.tokenize(piece), piece)
        )

    @lru_cache(maxsize=8)
    def segment(text: str) -> Document:
        paragraphs, line_start = [], 0
        for line in text.splitlines(keepends=True):
            if paragraph := line.strip():
                begin = line_start + line.index(paragraph)
                sentences = tuple(
                    Sentence(begin + start, end - start, words(paragraph[start:end], begin + start))
                    for start, end in punkt.span_tokenize(paragraph)
                )
                paragraphs.append(Paragraph(begin, len(paragraph), sentences))
            line_start += len(line)
        return Document(0, len(text), tuple(paragraphs))

    return segment


def _mask_speed(path: Path, workers: int) -> dict[str, float]:
    """Masks of a corpus's own texts: characters and texts a second, cold, with `workers` processes."""
    import tempfile

    import pandas as pd

    from ilm.masking.functions import Hierarchical
    from ilm.masking.generate import write_masks
    from ilm.masking.sampling import MaskSettings

    texts = _texts(path, 10**9)
    documents = pd.DataFrame({"writing_id": [str(n) for n in range(len(texts))], "text": texts}, dtype="str")
    documents["split"] = "train"
    settings = MaskSettings("0" * 12, "hierarchical", {"_target_": "Hierarchical"}, count=16, tries=16, seed=0)
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        write_masks(settings.folder(Path(scratch)), documents, Hierarchical(), settings, workers)
        seconds = time.perf_counter() - begin
    characters = sum(map(len, texts))
    return {
        "texts": len(texts),
        "characters a text": characters / len(texts),
        "texts/s": len(texts) / seconds,
        "characters/s": characters / seconds,
    }


def _print(rows: list[dict]) -> None:
    for row in rows:
        print("| " + " | ".join(f"{row[c]:,.0f}" if c != "step" else row[c] for c in COLUMNS) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tokenize"]:
        _tokenize(Path(sys.argv[2]))
    else:
        main()
