"""Baselines without blanks: they read whole texts from left to right, and are scored where the runs have blanks.

    base     the pretrained model that the runs started from: what training on learner texts adds
    ngram    n-grams of the training texts of each level and of all (`ilm.evaluation.ngrams`): what counting achieves

A blank's NLL is that of its tokens given the whole text before them. Nothing ends an answer, so only `infill_textonly`
has a loss; its targets are those of the runs, cuts included. Baselines do not see what follows a blank, but do see the
answers of the blanks before it, which the runs have to infer.

Legend: S blanks.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from ilm.config.evaluate import Memorisation, Perplexity
from ilm.corpus.store import PreparedCorpus
from ilm.evaluation.ngrams import NGramModel
from ilm.evaluation.perplexity.scoring import ScoredModel, Scorer
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore
from ilm.examples.dataset import InfillingDataset
from ilm.models.left_to_right import score_texts
from ilm.models.packing import row_length

log = logging.getLogger("ilm")

ORDER = 5
TEXTS_AT_ONCE = 64

TextLosses = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def baseline_scores(
    of_run: ScoredModel, rows: np.ndarray, wanted: Collection[str], scorer: Scorer
) -> dict[str, Scores]:
    """The scores of the baselines `wanted` (ngram, base) on the blanks that a run was scored on, by name.

    They are kept as those of models are. There are none for objectives other than ilm, whose cut leaves other tokens of
    a blank.
    """
    if of_run.model.objective != "ilm":
        return {}
    corpus, task = scorer.corpus, scorer.task
    dataset = scorer.dataset(of_run.model, corpus.folder / "masks" / of_run.masks, rows)
    levels = corpus.manifest["settings"]["levels"]
    made: dict[str, tuple[dict, Callable[[], TextLosses]]] = {}
    if "ngram" in wanted:
        for level in (*levels, "all"):
            of_levels = levels if level == "all" else [level]
            if not len(corpus.rows("train", of_levels)):
                continue
            about = {"baseline": "ngram", "order": ORDER, "levels": list(of_levels)}
            made[f"ngram {level}"] = about, partial(_ngrams, dataset, corpus, of_levels)
    _, settings = of_run.model.trained()
    model = settings.model
    if "base" in wanted and model.pretrained:
        made[f"base {model.label}"] = {"baseline": "base", "model": model.path}, partial(_base, of_run, scorer)
    common = {
        "documents": corpus.documents_hash,
        "split": task.split,
        "masks": of_run.masks,
        "max_length": task.max_length,
        "tokenizer": of_run.model.vocabulary.fingerprint,
    }
    found = {}
    keys = pd.MultiIndex.from_frame(of_run.scores.examples[EXAMPLE])
    for name, (about, losses) in made.items():
        store = ScoreStore(scorer.results, name.replace(" ", "_"), common | about)
        if scorer.device is not None or not store.missing(keys).any():
            score = partial(_scores, dataset, of_run.scores, losses, corpus)
            found[name] = store.complete(keys, score, name)
    return found


def _ngrams(dataset: InfillingDataset, corpus: PreparedCorpus, levels: Sequence[str]) -> TextLosses:
    texts = dataset.document_tokens(corpus.rows("train", levels))
    return NGramModel(texts, dataset.vocabulary.base_size, ORDER).nll


def _base(of_run: ScoredModel, scorer: Scorer) -> TextLosses:
    task, device = scorer.task, scorer.device
    assert isinstance(task, Perplexity | Memorisation)  # a comparison scores nothing
    assert device is not None
    tokenizer = of_run.model.vocabulary.tokenizer
    model = of_run.model.load_base().eval().to(device)
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    window = min(getattr(model.config, "max_position_embeddings", None) or 1024, 1024)
    row_tokens = row_length(task.row_tokens, device, window)
    options = {"first": first, "window": window, "row_tokens": row_tokens, "device": device}
    return lambda texts: [scores.nll for scores in score_texts(model, texts, **options)]


def _scores(
    dataset: InfillingDataset,
    of_run: Scores,
    open_model: Callable[[], TextLosses],
    corpus: PreparedCorpus,
    missing: np.ndarray,
) -> Iterator[Scores]:
    """The run's tables of the `missing` examples with the baseline's NLL of the same targets, some texts at a time.

    Losses that it does not have are 0.
    """
    rows, masks = dataset.keys()
    spans, ids = dataset.token_spans(np.arange(len(dataset))), corpus.documents["writing_id"].to_numpy()
    firsts = pd.DataFrame(
        {
            "writing_id": ids[rows[spans.examples]],
            "example": masks[spans.examples],
            "blank": np.arange(len(spans.types)) - spans.offsets[spans.examples],
            "row": rows[spans.examples],
            "first": spans.firsts,
        }
    )
    examples = of_run.examples.iloc[missing].assign(context_nll=0.0, context_targets=0)
    blanks = of_run.blanks.merge(firsts, on=[*EXAMPLE, "blank"], how="left", validate="one_to_one")
    documents, losses = np.flatnonzero(np.isin(ids, examples["writing_id"])), open_model()
    part_of = pd.Series(np.arange(len(documents)) // TEXTS_AT_ONCE, ids[documents])
    blanks_of = dict(iter(blanks.groupby(blanks["writing_id"].map(part_of))))
    for number, of_part in examples.groupby(examples["writing_id"].map(part_of)):
        texts = documents[part_of == number]
        found = zip(texts, losses(dataset.document_tokens(texts)), strict=True)
        upto = {row: np.concatenate([[0.0], np.cumsum(nll)]) for row, nll in found}  # NLL of the tokens before each
        here = blanks_of.get(number, blanks[:0])
        nll_of_blanks = [
            upto[row][first + targets] - upto[row][first]
            for row, first, targets in zip(here["row"], here["first"], here["targets"], strict=True)
        ]
        scored = here.drop(columns=["row", "first"]).assign(nll=nll_of_blanks, end_nll=0.0, end_targets=0)
        yield Scores(of_part, scored)
