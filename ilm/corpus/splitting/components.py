"""Connected components of documents and texts, by array operations."""

import numpy as np


def join(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """Connect the components of the nodes `one` and `other` in place: each node's label is its component's least node.

    Every root with a smaller neighbour is hung below the smallest one, and all paths are cut short, until no
    edge joins two components (Shiloach and Vishkin 1982): a few array operations per round.
    """
    while True:
        roots, other_roots = label[one], label[other]
        open_ = roots != other_roots
        if not open_.any():
            return
        one, other, roots, other_roots = one[open_], other[open_], roots[open_], other_roots[open_]
        np.minimum.at(label, np.maximum(roots, other_roots), np.minimum(roots, other_roots))
        while not np.array_equal(shorter := label[label], label):
            label[:] = shorter


def connected(size: int, pairs: np.ndarray) -> np.ndarray:
    """The labels of `size` nodes, (N,) int64, once the `pairs` (P, 2) are connected: see `join`."""
    label = np.arange(size)
    join(label, *np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T)
    return label
