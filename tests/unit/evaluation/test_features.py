"""What a stored feature depends on, what it does not, and what is said when it cannot be stored."""

import errno
import json
import os

import numpy as np
import pytest
import torch

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import override
from tgdp.data.clips import ClipDataset
from tgdp.errors import UserError
from tgdp.evaluation import feature_cache
from tgdp.evaluation.embed import CLIPS_AT_ONCE, Chunk, Way, embed_clips, num_chunks, rows_of
from tgdp.evaluation.feature_files import Form, Writer
from tgdp.evaluation.feature_request import facts_of, key_of, request_of, weights_sha256
from tgdp.evaluation.feature_store import lock_of
from tgdp.evaluation.features import extract
from tgdp.evaluation.sanity import untrained
from tgdp.model.tokens import as_picture

SMALL = {
    **SMALL_MODEL,
    "evaluation.split": "test",
}
BRANCH = Way("branch")


@pytest.fixture(scope="module")
def make_folder(prepared):
    return lambda: prepared([1.1] * 4)


@pytest.fixture(scope="module")
def folder(make_folder):
    return make_folder()


@pytest.fixture
def config_of(folder):
    return lambda **keys: override(
        presets.tiny(),
        {
            **SMALL,
            "data.folder": str(folder),
            **{key.replace("__", "."): value for key, value in keys.items()},
        },
    )


def key(config, encoder=None, **request) -> str:
    asked = request_of(config, **request)
    dataset = ClipDataset(asked.folder, asked.split, asked.data)
    return key_of(facts_of(encoder or untrained(config), asked, dataset))


@pytest.mark.parametrize("num_clips", [1, 7, 8, 9, 24])
def test_chunks_cover_every_clip_once(num_clips):
    rows = [row for number in range(num_chunks(num_clips)) for row in rows_of(number, num_clips)]
    assert rows == list(range(num_clips))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("registers", [0, 2])
def test_the_branch_view_is_the_branch_output_untouched(config_of, pooling, registers):
    config = config_of(model__pooling=pooling, model__num_registers=registers)
    encoder, image = untrained(config), torch.randn(3, 3, 48, 48)
    audio = torch.randn(3, config.data.audio_steps, 128)
    for branch, patches, found in (
        (encoder.image, encoder.image.patch_embed(image), encoder.branch_vector(image, "image")),
        (
            encoder.audio,
            encoder.audio.patch_embed(as_picture(audio)),
            encoder.branch_vector(audio, "audio"),
        ),
    ):
        tokens = branch(patches)
        expected = tokens[:, 0] if pooling == "cls" else tokens[:, : patches.shape[1]].mean(1)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_only_the_global_view_is_normalised(config_of, folder):
    config = config_of()
    encoder = untrained(config)
    found = [
        np.linalg.norm(embed_clips(encoder, folder, "test", config.data, way=way).audio, axis=-1)
        for way in (Way(), BRANCH)
    ]
    np.testing.assert_allclose(found[0], 1, rtol=1e-6)
    assert not np.isclose(found[1], 1, rtol=1e-2).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"data__audio_mean": -5.0},
        {"data__segment_steps": 80},
        {"data__timing": "upstream"},
        {"evaluation__split": "train"},
        {"model__num_heads": 4},
    ],
)
def test_what_changes_a_feature_changes_its_name(config_of, changes):
    # The weights stay: none of this shows in them.
    encoder = untrained(config_of())
    assert key(config_of(**changes), encoder) != key(config_of(), encoder)


@pytest.mark.parametrize(
    "request_", [{"way": BRANCH}, {"way": Way(precision="bfloat16")}, {"dtype": "float16"}]
)
def test_view_precision_and_type_change_the_name(config_of, request_):
    assert key(config_of(), **request_) != key(config_of())


def test_one_changed_weight_changes_the_name(config_of):
    changed = untrained(config_of())
    with torch.no_grad():
        changed.joint[0].mlp.fc2.bias[3] += 1e-7
    assert key(config_of(), changed) != key(config_of())


def test_the_weights_are_known_by_content_alone(config_of):
    encoder, other = untrained(config_of()), untrained(config_of(seed=1))
    assert weights_sha256(encoder) != weights_sha256(other)
    other.load_state_dict(dict(reversed(encoder.state_dict().items())))
    assert weights_sha256(encoder) == weights_sha256(other)


def test_where_the_data_lies_and_how_training_reads_it_do_not_change_the_name(
    config_of, make_folder
):
    elsewhere = config_of(
        data__folder=str(make_folder()),
        data__name="other",
        data__augment_image=True,
        data__train_split="test",
        runtime__num_workers=3,
    )
    assert key(elsewhere, untrained(config_of())) == key(config_of())


def test_float16_holds_the_rounded_values(config_of, tmp_path):
    config = config_of()
    plain = extract(untrained(config), request_of(config), tmp_path)
    half = extract(untrained(config), request_of(config, dtype="float16"), tmp_path)
    assert half.audio.dtype == np.float16
    np.testing.assert_array_equal(half.audio, plain.audio.astype(np.float16))
    assert half.as_float32().image.dtype == np.float32
    assert np.shares_memory(plain.as_float32().image, plain.image)


