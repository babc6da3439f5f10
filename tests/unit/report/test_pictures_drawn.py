"""Drawings of plain arrays: sharp, honest about what was hidden, whole on the disk."""

import io

import numpy as np
import pytest
from PIL import Image

from analysis import panels
from tests.drawn_text import text_boxes
from tgdp.errors import UserError
from tgdp.evaluation.picture_arrays import (
    FilledIn,
    Priorities,
    RankedClip,
    Ranking,
    ReconstructedClip,
    Reconstructions,
    Shown,
    Source,
)
from tgdp.report import pictures
from tgdp.report.figures import drawing
from tgdp.sweep.track import SyncReport
from tgdp.training.run_directory import RunDirectory

SOURCE = Source("abc123", 300, "embedded", "retrieval")


def shown(side: int, steps: int) -> Shown:
    rng = np.random.default_rng(side)
    frame = np.zeros((side, side, 3), np.uint8)
    frame[: side // 2] = rng.integers(0, 150, (side, 3), np.uint8)
    sound = np.linspace(-10, 2, 128 * steps, dtype=np.float32).reshape(128, steps)
    return Shown("a_clip.with_a_long_name_40.000", 8, 0.5, 0.09, frame, sound)


def filled(pixels: np.ndarray, shape: tuple[int, int]) -> FilledIn:
    hidden = np.zeros(shape, bool)
    hidden[0] = True
    return FilledIn(pixels, pixels, hidden, 0.25)


def reconstructed(side: int, patch: int, steps: int, clips: int = 2) -> Reconstructions:
    clip = shown(side, steps)
    one = ReconstructedClip(
        clip,
        filled(clip.image, (side // patch, side // patch)),
        filled(clip.audio, (8, steps // 16)),
    )
    return Reconstructions(SOURCE, (one,) * clips, pixel_norm=True)


def ranked(side: int, patch: int, steps: int, ratios: tuple[float, ...] = (0.25,)) -> Priorities:
    def ranking(rows: int, columns: int) -> Ranking:
        priority = np.linspace(0, 2, rows * columns, dtype=np.float32).reshape(rows, columns)
        return Ranking(priority, np.stack([priority > 2 * ratio for ratio in ratios]))

    clip = shown(side, steps)
    image, audio = ranking(side // patch, side // patch), ranking(8, steps // 16)
    rows = tuple(RankedClip(clip, way, image, audio) for way in ("cls_to_patch", "patch_to_cls"))
    return Priorities(SOURCE, rows, ratios, "student", "random at ratio 0.5", 0.48)


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize(("side", "patch", "steps"), [(48, 8, 96), (224, 16, 416), (112, 16, 16)])
def test_frames_are_drawn_dot_by_dot(side, patch, steps):
    made = reconstructed(side, patch, steps, clips=1)
    page = opened(pictures.draw("reconstructions", made))
    frame = made.clips[0].shown.image
    size = panels.frame_size(frame, 240)
    times = size.width // side
    top, left = panels.EDGE + 2 * panels.LINE, panels.EDGE
    found = page[top : top + size.height, left : left + size.width]
    # Dots below the thin outline are left out.
    inner = slice(2 * times, -2 * times)
    wanted = frame.repeat(times, axis=0).repeat(times, axis=1)
    assert np.array_equal(found[inner, inner], wanted[inner, inner])


@pytest.mark.parametrize(("side", "patch", "steps"), [(48, 8, 96), (1024, 64, 1024)])
def test_sheets_are_never_huge(side, patch, steps):
    for kind, made in (
        ("reconstructions", reconstructed(side, patch, steps)),
        ("priorities", ranked(side, patch, steps)),
    ):
        height, width, _ = opened(pictures.draw(kind, made)).shape
        assert 700 < height < 1800
        assert 800 < width < 3300


def test_the_same_arrays_give_the_same_file():
    made = reconstructed(48, 8, 96, clips=1)
    png = pictures.draw("reconstructions", made)
    assert pictures.draw("reconstructions", made) == png


def test_nothing_is_written_over_anything_else(monkeypatch):
    held = []
    monkeypatch.setattr("analysis.priorities.png", lambda figure: held.append(figure) or b"")
    monkeypatch.setattr("analysis.reconstructions.png", lambda figure: held.append(figure) or b"")
    for side, patch, steps in ((48, 8, 96), (224, 16, 416), (64, 8, 1024)):
        drawing("priorities").draw(ranked(side, patch, steps, (0.25, 0.75)))
        drawing("priorities").draw(ranked(side, patch, steps))
        drawing("reconstructions").draw(reconstructed(side, patch, steps, clips=1))
    for figure in held:
        boxes = text_boxes(figure)
        assert len(boxes) > 20
        for number, (words, box) in enumerate(boxes):
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1, words
            for other, second in boxes[number + 1 :]:
                assert not box.overlaps(second), (words, other)


def test_low_frequencies_are_at_the_bottom():
    clip = shown(48, 96)
    clip.audio[:64] = -12  # quiet below, loud above
    clip.audio[64:] = 2
    one = ReconstructedClip(clip, filled(clip.image, (6, 6)), filled(clip.audio, (8, 6)))
    page = opened(pictures.draw("reconstructions", Reconstructions(SOURCE, (one,), False)))
    frame, sound = panels.frame_size(clip.image, 240), panels.sound_size(clip.audio, 240)
    left = panels.EDGE + 4 * (frame.width + panels.GAP) + panels.AXIS
    top = panels.EDGE + 2 * panels.LINE
    panel = page[top : top + sound.height, left : left + sound.width]
    assert panel[20:100].mean() > panel[-100:-20].mean() + 100
    masked = page[top:, left + sound.width + panels.GAP :][: sound.height, : sound.width]
    # The first row of patches is hidden: the lowest bins, so the lowest part of the panel.
    assert (masked[-30:-4, 20:-20] == panels.HIDDEN).all()
    assert not (masked[4:30, 20:-20] == panels.HIDDEN).any()


def test_hidden_patches_are_flat_grey_or_leave_a_trace():
    pixels = np.full((4, 4, 3), 90, np.uint8)
    hidden = np.array([[True, False], [False, False]])
    assert (panels.veiled(pixels, hidden)[:2, :2] == panels.HIDDEN).all()
    assert (panels.veiled(pixels, hidden)[2:] == 90).all()
    assert (panels.veiled(pixels, hidden, 0.1)[:2, :2] == panels.HIDDEN - 10).all()


def test_more_rows_than_a_sheet_holds_are_refused():
    with pytest.raises(UserError, match="--clips or --ids"):
        pictures.draw("reconstructions", reconstructed(48, 8, 96, clips=13))


def test_a_picture_is_there_whole_and_the_same_one_is_not_written_again(tmp_path):
    file = tmp_path / "new" / "x.png"
    pictures.write(file, b"one")
    before = file.stat().st_mtime_ns
    pictures.write(file, b"one")
    assert file.stat().st_mtime_ns == before
    pictures.write(file, b"two")
    assert file.read_bytes() == b"two"
    assert [path.name for path in file.parent.iterdir()] == ["x.png"]
    with pytest.raises(UserError, match="cannot write the picture"):
        pictures.write(file / "below.png", b"one")


def test_a_store_that_does_not_answer_loses_no_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    kept = pictures.keep(RunDirectory(tmp_path / "runs" / "abc"), tmp_path, "priorities", b"png")
    assert kept.file.read_bytes() == b"png"
    assert kept.store is None
    assert "tgdp-report sync" in kept.problem


def test_a_run_that_cannot_be_imported_is_said(tmp_path, monkeypatch):
    report = SyncReport("sqlite:///x", "1", skipped=("abc: no such field",))
    monkeypatch.setattr("tgdp.sweep.track.sync", lambda *_: report)
    kept = pictures.keep(RunDirectory(tmp_path / "runs" / "abc"), tmp_path, "priorities", b"png")
    assert (kept.store, kept.problem) == (None, "abc: no such field")
