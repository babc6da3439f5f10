"""Crop, flip and roll: what they give, how they are distributed, and that they are off."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import InterpolationMode, resized_crop

from tgdp import presets
from tgdp.config import DataConfig, override, signature
from tgdp.data import draws
from tgdp.data.augment import (
    CROP_RATIO,
    CROP_SCALE,
    PICTURE_NUMBERS,
    TRIES,
    Box,
    augment_picture,
    crop_box,
    flip,
    roll,
    roll_steps,
)
from tgdp.data.clips import ClipDataset, PairDataset, picture
from tgdp.data.front_end import FrontEnd
from tgdp.data.log_mel import num_samples
from tgdp.errors import UserError

MakePrepared = Callable[..., Path]

PLAIN = DataConfig(image_size=32, segment_steps=64)
AUGMENTED = DataConfig(image_size=32, segment_steps=64, augment_image=True, roll_audio=0.5)
SIZES = [(64, 64), (455, 256), (256, 455), (7, 5), (400, 20), (20, 400), (100, 1), (1, 1)]
"""Width and height: square, the usual shapes, tiny, and so long that most tries do not fit."""


def numbers(num_pictures: int, seed: int = 0) -> list[list[float]]:
    samples = torch.arange(num_pictures)
    return draws.uniform(seed, "augment/image", 0, samples, PICTURE_NUMBERS).tolist()


def random_picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


def boxes(width: int, height: int, num: int, scale=CROP_SCALE, ratio=CROP_RATIO) -> list[Box]:
    return [crop_box(row[1:], width, height, scale, ratio) for row in numbers(num)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_crop_lies_within_the_picture_and_within_the_bounds(width: int, height: int) -> None:
    for left, top, right, bottom in boxes(width, height, 300):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        wide, tall = right - left, bottom - top
        assert (wide - 0.5) / (tall + 0.5) <= CROP_RATIO[1]
        assert (wide + 0.5) / (tall - 0.5) >= CROP_RATIO[0]
        if (width, height) in SIZES[:3]:
            assert (wide + 0.5) * (tall + 0.5) >= CROP_SCALE[0] * width * height


@pytest.mark.parametrize(
    ("size", "scale", "ratio"),
    [*((size, CROP_SCALE, CROP_RATIO) for size in SIZES), ((90, 50), (0.2, 0.7), (0.5, 2.0))],
)
def test_crops_are_distributed_as_torchvision_draws_them(
    size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    num, (width, height) = 1500, size
    ours = np.array([_measures(*box) for box in boxes(width, height, num, scale, ratio)])
    image = torch.empty(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(num)]
    theirs = np.array([_measures(j, i, j + w, i + h) for i, j, h, w in drawn])
    for power in (1, 2, 3):
        one, other = ours**power, theirs**power
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / num)
        # Five standard errors: by chance one difference in two million is larger.
        assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) <= 5 * error).all()


def _measures(left: int, top: int, right: int, bottom: int) -> tuple[float, ...]:
    wide, tall = right - left, bottom - top
    return wide, tall, left, top, left + right, top + bottom, wide * tall, wide / tall


def test_without_a_try_that_fits_the_centre_is_taken() -> None:
    too_large = [1 - 2**-24, 0.5, 0.0, 0.0] * TRIES
    assert crop_box(too_large, 400, 20, CROP_SCALE, CROP_RATIO) == (189, 0, 211, 20)
    assert crop_box(too_large, 20, 400, CROP_SCALE, CROP_RATIO) == (0, 189, 20, 211)
    assert crop_box([], 21, 20, CROP_SCALE, CROP_RATIO) == (0, 0, 21, 20)


def test_the_first_try_that_fits_is_taken() -> None:
    fits = [0.0, 0.5, 0.0, 1 - 2**-24]
    too_large = [0.9, 0.5, 0.0, 0.0]
    alone = crop_box(fits, 100, 50, CROP_SCALE, CROP_RATIO)
    assert (alone.top, alone.right) == (0, 100)
    assert crop_box(too_large + fits + [0.0] * 4, 100, 50, CROP_SCALE, CROP_RATIO) == alone


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_crop_is_resized_as_torchvision_does(width: int, height: int) -> None:
    image = random_picture(width, height)
    for row in numbers(4):
        left, top, right, bottom = crop_box(row[1:], width, height, CROP_SCALE, CROP_RATIO)
        theirs = resized_crop(
            image, top, left, bottom - top, right - left, [24, 24], InterpolationMode.BICUBIC
        )
        expected = flip(theirs) if row[0] < 0.5 else theirs
        assert np.array_equal(np.array(augment_picture(image, 24, row)), np.array(expected))


def test_half_of_the_pictures_are_mirrored() -> None:
    num = 2000
    image = Image.fromarray(np.arange(9, dtype=np.uint8)[None].repeat(9, 0) * 20).convert("RGB")
    rising = [_rises(augment_picture(image, 8, row)) for row in numbers(num)]
    assert abs(sum(rising) / num - 0.5) < 5 * 0.5 / num**0.5


def _rises(image: Image.Image) -> bool:
    pixels = np.array(image)[4, :, 0]
    return bool(pixels[0] < pixels[-1])


def test_to_flip_twice_changes_nothing() -> None:
    image = random_picture(31, 17)
    pixels = np.array(image)
    assert np.array_equal(np.array(flip(image)), pixels[:, ::-1])
    assert np.array_equal(np.array(flip(flip(image))), pixels)


def test_a_roll_moves_each_segment_on_its_own() -> None:
    spectrogram = torch.randn(4, 10, 3, generator=torch.Generator().manual_seed(0))
    rolled = roll(spectrogram, torch.tensor([0, 3, -4, 10]))
    assert torch.equal(rolled[0], spectrogram[0])
    assert torch.equal(rolled[1], spectrogram[1].roll(3, 0))
    assert torch.equal(rolled[2], spectrogram[2].roll(-4, 0))
    assert torch.equal(rolled[3], spectrogram[3])
    assert torch.equal(roll(rolled, -torch.tensor([0, 3, -4, 10])), spectrogram)


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (0.001, 1), (0.1, 6), (0.5, 32), (1.0, 64)])
def test_the_steps_of_a_roll_are_uniform_to_both_sides(share: float, most: int) -> None:
    places = 2 * most + 1
    middles = [(i + 0.5) / places for i in range(places)]
    steps = [roll_steps(number, share, 64) for number in middles]
    assert steps == list(range(-most, most + 1))
    assert roll_steps(0.0, share, 64) == -most
    assert roll_steps(1 - 2**-24, share, 64) == most


def test_the_front_end_rolls_padding_and_all() -> None:
    front_end = FrontEnd(PLAIN)
    waveform = torch.randn(3, num_samples(64), generator=torch.Generator().manual_seed(0)) * 0.1
    image, within = torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([64, 40, 40])
    plain = front_end(image, waveform, within).audio
    still = front_end(image, waveform, within, torch.zeros(3, dtype=torch.int64)).audio
    assert torch.equal(still, plain)
    moved = front_end(image, waveform, within, torch.tensor([5, -7, 24])).audio
    expected = [plain[0].roll(5, 0), plain[1].roll(-7, 0), plain[2].roll(24, 0)]
    assert torch.equal(moved, torch.stack(expected))


def test_by_default_a_pair_is_what_it_was(prepared: MakePrepared) -> None:
    folder = prepared((1.0,) * 4)
    assert not PLAIN.augment_image
    assert PLAIN.roll_audio == 0
    pairs, augmented = (PairDataset(folder, "train", d, seed=1) for d in (PLAIN, AUGMENTED))
    for key in [(0, 0), (0, 1), (1, 0)]:
        pair, other = pairs[key], augmented[key]
        assert list(pair) == ["image", "waveform", "num_steps", "index"]
        frame = pairs._frames_of(key[0])[key[1]]
        clip = int(pairs.clips.indices("train")[key[1]])
        assert torch.equal(pair["image"], picture(pairs.clips.frame(clip, frame), 32))
        assert other["roll"].dtype == torch.int64
        assert other["image"].shape == pair["image"].shape
        assert not torch.equal(other["image"], pair["image"])
        assert all(torch.equal(other[name], pair[name]) for name in list(pair)[1:])


def test_the_view_that_is_evaluated_is_never_augmented(prepared: MakePrepared) -> None:
    folder = prepared((1.0, 1.5))
    for split in ("train", "test"):
        plain, augmented = (ClipDataset(folder, split, data)[0] for data in (PLAIN, AUGMENTED))
        assert list(plain) == list(augmented)
        assert all(torch.equal(plain[name], augmented[name]) for name in plain)


def test_an_augmented_pair_depends_on_seed_epoch_and_clip_alone(prepared: MakePrepared) -> None:
    folder = prepared((1.0,) * 8)
    keys = [(epoch, index) for epoch in range(3) for index in range(4)]
    straight = [PairDataset(folder, "train", AUGMENTED, seed=1)[key] for key in keys]
    dataset = PairDataset(folder, "train", AUGMENTED, seed=1)
    backwards = [dataset[key] for key in reversed(keys)][::-1]
    torch.manual_seed(7)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, sampler=keys, num_workers=2, multiprocessing_context="fork"
    )
    for one, other, loaded in zip(straight, backwards, loader, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert all(torch.equal(one[name], loaded[name]) for name in one)
    rolls = {int(pair["roll"]) for pair in straight}
    assert len(rolls) > len(keys) // 2
    other_seed = PairDataset(folder, "train", AUGMENTED, seed=2)
    assert [int(other_seed[key]["roll"]) for key in keys] != [int(p["roll"]) for p in straight]


def test_one_augmentation_does_not_move_the_other(prepared: MakePrepared) -> None:
    folder = prepared((1.0,) * 4)
    both = PairDataset(folder, "train", AUGMENTED, seed=1)[2, 1]
    only = AUGMENTED.model_copy(update={"augment_image": False})
    assert torch.equal(PairDataset(folder, "train", only, seed=1)[2, 1]["roll"], both["roll"])
    only = AUGMENTED.model_copy(update={"roll_audio": 0.0})
    image = PairDataset(folder, "train", only, seed=1)[2, 1]["image"]
    assert torch.equal(image, both["image"])


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_picture_without_three_colours_is_augmented_as_one_with(
    prepared: MakePrepared, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    dataset = PairDataset(prepared((1.0,) * 2), "train", AUGMENTED, seed=1)
    stored = io.BytesIO()
    random_picture(40, 30, mode).save(stored, "JPEG", quality=95)
    monkeypatch.setattr(dataset.clips, "frame", lambda clip, frame: stored.getvalue())
    image = dataset[0, 0]["image"]
    numbers_of_pair = draws.uniform(1, "augment/image", 0, torch.tensor([0]), PICTURE_NUMBERS)[0]
    colours = Image.open(io.BytesIO(stored.getvalue())).convert("RGB")
    expected = np.array(augment_picture(colours, 32, numbers_of_pair.tolist()))
    assert image.dtype == torch.uint8
    assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_an_augmentation_names_the_run_only_where_it_is_on() -> None:
    config = presets.tiny()
    for key, off, on in (("data.augment_image", False, True), ("data.roll_audio", 0.0, 0.25)):
        assert signature(override(config, {key: off})) == signature(config)
        assert signature(override(config, {key: on})) != signature(config)
    with pytest.raises(UserError, match=r"data\.roll_audio.*less than or equal to 1"):
        override(config, {"data.roll_audio": 1.5})
