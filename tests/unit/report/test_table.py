"""Rows, reasons, and what must never be compared."""

from tests.fake_runs import masking
from tgdp.report import published
from tgdp.report.build import build


def test_rows_stand_in_declared_order_and_count_their_seeds(table):
    labels = [row.label for row in table.rows]
    assert labels == ["0.00", "0.20", "0.50", "0.65", "0.75"]
    assert [(row.done, row.wanted) for row in table.rows] == [
        (2, 2),
        (0, 2),
        (2, 2),
        (0, 2),
        (1, 2),
    ]


def test_the_most_telling_reason_speaks_for_a_row(table):
    reasons = {row.label: row.reason for row in table.rows}
    assert reasons["0.20"].startswith("failed: RuntimeError")
    assert reasons["0.65"] == "running, step 120/500"
    assert table.rows[1].problems[0] == "seed 0: not run"


def test_the_difference_is_ours_minus_published(table):
    entry = table.rows[2].entries[0]
    assert round(entry.mean, 6) == 24.5
    assert round(entry.difference, 6) == -5.8
    assert table.rows[4].entries[0].difference is None


def test_numbers_of_other_data_or_protocol_get_a_table_of_their_own(mixed, frame):
    results, tracked = mixed
    for column, value in (("fingerprint", "other"), ("protocol", "retrieval/v2")):
        changed = frame.copy()
        changed.loc[changed["variant"] == "0.50", column] = value
        tables = build(masking(), tracked.summaries[0], changed, published.load(results))
        assert len(tables) == 2
        by_value = {getattr(table, column): table for table in tables}
        assert by_value[value].rows[2].done == 2
        assert by_value[value].rows[0].done == 0
        (other,) = (table for key, table in by_value.items() if key != value)
        assert (other.rows[2].done, other.rows[0].done) == (0, 2)


def test_one_row_alone_is_not_the_best(mixed, frame):
    results, tracked = mixed
    only = frame[frame["variant"].isin(["0.50", "0.65"])]
    (table,) = build(masking(), tracked.summaries[0], only, published.load(results))
    assert table.best(0) is None
