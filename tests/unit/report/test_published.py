"""Published numbers are looked up, not typed."""

import pytest

from tests.fake_runs import masking
from tgdp.errors import UserError
from tgdp.report import published
from tgdp.sweep.discover import load_sweep


def find(shelf, label, title):
    sweep = masking()
    variant = next(variant for variant in sweep.variants if variant.label == label)
    metric = next(metric for metric in sweep.metrics if metric.title == title)
    return shelf.find(sweep, variant, metric)


def test_a_number_is_looked_up_with_its_confidence(tmp_path):
    found = find(published.load(tmp_path), "0.65", "A→V R@1")
    assert (found.value, found.confidence) == (25.1, "medium")
    assert "github" in found.source


def test_a_row_without_a_number_is_not_the_same_as_no_row(tmp_path):
    shelf = published.load(tmp_path)
    assert find(shelf, "0.75", "A→V R@1").value is None
    assert find(shelf, "0.20", "A→V R@1").value is None
    assert find(shelf, "0.50", "V→A R@5") is None


def test_a_row_may_name_a_number_of_another_table(tmp_path):
    sweep = load_sweep("baselines")
    ancestor = next(variant for variant in sweep.variants if variant.label == "CAV-MAE Sync")
    found = published.load(tmp_path).find(sweep, ancestor, sweep.metrics[0])
    assert (found.value, found.confidence) == (23.2, "high")


def test_a_file_that_is_something_else_is_a_user_error(tmp_path):
    (tmp_path / "published.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"published\.csv"):
        published.load(tmp_path)
