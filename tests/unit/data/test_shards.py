"""Random access: what was written comes back, in any process, and damage is told."""

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tgdp.config import DataConfig
from tgdp.data import shards
from tgdp.data.clips import PairDataset
from tgdp.data.shard_writer import tar_members
from tgdp.data.shards import PreparedClips
from tgdp.errors import UserError

MakePrepared = Callable[..., Path]


def test_members_are_where_the_index_says(prepared: MakePrepared) -> None:
    folder = prepared((1.0, 1.5), audio="flac")
    clips = PreparedClips(folder)
    with tarfile.open(folder / "shards" / "000000.tar") as tar:
        stored = {member.name: tar.extractfile(member) for member in tar}
        for i, name in enumerate(clips.ids):
            sample = clips.read(i)
            assert sample.meta == {"id": name}
            frames = [stored[f"{name}/frame_{f:02d}.jpg"] for f in range(16)]
            assert sample.frames == [file.read() for file in frames if file]
    assert clips.labels == [("a",), ("a", "b")]
    assert clips.vocabulary.mids == ("a", "b")
    assert clips.indices("test").tolist() == [1]


def test_wav_and_flac_give_the_same_stretch(prepared: MakePrepared) -> None:
    wav, flac = (PreparedClips(prepared((2.0,), audio=kind)) for kind in ("wav", "flac"))
    whole = wav.waveform(0)
    assert abs(float(whole.mean())) < 1e-6
    for clips in (wav, flac):
        assert np.array_equal(clips.waveform(0), whole)
        assert np.array_equal(clips.waveform(0, 1000, 5000), whole[1000:5000])
        assert np.array_equal(clips.waveform(0, 30_000, 90_000), whole[30_000:])


def test_a_copy_in_another_process_opens_its_own_files(prepared: MakePrepared) -> None:
    clips = PreparedClips(prepared((1.0,)))
    clips.frame(0, 0)
    copy = pickle.loads(pickle.dumps(clips))
    assert copy.frame(0, 3) == clips.frame(0, 3)


def test_loader_workers_change_nothing(prepared: MakePrepared) -> None:
    data = DataConfig.model_validate({"image_size": 32, "segment_steps": 64})
    dataset = PairDataset(prepared((1.0,) * 6), "train", data, seed=1)
    keys = [(epoch, i) for epoch in range(2) for i in range(len(dataset))]
    straight = [dataset[key] for key in keys]
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, sampler=keys, num_workers=2, multiprocessing_context="fork"
    )
    for one, other in zip(straight, loader, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_shard_cut_short_is_told(prepared: MakePrepared) -> None:
    folder = prepared((1.0,))
    os.truncate(folder / "shards" / "000000.tar", 5000)
    with pytest.raises(UserError, match=r"000000.tar: cut short"):
        PreparedClips(folder).read(0)
    (folder / "shards" / "000000.tar").unlink()
    with pytest.raises(UserError, match=r"000000.tar: No such file"):
        PreparedClips(folder).frame(0, 0)


def test_more_shards_than_may_be_open_are_read(
    prepared: MakePrepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "OPEN_SHARDS", 2)
    clips = PreparedClips(prepared((1.0,) * 5, shard_clips=1))
    first = [clips.frame(i, 0) for i in range(5)]
    assert [clips.frame(i, 0) for i in range(5)] == first
    assert len(set(first)) == 5
    assert len(clips._shards) == 2


def test_a_damaged_index_is_told(prepared: MakePrepared) -> None:
    file = prepared((1.0,)) / "index.npz"
    for damage in (b"", b"PK\3\4 not a zip file", file.read_bytes()[:200]):
        file.write_bytes(damage)
        with pytest.raises(UserError, match=r"index.npz: cannot be read"):
            PreparedClips(file.parent)
    np.savez(file, shard=np.zeros(1))
    with pytest.raises(UserError, match=r"index.npz: field 'offset' is missing"):
        PreparedClips(file.parent)


@pytest.mark.parametrize("name", ["-a.b/meta.json", "x" * 150 + "/meta.json", "ü/meta.json"])
def test_tar_records_are_read_by_tarfile(tmp_path: Path, name: str) -> None:
    block, offsets = tar_members([(name, b"one"), ("b", b"x" * 600)], 0)
    file = tmp_path / "a.tar"
    file.write_bytes(block + b"\0" * 1024)
    assert block[offsets[0] : offsets[0] + 3] == b"one"
    with tarfile.open(file) as tar:
        assert [(m.name, m.size, m.mtime, m.uid) for m in tar] == [
            (name, 3, 0, 0),
            ("b", 600, 0, 0),
        ]
        assert [m.offset_data for m in tar.getmembers()] == offsets
