"""The probes of one run as a job; like every job it holds only words."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tgdp.evaluation.record import keep
from tgdp.sweep.hold import Function, ShouldStop, clear_away, function, hold, speak
from tgdp.sweep.logs import keep_traceback
from tgdp.sweep.probes import Probe, missing
from tgdp.sweep.stages import PROBE
from tgdp.sweep.state import read_state
from tgdp.sweep.stop import StopRequest, stop_on_signals
from tgdp.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from tgdp.config import Config


@dataclass(frozen=True)
class ProbeJob:
    """Measures a run that is done by probes, and keeps each as soon as it is there.

    The run stays done, whatever becomes of its probes, and the time it took stays what it was:
    `status.json` is left alone.

    Attributes:
        directory: The run directory.
        config: Configuration as YAML text.
        probes: Those that are asked for; what is there already is not measured again.
        execute: `module:function` that opens the run; what it returns measures one probe.
        launcher: Process of this host without which the job stops; 0 for none.
        gpu: Value for CUDA_VISIBLE_DEVICES; empty to leave it alone.
    """

    directory: str
    config: str
    probes: tuple[Probe, ...]
    execute: str = PROBE
    launcher: int = 0
    gpu: str = ""

    def __call__(self) -> int | None:
        """Measure what is missing.

        Returns:
            Probes that are missing afterwards; None where another process holds the run.
        """
        from tgdp.config import parse

        run = RunDirectory(Path(self.directory))
        if self.gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.launcher != os.getpid():
            speak()
        with stop_on_signals(StopRequest()) as stop, hold(run) as held:
            if not held:
                return None
            clear_away(run)
            config = parse(self.config)
            if read_state(run).state == "done":
                self._measure(run, config, ShouldStop(stop, self.launcher))
            return len(self._missing(run, config))

    def _missing(self, run: RunDirectory, config: "Config") -> tuple[Probe, ...]:
        return missing(run, config.data.fingerprint, self.probes)

    def _measure(
        self, run: RunDirectory, config: "Config", should_stop: Callable[[], bool]
    ) -> None:
        from tgdp.sweep.environment import describe

        opened: Function | None = None
        for probe in self._missing(run, config):
            if should_stop():
                return
            try:
                if opened is None:
                    opened = _opened(self.execute, run, config, should_stop)
                result: dict[str, Any] | None = opened(*probe)
                if result is None:
                    return
                keep(run, {**result, "environment": describe()})
            except KeyboardInterrupt:
                return
            except Exception:
                # One that cannot be had, for want of labels say, costs the others nothing.
                keep_traceback(run)


def _opened(
    execute: str, run: RunDirectory, config: "Config", should_stop: Callable[[], bool]
) -> Function:
    return function(execute)(run, config, should_stop)
