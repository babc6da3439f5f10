"""What a loader must give: bytes of a pair, from the index of a folder or as real clips have it."""

import re
from pathlib import Path

import numpy as np
import pytest

from tgdp import presets
from tgdp.errors import UserError
from tgdp.sweep import demand
from tgdp.sweep.demand import Stored

DATA = presets.paper().data


@pytest.mark.parametrize(
    ("sound", "audio", "expected"),
    [
        (200_000, "flac", 201_000),
        (200_000, "wav", 1_000 + 4.16 * 16_000 * 2),
        (500, "wav", 1_500),  # shorter than a segment
    ],
)
def test_a_pair_is_one_picture_and_its_sound(sound: int, audio: str, expected: float) -> None:
    assert demand.bytes_of_pair(Stored(1_000, sound, 3), audio, DATA) == expected


def test_sizes_come_from_the_index_of_the_folder(make_data) -> None:
    folder = make_data()
    assert demand.stored_sizes(folder) is None
    sizes = np.arange(2_000 * 18, dtype=np.int32).reshape(2_000, 18)
    np.savez(folder / "index.npz", shard=np.zeros(2_000, np.int32), size=sizes)
    first = sizes[: demand.LOOKED_AT]
    expected = Stored(first[:, :16].mean(), first[:, 16].mean(), demand.LOOKED_AT)
    assert demand.stored_sizes(folder) == pytest.approx(expected)


@pytest.mark.parametrize(
    "sizes", [np.zeros((2, 18)), np.zeros(3, np.int32), np.zeros((2, 4), np.int32)], ids=str
)
def test_an_index_of_something_else_is_refused(make_data, sizes: np.ndarray) -> None:
    folder = make_data()
    np.savez(folder / "index.npz", size=sizes)
    with pytest.raises(UserError, match=r"index\.npz: cannot be read"):
        demand.stored_sizes(folder)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY"])
def test_a_damaged_index_is_refused(make_data, content: bytes) -> None:
    folder = make_data()
    (folder / "index.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"index\.npz: cannot be read"):
        demand.stored_sizes(folder)


def test_the_time_to_decode_is_that_of_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    found = re.search(r"a training pair, 256 reduced to 224 .* \| ([\d.]+) ms /", text)
    assert found
    assert float(found[1]) / 1e3 == demand.PAIR_SECONDS
