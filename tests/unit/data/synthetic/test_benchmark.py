"""The embedded benchmark: the same every time, heard as it is seen, no clip in two splits."""

import csv
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tgdp.data.card import read_card
from tgdp.data.log_mel import log_mel
from tgdp.data.synthetic.benchmark import LABELS, MANIFEST, write_benchmark
from tgdp.data.synthetic.contact_sheet import write_contact_sheet
from tgdp.data.synthetic.embedded import ensure
from tgdp.data.synthetic.factors import Clip, SoundingObject, draw_clip
from tgdp.data.synthetic.pictures import num_frames, render
from tgdp.data.synthetic.sounds import PERIOD, SAMPLE_RATE, synthesise
from tgdp.data.synthetic.spec import CLASSES, EMBEDDED, SynthSpec
from tgdp.errors import UserError

FEW = SynthSpec(clips=16, seconds=1.0, fps=4)
QUIET = SynthSpec(noise=0.0)


def clip(**changes: float) -> Clip:
    causes = {"shape": 0, "hue": 0.5, "place": 0.2, "size": 0.5, "height": 0.5} | changes
    return Clip((SoundingObject(**causes),), (0, 0, 0))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark")
    write_benchmark(out, FEW)
    return out


def test_the_same_spec_gives_the_same_files_whatever_the_number_of_workers(benchmark, tmp_path):
    write_benchmark(tmp_path, FEW, workers=3)
    assert digests(benchmark) == digests(tmp_path)
    assert len(digests(benchmark)) == sum(FEW.splits.values()) + len(FEW.splits) + 3


def test_another_seed_gives_other_clips(benchmark, tmp_path):
    write_benchmark(tmp_path, FEW.model_copy(update={"seed": 1}))
    ours, theirs = digests(benchmark), digests(tmp_path)
    clips = [name for name in ours if name.endswith(".mp4")]
    assert all(ours[name] != theirs[name] for name in clips)


def test_manifests_have_the_form_of_cav_mae_and_share_no_clip(benchmark):
    whole = json.loads((benchmark / MANIFEST).read_text())["data"]
    parts = [json.loads((benchmark / f"{split}.json").read_text())["data"] for split in FEW.splits]
    assert [entry for part in parts for entry in part] == whole
    assert len({entry["video_id"] for entry in whole}) == len(whole) == sum(FEW.splits.values())
    assert {"video_id", "wav", "video_path", "labels"} <= set(whole[0])
    with (benchmark / LABELS).open() as file:
        labels = {row["mid"]: row["display_name"] for row in csv.DictReader(file)}
    assert list(labels.values()) == list(CLASSES)
    for entry in whole:
        named = entry["labels"].split(",")
        assert set(named) <= set(labels)
        assert len(named) == 1 or entry["split"].startswith("multi_")


def test_splits_draw_different_clips():
    first = {split: draw_clip(FEW, split, 0).objects for split in FEW.splits}
    assert len(set(first.values())) == len(first)


def test_a_stopped_generation_goes_on_and_another_spec_is_refused(benchmark, tmp_path):
    write_benchmark(tmp_path, FEW)
    victim = tmp_path / "clips" / "train-00003.mp4"
    victim.unlink()
    write_benchmark(tmp_path, FEW)
    assert digests(tmp_path) == digests(benchmark)
    with pytest.raises(UserError, match=r"noise was 0\.5, is now 0\.9"):
        write_benchmark(tmp_path, FEW.model_copy(update={"noise": 0.9}))


def test_what_is_prepared_has_the_fingerprint_that_was_promised(tmp_path):
    folder = ensure(tmp_path / "embedded", 1, spec=FEW)
    card = read_card(folder)
    assert card.fingerprint == FEW.fingerprint
    assert dict(card.splits) == FEW.splits
    assert card.name == FEW.name
    assert ensure(folder, 1, spec=FEW) == folder
    with pytest.raises(UserError, match="fingerprint"):
        ensure(folder, 1, spec=EMBEDDED)


def test_of_several_that_want_it_one_makes_it_and_the_others_wait(tmp_path, caplog):
    folder = tmp_path / "data" / "embedded"
    made: list[tuple[str, int]] = []

    def make() -> None:
        ensure(folder, 1, lambda stage, done, total: made.append((stage, done)), FEW)

    with ThreadPoolExecutor(3) as pool:
        for found in [pool.submit(make) for _ in range(3)]:
            found.result()
    assert read_card(folder).fingerprint == FEW.fingerprint
    assert {stage for stage, _ in made} == {"making", "preparing"}
    assert len(made) == len(set(made))
    assert caplog.text.count("another process is making it") == 2


def test_hue_is_heard_as_pitch():
    peaks = [np.abs(np.fft.rfft(synthesise(clip(hue=hue), QUIET))).argmax() for hue in (0.1, 0.9)]
    hertz = [peak / QUIET.seconds for peak in peaks]
    np.testing.assert_allclose(hertz, [200 * 2**0.3, 200 * 2**2.7], rtol=0.01)


def test_place_is_heard_as_onset_and_size_as_loudness():
    onsets = [np.argmax(np.abs(synthesise(clip(place=p), QUIET)) > 2000) for p in (0.0, 1.0)]
    assert (onsets[1] - onsets[0]) / SAMPLE_RATE == pytest.approx(0.65 * PERIOD, abs=0.01)
    peaks = [np.abs(synthesise(clip(size=s), QUIET)).max() for s in (0.0, 1.0)]
    assert peaks[1] / peaks[0] == pytest.approx(10, rel=0.1)


def test_place_and_size_are_seen():
    def red(spec, **causes):
        frame = next(render(clip(hue=0.0, **causes), spec)).astype(float)
        return np.argwhere((frame[..., 0] > 200) & (frame[..., 1] < 60))

    left, right = red(QUIET, place=0.0), red(QUIET, place=1.0)
    assert right[:, 1].mean() - left[:, 1].mean() == pytest.approx(0.64 * QUIET.size, abs=2)
    assert len(red(QUIET, size=1.0)) > 4 * len(red(QUIET, size=0.0))


def test_noise_makes_the_background_louder_and_busier():
    calm, busy = QUIET, SynthSpec(noise=1.0)
    pictures = [np.stack(list(render(clip(size=0.0), spec))) for spec in (calm, busy)]
    assert len(pictures[0]) == num_frames(calm)
    assert pictures[1].std() > 1.5 * pictures[0].std()
    powers = [
        log_mel(torch.from_numpy(synthesise(clip(), spec) / 32768).float()[None]).median()
        for spec in (calm, busy)
    ]
    assert powers[1] > powers[0] + 1


def test_the_contact_sheet_shows_a_dozen_clips(tmp_path):
    from PIL import Image

    sheet = Image.open(write_contact_sheet(tmp_path / "sheet.png", FEW))
    assert sheet.size[0] > 1000
    assert len(set(np.asarray(sheet.convert("L")).ravel().tolist())) > 100


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
