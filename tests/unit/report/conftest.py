"""One store with a sweep in every state, read back once."""

import pytest

from tests.fake_runs import cells, masking, write_run
from tgdp.report import published
from tgdp.report.build import build
from tgdp.report.collect import collect
from tgdp.sweep import track

ERROR = "RuntimeError: loss is nan | 5% of_all & on"


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """Write 0.00 and 0.50 whole, 0.20 failed, 0.65 running, 0.75 half done; sync them."""
    results = tmp_path_factory.mktemp("mixed")
    made = cells()
    for index in (0, 2, 4, 5, 7):
        write_run(results, made[index], steps=20)
    write_run(results, made[3], "running", steps=120)
    write_run(results, made[6], "failed", steps=20, error=ERROR)
    write_run(results, made[9], "interrupted", steps=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        track.sync_sweep(results, masking(), made, "tiny on embedded")
        return results, track.read(results)


@pytest.fixture(scope="session")
def frame(mixed):
    _, tracked = mixed
    return collect(tracked, tracked.summaries[0])


@pytest.fixture(scope="session")
def table(mixed, frame):
    results, tracked = mixed
    (made,) = build(masking(), tracked.summaries[0], frame, published.load(results))
    return made
