"""Candidates written token by token, as many at once as fit: what `Infiller` runs.

1. Groups, each a context with some of its candidates, wait in order of length, the longest first.
2. A pass of the model reads the contexts of new groups, where candidates have made room, and the last token of every
   candidate that is being written (`ilm.infilling.kv_cache`).
3. Each candidate gets a token that its grammar allows (`ilm.infilling.constraints`), drawn or the likeliest; in a
   search for the best, each group keeps its likeliest continuations.
4. A candidate is done when its last answer is closed, and a group with the last of its candidates.

Token probabilities are those of the model, before grammar and temperature: their sum is what the evaluation scores.

Legend: N sequences or tokens, V rows of the model's output, R groups, W candidates of a group.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from ilm.errors import UserError
from ilm.infilling.beam_search import likeliest, shared_out
from ilm.infilling.blanks import Context
from ilm.infilling.candidates import OpenSequence
from ilm.infilling.constraints import Grammar, Position
from ilm.infilling.kv_cache import CandidateCache, Tokens, candidate_attention
from ilm.infilling.sampling import DecodingSettings, draw, key_of, shortlist, step_key
from ilm.models.devices import is_out_of_memory

GROUP = 8  # candidates that share a row of the cache: each passes over the columns of the others
MOST_READ = 4096  # tokens of contexts in one pass
MOST_CACHED = 16_384  # tokens for which the cache has place before more groups wait


@dataclass
class Group:
    """A context and candidates of it; `sequences` are those still being written, by slot, `done` the finished ones."""

    context: Context
    sequences: dict[int, OpenSequence]
    done: list[OpenSequence] = field(default_factory=list)
    columns: int = 0  # of its row in the cache
    parents: list[int] = field(default_factory=list)  # in a search: the slots its sequences go on from

    @classmethod
    def of(cls, context: Context, numbers: Sequence[int], seed: int) -> list["Group"]:
        """The candidates of these numbers, in as many groups as they need; in order."""
        sequences = [OpenSequence.begin(context, key_of(seed, context.text, number)) for number in numbers]
        chunks = [sequences[begin : begin + GROUP] for begin in range(0, len(sequences), GROUP)]
        return [cls(context, dict(enumerate(chunk))) for chunk in chunks]


class Writer:
    """Writes groups with a model, as `settings` say; `max_tokens` bounds context and answers together."""

    def __init__(self, model: PreTrainedModel, grammar: Grammar, settings: DecodingSettings, max_tokens: float):
        self._model, self._grammar, self._settings, self._max_tokens = model, grammar, settings, max_tokens
        self._width = settings.width if settings.best else GROUP
        self._live: list[Group] = []  # by row of the cache

    @torch.inference_mode()
    def write(self, groups: Sequence[Group]) -> None:
        """Finish all candidates of the groups.

        Raises: UserError if the model computes NaN, is of a kind that cannot be written with, or memory runs out.
        """
        waiting = deque(sorted(groups, key=lambda group: -len(group.context.ids)))
        if not waiting:
            return
        rows, columns = min(len(waiting), self._settings.batch_size), len(waiting[0].context.ids) + 32
        self._cache = CandidateCache(rows, columns, self._width, self._model.device)
        with candidate_attention(self._model), _memory_told(self._settings):
            while waiting or self._live:
                new = self._admitted(waiting)
                logits = self._pass(new)
                groups_of = [*new, *self._live[: len(self._live) - len(new)]]
                if self._settings.best:
                    self._search(groups_of, logits)
                else:
                    self._extend([s for group in groups_of for s in group.sequences.values()], logits)
                self._retire()

    def _load(self, group: Group) -> int:
        return self._width if self._settings.best else len(group.sequences)

    def _admitted(self, waiting: deque[Group]) -> list[Group]:
        """The groups that begin now."""
        new: list[Group] = []
        load, read = sum(map(self._load, self._live)), 0
        longest = max((group.columns for group in self._live), default=0)
        while waiting:
            group, tokens = waiting[0], len(waiting[0].context.ids)
            longest = max(longest, tokens)
            full = load + self._load(group) > self._settings.batch_size
            if (self._live or new) and (
                full or read + tokens > MOST_READ or (len(self._live) + 1) * longest > MOST_CACHED
            ):
                break
            waiting.popleft()
            self._cache.begin(len(self._live), tokens)
            group.columns = tokens
            self._live.append(group)
            new.append(group)
            load, read = load + self._load(group), read + tokens
        return new

    def _pass(self, new: list[Group]) -> torch.Tensor:
        """Logits float32 (N, V) for each sequence: those of the new groups first, then of the others in order."""
        device, cache = self._model.device, self._cache
        old = self._live[: len(self._live) - len(new)]
        ids = [i for group in new for i in group.context.ids]
        positions = [p for group in new for p in range(len(group.context.ids))]
        contexts, end, last = [], 0, []
        for row, group in enumerate(new, start=len(old)):
            contexts.append((end, end + len(group.context.ids), row))
            end += len(group.context.ids)
            last.append(end - 1)
        keep = [*last, *range(end, end + sum(len(group.sequences) for group in old))]
        rows, slots, columns, places, back = [], [], [], [], []
        width = max((len(group.sequences) for group in old), default=0)
        cache.reserve(len(self._live), max((group.columns + width for group in old), default=0))
        asked_by = []
        for row, group in enumerate(old):
            first = len(rows)
            for place, (slot, sequence) in enumerate(group.sequences.items()):
                ids.append(sequence.last)
                positions.append(sequence.length - 1)
                rows.append(row)
                slots.append(slot)
                columns.append(group.columns + place)
                back.append(row * width + place)
            group.columns += len(group.sequences)
            taken = list(range(first, len(rows)))
            places.append(taken + [first] * (width - len(taken)))
            asked_by.append([*group.sequences, *[next(iter(group.sequences))] * (width - len(taken))])

        def on_device(values: Sequence) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.long, device=device)

        at, to = on_device(rows), on_device(columns)
        mask = None
        if old:
            cache.visible[at, on_device(slots), to] = True
            mask = cache.mask(on_device(asked_by), max(group.columns for group in old), self._model.dtype)
        tokens = Tokens(cache, tuple(contexts), at, to, on_device(places), on_device(back), mask)
        output = self._model(
            input_ids=on_device([ids]),
            position_ids=on_device([positions]),
            use_cache=False,
            logits_to_keep=on_device(keep),
            candidates=tokens,
        )
        logits = output.logits[0].float()
        # The candidates of a new group begin with the same logits.
        of_sequence = [row for row, group in enumerate(new) for _ in group.sequences]
        of_sequence += range(len(new), len(logits))
        return logits if of_sequence == list(range(len(logits))) else logits[on_device(of_sequence)]

    def _permitted(
        self, sequences: Sequence[OpenSequence], logits: torch.Tensor
    ) -> tuple[list[Position], torch.Tensor, torch.Tensor]:
        """Where the sequences stand; in place, logits (N, V) of -inf for what their grammar does not allow.

        Returns the positions, and what makes log-probabilities of the model itself of logits: (N,); and those of the
        end token, (N,), allowed or not.
        """
        norm = logits.logsumexp(-1)
        if bool(norm.isnan().any()):
            raise UserError("The model computes NaN: its weights are damaged, or were when training ended.")
        grammar, settings = self._grammar, self._settings
        ends = logits[:, grammar.end] - norm
        logits.index_fill_(1, grammar.never, -math.inf)
        most = (settings.max_answer_tokens, settings.max_answer_words, self._max_tokens)
        positions = [sequence.position(grammar, *most) for sequence in sequences]
        restricted: dict[int, tuple[torch.Tensor, list[int]]] = {}
        free = []
        for row, position in enumerate(positions):
            if (allowed := grammar.allowed(position)) is None:
                free.append(row)
            else:
                restricted.setdefault(id(allowed), (allowed, []))[1].append(row)
        logits[torch.tensor(free, dtype=torch.long, device=logits.device)[:, None], grammar.goes_on] = -math.inf
        for allowed, rows in restricted.values():
            logits[rows] = logits[rows].masked_fill_(~allowed, -math.inf)
        if closed := [row for row, position in enumerate(positions) if not position.may_end]:
            logits[closed, grammar.end] = -math.inf
        return positions, norm, ends

    def _extend(self, sequences: list[OpenSequence], logits: torch.Tensor) -> None:
        """Add one token to each sequence, chosen by logits (N, V)."""
        settings, grammar = self._settings, self._grammar
        positions, norm, ends = self._permitted(sequences, logits)
        if settings.greedy:
            chosen = logits.argmax(-1)
        else:
            tokens, weights = shortlist(logits, settings.temperature, settings.top_k, settings.top_p)
            chosen = draw(weights, tokens, [step_key(s.key, s.steps) for s in sequences])
        values = (logits.gather(1, chosen[:, None])[:, 0] - norm).tolist()
        columns = (sequences, chosen.tolist(), values, ends.tolist(), positions)
        for sequence, token, value, end, position in zip(*columns, strict=True):
            if position.room == 0 and token != grammar.end:
                sequence.complete &= _as_long_as_asked(sequence)
                sequence.add(grammar.end, end, grammar)
            else:
                sequence.add(token, value, grammar)

    def _search(self, groups: list[Group], logits: torch.Tensor) -> None:
        """One step of a beam search in each group; its `done` are the likeliest so far, likeliest first."""
        sequences = [s for group in groups for s in group.sequences.values()]
        positions, norm, ends = self._permitted(sequences, logits)
        likeliest = logits.argmax(-1).tolist()
        for row, (sequence, position) in enumerate(zip(sequences, positions, strict=True)):
            if position.room == 0:
                sequence.complete &= likeliest[row] == self._grammar.end or _as_long_as_asked(sequence)
                logits[row] = -math.inf
                logits[row, self._grammar.end] = ends[row] + norm[row]
        first = 0
        for group in groups:
            after = first + len(group.sequences)
            self._search_one(group, logits[first:after] - norm[first:after, None])
            first = after

    def _search_one(self, group: Group, log_probabilities: torch.Tensor) -> None:
        settings, grammar = self._settings, self._grammar
        slots, before = list(group.sequences), list(group.sequences.values())
        last = [row for row, sequence in enumerate(before) if sequence.answer == len(group.context.types) - 1]
        # Every answer that may end here is one, however little its end is expected.
        for row, value in zip(last, log_probabilities[last, grammar.end].tolist(), strict=True):
            if value > -math.inf:
                sequence = before[row].copy()
                sequence.add(grammar.end, value, grammar)
                group.done.append(sequence)
        log_probabilities[last, grammar.end] = -math.inf
        totals = torch.tensor([sequence.total for sequence in before], device=log_probabilities.device)
        scores = log_probabilities + totals[:, None]
        parents, group.sequences = [], {}
        for parent, token in shared_out(scores, [s.answer for s in before], grammar.end, settings.width):
            sequence = before[parent].copy()
            sequence.add(token, float(log_probabilities[parent, token]), grammar)
            group.sequences[len(parents)] = sequence
            parents.append(slots[parent])
        group.done = likeliest(group.done, settings.candidates, grammar)
        # What goes on only becomes less likely.
        if len(group.done) == settings.candidates:
            least = group.done[-1].total
            group.sequences = {slot: s for slot, s in group.sequences.items() if s.total > least}
        group.parents = parents

    def _retire(self) -> None:
        """Finished candidates and groups leave; the last group takes the row of one that is gone."""
        for row in reversed(range(len(self._live))):
            group = self._live[row]
            if self._settings.best:
                if group.sequences:
                    self._cache.follow(row, group.parents)
            else:
                group.done += [sequence for sequence in group.sequences.values() if sequence.finished]
                group.sequences = {slot: s for slot, s in group.sequences.items() if not s.finished}
            if not group.sequences:
                last = self._live.pop()
                if row < len(self._live):
                    self._cache.move(len(self._live), row, last.columns)
                    self._live[row] = last


@contextmanager
def _memory_told(settings: DecodingSettings) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"Out of memory, with up to {settings.batch_size} candidates at a time (batch_size): take fewer, or "
            "shorter texts"
        ) from error


def _as_long_as_asked(sequence: OpenSequence) -> bool:
    """Whether the open answer has all the tokens that its own limits allow: it ends because a person wants it to."""
    return len(sequence.token_ids[-1]) == sequence.context.limits[sequence.answer].max_tokens
