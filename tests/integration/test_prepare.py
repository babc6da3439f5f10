"""`tgdp-data prepare` from end to end: resumed, refused, out of space, and never silent."""

import csv
import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
from media_files import Media

from tgdp.data import pool as pool_module
from tgdp.data import prepare as prepare_module
from tgdp.data.card import PrepareSettings, fingerprint, read_card
from tgdp.data.manifest import Clip, Manifest, read_manifest
from tgdp.data.pack import PackedClip, pack_clip
from tgdp.data.prepare import prepare
from tgdp.data.shard_writer import ShardWriter
from tgdp.data.shards import PreparedClips
from tgdp.errors import UserError

SETTINGS = PrepareSettings(frame_size=32, shard_clips=4)
COMMAND = [sys.executable, "-m", "tgdp.cli.data", "prepare"]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips with awkward names, one of them silent."""
    folder = tmp_path_factory.mktemp("media")
    for number in range(10):
        times = [i / 10 for i in range(12 + number)]
        loudness = 0.0 if number == 3 else 0.5
        made = Media(times=times, hertz=300.0 + 50 * number, loudness=loudness, sound_seconds=2.0)
        made.write(folder / f"-clip_{number}.000.mp4")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the lock: what two preparations are compared by."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "prepare.lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def straight(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preparation that no one disturbed."""
    out = tmp_path_factory.mktemp("straight") / "out"
    prepare(read_manifest(media), out, SETTINGS, workers=1)
    return out


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *(str(a) for a in arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_prepared_folder_holds_the_clips(straight: Path, media: Path) -> None:
    card = read_card(straight)
    assert (card.splits, card.num_failures, card.name) == ({"all": 9}, 1, "out")
    clips = PreparedClips(straight)
    assert clips.ids == [f"-clip_{n}.000" for n in range(10) if n != 3]
    assert sorted(p.name for p in (straight / "shards").iterdir()) == [
        "000000.tar",
        "000001.tar",
        "000002.tar",
    ]
    sample = clips.read(4)
    assert sample.meta["id"] == "-clip_5.000"
    assert len(sample.meta["frame_times"]) == len(sample.frames) == 16
    spectrum = np.abs(np.fft.rfft(clips.waveform(4)))
    assert spectrum.argmax() * 16_000 / int(clips.num_samples[4]) == pytest.approx(550, abs=2)
    with (straight / "failures.csv").open() as lines:
        (failed,) = csv.DictReader(lines)
    assert failed["video_id"] == "-clip_3.000"
    assert failed["path"] == str(media / "-clip_3.000.mp4")
    assert failed["reason"].startswith("silent")


def test_the_fingerprint_can_be_known_before(straight: Path, media: Path) -> None:
    clips = [
        (clip.id, clip.split, clip.labels, clip.path.stat().st_size)
        for clip in read_manifest(media).clips
    ]
    known = fingerprint(SETTINGS, clips=clips, failed=["-clip_3.000"])
    assert known == read_card(straight).fingerprint


def test_the_number_of_workers_changes_no_byte(straight: Path, media: Path, tmp_path: Path) -> None:
    prepare(read_manifest(media), tmp_path / "out", SETTINGS, workers=3)
    assert tree(tmp_path / "out") == tree(straight)


@pytest.mark.parametrize("after", [1, 5])
def test_killed_and_continued_gives_the_same_bytes(
    straight: Path, media: Path, tmp_path: Path, after: int
) -> None:
    out = tmp_path / "out"
    words = [str(media), str(out), "--frame-size", "32", "--shard-clips", "4"]
    process = subprocess.Popen([*COMMAND, *words, "--workers", "2"], stderr=subprocess.PIPE)
    _wait_for_lines(out / "shards", after)
    process.kill()
    process.wait()
    process.stderr.close()  # type: ignore[union-attr]
    # A kill within a write leaves half a member and half a line.
    for part in (out / "shards").glob("*.tar.part"):
        with part.open("ab") as file:
            file.write(b"half a member")
    for journal in sorted((out / "shards").glob("*.part.jsonl"))[-1:]:
        with journal.open("ab") as file:
            file.write(b'{"id": "half a l')
    finished_by_luck = (out / "dataset.json").exists()
    if not finished_by_luck:
        with pytest.raises(UserError, match="has not finished"):
            read_card(out)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(straight)


def _wait_for_lines(shards: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = [line for f in shards.glob("*.jsonl") for line in f.read_text().splitlines()]
        if shards.exists() and len(lines) >= number:
            return
        time.sleep(0.005)
    pytest.fail("nothing was written within a minute")


def test_a_stop_between_the_last_shard_and_the_tables_is_mended(
    straight: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prepare_module, "write_tables", broken)
        with pytest.raises(KeyboardInterrupt):
            prepare(read_manifest(media), tmp_path / "out", SETTINGS)
    prepare(read_manifest(media), tmp_path / "out", SETTINGS)
    assert tree(tmp_path / "out") == tree(straight)


def test_ctrl_c_is_quick_and_says_how_to_go_on(media: Path, tmp_path: Path) -> None:
    words = [*COMMAND, str(media), str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    _wait_for_lines(tmp_path / "out" / "shards", 1)
    os.killpg(process.pid, signal.SIGINT)
    _, words_said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert re.search(r"stopped; \d+ of 10 clips are kept; the same command goes on", words_said)
    assert "Traceback" not in words_said


def test_once_finished_it_does_nothing(straight: Path, media: Path) -> None:
    before = tree(straight)
    done = run(media, straight, "--frame-size", "32", "--shard-clips", "4")
    assert done.returncode == 0
    assert "already prepared (9 clips: all 9); nothing to do" in done.stdout
    assert tree(straight) == before


def test_other_settings_or_clips_are_refused(straight: Path, media: Path, tmp_path: Path) -> None:
    done = run(media, straight, "--frame-size", "48", "--shard-clips", "4")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "--frame-size was 32 and is now 48" in done.stderr
    assert "--restart" in done.stderr
    other = Manifest(media, read_manifest(media).clips[:2], read_manifest(media).vocabulary)
    with pytest.raises(UserError, match="lists other clips"):
        prepare(other, straight, SETTINGS)
    before = read_card(straight).fingerprint
    out = tmp_path / "out"
    prepare(other, out, SETTINGS)
    assert prepare(read_manifest(media), out, SETTINGS, restart=True).fingerprint == before


def test_every_unusable_clip_is_listed_and_none_becomes_a_sample(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    Media().write(folder / "good.mp4")
    Media(times=None).write(folder / "sound_only.mp4")
    Media(hertz=None).write(folder / "pictures_only.mp4")
    Media(loudness=0.0).write(folder / "silent.mp4")
    Media(sound_seconds=0.4).write(folder / "short.mp4")
    whole = Media().write(folder / "truncated.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "rubbish.mp4").write_bytes(b"\1\2\3" * 1000)
    (folder / "folder.mp4").mkdir()
    rows = [f"{p.stem},{p.name}" for p in sorted(folder.iterdir())]
    listed = folder / "list.csv"
    listed.write_text("\n".join(["video_id,path", *rows, "missing,none.mp4"]) + "\n")
    prepare(read_manifest(listed), tmp_path / "out", SETTINGS, workers=2)
    assert PreparedClips(tmp_path / "out").ids == ["good"]
    with (tmp_path / "out" / "failures.csv").open() as lines:
        reasons = {row["video_id"]: row["reason"] for row in csv.DictReader(lines)}
    assert {name: reason.split(":")[0] for name, reason in reasons.items()} == {
        "sound_only": "no picture stream",
        "pictures_only": "no sound stream",
        "silent": "silent",
        "short": "too short",
        "truncated": "cannot be opened",
        "rubbish": "cannot be opened",
        "folder": "file missing",
        "missing": "file missing",
    }


def test_extracted_frames_and_sound_are_read(media: Path, straight: Path, tmp_path: Path) -> None:
    sample = PreparedClips(straight).read(0)
    for number, jpeg in enumerate(sample.frames):
        (tmp_path / f"frame_{number}").mkdir()
        (tmp_path / f"frame_{number}" / "x.jpg").write_bytes(jpeg)
    (tmp_path / "x.flac").write_bytes(sample.audio)
    packed = pack_clip((Clip("x", tmp_path / "x.flac", frames=tmp_path), SETTINGS))
    assert [data for _, data in packed.members[:16]] == sample.frames
    assert packed.record["num_samples"] == PreparedClips(straight).num_samples[0]
    (tmp_path / "frame_7" / "x.jpg").unlink()
    packed = pack_clip((Clip("x", tmp_path / "x.flac", frames=tmp_path), SETTINGS))
    assert packed.record["reason"].startswith("1 of 16 frames missing, first")


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.mp4").touch()
    done = run(tmp_path / "media", tmp_path / "out")
    assert done.returncode == 2
    assert "none of 1 clips could be read (the first: cannot be opened" in done.stderr
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert "a.mp4" in (tmp_path / "out" / "failures.csv").read_text()


def test_a_full_disk_is_told_and_continued_after(
    straight: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ShardWriter.write_clip

    def full(self: ShardWriter, *args: object) -> None:
        if len(self.journal) == 6:
            self._tar.write(b"half a clip")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(self, *args)  # type: ignore[arg-type]

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(ShardWriter, "write_clip", full)
        with pytest.raises(UserError, match=r"shards: cannot be written \(No space left"):
            prepare(read_manifest(media), out, SETTINGS)
    assert not (out / "dataset.json").exists()
    prepare(read_manifest(media), out, SETTINGS)
    assert tree(out) == tree(straight)


def test_folders_that_cannot_be_written_are_named(media: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(media, tmp_path / "file" / "out")
    assert done.returncode == 2
    assert f"error: {tmp_path}/file/out: cannot be written" in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"not empty \(it holds thesis.tex\)"):
        prepare(read_manifest(media), tmp_path / "mine", SETTINGS, restart=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_two_preparations_of_one_folder_are_refused(media: Path, tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / "prepare.lock"),
        pytest.raises(UserError, match="another `tgdp-data prepare` is writing"),
    ):
        prepare(read_manifest(media), tmp_path, SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/none", "OUT"], "error: /none: no such manifest or folder"),
        (["MEDIA", "OUT", "--name", "A b"], "error: --name 'A b': use lower-case"),
        (["MEDIA", "OUT", "--labels", "/none.csv"], "cannot read the label list"),
        (["MEDIA", "OUT", "--workers", "0"], "--workers"),
        (["MEDIA", "OUT", "--audio", "mp3"], "--audio"),
    ],
)
def test_bad_arguments_give_exit_code_2(
    media: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"MEDIA": str(media), "OUT": str(tmp_path / "out")}
    done = run(*(places.get(word, word) for word in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def crash_on_the_third(job: tuple[Clip, PrepareSettings]) -> PackedClip:
    """As a segmentation fault in a decoder would."""
    if job[0].id.startswith("-clip_2"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return pack_clip(job)


def test_a_decoder_that_crashes_costs_one_clip(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "pack_clip", crash_on_the_third)
    prepare(read_manifest(media), tmp_path / "out", SETTINGS, workers=2)
    failures = (tmp_path / "out" / "failures.csv").read_text()
    assert "the decoder crashed (exit code -11)" in failures
    assert len(PreparedClips(tmp_path / "out")) == 8


def test_workers_leave_when_their_parent_is_killed(media: Path, tmp_path: Path) -> None:
    words = [*COMMAND, str(media), str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
    _wait_for_lines(tmp_path / "out" / "shards", 1)
    process.kill()
    process.wait()
    process.stderr.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + 20
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_lives(process.pid)


def _group_lives(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(found) == group and state != "Z":
            return True
    return False


def test_the_pool_keeps_order_and_passes_errors_on() -> None:
    pool: pool_module.OrderedPool[float, int] = pool_module.OrderedPool(abs, 2)  # type: ignore[arg-type]
    try:
        assert list(pool.results([-n for n in range(50)])) == list(range(50))
        with pytest.raises(TypeError):
            list(pool.results(["x"]))  # type: ignore[list-item]
    finally:
        pool.stop()
