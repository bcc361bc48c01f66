"""The tables of a cloze test for a terminal, a page of Markdown and a paper, with the notes needed to read them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ilm.corpus.store import text_note
from ilm.evaluation.cloze.metrics import LOG_PROBABILITY, PSEUDO
from ilm.tables import TextTable

# Metric -> its heading; shares are shown in per cent.
SHARES = {
    "exact": "exact",
    "folded": "match",
    "top5": "top-5",
    "top10": "top-10",
    "unigram_f1": "char F1",
    "bigram_f1": "bigram F1",
}
HEADINGS = {**SHARES, "mrr": "MRR", LOG_PROBABILITY: "log p", PSEUDO: "PLL"}
MATCHES = ("exact", "folded", "top5", "top10", "mrr")
OTHERS = ("unigram_f1", "bigram_f1", LOG_PROBABILITY, PSEUDO)
# The metrics shown where there is no room for all.
MAIN = ("folded", LOG_PROBABILITY, PSEUDO)
LEVELS = "CEFR level"
_WIDE_PAIR = 30  # characters
GROUPINGS = {
    "cefr_level": LEVELS,
    "l1": "L1",
    "subtokens_grouped": "number of subtokens (GPT-2's)",
    "own_subtokens_grouped": "number of subtokens (the model's own)",
    "part_of_speech": "part of speech",
}

Tables = Mapping[str, pd.DataFrame]


def for_a_page(header: Mapping[str, Any], tables: Tables) -> list[TextTable]:
    """Every table, with the models' whole names."""
    names = {model: model for model in header["models"]}
    shown = [_overall(header, tables, names, "Cloze", (*MATCHES, *OTHERS)), *_by_group(header, tables, names)]
    shown += _pairs(tables, names, (*MATCHES, *OTHERS))
    return [*shown, _failures(header, names), _models(header, names)]


def for_a_paper(header: Mapping[str, Any], tables: Tables) -> list[TextTable]:
    """The tables of the main metrics, with short names, narrow enough for a column of text."""
    names = short_names(list(header["models"]))
    shown = [
        _overall(header, tables, names, "Cloze: matches", MATCHES),
        _overall(header, tables, names, "Cloze: characters and probabilities", OTHERS),
        *_by_group(header, tables, names),
        *_pairs(tables, names, MAIN),
    ]
    models = _models(header, names)
    # Without "from": where a model lies on this machine is of no interest in a paper.
    columns, *rows = ([row[0], *row[2:]] for row in (models.columns, *models.rows))
    return [*shown, _failures(header, names), replace(models, columns=columns, rows=rows, align="llp")]


def for_a_terminal(header: Mapping[str, Any], tables: Tables) -> list[TextTable]:
    """The overall table with a column per model, of which six fit 80 columns; that by level, and the pairs."""
    names = short_names(list(header["models"]))
    overall = _overall(header, tables, names, "Cloze", (*MATCHES, *OTHERS))
    first, *others = zip(overall.columns, *overall.rows, strict=True)
    turned = TextTable(overall.title, first, others, "l" + "r" * (len(first) - 1))
    by_level = [table for table in _by_group(header, tables, names) if table.columns[0] == LEVELS]
    *shown, last = [turned, *by_level, *_pairs(tables, names, MAIN)[:1]]
    shown.append(replace(last, caption="; ".join([described(header), *notes(header)])))
    return shown


def short_names(models: Sequence[str]) -> dict[str, str]:
    """The names without the parts (divided by : / _) that all of them begin and end with: A1, A2 for six runs."""
    parts = [re.findall(r"[^:/_]*[:/_]?", model)[:-1] for model in models]
    if len(models) < 2:
        return {model: model for model in models}
    before = _alike(parts)
    after = _alike([own[before:][::-1] for own in parts])
    short = ["".join(own[before : len(own) - after]).rstrip(":/_") for own in parts]
    usable = all(short) and len(set(short)) == len(models)
    return dict(zip(models, short if usable else models, strict=True))


