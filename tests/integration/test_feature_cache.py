"""Kills, ranks, loader processes and other processes change nothing about stored features."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from feature_process import asked, at_once, config_of, together

from tgdp.data.clips import ClipDataset
from tgdp.evaluation.embed import embed_clips, num_chunks, rows_of
from tgdp.evaluation.feature_cache import list_entries
from tgdp.evaluation.feature_files import finished_in
from tgdp.evaluation.features import extract
from tgdp.evaluation.run import evaluate, score

CLIPS = 21
"""Three chunks, the last one not full."""


@pytest.fixture(scope="module")
def folder(prepared):
    # Every second clip is of the split; their lengths differ, so that padding matters.
    return prepared([1.0 + 0.05 * (number % 7) for number in range(2 * CLIPS - 1)])


@pytest.fixture(scope="module")
def in_memory(folder):
    encoder, request = asked(folder)
    return embed_clips(encoder, folder, request.split, request.data)


@pytest.fixture
def read(monkeypatch):
    """Return the list of the clips that are read from now on."""
    read: list[int] = []
    plain = ClipDataset.__getitem__

    def reading(self, index):
        read.append(index)
        return plain(self, index)

    monkeypatch.setattr(ClipDataset, "__getitem__", reading)
    return read


def same(found, expected) -> None:
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.audio, expected.audio)
    np.testing.assert_array_equal(found.image, expected.image)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_stored_is_what_is_computed_in_memory(folder, in_memory, tmp_path, num_workers):
    found = extract(*asked(folder), tmp_path, num_workers)
    same(found, in_memory)
    assert isinstance(found.audio, np.memmap)
    assert not found.audio.flags.writeable


def test_the_second_call_reads_no_clip(folder, tmp_path, read):
    told: list[tuple[int, int]] = []
    first = extract(*asked(folder), tmp_path, report=lambda *now: told.append(now))
    assert (read, told) == (list(range(CLIPS)), [(8, CLIPS), (16, CLIPS), (CLIPS, CLIPS)])
    read.clear()
    same(extract(*asked(folder), tmp_path), first)
    assert not read


def test_an_evaluation_measures_the_same_with_the_cache_and_fills_it_only_where_asked(
    folder, tmp_path, read
):
    config, (encoder, _) = config_of(folder, {"runtime.num_workers": 0}), asked(folder)
    plain = evaluate(encoder, config)
    score(encoder, config)
    assert list_entries(tmp_path) == []
    assert evaluate(encoder, config, tmp_path) == plain
    read.clear()
    assert evaluate(encoder, config, tmp_path) == plain
    assert not read


@pytest.mark.slow
def test_a_kill_wherever_the_disk_is_waited_for_costs_the_chunk_it_hits(
    folder, in_memory, tmp_path, read
):
    helper = Path(__file__).with_name("feature_process.py")
    subprocess.run([sys.executable, str(helper), str(folder), str(tmp_path)], check=True)
    roots = sorted(tmp_path.iterdir())
    # At least: three times a chunk, twice to make room, twice at the end.
    assert len(roots) > 3 * num_chunks(CLIPS) + 4
    kept = set()
    for root in roots:
        (entry,) = list_entries(root)
        finished = finished_in(root / entry.key)
        kept.add(len(finished))
        read.clear()
        same(extract(*asked(folder), root), in_memory)
        left = [number for number in range(num_chunks(CLIPS)) if number not in finished]
        assert read == [row for number in left for row in rows_of(number, CLIPS)]
        assert [now.is_done for now in list_entries(root)] == [True]
    assert kept == {0, 1, 2, 3}


def test_a_torn_line_of_the_journal_is_no_finished_chunk(folder, in_memory, tmp_path, read):
    done = extract(*asked(folder), tmp_path).folder
    (done / "done.json").unlink()
    first, second, _ = (done / "finished.txt").read_text().splitlines(keepends=True)
    (done / "finished.txt").write_text(first)
    (done / "finished-1.txt").write_text(second[:-3])
    read.clear()
    same(extract(*asked(folder), tmp_path), in_memory)
    assert read == list(range(8, CLIPS))
    assert not list(done.glob("finished-*"))


@pytest.fixture
def on_this_machine(monkeypatch):
    """Let ranks meet by the loopback device: this machine's own name may lead nowhere."""
    loopback = "lo" if "lo" in {name for _, name in socket.if_nameindex()} else "lo0"
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", loopback)


@pytest.mark.slow
def test_ranks_share_the_work_and_store_the_same_bytes(folder, tmp_path, on_this_machine):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    shared.mkdir()
    entry = extract(*asked(folder), alone).folder
    read = together(2, free_port(), folder, shared)
    assert read == [[*rows_of(0, CLIPS), *rows_of(2, CLIPS)], [*rows_of(1, CLIPS)]]
    for name in ("audio.npy", "image.npy", "finished.txt", "meta.json", "done.json"):
        assert (shared / entry.name / name).read_bytes() == (entry / name).read_bytes(), name


@pytest.mark.slow
def test_a_rank_may_have_nothing_left_to_do(folder, in_memory, tmp_path, on_this_machine):
    entry = extract(*asked(folder), tmp_path).folder
    lines = (entry / "finished.txt").read_text().splitlines(keepends=True)
    (entry / "finished.txt").write_text("".join(lines[:-1]))
    assert together(2, free_port(), folder, tmp_path) == [[*rows_of(2, CLIPS)], []]
    same(extract(*asked(folder), tmp_path), in_memory)


@pytest.mark.slow
def test_two_processes_at_once_compute_every_clip_once(folder, in_memory, tmp_path):
    read = at_once(2, folder, tmp_path)
    assert sorted(map(len, read)) == [0, CLIPS]
    same(extract(*asked(folder), tmp_path), in_memory)


def test_damaged_bytes_are_noticed_and_only_their_chunk_is_computed_again(
    folder, in_memory, tmp_path, read, caplog
):
    file = extract(*asked(folder), tmp_path).folder / "image.npy"
    with file.open("r+b") as damaged:
        damaged.seek(-5, 2)
        damaged.write(b"\x55\xaa")
    read.clear()
    with caplog.at_level(logging.WARNING):
        same(extract(*asked(folder), tmp_path), in_memory)
    assert read == list(range(16, CLIPS))
    assert f"{file.parent}: 1 chunks of features are damaged" in caplog.text


@pytest.mark.parametrize("harm", ["cut", "longer", "absent", "no header"])
def test_an_array_that_is_not_whole_is_computed_again(
    folder, in_memory, tmp_path, read, caplog, harm
):
    file = extract(*asked(folder), tmp_path).folder / "audio.npy"
    content = file.read_bytes()
    file.unlink()
    if harm != "absent":
        harmed = {"cut": content[:-1], "longer": content + b"0", "no header": content[1:]}
        file.write_bytes(harmed[harm])
    read.clear()
    with caplog.at_level(logging.WARNING):
        same(extract(*asked(folder), tmp_path), in_memory)
    assert read == list(range(CLIPS))
    assert "3 chunks of features are damaged" in caplog.text
