"""Generates candidates token by token with continuous batching, for `Infiller`.

1. Groups, each a context with some of its candidates, wait in order of length, longest first.
2. A forward pass reads the contexts of new groups, once finished candidates have made room, and the last token of every
   running candidate (`ilm.infilling.kv_cache`).
3. Each candidate gets a token within its constraints (`ilm.infilling.constraints`), sampled or most probable. In a beam
   search each group keeps its best continuations (`ilm.infilling.decoding`).
4. A candidate is finished when its last answer is closed, and a group when its last candidate is.

Token probabilities are the model's own, before constraints and temperature, so their sum equals the evaluation's score.

Legend: N sequences or tokens, V rows of the model's output, R groups, W candidates of a group.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.hashing import order_key
from ilm.infilling.blanks import Context
from ilm.infilling.candidates import GeneratedSequence
from ilm.infilling.constraints import AnswerConstraints, ConstraintState
from ilm.infilling.decoding import candidate_key, gumbel_max, select_beams, top_k_top_p, top_sequences
from ilm.infilling.kv_cache import KVCache, kv_cache_attention
from ilm.models.devices import is_out_of_memory

GROUP_SIZE = 8  # candidates per cache row; each must mask out the columns of the others
MAX_PREFILL_TOKENS = 4096  # context tokens in one pass
MAX_CACHE_TOKENS = 16_384  # above this, further groups wait
EXPECTED_TOKENS = 32  # of a candidate's answers; the cache grows for longer ones, which copies it


@dataclass
class SequenceGroup:
    """A context with candidates that share a cache row: running ones by slot, and finished ones."""

    context: Context
    sequences: dict[int, GeneratedSequence]
    done: list[GeneratedSequence] = field(default_factory=list)
    columns: int = 0  # used in its cache row
    parents: list[int] = field(default_factory=list)  # beams: the slots they continue


class Generator:
    """Generates candidates with a model; `max_tokens` bounds context and answers together."""

    def __init__(self, model: PreTrainedModel, constraints: AnswerConstraints, decoding: Decoding, max_tokens: float):
        self._model, self._constraints, self.decoding, self._max_tokens = model, constraints, decoding, max_tokens
        self._beam = decoding.method == "beam"
        self._width = decoding.width if self._beam else GROUP_SIZE
        self._running: list[SequenceGroup] = []  # by row of the cache

    def sample(self, wanted: Sequence[tuple[Context, Sequence[int]]]) -> list[list[GeneratedSequence]]:
        """For each context, the candidates with these numbers, sampled or greedy. Raises: as `search`."""
        found, groups = [], []
        for context, numbers in wanted:
            keys = [candidate_key(self.decoding.seed, context.text, number) for number in numbers]
            found.append([GeneratedSequence.begin(context, key) for key in keys])
            for begin in range(0, len(keys), GROUP_SIZE):
                groups.append(SequenceGroup(context, dict(enumerate(found[-1][begin : begin + GROUP_SIZE]))))
        self._finish(groups)
        return found

    def search(self, contexts: Sequence[Context]) -> list[list[GeneratedSequence]]:
        """The likeliest candidates of each context, in descending order.

        Raises: UserError if the model computes NaN, has an unknown architecture, or runs out of memory.
        """
        groups = [SequenceGroup(context, {0: GeneratedSequence.begin(context, 0)}) for context in contexts]
        self._finish(groups)
        return [group.done for group in groups]

    @torch.inference_mode()
    def _finish(self, groups: Sequence[SequenceGroup]) -> None:
        waiting = deque(sorted(groups, key=lambda group: -len(group.context.ids)))
        if not waiting:
            return
        width = max(map(self._load, groups))
        rows = min(len(waiting), max(1, self.decoding.batch_size // width))
        columns = len(waiting[0].context.ids) + EXPECTED_TOKENS * width
        self._cache = KVCache(rows, columns, self._width, self._model.device)
        step = self._beam_step if self._beam else self._decode_step
        try:
            with kv_cache_attention(self._model):
                while waiting or self._running:
                    new = self._schedule(waiting)
                    logits = self._forward(new)
                    step([*new, *self._running[: len(self._running) - len(new)]], logits)
                    self._free_finished()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"Out of memory with up to {self.decoding.batch_size} candidates at a time (batch_size): use fewer, or "
                "shorter texts"
            ) from error

    def _load(self, group: SequenceGroup) -> int:
        return self._width if self._beam else len(group.sequences)

    def _schedule(self, waiting: deque[SequenceGroup]) -> list[SequenceGroup]:
        """The groups that start in this pass."""
        new: list[SequenceGroup] = []
        load, read = sum(map(self._load, self._running)), 0
        longest = max((group.columns for group in self._running), default=0)
        while waiting:
            group, tokens = waiting[0], len(waiting[0].context.ids)
            longest = max(longest, tokens)
            full = load + self._load(group) > self.decoding.batch_size
            if (self._running or new) and (
                full or read + tokens > MAX_PREFILL_TOKENS or (len(self._running) + 1) * longest > MAX_CACHE_TOKENS
            ):
                break
            waiting.popleft()
            self._cache.add_context(len(self._running), tokens)
            group.columns = tokens
            self._running.append(group)
            new.append(group)
            load, read = load + self._load(group), read + tokens
        return new

    def _forward(self, new: list[SequenceGroup]) -> torch.Tensor:
        """Logits float32 (N, V) per sequence: new groups first, then the others in order."""
        cache, old = self._cache, self._running[: len(self._running) - len(new)]
        ids: list[int] = []
        positions: list[int] = []
        contexts = []
        for row, group in enumerate(new, start=len(old)):
            contexts.append((len(ids), len(ids) + len(group.context.ids), row))
            ids += group.context.ids
            positions += range(len(group.context.ids))
        n_context = len(ids)
        width = max((len(group.sequences) for group in old), default=0)
        cache.reserve(len(self._running), max((group.columns + width for group in old), default=0))
        candidates = []
        for row, group in enumerate(old):
            for place, (slot, sequence) in enumerate(group.sequences.items()):
                ids.append(sequence.last_token)
                positions.append(sequence.length - 1)
                candidates.append((row, slot, group.columns + place, place))
            group.columns += len(group.sequences)

        def on_device(values: Sequence) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.long, device=self._model.device)

        # The last token of each context, and the only token of each candidate.
        keep = [*(end - 1 for _, end, _ in contexts), *range(n_context, len(ids))]
        output = self._model(
            input_ids=on_device([ids]),
            position_ids=on_device([positions]),
            use_cache=False,
            logits_to_keep=on_device(keep),
            attention_metadata=cache.metadata(contexts, candidates, len(old), width, self._model.dtype),
        )
        logits = output.logits[0].float()
        # All candidates of a new group start from the same logits.
        of_sequence = [row for row, group in enumerate(new) for _ in group.sequences]
        of_sequence += range(len(new), len(logits))
        return logits if of_sequence == list(range(len(logits))) else logits[on_device(of_sequence)]

    def _constrain(
        self, sequences: Sequence[GeneratedSequence], logits: torch.Tensor
    ) -> tuple[list[ConstraintState], torch.Tensor, torch.Tensor]:
        """Set logits (N, V) of forbidden tokens to -inf, in place.

        Returns the state of each sequence; the normalisers (N,) that turn logits into the model's own
        log-probabilities; and the log-probabilities (N,) of the end token, allowed or not.
        """
        norm = logits.logsumexp(-1)
        if bool(norm.isnan().any()):
            raise UserError("The model computes NaN: its weights are damaged, or training diverged. Train it again.")
        constraints, decoding = self._constraints, self.decoding
        ends = logits[:, constraints.end] - norm
        limits = (decoding.max_answer_tokens, decoding.max_answer_words, self._max_tokens)
        states = [sequence.constraint_state(constraints, *limits) for sequence in sequences]
        allowed = torch.stack([constraints.allowed_tokens(state) for state in states])
        logits.masked_fill_(~allowed, -math.inf)
        logits[[row for row, state in enumerate(states) if not state.may_end], constraints.end] = -math.inf
        return states, norm, ends

    def _decode_step(self, groups: Sequence[SequenceGroup], logits: torch.Tensor) -> None:
        """Add one token to each sequence, chosen by logits (N, V)."""
        decoding, constraints = self.decoding, self._constraints
        sequences = [sequence for group in groups for sequence in group.sequences.values()]
        states, norm, ends = self._constrain(sequences, logits)
        if decoding.method == "greedy":
            chosen = logits.argmax(-1)
        else:
            tokens, weights = top_k_top_p(logits, decoding.temperature, decoding.top_k, decoding.top_p)
            chosen = gumbel_max(weights, tokens, [order_key(s.key, s.n_generated) for s in sequences])
        values = (logits.gather(1, chosen[:, None])[:, 0] - norm).tolist()
        columns = (sequences, chosen.tolist(), values, ends.tolist(), states)
        for sequence, token, value, end, state in zip(*columns, strict=True):
            if state.tokens_left == 0 and token != constraints.end:
                sequence.complete &= _has_requested_length(sequence)
                sequence.append(constraints.end, end, constraints)
            else:
                sequence.append(token, value, constraints)

    def _beam_step(self, groups: list[SequenceGroup], logits: torch.Tensor) -> None:
        """One step of beam search in each group; `done` has its likeliest finished candidates in descending order."""
        sequences = [s for group in groups for s in group.sequences.values()]
        states, norm, ends = self._constrain(sequences, logits)
        likeliest = logits.argmax(-1).tolist()
        for row, (sequence, state) in enumerate(zip(sequences, states, strict=True)):
            if state.tokens_left == 0:
                sequence.complete &= likeliest[row] == self._constraints.end or _has_requested_length(sequence)
                logits[row] = -math.inf
                logits[row, self._constraints.end] = ends[row] + norm[row]
        first = 0
        for group in groups:
            after = first + len(group.sequences)
            self._beam_step_of_group(group, logits[first:after] - norm[first:after, None])
            first = after

    def _beam_step_of_group(self, group: SequenceGroup, log_probabilities: torch.Tensor) -> None:
        decoding, constraints = self.decoding, self._constraints
        slots, before = list(group.sequences), list(group.sequences.values())
        last = [row for row, sequence in enumerate(before) if sequence.blank == len(group.context.types) - 1]
        # Every answer that may end here counts, however unlikely its end token.
        for row, value in zip(last, log_probabilities[last, constraints.end].tolist(), strict=True):
            if value > -math.inf:
                sequence = before[row].copy()
                sequence.append(constraints.end, value, constraints)
                group.done.append(sequence)
        log_probabilities[last, constraints.end] = -math.inf
        totals = torch.tensor([sequence.log_probability for sequence in before], device=log_probabilities.device)
        scores = log_probabilities + totals[:, None]
        parents: list[int] = []
        group.sequences = {}
        for parent, token in select_beams(scores, [s.blank for s in before], constraints.end, decoding.width):
            sequence = before[parent].copy()
            sequence.append(token, float(log_probabilities[parent, token]), constraints)
            group.sequences[len(parents)] = sequence
            parents.append(slots[parent])
        group.done = top_sequences(group.done, decoding.candidates, constraints.token_bytes)
        # Longer sequences only become less likely.
        if len(group.done) == decoding.candidates:
            least = group.done[-1].log_probability
            group.sequences = {slot: s for slot, s in group.sequences.items() if s.log_probability > least}
        group.parents = parents

    def _free_finished(self) -> None:
        """Remove finished candidates and groups; the last group moves to a freed row."""
        for row in reversed(range(len(self._running))):
            group = self._running[row]
            if self._beam:
                if group.sequences:
                    self._cache.reorder(row, group.parents)
            else:
                group.done += [sequence for sequence in group.sequences.values() if sequence.finished]
                group.sequences = {slot: s for slot, s in group.sequences.items() if not s.finished}
            if not group.sequences:
                last = self._running.pop()
                if row < len(self._running):
                    self._cache.move_row(len(self._running), row, last.columns)
                    self._running[row] = last


def _has_requested_length(sequence: GeneratedSequence) -> bool:
    """Whether the open answer has reached the token limit of its blank, so that its end was requested."""
    return len(sequence.token_ids[-1]) == sequence.context.limits[sequence.blank].max_tokens
