"""What the released model was made to do, done again by ours: same weights, inputs and noise."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tgdp.bench.parity.figures import Figures, config_of
from tgdp.config import MEL_BINS, Config, override
from tgdp.errors import UserError
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Inputs, Outputs, Student, forward
from tgdp.model.encoder import Encoder, Modality, Pair
from tgdp.model.released.names import from_released
from tgdp.model.schedules import Moment
from tgdp.model.teacher import TeacherView, teacher_pass
from tgdp.training.step import weigh

Path = Literal["reconstruction", "contrastive", "teacher"]

FOLDERS = {"reconstruction": "recon", "contrastive": "contrast"}
"""Path -> where its noise and outputs lie in the file."""


class Replay:
    """Ours on the figures' inputs, each part computed when it is first asked for.

    The passes, masks and losses are those of a training step; nothing is put together anew here.

    Args:
        figures: The released model's.

    Raises:
        UserError: Sizes are missing or the weights are not those of such a model.
    """

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.config = config_of(figures)
        self.student = _load(figures, self.config)

    def departures(self, path: Path) -> str:
        """Return where ours does something else on purpose and is compared without it."""
        model, found = self.config.model, []
        if model.joint_layers > 1 and path != "reconstruction":
            # Upstream: each joint layer is fed the output of the branch, so the last one counts.
            found.append("last joint layer alone")
        if model.contrastive_head_layers and path == "teacher":
            # Upstream: the teacher's vectors are taken before the contrastive heads.
            found.append("before the heads")
        return "; ".join(found)

    @cached_property
    def inputs(self) -> Inputs:
        """Segments and pictures of the file."""
        data, batch = self.config.data, len(np.atleast_1d(self.figures["input/audio"]))
        audio = self._shaped("input/audio", batch, data.audio_steps, MEL_BINS)
        image = self._shaped("input/image", batch, 3, data.image_size, data.image_size)
        return Inputs(audio, image, Moment(0, 1, 0))

    @cached_property
    def encoder(self) -> Encoder:
        """Ours with the released code's one joint layer, for full views and contrastive passes."""
        return _part(self.config, self.student.encoder, heads=True)

    @cached_property
    def patches(self) -> Pair:
        """The patch tokens of both inputs, (B, N, D) each."""
        with torch.no_grad():
            return self.encoder.embed(self.inputs.audio, self.inputs.image)

    @cached_property
    def branches(self) -> Pair:
        """What the branches make of the full view, (B, 1 + N, D) each."""
        with torch.no_grad():
            audio, image = self.patches
            return Pair(self.encoder.audio(audio), self.encoder.image(image))

    @cached_property
    def teacher(self) -> TeacherView:
        """What the teacher says of the full view, with the released direction of attention."""
        encoder = _part(self.config, self.student.encoder, heads=False)
        return teacher_pass(encoder, self.inputs.audio, self.inputs.image, "patch_to_cls")

    @cached_property
    def outputs(self) -> Outputs:
        """The forward side of a training step under the file's noise."""
        outputs = forward(self.config, self.student, None, self.inputs, self._noise)
        if self.config.model.joint_layers == 1:
            return outputs
        config = override(
            self.config, {"model.joint_layers": 1, "reconstruction.weight": 0.0}, "figures"
        )
        alone = Student(config)
        alone.encoder = self.encoder
        vectors = forward(config, alone, None, self.inputs, self._noise).vectors
        return outputs._replace(vectors=vectors)

    @cached_property
    def losses(self) -> Losses:
        """The losses of that step."""
        return weigh(self.config, self.student, self.inputs, self.outputs)

    def losses_with(self, key: str, value: object) -> Losses:
        """Return the losses of that step with one field of the configuration changed."""
        config = override(self.config, {key: value}, "figures")
        return weigh(config, self.student, self.inputs, self.outputs)

    @cached_property
    def gradient_norms(self) -> Mapping[str, float]:
        """Norm of the total loss's gradient by our name of the parameter; 0 where it has none."""
        self.student.zero_grad()
        self.losses.total.backward()
        return {
            name: 0.0 if value.grad is None else value.grad.norm().item()
            for name, value in self.student.named_parameters()
        }

    def vector(self, modality: Modality) -> Tensor:
        """Return the retrieval embedding of a full view, (B, D)."""
        with torch.no_grad():
            return self.encoder.encode(getattr(self.inputs, modality), modality)

    def tensor(self, key: str) -> Tensor:
        """Return an array of the file as a float32 tensor."""
        return torch.from_numpy(np.asarray(self.figures[key], dtype=np.float32))

    def _noise(self, purpose: str, num: int) -> Tensor:
        _, path, modality = purpose.split("/")
        return self._shaped(f"noise/{FOLDERS[path]}/{modality}", len(self.inputs.audio), num)

    def _shaped(self, key: str, *shape: int) -> Tensor:
        value = self.tensor(key)
        if value.shape != shape:
            raise UserError(f"{self.figures.path}: '{key}' is {tuple(value.shape)}, not {shape}")
        return value


def _load(figures: Figures, config: Config) -> Student:
    released = {
        name.removeprefix("module."): torch.from_numpy(value)
        for name, value in figures.under("weights/").items()
    }
    if config.model.num_registers == 0:
        # The released model has no such parameter then, ours an empty one.
        released.setdefault("register_tokens", torch.empty(0, config.model.width))
    student = Student(config)
    try:
        student.load_state_dict(from_released(released), strict=True)
    except (RuntimeError, UserError) as error:
        raise UserError(f"{figures.path}: weights do not fit: {error}") from error
    return student


def _part(config: Config, encoder: Encoder, *, heads: bool) -> Encoder:
    """Return an encoder of the very same parameters, as the released code passes through them.

    Args:
        config: The run.
        encoder: All of it.
        heads: Whether the contrastive heads are kept.
    """
    changes: dict[str, int] = {"model.joint_layers": 1}
    if not heads:
        changes["model.contrastive_head_layers"] = 0
    part = Encoder(override(config, changes, "figures"))
    for name, child in encoder.named_children():
        if name != "joint" and (heads or name != "heads"):
            setattr(part, name, child)
    part.joint = encoder.joint[-1:]
    return part