def _alike(sequences: Sequence[Sequence[str]]) -> int:
    """How many entries all of them begin with."""
    together = enumerate(zip(*sequences, strict=False))
    return next((at for at, entries in together if len(set(entries)) > 1), min(map(len, sequences)))


def described(header: Mapping[str, Any]) -> str:
    """The texts and questions that all numbers are about."""
    source, cloze = header["source"], header["configuration"]["task"]
    synthetic = "SYNTHETIC corpus " if source["synthetic"] else ""
    split = f", {source['split']} split" if "split" in source else ""
    said = [f"{synthetic}{source['name']}{split}"]
    said += [note] if (note := text_note(source.get("text_column", "text"))) else []
    blanks = f"{cloze['n_masks']} blank" + "s" * (cloze["n_masks"] > 1)
    said.append(f"{header['items']:,} items of {header['texts']:,} texts with {blanks} each")
    said.append(f"positions {cloze['positions']}, seed {cloze['seed']}")
    said += [f"{count:,} {cause}" for cause, count in header["texts_counted"].items()]
    return "; ".join(said)


def notes(header: Mapping[str, Any]) -> list[str]:
    """What must be known to read the tables: what was compared, and what was not."""
    models = header["models"]
    kinds = {about["kind"] for about in models.values()}
    said = []
    for model, about in models.items():
        if seen := about["texts_seen_in_training"]["texts"]:
            said.append(f"of these texts {model} was trained on {seen:,}: its numbers are no test")
    said += [
        f"± is one standard error, clustered by {header['unit']}; blanks without an answer count as wrong",
        "match, top-5, top-10, MRR and characters fold case, exact does not",
        "the mean log-probability of the learner's word in nats, log p, compares models of one kind; it is over the "
        "blanks that have one, and pairs of models over those that both have",
    ]
    if "mlm" in kinds:
        said.append(
            "PLL, the pseudo-log-likelihood of masked models, is no probability of a word among all words, and is "
            "compared with no log p"
        )
    if len(kinds) > 1 and header["configuration"]["task"]["mlm_length"] == "given" and "mlm" in kinds:
        said.append("masked models were told each word's number of subtokens, the other models were not")
    if len(models) > 1:
        said.append(
            "a pair is compared on the same blanks; Holm's method is for all pairs of a metric, and no metric is "
            "adjusted for another"
        )
    if header["part_of_speech"].startswith("left out"):
        said.append(f"by part of speech: {header['part_of_speech']}")
    return said


def _overall(
    header: Mapping[str, Any], tables: Tables, names: Mapping[str, str], title: str, metrics: Sequence[str]
) -> TextTable:
    results = tables["cloze"]
    overall = results[results["grouping"] == "all"].set_index(["model", "metric"])
    columns = [metric for metric in metrics if metric in overall.index.get_level_values("metric")]
    with_error = LOG_PROBABILITY in metrics
    rows = []
    for model, about in header["models"].items():
        cells = [_cell(overall.loc[(model, m)], m) if (model, m) in overall.index else "" for m in columns]
        error = about["expected_calibration_error"]
        ece = [] if not with_error else [""] if error is None else [f"{100 * error:.1f}"]
        rows.append([names[model], str(about["blanks"]), str(sum(about["failures"].values())), *cells, *ece])
    headings = ["model", "n", "failed", *(HEADINGS[m] for m in columns), *["ECE"] * with_error]
    return TextTable(title, headings, rows, "l" + "r" * (len(headings) - 1))


def _by_group(header: Mapping[str, Any], tables: Tables, names: Mapping[str, str]) -> list[TextTable]:
    """A row per group, a column per model; by their own tokenizers models have other numbers of blanks in a group."""
    results, models = tables["cloze"], header["models"]
    shown = []
    for grouping, said in GROUPINGS.items():
        part = results[(results["grouping"] == grouping) & (results["metric"] == "folded")]
        cells = {(row.model, row.group): _cell(row._asdict(), "folded") for row in part.itertuples()}
        rows = []
        for group, counts in part.groupby("group")["n"]:
            n = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()}-{counts.max()}"
            rows.append([group, n, *(cells.get((model, group), "") for model in models)])
        if rows:
            first = "subtokens" if "subtokens" in grouping else said
            columns = [first, "n", *names.values()]
            shown.append(TextTable(f"Match by {said}", columns, rows, "l" + "r" * (len(columns) - 1)))
    return shown