def test_bfloat16_is_close_and_recorded(config_of, tmp_path):
    config = config_of()
    plain = extract(untrained(config), request_of(config), tmp_path)
    half = extract(untrained(config), request_of(config, Way(precision="bfloat16")), tmp_path)
    cosines = (plain.audio * half.audio).sum(axis=-1)
    assert 0.999 < cosines.min() < 1
    assert json.loads((half.folder / "meta.json").read_text())["precision"] == "bfloat16"


def test_float16_refuses_what_it_cannot_hold(tmp_path):
    files = [(tmp_path / name).open("w+b") for name in ("audio", "image", "journal")]
    form = Form((1, 1, 1), np.dtype(np.float16))
    files[0].truncate(form.num_bytes)
    large = np.full((1, 1, 1), 1e5, np.float32)
    with pytest.raises(UserError, match="too large for float16"):
        Writer(tmp_path, form, (files[0], files[1], files[2])).write(Chunk(0, large, large))
    for file in files:
        file.close()


def test_the_last_chunk_may_be_the_only_one(config_of, tmp_path):
    assert CLIPS_AT_ONCE > 2
    found = extract(untrained(config_of()), request_of(config_of()), tmp_path)
    assert found.audio.shape == (2, 16, 16)
    assert found.ids == ["-clip.1", "-clip.3"]


def test_a_disk_without_room_is_refused_before_anything_is_computed(
    config_of, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(ClipDataset, "__getitem__", lambda *_: pytest.fail("a clip was read"))
    with pytest.raises(UserError, match=rf"{tmp_path}.*No space left.*--results"):
        extract(untrained(config_of()), request_of(config_of()), tmp_path)


def test_a_disk_that_fills_up_later_costs_nothing(config_of, tmp_path, monkeypatch):
    """Fail the first wait for the disk, then the second, and so on until none fails."""
    encoder, request = untrained(config_of()), request_of(config_of())
    expected = embed_clips(encoder, request.folder, request.split, request.data)
    plain, errors = os.fsync, []
    for call in range(100):
        calls = iter(range(100))

        def fsync(handle, call=call, calls=calls):
            if next(calls) == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            plain(handle)

        monkeypatch.setattr(os, "fsync", fsync)
        try:
            extract(encoder, request, tmp_path / str(call))
            break
        except UserError as error:
            errors.append(str(error))
        monkeypatch.setattr(os, "fsync", plain)
        found = extract(encoder, request, tmp_path / str(call))
        np.testing.assert_array_equal(found.image, expected.image)
    assert len(errors) > 6
    assert all("No space left" in error for error in errors)


def test_a_cache_that_cannot_be_written_is_named(config_of, tmp_path):
    (tmp_path / "features").write_text("no folder")
    with pytest.raises(UserError, match=rf"{tmp_path / 'features'}.*cannot be stored.*--results"):
        extract(untrained(config_of()), request_of(config_of()), tmp_path / "features")


def test_entries_are_listed_and_removed(config_of, tmp_path):
    root = feature_cache.cache_root(tmp_path)
    assert feature_cache.list_entries(root) == []
    config = config_of()
    for way in (Way(), BRANCH):
        extract(untrained(config), request_of(config, way), root)
    entries = feature_cache.list_entries(root)
    assert {entry.facts["view"] for entry in entries} == {"global", "branch"}
    assert all(entry.is_done for entry in entries)
    # Two clips of 16 frames, 16 wide, float32, both modalities, and what is said of them.
    assert all(entry.num_bytes > 2 * 16 * 16 * 4 * 2 for entry in entries)
    assert feature_cache.remove_entry(root, entries[0].key) == entries[0].num_bytes
    assert feature_cache.list_entries(root) == entries[1:]


def test_an_entry_that_is_not_there_or_in_use_is_not_removed(config_of, tmp_path):
    config = config_of()
    entry = extract(untrained(config), request_of(config), tmp_path).folder
    with pytest.raises(UserError, match=f"unknown features '../x'.*{entry.name}"):
        feature_cache.remove_entry(tmp_path, "../x")
    with lock_of(entry), pytest.raises(UserError, match="computes these features now"):
        feature_cache.remove_entry(tmp_path, entry.name)
    assert entry.is_dir()


def test_a_finished_entry_is_read_without_its_lock(config_of, tmp_path):
    # As in a folder that cannot be written, or while another process looks at it.
    encoder, request = untrained(config_of()), request_of(config_of())
    first = extract(encoder, request, tmp_path)
    with lock_of(first.folder):
        again = extract(encoder, request, tmp_path)
    np.testing.assert_array_equal(first.audio, again.audio)


def test_an_unfinished_entry_says_so(config_of, tmp_path):
    config = config_of()
    entry = extract(untrained(config), request_of(config), tmp_path).folder
    (entry / "done.json").unlink()
    (listed,) = feature_cache.list_entries(tmp_path)
    assert not listed.is_done
    (entry / "meta.json").write_text("{")
    (listed,) = feature_cache.list_entries(tmp_path)
    assert (listed.facts, listed.is_done) == ({}, False)
