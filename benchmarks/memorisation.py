"""Speed of the search for training text in infills.

    python benchmarks/memorisation.py
    python benchmarks/memorisation.py --tokens 6000000

Training texts consist of 20,000 phrases of 3 to 14 tokens with Zipfian frequencies and one token in twenty replaced, so
they contain most short stretches of an answer, like texts on set tasks. Answers are as long as those of hierarchical
masks. Half of them occur verbatim in the texts, the others with one token replaced.
"""

import argparse
import resource
import time

import numpy as np

from ilm.evaluation.memorisation.stretches import longest_stretches, readings

VOCABULARY, PHRASES = 50_257, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=60_000_000)
    parser.add_argument("--answers", type=int, default=40_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    ids, bounds = training_texts(arguments.tokens, rng)
    answers = drawn_answers(ids, arguments.answers, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    found = longest_stretches(answers, ids, bounds[:-1], bounds[1:])
    wall, cpu = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{len(ids):,} tokens of {len(bounds) - 1:,} training texts, read {readings(answers)} times")
    print(f"{len(answers):,} answers of {sum(map(len, answers)):,} tokens; longest stretch {found.lengths.mean():.2f}")
    print(f"{wall:.0f} s, {cpu:.0f} s of processor time; memory {before / 1e6:.2f} GB before, {peak / 1e6:.2f} at most")


def training_texts(tokens: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(token ids uint16, where texts of 20 to 149 tokens begin and the last one ends)."""
    words = zipf(VOCABULARY, 1.05)
    phrases = [rng.choice(VOCABULARY, size, p=words).astype(np.uint16) for size in rng.integers(3, 15, PHRASES)]
    sizes = np.array([len(phrase) for phrase in phrases])
    p = zipf(PHRASES, 0.9)
    drawn = rng.choice(PHRASES, int(1.2 * tokens / (sizes * p).sum()), p=p)
    drawn = drawn[: np.searchsorted(np.cumsum(sizes[drawn]), tokens) + 1]
    ids = np.concatenate([phrases[number] for number in drawn])[:tokens]
    replaced = np.flatnonzero(rng.random(len(ids)) < 0.05)
    ids[replaced] = rng.choice(VOCABULARY, len(replaced), p=words)
    bounds = np.cumsum(np.concatenate([[0], rng.integers(20, 150, tokens // 80)]))
    return ids, bounds[bounds <= len(ids)]


def drawn_answers(ids: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    lengths = rng.choice([1, 2, 4, 8, 15, 80], size=count, p=[0.45, 0.2, 0.15, 0.1, 0.08, 0.02])
    starts = rng.integers(0, len(ids) - 80, count)
    answers = [ids[start : start + length].copy() for start, length in zip(starts, lengths, strict=True)]
    for answer in answers[::2]:
        answer[rng.integers(len(answer))] = rng.integers(VOCABULARY)
    return answers


def zipf(size: int, exponent: float) -> np.ndarray:
    weights = np.arange(1, size + 1) ** -exponent
    return weights / weights.sum()


if __name__ == "__main__":
    main()
