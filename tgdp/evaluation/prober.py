"""A run that is done, opened so that one probe after the other can be measured on it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tgdp.config import Config
from tgdp.evaluation.feature_cache import cache_root
from tgdp.evaluation.feature_reader import FeatureReader
from tgdp.evaluation.measure import measure_probe
from tgdp.evaluation.probe.settings import Kind, Modality, ProbeSettings
from tgdp.evaluation.probing import task_of
from tgdp.evaluation.subject import LAST, Subject
from tgdp.evaluation.trained import check_data, load_trained
from tgdp.training.loading import data_folder
from tgdp.training.run_directory import RunDirectory
from tgdp.training.trainer import pick_device

Prober = Callable[[Kind, Modality, str, str], dict[str, Any] | None]
"""Gets kind, modality, and the splits to train and to test on; None once it was asked to stop."""


class _Stopped(Exception):  # noqa: N818 (a request, not an error)
    """It was asked to stop."""


def open_prober(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> Prober:
    """Return what measures probes of the last step of a run; its clips are read once.

    Args:
        run: Its folder, `results/runs/<name>`; features go into `results/features`.
        config: The run.
        should_stop: Asked after every few clips and after every probe that was trained.

    Raises:
        UserError: The checkpoint is damaged or not of the last step, or the data is not the run's.
    """
    check_data(config)
    student, step = load_trained(run, config)
    encoder = student.encoder.to(pick_device(config))
    subject = Subject(encoder, config, f"step {step}", LAST, run, run.path)

    def heed(done: int, total: int) -> None:
        del done, total
        if should_stop():
            raise _Stopped

    reader = FeatureReader(subject, cache_root(run.path.parents[1]), report=heed)

    def measure(kind: Kind, modality: Modality, train: str, test: str) -> dict[str, Any] | None:
        splits = (train, test)
        settings = ProbeSettings(kind=kind, modality=modality)
        settings = replace(settings, task=task_of(data_folder(config), splits))
        try:
            return measure_probe(reader, splits, settings, heed)
        except _Stopped:
            return None

    return measure
