"""Losses and gradients of a step as one CUDA graph, so that the host need not keep up.

A step is some ten thousand kernels. To start them one by one takes a host longer than a fast GPU
needs to carry them out, unless the batch is large; a graph is recorded once and then started as a
whole. What it reads lies at fixed places, so each batch is copied there, and so are the random
numbers, which are drawn outside, where epoch and samples are known.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tgdp.config import Config
from tgdp.data import draws
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.model.schedules import Moment, is_guided
from tgdp.training.precision import autocast
from tgdp.training.step import Batch, compute_losses

WARMUP = 3
"""Passes before the recording: libraries choose their kernels, and layers are compiled."""


def why_not(config: Config, device: torch.device, world: int) -> str | None:
    """Return why a run cannot be recorded as a graph; None if it can."""
    if device.type != "cuda":
        return f"it runs on a {device.type}"
    if world > 1:
        return "it has several ranks, whose exchange of gradients is not recorded"
    if config.training.precision == "float16":
        return "the scale of a float16 loss changes"
    if config.training.accumulation > 1:
        return "its steps are computed in parts"
    if any(m.schedule != "constant" for m in (config.reconstruction.mask, config.contrastive.mask)):
        return "a mask ratio changes, and with it the number of tokens"
    return None


@dataclass
class _Recording:
    """A graph, and the fixed places of what it reads and writes."""

    batch: Batch
    noise: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    graph: torch.cuda.CUDAGraph = field(default_factory=torch.cuda.CUDAGraph)
    losses: Losses | None = None
    gradients: list[Tensor | None] = field(default_factory=list)


class GraphedBackward:
    """Computes the losses of a batch and leaves their gradients with the parameters.

    A graph is recorded for each shape of the batch, and anew when the teacher begins to guide.

    Args:
        config: The run.
        student: Whose parameters get gradients.
        teacher: Its slow copy, or None.
    """

    def __init__(self, config: Config, student: Student, teacher: Encoder | None) -> None:
        self._config = config
        self._student = student
        self._teacher = teacher
        self._recordings: dict[tuple[object, ...], _Recording] = {}

    def __call__(self, batch: Batch) -> Losses:
        """Return the losses of a batch, in memory that the next call writes to again."""
        guides = is_guided(self._config.contrastive.mask, batch.moment)
        key = (batch.audio.shape, batch.image.shape, guides)
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._recordings[key] = self._record(batch)
        for place, value in zip(recording.batch[:3], batch[:3], strict=True):
            place.copy_(value)
        for (purpose, num), place in recording.noise.items():
            place.copy_(self._draw(purpose, num, batch.samples, batch.moment))
        recording.graph.replay()
        for parameter, gradient in zip(self._parameters(), recording.gradients, strict=True):
            parameter.grad = gradient
        assert recording.losses is not None
        return recording.losses

    def _record(self, batch: Batch) -> _Recording:
        audio, image, samples = (part.clone() for part in batch[:3])
        recording = _Recording(Batch(audio, image, samples, batch.moment))
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARMUP):
                self._forward_backward(recording)
        torch.cuda.current_stream().wait_stream(beside)
        self._forget_gradients()
        # The graph has memory of its own: what the passes before it used must not be kept as well.
        torch.cuda.empty_cache()
        # The loader's thread pins memory meanwhile, which has nothing to do with the recording.
        with torch.cuda.graph(recording.graph, capture_error_mode="thread_local"):
            recording.losses = self._forward_backward(recording)
        recording.gradients = [parameter.grad for parameter in self._parameters()]
        return recording

    def _forward_backward(self, recording: _Recording) -> Losses:
        self._forget_gradients()

        def noise(purpose: str, num: int) -> Tensor:
            if (purpose, num) not in recording.noise:
                samples, moment = recording.batch.samples, recording.batch.moment
                recording.noise[purpose, num] = self._draw(purpose, num, samples, moment)
            return recording.noise[purpose, num]

        config, device = self._config, recording.batch.image.device
        with autocast(config, device, caches=False):
            losses = compute_losses(config, self._student, self._teacher, recording.batch, noise)
        losses.total.backward()
        terms = {name: term.detach() for name, term in losses._asdict().items() if term is not None}
        return Losses(**terms)

    def _draw(self, purpose: str, num: int, samples: Tensor, moment: Moment) -> Tensor:
        return draws.uniform(self._config.seed, purpose, moment.epoch, samples, num)

    def _forget_gradients(self) -> None:
        for parameter in self._parameters():
            parameter.grad = None

    def _parameters(self) -> list[nn.Parameter]:
        return list(self._student.parameters())
