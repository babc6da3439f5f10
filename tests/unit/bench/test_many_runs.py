"""`tgdp-bench sweep`: the commands are timed over runs in every state, queued ones among them."""

import pytest

from tgdp.cli.bench_sweep import time_many
from tgdp.cli.sweep_status import asked
from tgdp.errors import UserError
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.progress import counts, follow
from tgdp.sweep.resolve import Words


@pytest.mark.slow
def test_plan_and_status_are_timed_over_runs_in_every_state(tmp_path, monkeypatch) -> None:
    rows = time_many(tmp_path, 40, runs=1)
    assert [row[0] for row in rows] == ["tgdp-sweep plan", "tgdp-sweep status"]
    for _, median, _, cpu in rows:
        assert float(median) > 0
        assert 0 < float(cpu.removesuffix(" s of CPU")) < 60

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    results = tmp_path / "results"
    one = asked(load_sweep(tmp_path / "sweeps" / "many.py"), Words(), results)
    (runs,) = follow(((one.plan(results), one.words),), results)
    assert counts(runs) == {"done": 10, "queued": 10, "interrupted": 10, "failed": 10}


def test_an_uneven_number_of_cells_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="--cells 15: has to be a multiple of 10"):
        time_many(tmp_path, 15, runs=1)
