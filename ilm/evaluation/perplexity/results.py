"""Perplexities by level, kind and mask type, with counts and standard errors, from the kept scores of one run.

Perplexity = exp(sum of NLL / number of targets); no means are averaged.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ilm.evaluation.losses import Losses, Texts
from ilm.evaluation.scores import Scores
from ilm.evaluation.statistics import ratio_standard_error
from ilm.examples.cuts import POOLED
from ilm.models.scoring import perplexity


def results(
    scores: Scores, losses: Mapping[str, Losses], texts: Texts, levels: Sequence[str], mask_types: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row per level (with several, also all of them), kind and mask type; `losses` are those of one run.

    `loss` and `loss_standard_error` (over clusters) are in nats a target; context has no mask type.
    """
    of_texts = texts.documents["cefr_level"].to_numpy()
    of_examples = of_texts[texts.rows.get_indexer(scores.examples["writing_id"])]
    for level in [*levels, *([POOLED] if len(levels) > 1 else [])]:
        chosen = np.ones(len(of_examples), dtype=bool) if level == POOLED else of_examples == level
        about = {
            "level": level,
            "examples": int(chosen.sum()),
            "cut": int(scores.examples["cut"][chosen].sum()),
        }
        for kind, of_kind in losses.items():
            here = np.ones(len(of_kind.texts), dtype=bool) if level == POOLED else of_texts[of_kind.texts] == level
            yield {**about, "kind": kind, "mask_type": "all", **_loss(of_kind, texts, here)}
            for mask_type in mask_types if "mask type" in of_kind.groups else ():
                of_type = here & (of_kind.groups["mask type"] == mask_type).to_numpy()
                yield {**about, "kind": kind, "mask_type": mask_type, **_loss(of_kind, texts, of_type)}


def _loss(losses: Losses, texts: Texts, chosen: np.ndarray) -> dict[str, Any]:
    (nll,), targets = losses.by_cluster(texts.clusters, chosen)
    total = int(targets.sum())
    loss = float(nll.sum() / total) if total else None
    return {
        "perplexity": None if loss is None else perplexity(loss),
        "loss": loss,
        "loss_standard_error": ratio_standard_error(nll, targets) if total else None,
        "targets": total,
        "documents": len(np.unique(losses.texts[chosen & (losses.targets > 0)])),
        "clusters": int((targets > 0).sum()),
    }
