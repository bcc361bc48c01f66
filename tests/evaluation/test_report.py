"""The folder of a report: its name, what it is a report of, and that it is checked before anything else."""

import errno

import pytest

from ilm.cli.main import denials_explained
from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.errors import UserError
from ilm.evaluation.report import open_results, results_folder, write_pages
from ilm.files import read_json
from ilm.tables import TextTable
from tests.conftest import compose

IDENTITY = {"texts": {"name": "sample", "levels": ["A1"]}, "limit": None, "task": {"name": "cloze"}}


def settings(*overrides: str) -> Evaluate:
    return check(*compose("evaluate", *overrides)[:1], Evaluate)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "sample_perplexity"),
        (["task=cloze"], "sample_cloze"),
        (["task.split=valid"], "sample_valid_perplexity"),
        (["limit=20"], "sample_limit20_perplexity"),
        (["limit=20", "task=cloze", "task.split=valid"], "sample_limit20_valid_cloze"),
        (["task.levels=[A1,B2]", "task.masks=words"], "sample_A1-B2_words_perplexity"),
        (["task.max_length=128", "task.masks_per_document=4"], "sample_masks_per_document4_max_length128_perplexity"),
        (["task=cloze", "task.n_masks=2", "task.max_chars=null"], "sample_n_masks2_max_chars-none_cloze"),
        (["task=cloze", "task.max_chars=null"], "sample_max_chars-none_cloze"),
        (["models=[A1,experiments/mine]"], "sample_A1-mine_perplexity"),
        (["models=[sample_*]"], "sample_-_perplexity"),
        ([f"models=[{'x' * 70},A1]"], "sample_2-models_perplexity"),
        (["models=[A1,mlm:bert]", "task=cloze"], "sample_cloze"),  # further models are added to it
        (["task.device=cpu", "task.row_tokens=512", "task.batch_size=8"], "sample_perplexity"),
        (["task.batch_size=8", "task.drop_last=true"], "sample_drop_last-true_batch_size8_perplexity"),
        (["task.split=valid", "name=mine"], "mine"),
    ],
)
def test_the_name_says_whatever_is_not_the_default(overrides, name):
    chosen = settings("paths.results=there", *overrides)
    assert str(results_folder(chosen, "sample")) == f"there/{name}"


def test_a_folder_is_known_again_and_other_settings_are_refused(tmp_path):
    folder = tmp_path / "r"
    for _ in range(2):
        with open_results(folder, IDENTITY):
            (folder / "report.json").write_text("{}")
    assert read_json(folder / "identity.json") == {
        "texts.name": "sample",
        "texts.levels": ["A1"],
        "limit": None,
        "task.name": "cloze",
    }
    log_file = (folder / "cloze.log").read_text(encoding="utf-8")
    assert log_file.count(f"written: {folder}") == 2
    other = {**IDENTITY, "limit": 20}
    with (
        pytest.raises(UserError, match=r"holds another evaluation:\n  - limit: None there, 20 now\nType name="),
        open_results(folder, other),
    ):
        pytest.fail("never entered")
    assert (folder / "report.json").is_file()


def test_the_files_of_others_stay_and_their_folders_are_refused(tmp_path):
    folder = tmp_path / "r"
    with open_results(folder, IDENTITY):
        (folder / "report.json").write_text("{}")
    (folder / "thesis.tex").write_text("mine")
    with open_results(folder, IDENTITY):
        pass
    assert (folder / "thesis.tex").read_text() == "mine"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        with (
            pytest.raises(UserError, match=f"{name} exists and holds no report"),
            open_results(tmp_path / name, IDENTITY),
        ):
            pytest.fail("never entered")


def test_nothing_is_left_of_what_came_to_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), open_results(tmp_path / "r", IDENTITY):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "results").write_text("a file")
    with (
        pytest.raises(UserError, match=r"cannot be written to.*type paths\.results=\.\.\. for another place"),
        open_results(tmp_path / "results" / "r", IDENTITY),
    ):
        pytest.fail("never entered")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_cannot_be_written_at_the_end_is_told_in_one_message(tmp_path, number):
    folder = tmp_path / "r"
    with (
        pytest.raises(UserError, match=r"perplexity.csv.* type the same command again"),
        denials_explained(),
        open_results(folder, IDENTITY),
    ):
        raise OSError(number, "no", str(folder / ".perplexity.csv.tmp"))


def test_a_damaged_identity_is_told(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "identity.json").write_text("{")
    with pytest.raises(UserError, match=r"identity\.json is damaged"), open_results(tmp_path / "r", IDENTITY):
        pytest.fail("never entered")


def test_tables_for_a_page_and_for_a_paper(tmp_path):
    table = TextTable("Losses", ("run", "loss"), [("my_A1", "3.1")], "lr", caption="In nats.")
    write_pages(tmp_path, "x", "A title", ["100 % of texts."], [table], ["curve"])
    markdown, latex = ((tmp_path / f"x.{ending}").read_text() for ending in ("md", "tex"))
    assert markdown.startswith("# A title\n\n- 100 % of texts.\n\n## Losses\n\nIn nats.\n\n| run ")
    assert markdown.endswith("3.1 |\n\n![curve](curve.png)\n")
    assert "% 100 \\% of texts.\n" in latex
    assert "\\caption{Losses. In nats.}" in latex
    assert "my\\_A1 & 3.1 \\\\" in latex
