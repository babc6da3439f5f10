"""What an evaluation that is a job of its own begins with: its inputs, checked."""

from dataclasses import replace

from tgdp.config import Config
from tgdp.data.card import read_card
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.training import checkpoint
from tgdp.training.loading import data_folder
from tgdp.training.ranks import current_ranks, told
from tgdp.training.retention import path_of
from tgdp.training.run_directory import RunDirectory


def check_data(config: Config) -> None:
    """Refuse data that is not the run's.

    Raises:
        UserError: The folder is not prepared, or holds other data than the run names.
    """
    folder = data_folder(config)
    found = read_card(folder).fingerprint
    if found != config.data.fingerprint:
        raise UserError(
            f"{folder}: its fingerprint is {found}, the run's data.fingerprint is "
            f"{config.data.fingerprint}; give the folder that it was trained on with --data DIR"
        )


def load_trained(run: RunDirectory, config: Config) -> tuple[Student, int]:
    """Return the model of the last step, on the CPU in evaluation mode, and that step.

    A run whose last checkpoint turns out to be missing or damaged no longer counts as trained: the
    next attempt takes the steps from the newest whole one on again.

    Args:
        run: Trained to its end.
        config: The run.

    Raises:
        UserError: The checkpoint of the last step is not there or not what was written.
    """
    stored = None
    if current_ranks().is_first:
        stored = checkpoint.load_newest(run.checkpoints, run.status().saved)
    step = told(0 if stored is None else int(stored["step"]))
    last = run.status().total_steps
    if not 0 < last <= step:
        if current_ranks().is_first:
            run.set_status(replace(run.status(), step=step, saved=step))
        is_done = run.result_file.exists()
        way_out = "delete result.json and start the same command again"
        raise UserError(
            f"{path_of(run.checkpoints, last)}: missing or damaged, and with it the end of "
            f"training; the newest whole checkpoint is of step {step}. To train from there: "
            f"{way_out if is_done else '--retry-failed in a sweep'}"
        )
    if stored is None:
        stored = checkpoint.load(path_of(run.checkpoints, step))
    student = Student(config)
    student.load_state_dict(stored["student"])
    return student.eval(), step
