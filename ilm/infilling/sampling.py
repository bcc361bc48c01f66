"""How a token is drawn from logits, and how that may be set.

Legend: B sequences, V rows of the model's output.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ilm.errors import UserError
from ilm.hashing import order_key


@dataclass(frozen=True)
class DecodingSettings:
    """How answers are drawn. `top_k` and `top_p` null draw from all tokens.

    `top_p` keeps the likeliest tokens up to and with the one that reaches this probability (Holtzman et al. 2020, The
    Curious Case of Neural Text Degeneration), after `temperature` and `top_k`. `greedy` takes the likeliest token at
    each step: one candidate. `max_answer_tokens` bounds each answer, without its end token. `batch_size` counts
    sequences decoded together. `seed`, the text and the candidate's number alone decide what is drawn.

    Raises: UserError that lists all values out of range.
    """

    candidates: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False
    max_answer_tokens: int = 128
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self):
        faults = [
            f"{name}={value}: expected 1 or more"
            for name in ("candidates", "top_k", "max_answer_tokens", "batch_size")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if not 0 < self.temperature < math.inf:
            faults.append(f"temperature={self.temperature}: expected a positive number")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            faults.append(f"top_p={self.top_p}: expected a probability above 0 and at most 1")
        if faults:
            raise UserError("; ".join(faults))


def distribution(
    logits: torch.Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> torch.Tensor:
    """Probabilities (B, V) to draw from, made of float64 logits (B, V); a token of logit -inf gets 0."""
    # The largest is made 0 first: no temperature, however low, overflows.
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        values, ids = logits.topk(top_k)
        logits = torch.full_like(logits, -math.inf).scatter(-1, ids, values)
    probabilities = logits.softmax(-1)
    return probabilities if top_p in (None, 1.0) else _nucleus(probabilities, top_p)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The likeliest tokens up to and with the one that reaches `top_p`, and any as likely as that one."""
    # The first thousand nearly always reach it; sorting all rows of GPT-2 takes as long as its forward pass.
    for size in (1024, probabilities.shape[-1]):
        likeliest = probabilities.topk(min(size, probabilities.shape[-1])).values
        cumulative = likeliest.cumsum(-1)
        if (cumulative[:, -1] >= top_p).all():
            break
    last = (cumulative < top_p).sum(-1, keepdim=True).clamp(max=likeliest.shape[-1] - 1)
    kept = probabilities.masked_fill(probabilities < likeliest.gather(-1, last), 0.0)
    return kept / kept.sum(-1, keepdim=True)


def draw(probabilities: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """A token for each row of probabilities float64 (B, V), drawn with that row's generator: (B,).

    The winner of a race of exponential clocks, one per token (the Gumbel-max trick). Batched and single forward passes
    differ in the last digits of their logits. That changes the winner only where two tokens are as close; under an
    inverse CDF it would move the bounds of all V tokens, and in long answers change one every few sentences.
    """
    rows = probabilities.shape[-1]
    uniforms = torch.stack([torch.rand(rows, generator=generator, dtype=torch.float64) for generator in generators])
    return (probabilities / -uniforms.log()).argmax(-1)


def generator_of(seed: int, text: str, candidate: int) -> torch.Generator:
    """The generator of a candidate: whatever else is decoded with it."""
    return torch.Generator().manual_seed(order_key(seed, "infilling", text, candidate) % 2**63)
