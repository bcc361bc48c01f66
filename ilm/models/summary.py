"""A table of a model's modules, with weight shapes and parameter counts."""

import re

import torch


def module_lines(model: torch.nn.Module) -> list[str]:
    """One line per module with direct weights; repeated blocks share a line, with their number.

        transformer.h.*.attn.c_attn    Conv1D    768x2304 2304    12 x 1,771,776

    Weights shared by several modules, such as embeddings and LM head, count at the first and are `shared` elsewhere.
    """
    counted: set[torch.nn.Parameter] = set()
    alike: dict[tuple[str, ...], list[int]] = {}
    for name, module in model.named_modules():
        if own := [*module.parameters(recurse=False)]:
            shapes = " ".join("x".join(map(str, parameter.shape)) for parameter in own)
            key = re.sub(r"\.\d+(?=\.)", ".*", name), type(module).__name__, shapes
            new = [parameter for parameter in own if parameter not in counted]
            counted.update(new)
            alike.setdefault(key, []).append(sum(parameter.numel() for parameter in new))
    rows = [
        (*key, f"{f'{len(sizes)} x ' if len(sizes) > 1 else ''}{sizes[0]:,}" if sizes[0] else "shared")
        for key, sizes in alike.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)), row[3].rjust(widths[3])])
        for row in rows
    ]
