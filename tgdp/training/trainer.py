"""The training loop: plain, resumable, stopped at a step boundary when asked."""

from collections.abc import Callable

import torch

from tgdp.config import Config
from tgdp.errors import DivergedError, UserError
from tgdp.training import checkpoint
from tgdp.training.batches import EpochBatches
from tgdp.training.in_force import in_force
from tgdp.training.learner import Learner, build_learner
from tgdp.training.loading import Loader, open_pairs
from tgdp.training.meter import Meter
from tgdp.training.optim import learning_rate, scaled
from tgdp.training.precision import check_precision
from tgdp.training.profiling import StepProfile
from tgdp.training.ranks import Ranks, any_rank, current_ranks, rank_device, told
from tgdp.training.recorder import Recorder
from tgdp.training.retention import path_of
from tgdp.training.run_directory import RunDirectory
from tgdp.training.saving import Evaluate, Score, finish_save, keep_best, restore, save
from tgdp.training.step import Batch
from tgdp.training.update import Update, take_step


def train(
    run: RunDirectory,
    config: Config,
    should_stop: Callable[[], bool],
    evaluate: Evaluate | None = None,
) -> tuple[Learner, bool]:
    """Train a run from its newest checkpoint to its end, or until asked to stop.

    On several ranks every one of them calls this; the first one writes.

    Args:
        run: Where checkpoints, events and status are written.
        config: The run.
        should_stop: Asked at every step boundary; once true on any rank, the state is saved and
            training ends.
        evaluate: What measures the encoder every `runtime.evaluate_every` epochs.

    Returns:
        The learner, and whether it reached the end.

    Raises:
        UserError: The data, a checkpoint or the start weights cannot be read, or the disk is full.
        DivergedError: Too many steps in a row were not finite.
    """
    ranks = current_ranks()
    device = rank_device(ranks, pick_device(config))
    check_precision(config, device)
    pairs = open_pairs(config)
    batches = EpochBatches(len(pairs), config.training, config.seed, ranks)
    learner = _start(run, config, device, ranks)
    loader = Loader(pairs, batches.start_at(learner.step), config, device)
    recorder = _recorder(run, config, learner, loader, ranks) if ranks.is_first else None
    loop = _Loop(run, config, learner, loader, recorder, evaluate)
    if learner.step:
        loop.resume()
    folder = run.log / "profile" if config.runtime.profile and ranks.is_first else None
    with StepProfile(folder, device) as profile:
        if not any_rank(should_stop(), device):
            for batch in loader:
                loop.take(batch)
                stops = any_rank(should_stop(), device)
                loop.keep(stops=stops)
                profile.step()
                if stops:
                    break
    return learner, learner.step >= batches.total_steps


def pick_device(config: Config) -> torch.device:
    """Return the device of a run and give the process its share of the CPU.

    Raises:
        UserError: A GPU is asked for where there is none.
    """
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    name = config.runtime.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"runtime.device {name}: torch finds no GPU here; choose cpu or auto")
    return torch.device(name)


def _start(run: RunDirectory, config: Config, device: torch.device, ranks: Ranks) -> Learner:
    """Return the learner where the newest checkpoint left it, the events cut to fit."""
    stored = None
    if ranks.is_first:
        stored = checkpoint.load_newest(run.checkpoints, run.status().saved)
    step = told(None if stored is None else int(stored["step"]))
    if step is not None and stored is None:
        stored = checkpoint.load(path_of(run.checkpoints, step))
    learner = build_learner(config, device, is_start=stored is None)
    if stored is not None:
        restore(learner, stored)
    if ranks.is_first:
        run.forget_after(learner.step)
        keep_best(run, stored)
    return learner


def _recorder(
    run: RunDirectory, config: Config, learner: Learner, loader: Loader, ranks: Ranks
) -> Recorder:
    batches = loader.batches
    meter = Meter(config, loader.device, batches.batch_size, ranks.world)
    return Recorder(run, config, meter, batches.total_steps, learner.step)


class _Loop:
    """The two halves of a turn: the step itself, and what is kept of it."""

    def __init__(
        self,
        run: RunDirectory,
        config: Config,
        learner: Learner,
        loader: Loader,
        recorder: Recorder | None,
        evaluate: Evaluate | None,
    ) -> None:
        self._run = run
        self._config = config
        self._learner = learner
        self._loader = loader
        self._batches = loader.batches
        self._training = scaled(config.training, self._batches.batch_size)
        self._recorder = recorder
        self._evaluate = evaluate

    def resume(self) -> None:
        """Finish the save from which a run goes on, in which its process may have died."""
        if self._recorder is not None:
            finish_save(self._run, self._learner.step, self._keeps)
            self._recorder.saved(self._learner.step)

    def take(self, batch: Batch) -> None:
        """Take a step, and write down what it was like."""
        learner, config = self._learner, self._config
        rate = learning_rate(self._training, learner.step, self._batches.total_steps)
        update = take_step(config, learner, batch, rate, self._batches.own)
        if self._recorder is not None:
            extra = in_force(config, learner.student, batch.moment) | {"train/learning_rate": rate}
            if learner.lost.total:
                extra["train/skipped_steps"] = float(learner.lost.total)
            self._recorder.record(batch.moment, update, extra, self._loader.waited)
        if update.is_lost:
            self._lose(update)

    def _lose(self, update: Update) -> None:
        step, lost = self._learner.step, self._learner.lost
        is_over = lost.in_a_row >= self._config.runtime.nonfinite_limit
        if self._recorder is not None:
            clips = self._loader.clips(step - 1)
            self._recorder.lost(step, update, lost, clips, is_over=is_over)
        if is_over:
            raise DivergedError(
                f"no finite gradient in {lost.in_a_row} steps in a row, the last at step {step}; "
                f"the clips of its batch are in {self._run.diverged_file.name}. The same run would "
                "end there again: try a lower training.learning_rate"
            )

    def keep(self, *, stops: bool) -> None:
        """Measure and save, where it is time for either.

        Args:
            stops: Whether training ends here.
        """
        step, runtime = self._learner.step, self._config.runtime
        score = None
        is_measured = self._evaluate is not None and self._ends_epoch(step, runtime.evaluate_every)
        if is_measured and self._recorder is not None:
            score = self._measure(self._recorder)
        is_kept = self._keeps(step)
        is_last = stops or step >= self._batches.total_steps
        if is_last or is_kept or is_measured or step % runtime.save_every == 0:
            self._save(score)

    def _measure(self, recorder: Recorder) -> Score:
        assert self._evaluate is not None
        score = self._evaluate(self._learner.student.encoder)
        recorder.evaluated(self._learner.step, score.values)
        return score

    def _save(self, score: Score | None) -> None:
        if self._recorder is None:
            return
        save(self._run, self._config, self._learner, score, self._keeps)
        self._recorder.saved(self._learner.step)

    def _keeps(self, step: int) -> bool:
        return self._ends_epoch(step, self._config.runtime.keep_every)

    def _ends_epoch(self, step: int, every: int | None) -> bool:
        """Return whether a number of epochs that is divided by another one ends with a step."""
        return every is not None and step % (every * self._batches.steps_per_epoch) == 0
