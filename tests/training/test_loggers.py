import pytest

from ilm.training.loggers import MetricsCsv


def lines(path):
    return (path / "metrics.csv").read_text().splitlines()


def test_one_row_a_record_and_one_column_a_metric(tmp_path):
    logger = MetricsCsv(str(tmp_path))
    logger.log_metrics({"valid/infill_loss": 8.5}, step=0)
    logger.log_metrics({"train/loss": 0.1 + 0.2}, step=10)
    logger.log_metrics({"valid/infill_loss": 7.25, "train/loss": 6.0}, step=20)
    assert lines(tmp_path) == [
        "step,valid/infill_loss,train/loss",
        "0,8.5,",
        "10,,0.30000000000000004",
        "20,7.25,6.0",
    ]


def test_rows_after_the_checkpoint_are_dropped_and_the_others_kept(tmp_path):
    logger = MetricsCsv(str(tmp_path))
    for step in (0, 10, 20, 30):
        logger.log_metrics({"train/loss": step / 10}, step=step)
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("4")  # killed while writing
    resumed = MetricsCsv(str(tmp_path), purge_step=21)
    resumed.log_metrics({"train/loss": 9.0}, step=30)
    assert lines(tmp_path) == ["step,train/loss", "0,0.0", "10,1.0", "20,2.0", "30,9.0"]


def test_a_run_that_begins_anew_keeps_no_row(tmp_path):
    MetricsCsv(str(tmp_path)).log_metrics({"train/loss": 1.0}, step=0)
    MetricsCsv(str(tmp_path), purge_step=0)
    assert lines(tmp_path) == ["step,train/loss"]


def test_a_validation_made_again_after_a_kill_has_one_row(tmp_path):
    MetricsCsv(str(tmp_path)).log_metrics({"train/loss": 2.0}, step=10)
    for _ in range(2):  # resumed from step 10 twice, killed before a checkpoint in between
        resumed = MetricsCsv(str(tmp_path), purge_step=11)
        resumed.log_metrics({"valid/infill_loss": 7.25}, step=10)
    assert lines(tmp_path) == ["step,train/loss,valid/infill_loss", "10,2.0,", "10,,7.25"]


@pytest.mark.parametrize("damaged", [b"", b"st", b"10,2.0\n20,1.5\n", b"\xff\x00,\n"])
def test_a_file_without_its_header_is_set_aside(tmp_path, damaged):
    (tmp_path / "metrics.csv").write_bytes(damaged)
    MetricsCsv(str(tmp_path), purge_step=11).log_metrics({"train/loss": 2.0}, step=20)
    assert lines(tmp_path) == ["step,train/loss", "20,2.0"]
    assert (tmp_path / "damaged-metrics.csv").read_bytes() == damaged
