import io
import math

import pandas as pd
import pytest
from rich.console import Console

from ilm.evaluation.perplexity.report import caption, tables, write_report
from ilm.evaluation.quickstart import comparison
from ilm.files import read_json, write_json
from ilm.runs.folder import RunFolder

HEADER = {
    "task": "perplexity",
    "source": {"name": "sample", "synthetic": True, "text_column": "text", "split": "test"},
    "training_corpus": {"corpus": "sample", "documents_hash": "1"},
    "configuration": {
        "limit": None,
        "task": {
            "masks": None,
            "fitting": None,
            "only": None,
            "drop_last": False,
            "batch_size": 64,
            "masks_per_document": 16,
            "max_examples": None,
            "max_length": 256,
        },
    },
}
TASK = HEADER["configuration"]["task"]


def results() -> pd.DataFrame:
    rows = []
    for run, model in (("s_A1", "gpt2"), ("s_all", "gpt2"), ("t_A1", "tiny")):
        for level, base in (("A1", 10.0), ("B2", 20.0), ("all", 15.0)):
            for kind in ("context", "infill", "infill_textonly"):
                for mask_type in ("all", "word"):
                    if kind == "context" and mask_type == "word":
                        continue
                    about = {"run": run, "model": model, "objective": "ilm", "masking": "hierarchical"}
                    about |= {"experiment": None, "masks": "hierarchical-1", "trained_on": run.split("_")[1], "seed": 0}
                    about |= {"level": level, "masks_per_document": 16, "dropped_examples": 0, "examples": 100}
                    about |= {"cut": 3 if model == "gpt2" else 7, "unanswered": 2, "answer_tokens": 400}
                    about |= {"lost_tokens": 8, "texts": 7, "texts_unanswered": 1}
                    about |= {"longest_example": 300, "text_column": "text"}
                    about |= {"unfitting_examples": 0, "left_over_examples": 0}
                    number = None if (run, level, kind) == ("s_all", "B2", "context") else base + len(kind)
                    rows.append({**about, "kind": kind, "mask_type": mask_type, "perplexity": number, "targets": 1234})
                    rows[-1] |= {"loss": number and 2.5, "loss_standard_error": number and 0.01}
                    rows[-1]["documents"] = 7
    return pd.DataFrame(rows)


def test_one_table_for_each_family_of_models():
    shown = tables(HEADER, results(), ["A1", "B2", "all"])
    assert [table.title for table in shown] == [f"Perplexity: {model}, ilm, hierarchical" for model in ("gpt2", "tiny")]
    assert shown[0].columns == ("run", "perplexity", "A1", "B2", "all")
    assert shown[0].rows[1] == ("", "infill", "16.00", "26.00", "21.00")
    assert shown[0].rows[3] == ("all", "context", "17.00", "", "22.00")
    assert [kind for _, kind, *_ in shown[0].rows] == ["context", "infill", "infill_textonly"] * 2


def test_the_files_of_a_report(tmp_path):
    write_report(tmp_path / "r", HEADER, results())
    report = read_json(tmp_path / "r" / "report.json")
    assert report["source"]["name"] == "sample"
    assert len(report["results"]["perplexity"]) == len(results())
    assert [r["perplexity"] for r in report["results"]["perplexity"]].count(None) == 1
    again = pd.read_csv(tmp_path / "r" / "perplexity.csv")
    assert again["perplexity"].sum() == pytest.approx(results()["perplexity"].sum())
    markdown = (tmp_path / "r" / "perplexity.md").read_text()
    rows = [" ".join(line.replace("|", " ").split()) for line in markdown.splitlines()]
    assert "infill_textonly 25.00 35.00 30.00" in rows
    assert "s_A1 A1 infill_textonly word 25.00 2.5000 0.0100 1,234 7" in rows
    assert "SYNTHETIC" in markdown


def test_masks_of_one_name_but_other_settings_stand_in_two_tables():
    rows = results()
    rows.loc[rows["run"] == "s_all", "masks"] = "hierarchical-2"
    titles = [table.title for table in tables(HEADER, rows, ["A1"])]
    assert titles[:2] == [f"Perplexity: gpt2, ilm, hierarchical, hierarchical-{k}" for k in (1, 2)]


