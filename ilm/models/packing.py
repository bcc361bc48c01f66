"""Packs examples into rows without padding: positions restart at 0 for each example, and none is split across rows.

Legend: T tokens in a row, N targets in a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ilm.examples.layout import Example, Examples, TargetType

LEARNED = (TargetType.CONTEXT, TargetType.INFILL, TargetType.INFILL_SPECIAL, TargetType.INFILL_REDUNDANT)
_IS_LEARNED = np.isin(np.arange(len(TargetType)), LEARNED)


@dataclass(frozen=True)
class Row:
    """Packed examples, for one padding-free forward pass.

    `input_ids`, `position_ids` int64 (1, T). For each of N targets: `predictors` int64 (N,), the row index of the token
    before it, whose logits predict it; `targets` int64 (N,), its id; `target_types` uint8 (N,); `examples` int64 (N,),
    the index of its example within the batch. `boundaries` int32 (examples + 1,): 0, then the end of each example in
    the row; `longest`: the length of its longest example in tokens.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor
    target_types: torch.Tensor
    examples: torch.Tensor
    boundaries: torch.Tensor
    longest: int

    def to(self, device: torch.device) -> "Row":
        # By default Lightning copies anything but plain tensors synchronously, which pinned memory makes unnecessary.
        on_gpu = torch.device(device).type == "cuda"
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=on_gpu))

    def pin_memory(self) -> "Row":
        return self._mapped(torch.Tensor.pin_memory)

    def _mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Row":
        changed: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        return replace(self, **changed)

    def __getstate__(self) -> dict[str, Any]:
        # Workers send rows as plain bytes; each tensor would be a file open in both processes.
        return {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            vars(self)[key] = torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def row_length(asked: int | None, device: torch.device, max_length: int) -> int:
    """Tokens in a row: as configured, else a fast size for the device that also fits the longest example.

    The cost of attention does not depend on how examples are packed, but every row reads all the weights once.
    """
    return asked if asked is not None else max(max_length, 4096 if device.type == "cuda" else 2048)


def pack(examples: Examples | Sequence[Example], row_tokens: int) -> tuple[Row, ...]:
    """Pack examples, in order, into rows of at most `row_tokens` tokens; rows without targets are dropped.

    Raises: ValueError if an example is longer than a row.
    """
    if not isinstance(examples, Examples):
        examples = Examples.of(examples)
    ends = np.cumsum(examples.lengths)
    bounds = np.concatenate([[0], ends])
    positions = np.arange(bounds[-1]) - np.repeat(bounds[:-1], examples.lengths)
    # Nothing predicts the first token of an example.
    chosen = np.flatnonzero(_IS_LEARNED[examples.target_types] & (positions > 0))
    ids = examples.input_ids.astype(np.int64)
    example_of = np.repeat(np.arange(len(examples)), examples.lengths)[chosen]
    rows, first = [], 0
    while first < len(examples):
        last = int(np.searchsorted(ends, bounds[first] + row_tokens, side="right"))
        if last == first:
            raise ValueError(f"an example of {examples.lengths[first]} tokens does not fit in a row of {row_tokens}")
        begin, end = bounds[first], bounds[last]
        targets = slice(*np.searchsorted(chosen, (begin, end)))
        if targets.start < targets.stop:
            row = Row(
                input_ids=torch.from_numpy(ids[None, begin:end]),
                position_ids=torch.from_numpy(positions[None, begin:end]),
                predictors=torch.from_numpy(chosen[targets] - begin - 1),
                targets=torch.from_numpy(ids[chosen[targets]]),
                target_types=torch.from_numpy(examples.target_types[chosen[targets]]),
                examples=torch.from_numpy(example_of[targets]),
                boundaries=torch.from_numpy((bounds[first : last + 1] - begin).astype(np.int32)),
                longest=int(examples.lengths[first:last].max()),
            )
            rows.append(row)
        first = last
    return tuple(rows)