def _pairs(tables: Tables, names: Mapping[str, str], metrics: Sequence[str]) -> list[TextTable]:
    """The pairs over all blanks in `metrics`, and within each level in the main ones, a table for each."""
    comparisons = tables["comparisons"]
    if not len(comparisons):
        return []
    overall = comparisons[(comparisons["grouping"] == "all") & comparisons["metric"].isin(metrics)]
    by_level = comparisons[comparisons["grouping"] == "cefr_level"]
    columns = ["difference", "95 % interval", "p", "p (Holm)", "n"]
    pair = "p" if max(len(_pair(row, names)) for row in overall.itertuples()) > _WIDE_PAIR else "l"
    shown = [
        TextTable(
            "Pairs of models (paired bootstrap)",
            ["pair", "metric", *columns],
            [[_pair(row, names), HEADINGS[row.metric], *_compared(row)] for row in overall.itertuples()],
            f"{pair}lrrrrr",
        )
    ]
    for metric in MAIN:
        rows = [
            [row.group, _pair(row, names), *_compared(row)] for row in by_level.itertuples() if row.metric == metric
        ]
        if rows:
            title = f"Pairs of models by {LEVELS}: {HEADINGS[metric]}"
            shown.append(TextTable(title, [LEVELS, "pair", *columns], rows, f"l{pair}rrrrr"))
    return shown


def _pair(row: Any, names: Mapping[str, str]) -> str:
    return f"{names[row.a]} − {names[row.b]}"


def _compared(row: Any) -> list[str]:
    scale, digits = (100, 1) if row.metric in SHARES else (1, 3 if row.metric == "mrr" else 2)
    missing = pd.isna(row.p)
    interval = "" if missing else f"{scale * row.low:+.{digits}f} to {scale * row.high:+.{digits}f}"
    p = ["", ""] if missing else [_p(row.p), _p(row.p_holm)]
    return [f"{scale * row.difference:+.{digits}f}", interval, *p, str(row.n)]


def _failures(header: Mapping[str, Any], names: Mapping[str, str]) -> TextTable:
    rows = [
        [names[model], what, cause, str(count)]
        for model, about in header["models"].items()
        for what, key in (("no answer (wrong)", "failures"), ("no log p", "without_log_probability"))
        for cause, count in about[key].items()
    ]
    rows += [
        [names[model], "list not surely the best", "more hypotheses than are expanded", str(count)]
        for model, about in header["models"].items()
        if (count := about["incomplete_lists"])
    ]
    return TextTable(
        "Blanks without an answer or a log-probability, and lists that may lack one",
        ["model", "what", "cause", "blanks"],
        rows,
        "llpr",
    )


def _models(header: Mapping[str, Any], names: Mapping[str, str]) -> TextTable:
    """How each model was used, and whether it was trained on the texts."""
    rows = []
    for model, about in header["models"].items():
        asked, seen = about["asked"], about["texts_seen_in_training"]
        how = {"mlm": f"masks, number {asked.get('length_of_the_word')}", "ilm": f"blank [{asked.get('blank')}]"}
        known = seen["why_unknown"] or f"{seen['texts']:,} in the training split of {seen['corpus']}"
        rows.append([names[model], about["model"], how.get(about["kind"], "span"), known])
    return TextTable("Models", ["model", "from", "asked by", "texts seen in training"], rows, "lplp")


def _cell(row: Mapping[str, Any], metric: str) -> str:
    scale, digits = (100, 1) if metric in SHARES else (1, 3 if metric == "mrr" else 2)
    error = row["standard_error"]
    plus_minus = "" if pd.isna(error) else f" ±{scale * error:.{digits}f}"
    return f"{scale * row['value']:.{digits}f}{plus_minus}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
