"""The mixture of specialists: fills the blanks of texts of unknown level.

C_k, specialist k's NLL of the context in nats, measures how well the text fits its level; it does not depend on the
answers. As in DEMix (Gururangan et al. 2022) and in the evaluation's report,

    pi_k = softmax_k(-C_k / T)
    p(answers) = sum_k pi_k p_k(answers)

Candidates are drawn exactly, by ancestral sampling: first a specialist from pi, then its answers. Reported
probabilities are the mixture's: of each token given the previous ones, with weights updated by them.

Legend: K specialists, N tokens or answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.layout import Example, TargetType
from ilm.hashing import order_key
from ilm.infilling.blanks import Context
from ilm.infilling.candidates import Infilling, draw
from ilm.infilling.decoding import candidate_key, gumbel_max
from ilm.infilling.infiller import DEFAULTS, Infiller
from ilm.runs.finder import Finder
from ilm.runs.trained_model import TrainedModel

NAME = "mixture"


@dataclass(frozen=True)
class Specialists:
    """The members of a mixture, as chosen beside `TrainedModel`s; mixtures are unconditioned."""

    members: tuple[TrainedModel, ...]
    temperature: float
    name: ClassVar[str] = NAME
    condition: ClassVar[Mapping[str, Sequence[str]]] = {}


def find_models(
    finder: Finder,
    members: Sequence[str] | None,
    temperature: float,
    names: Sequence[str] | None,
    level: str | None = None,
) -> list[TrainedModel | Specialists]:
    """The models of `Finder.find` (lowest seed of several), with the mixture first or last if `names` include it.

    Its members are those named by `members`, else the model of each level.

    Raises: UserError as `Finder.find`, or if a mixture has fewer than two members.
    """
    if names is None or NAME not in names:
        return [*finder.find(names, level, all_seeds=False)]
    if level is not None:
        raise UserError(f"cefr={level}: models=[{NAME}] combines models of several levels. Drop cefr")
    found = [finder.find_one(name, "mixture_of") for name in members or finder.levels()]
    specialists = tuple({model.path.resolve(): model for model in found}.values())
    if len(specialists) < 2:
        listed = ", ".join(model.name for model in specialists) or "none"
        raise UserError(
            f"models=[{NAME}]: a mixture needs at least two members, found {listed}. Train the model of another "
            "level, or name the members: mixture_of=[A1,B1]"
        )
    others = [name for name in names if name != NAME]
    models = finder.find(others, all_seeds=False) if others else []
    mixture = Specialists(specialists, temperature)
    return [mixture, *models] if names[0] == NAME else [*models, mixture]


class Mixture:
    """Fills blanks like an `Infiller`; `members`: by name.

    Raises: UserError unless the members have the same tokenizer, mask types and token limit.
    """

    def __init__(self, members: Mapping[str, Infiller], temperature: float):
        self.members, self.temperature = list(members.values()), temperature
        self.condition, self.vocabulary = Specialists.condition, self.members[0].vocabulary
        of_members = {
            name: f"tokenizer {own.vocabulary.fingerprint[:12]}, blanks {' '.join(own.vocabulary.mask_types)}, "
            f"{own.max_tokens} tokens"
            for name, own in members.items()
        }
        if len(set(of_members.values())) > 1:
            listed = "; ".join(f"{name}: {found}" for name, found in of_members.items())
            raise UserError(f"The members of a mixture must be alike (choose others: mixture_of=[...]). {listed}")

    def __call__(
        self, texts: str | Context | Sequence[str | Context], decoding: Decoding = DEFAULTS
    ) -> list[list[Infilling]]:
        """The candidates of each text, as `Infiller` returns them.

        The methods greedy and beam collect the members' own candidates, ranked by the mixture.
        """
        texts = [texts] if isinstance(texts, str | Context) else texts
        contexts = [text if isinstance(text, Context) else self.context(text, decoding=decoding) for text in texts]
        if decoding.method == "sample":
            found = self._scored(contexts, draw(contexts, decoding, self._sample))
            return [sorted(own, key=_unlikely) for own in found] if decoding.by_probability else found
        of_members = [member(contexts, decoding) for member in self.members]
        pooled = self._scored(contexts, [[*chain(*groups)] for groups in zip(*of_members, strict=True)])
        most = decoding.candidates if decoding.method == "beam" else 1
        # The last, likeliest, of candidates with the same text stays.
        different = [{i.answers: i for i in sorted(own, key=_unlikely, reverse=True)} for own in pooled]
        return [sorted(own.values(), key=_unlikely)[:most] for own in different]

    def context(self, *arguments: Any, **options: Any) -> Context:
        """As `Infiller.context`: all members read the same tokens."""
        return self.members[0].context(*arguments, **options)

    def log_posterior(self, contexts: Sequence[Context]) -> np.ndarray:
        """log pi of each context, float64 (contexts, K)."""
        return np.array([log_pi for log_pi, _ in self._token_scores([(context, ()) for context in contexts])])

    def score(self, text: str | Context, answers: Sequence[str]) -> float:
        """The log-probability in nats of `answers`. Raises: as `Infiller.answer_scores`."""
        return math.fsum(self.answer_scores(text, answers))

    def answer_scores(self, text: str | Context, answers: Sequence[str]) -> tuple[float, ...]:
        """The log-probability in nats of each answer, given the text and earlier answers."""
        context = text if isinstance(text, Context) else self.context(text)
        of_members = np.array([member.answer_scores(context, answers) for member in self.members])
        return tuple(mixed(self.log_posterior([context])[0], of_members).tolist())

    def _sample(self, wanted: Sequence[tuple[Context, Sequence[int]]], decoding: Decoding) -> list[list[Infilling]]:
        """The candidates with these numbers, each generated by the member drawn for it."""
        drawn = []  # by text, the member of each candidate
        for (context, numbers), log_pi in zip(wanted, self.log_posterior([c for c, _ in wanted]), strict=True):
            keys = [order_key(candidate_key(decoding.seed, context.text, number), NAME) for number in numbers]
            drawn.append(gumbel_max(torch.tensor(log_pi).expand(len(keys), -1), None, keys).tolist())
        of_members = []
        for k, member in enumerate(self.members):
            own = [
                (context, [number for number, of in zip(numbers, ks, strict=True) if of == k])
                for (context, numbers), ks in zip(wanted, drawn, strict=True)
            ]
            of_members.append([iter(infillings) for infillings in member.sample(own, decoding)])
        return [[next(of_members[k][place]) for k in ks] for place, ks in enumerate(drawn)]

    def _scored(self, contexts: Sequence[Context], found: Sequence[Sequence[Infilling]]) -> list[list[Infilling]]:
        """The same infillings with the mixture's probabilities, in the tokens as generated."""
        pairs = list(dict.fromkeys((c, i.token_ids) for c, own in zip(contexts, found, strict=True) for i in own))
        values = {}
        for (context, tokens), (log_pi, of_members) in zip(pairs, self._token_scores(pairs), strict=True):
            of_answers = np.split(mixed(log_pi, of_members), np.cumsum([len(ids) for ids in tokens])[:-1])
            values[context, tokens] = tuple(tuple(own.tolist()) for own in of_answers)
        return [
            [replace(i, token_log_probabilities=values[context, i.token_ids]) for i in own]
            for context, own in zip(contexts, found, strict=True)
        ]

    def _token_scores(
        self, pairs: Sequence[tuple[Context, Sequence[Sequence[int]]]]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each context with answer tokens: log pi (K,), and the tokens' log-probabilities (K, N)."""
        examples = []
        for context, answers in pairs:
            ids = np.array([*context.ids, *chain(*answers)], dtype=np.int32)
            types = np.where(ids < self.vocabulary.base_size, TargetType.CONTEXT, TargetType.CONTEXT_SPECIAL)
            types[len(context.ids) :] = TargetType.INFILL
            examples.append(Example(ids, types.astype(np.uint8), len(ids)))
        scores = [member.score_examples(examples) for member in self.members]
        nll, types = np.stack([own.nll for own in scores]), scores[0].target_types
        bounds = np.searchsorted(scores[0].examples, np.arange(len(pairs) + 1))
        found = []
        for of_pair in map(slice, bounds[:-1], bounds[1:]):
            values, kinds = nll[:, of_pair], types[of_pair]
            c = values[:, kinds == TargetType.CONTEXT].sum(axis=1)
            with np.errstate(over="ignore"):  # a very low temperature overflows, but the minimum is 0
                log_pi = log_softmax((c.min() - c) / self.temperature)
            found.append((log_pi, -values[:, kinds == TargetType.INFILL]))
        return found


Filler = Infiller | Mixture


def mixed(log_weights: np.ndarray, log_probabilities: np.ndarray) -> np.ndarray:
    """The mixture's log-probabilities (N,), each given previous tokens, from the members' (K, N) and log pi (K,)."""
    joint = logsumexp(log_weights[:, None] + log_probabilities.cumsum(axis=1), axis=0)
    return np.diff(joint, prepend=0.0)


def _unlikely(infilling: Infilling) -> float:
    return -infilling.log_probability
