"""A table of a model's modules, with weight shapes and parameter counts."""

import re

import torch
from tabulate import tabulate


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
    columns = ("left", "left", "left", "right")
    return tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=columns).split("\n")
