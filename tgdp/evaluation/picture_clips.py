"""A few clips of a run's data, one frame each, ready for the model and for the eye."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tgdp.config import DataConfig
from tgdp.data import draws
from tgdp.data.clips import ClipDataset, collate_clips
from tgdp.data.front_end import IMAGE_MEAN, IMAGE_STD, FrontEnd
from tgdp.data.timing import STEPS_PER_SECOND, frame_times
from tgdp.errors import UserError
from tgdp.evaluation.find import nearest
from tgdp.evaluation.picture_arrays import Pixels, Shown, Source, Spectrogram
from tgdp.evaluation.stored import Stored
from tgdp.model.dual_path import Noise
from tgdp.model.tokens import as_picture
from tgdp.training.loading import data_folder


@dataclass(frozen=True)
class Wish:
    """Which clips to show, and which of their frames.

    Attributes:
        run: Name of the run, for the caption.
        clips: So many from the start of the split, where no ids are given.
        ids: These clips.
        frame: Number of the frame, from 0; the middle one if None.
    """

    run: str
    clips: int = 4
    ids: tuple[str, ...] = ()
    frame: int | None = None


class Chosen(NamedTuple):
    """The clips that were wished for.

    Attributes:
        source: Run and data, for the caption.
        shown: Each as people see it.
        audio: Segments, normalised.
        image: Pictures, normalised.
    """

    source: Source
    shown: list[Shown]
    audio: Float[Tensor, "B T F"]
    image: Float[Tensor, "B 3 H W"]


def choose(stored: Stored, wish: Wish) -> Chosen:
    """Return clips of the evaluation split.

    Args:
        stored: Whose data it is.
        wish: Which clips.

    Raises:
        UserError: The data cannot be read, or there is no such clip or frame.
    """
    config = stored.config
    dataset = ClipDataset(data_folder(config), config.evaluation.split, config.data)
    ids = [dataset.clips.ids[i] for i in dataset.indices]
    named = places_of(wish.ids, ids, config.evaluation.split)
    places = named or list(range(min(wish.clips, len(ids))))
    frame = _frame(wish.frame, dataset.clips.num_frames)
    batch = collate_clips([dataset[place] for place in places])
    front_end, starts = FrontEnd(config.data), batch["starts"][:, frame : frame + 1]
    image = front_end.pictures(batch["images"][:, frame])
    audio = front_end.clip_segments(batch["waveform"], batch["num_steps"], starts)[:, 0]
    frames, sounds = as_frames(image), as_sounds(as_picture(audio), config.data)
    shown = [
        Shown(
            ids[place],
            frame,
            _when(dataset, place, frame),
            int(starts[row]) / STEPS_PER_SECOND,
            frames[row],
            sounds[row],
        )
        for row, place in enumerate(places)
    ]
    source = Source(wish.run, stored.step, config.data.name, config.evaluation.split)
    return Chosen(source, shown, audio, image)


def noise_for(seed: int, shown: Sequence[Shown]) -> Noise:
    """Return where the masks' random numbers come from: seed and clip alone, so a picture stays.

    Args:
        seed: Seed of the run.
        shown: The clips.
    """
    samples = torch.tensor([zlib.crc32(clip.id.encode()) for clip in shown])

    def noise(purpose: str, num: int) -> Tensor:
        return draws.uniform(seed, f"pictures/{purpose}", 0, samples, num)

    return noise


def as_frames(image: Float[Tensor, "B 3 H W"]) -> list[Pixels]:
    """Return normalised pictures as pixels, (H, W, 3) each; what lies beyond white is cut off."""
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    colours = image.permute(0, 2, 3, 1) * std + mean
    return list((colours * 255).round().clamp(0, 255).to(torch.uint8).numpy())


def as_sounds(audio: Float[Tensor, "B 1 F T"], data: DataConfig) -> list[Spectrogram]:
    """Return normalised spectrograms as the log-mel that they were, (F, T) each."""
    return list((audio[:, 0] * data.audio_std + data.audio_mean).numpy())


def places_of(wanted: Sequence[str], ids: Sequence[str], split: str) -> list[int]:
    """Return where the clips of `--ids` stand among those of a split.

    Raises:
        UserError: One is not there; names near it are said.
    """
    where = {name: place for place, name in enumerate(ids)}
    for name in wanted:
        if name not in where:
            raise UserError(f"--ids: no clip '{name}' in split '{split}'. {nearest(name, ids)}")
    return [where[name] for name in wanted]


def _frame(wanted: int | None, num_frames: int) -> int:
    if wanted is None:
        return num_frames // 2
    if not 0 <= wanted < num_frames:
        raise UserError(f"--frame {wanted}: the clips have frames 0 to {num_frames - 1}")
    return wanted


def _when(dataset: ClipDataset, place: int, frame: int) -> float:
    seconds = float(dataset.clips.seconds[dataset.indices[place]])
    return frame_times(seconds, dataset.clips.num_frames)[frame]