def cut_by_level(cut: str) -> str:
    lines = [
        f"{level}: {cut} of 100 examples ({cut}.0%), 2 with no answer left, 2.0% of the answer tokens lost, "
        "1 of 7 texts left with no answer"
        for level in ("A1", "B2", "all")
    ]
    remedy = "more than 0.5% of the examples of A1, B2 are cut: task.max_length=300 cuts none"
    return "cut at 256 tokens: " + "; ".join([*lines, remedy])


def test_what_is_printed_with_every_number():
    gpt2, tiny = tables(HEADER, results(), ["A1"])
    expected = f"SYNTHETIC corpus sample, test split; 16 masks a document, all documents; {cut_by_level('3')}"
    assert (gpt2.caption, tiny.caption) == (expected, expected.replace(" 3 of", " 7 of").replace("(3.0%)", "(7.0%)"))
    uncut = caption(HEADER, results().assign(cut=0))
    assert uncut.endswith("all documents; no example cut at 256 tokens: the longest has 300")
    rows = results().assign(masks_per_document=4, dropped_examples=5)
    real = {**HEADER["source"], "synthetic": False}
    limited = {**HEADER, "source": real, "configuration": {"task": TASK, "limit": 1000}}
    assert caption(limited, rows[rows["run"] == "s_A1"]) == (
        f"sample, test split; 4 masks a document, 1,000 documents a level; {cut_by_level('3')}; "
        "5 dropped, since two spans share a token"
    )
    first = {**HEADER, "configuration": {"task": TASK | {"max_examples": 500}, "limit": None}}
    assert "test split; the first 500 examples by hash" in caption(first, rows)


def test_what_is_printed_of_another_corpus_and_of_the_ways_of_the_reference():
    rows = results().assign(unfitting_examples=1234, left_over_examples=5)
    rows = rows[rows["run"] == "t_A1"]
    origin = {"corpus": "mine", "documents_hash": "2", "shared": {"texts": 17}}
    task = TASK | {"fitting": "naive", "drop_last": True, "masks": "reference"}
    source = {**HEADER["source"], "text_column": "text_corrected"}
    header = {**HEADER, "source": source, "training_corpus": origin}
    header["configuration"] = {"task": task, "limit": None}
    assert caption(header, rows) == (
        "SYNTHETIC corpus sample, test split; text column: text_corrected; 16 masks a document, all documents; "
        f"masks reference; {cut_by_level('7')}; 1,234 left out, since their naive row is longer; "
        "5 left out, the last partial batch of 64; models trained on mine, whose training split has 17 of these texts"
    )
    assert "models trained on" not in caption({**HEADER, "training_corpus": None}, rows)


def test_the_table_of_the_terminal_fits_in_80_columns():
    console = Console(record=True, width=80, file=io.StringIO())
    rows = results()
    wider = pd.concat([rows.assign(level=f"L{i}", perplexity=rows["perplexity"] * 100) for i in range(6)])
    console.print(tables(HEADER, wider, [f"L{i}" for i in range(6)])[0])
    text = console.export_text()
    assert "…" not in text
    assert "infill_textonly" in text
    assert [line.split()[1] for line in text.splitlines() if "context" in line] == ["A1", "all"]


def test_runs_are_named_where_level_and_seed_do_not_tell_them_apart():
    rows = results()
    seeded = rows.assign(seed=[1 if run == "s_all" else 0 for run in rows["run"]])
    for of, labels in (
        (rows, ["A1", "all"]),
        (seeded, ["A1", "all, seed 1"]),
        (rows.assign(trained_on="A1"), ["s_A1", "s_all"]),
    ):
        assert [name for name, *_ in tables(HEADER, of, ["A1"])[0].rows if name] == labels


def test_the_table_at_the_end_of_quickstart(tmp_path):
    losses = {"step": 0, "context": math.log(4000), "infill": math.log(3000), "infill_textonly": math.log(2000)}
    best = {"step": 9, "context": math.log(40), "infill": math.log(30), "infill_textonly": math.log(20)}
    write_json(tmp_path / "status.json", {"first": losses, "best": best})
    expected = {"before": dict.fromkeys(losses, 1111.0), "after": dict.fromkeys(losses, 22.0)}
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(comparison(RunFolder(tmp_path), expected))
    line = next(line for line in console.export_text().splitlines() if "infill_textonly" in line)
    assert line.replace("│", " ").split() == ["infill_textonly", "2,000.0", "1,111.0", "20.0", "22.0"]
