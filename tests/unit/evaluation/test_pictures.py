"""What is shown of a run is what its model got and gave."""

import numpy as np
import pytest
import torch

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import dump, override
from tgdp.errors import UserError
from tgdp.evaluation.find import find_run, results_of
from tgdp.evaluation.picture_clips import Wish, choose, noise_for
from tgdp.evaluation.pictures import fill_in, reconstructions
from tgdp.evaluation.priorities import overlap, priorities
from tgdp.evaluation.stored import Stored, open_checkpoint
from tgdp.losses.reconstruction import reconstruction_loss
from tgdp.model.dual_path import Student
from tgdp.model.teacher import build_teacher
from tgdp.model.tokens import Grid, patchify, unpatchify
from tgdp.training import checkpoint

SMALL = {
    **SMALL_MODEL,
    "evaluation.split": "test",
}
GUIDED = {
    "teacher.enabled": True,
    "contrastive.mask.selection": "guided",
    "contrastive.mask.attention": "cls_to_patch",
}


@pytest.fixture(scope="module")
def folder(prepared):
    return prepared([1.6] * 8)


@pytest.fixture
def untrained(folder):
    """Return a function that makes a run that has taken no step."""

    def make(**changes: object) -> Stored:
        keys = {name.replace("__", "."): value for name, value in changes.items()}
        config = override(presets.tiny(), {**SMALL, "data.folder": str(folder), **keys})
        torch.manual_seed(0)
        student = Student(config).eval()
        teacher = build_teacher(student.encoder) if config.teacher.enabled else None
        return Stored(config, student, teacher, 5)

    return make


WISH = Wish("abc")


@pytest.mark.parametrize(
    ("channels", "grid", "patch"), [(3, Grid(3, 3), 8), (1, Grid(8, 6), 16), (1, Grid(2, 5), 4)]
)
def test_unpatchify_undoes_patchify_frames_and_spectrograms_alike(channels, grid, patch):
    picture = torch.rand(2, channels, grid.rows * patch, grid.columns * patch)
    assert torch.equal(unpatchify(patchify(picture, patch), grid, patch), picture)


def test_tokens_of_a_spectrogram_are_counted_along_time_first():
    grid, patch = Grid(2, 3), 2
    picture = torch.zeros(1, 1, 4, 6)
    picture[0, 0, :2, 2:4] = 1  # lowest row of patches, second column
    assert patchify(picture, patch).sum(dim=2).tolist() == [[0, 4, 0, 0, 0, 0]]
    assert torch.equal(unpatchify(patchify(picture, patch), grid, patch), picture)


def test_a_normalised_target_as_prediction_gives_the_input_back():
    torch.manual_seed(0)
    target = torch.randn(2, 6, 48) * torch.rand(2, 6, 1) * 3 + torch.randn(2, 6, 1)
    target[0, 0] = 0.7  # a flat patch has no contrast to restore
    mean, variance = target.mean(dim=-1, keepdim=True), target.var(dim=-1, keepdim=True)
    normalised = (target - mean) / (variance + 1e-6).sqrt()
    masked = torch.rand(2, 6) < 0.5
    assert reconstruction_loss(normalised, target, masked, pixel_norm=True) < 1e-10
    filled = fill_in(normalised, target, masked, pixel_norm=True)
    torch.testing.assert_close(filled.predicted, target, atol=1e-4, rtol=0)
    torch.testing.assert_close(filled.composite, target, atol=1e-4, rtol=0)


@pytest.mark.parametrize("pixel_norm", [False, True])
def test_the_composite_is_the_input_on_visible_patches_bit_by_bit(pixel_norm):
    predicted, target = torch.randn(2, 6, 48), torch.randn(2, 6, 48)
    masked = torch.rand(2, 6) < 0.5
    filled = fill_in(predicted, target, masked, pixel_norm=pixel_norm)
    assert torch.equal(filled.composite[~masked], target[~masked])
    assert torch.equal(filled.composite[masked], filled.predicted[masked])
    assert pixel_norm or torch.equal(filled.predicted, predicted)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reconstruction__pixel_norm": True},
        {"passes": "single", "contrastive__mask__ratio": 0.75},
        {"reconstruction__mask__audio_structure": "time", "reconstruction__mask__image_ratio": 0.5},
        {"model__pooling": "mean"},
        {"data__audio": "clip"},
    ],
)
def test_every_kind_of_run_is_reconstructed_as_it_was_trained(untrained, changes):
    stored = untrained(**changes)
    made = reconstructions(stored, WISH)
    assert [clip.shown.id for clip in made.clips] == [f"-clip.{n}" for n in (1, 3, 5, 7)]
    for clip in made.clips:
        for shown, filled, mask in (
            (clip.shown.image, clip.image, "image"),
            (clip.shown.audio, clip.audio, "audio"),
        ):
            ratio = stored.config.reconstruction.mask.final(mask)
            kept = int(filled.hidden.size * (1 - ratio))
            assert (~filled.hidden).sum() == kept
            rows, columns = (
                s // h for s, h in zip(shown.shape[:2], filled.hidden.shape, strict=True)
            )
            seen = (~filled.hidden).repeat(rows, 0).repeat(columns, 1)
            assert np.array_equal(filled.composite[seen], shown[seen])
            assert not np.array_equal(filled.composite[~seen], shown[~seen])
            assert filled.error > 0


def test_a_column_hidden_in_time_is_a_column_of_the_picture(untrained):
    stored = untrained(reconstruction__mask__audio_structure="time")
    hidden = reconstructions(stored, WISH).clips[0].audio.hidden
    columns = int(hidden.shape[1] * 0.75)
    assert hidden.shape == (8, 6)
    assert hidden.all(axis=0).sum() >= columns


def test_a_frame_is_shown_as_it_is_stored_and_the_sound_beside_it(untrained, folder):
    from tgdp.data.clips import ClipDataset
    from tgdp.data.log_mel import log_mel

    stored = untrained()
    chosen = choose(stored, Wish("abc", ids=("-clip.3",), frame=2))
    dataset = ClipDataset(folder, "test", stored.config.data)
    clip, shown = dataset[1], chosen.shown[0]
    assert np.array_equal(shown.image, clip["images"][2].permute(1, 2, 0).numpy())
    start = int(clip["starts"][2])
    wanted = log_mel(clip["waveform"][None])[0, start : start + 96].T
    assert shown.start == start / 100
    assert shown.seconds == pytest.approx(2.5 * 1.6 / 16)
    np.testing.assert_allclose(shown.audio, wanted.numpy(), atol=1e-4)


def test_the_masks_of_a_clip_do_not_depend_on_what_else_is_shown(untrained):
    stored = untrained()
    every = reconstructions(stored, WISH).clips[2]
    (alone,) = reconstructions(stored, Wish("abc", ids=("-clip.5",))).clips
    assert np.array_equal(every.audio.hidden, alone.audio.hidden)
    assert np.array_equal(every.image.hidden, alone.image.hidden)
    other = reconstructions(untrained(seed=1), WISH).clips[2]
    assert not np.array_equal(every.image.hidden, other.image.hidden)


def test_a_clip_or_frame_that_is_not_there_is_refused_with_those_near(untrained):
    with pytest.raises(UserError, match=r"no clip '-clip\.33' in split 'test'.*-clip\.3"):
        choose(untrained(), Wish("abc", ids=("-clip.33",)))
    with pytest.raises(UserError, match="frames 0 to 15"):
        choose(untrained(), Wish("abc", frame=16))


def test_a_run_that_reconstructs_nothing_says_so(untrained):
    with pytest.raises(UserError, match=r"reconstruction\.weight is 0.*priorities"):
        reconstructions(untrained(reconstruction__weight=0.0), WISH)


def test_what_is_kept_has_the_highest_priority(untrained):
    made = priorities(untrained(**{k.replace(".", "__"): v for k, v in GUIDED.items()}), WISH)
    assert made.ranked_by == "teacher"
    assert made.own_rule == "guided at ratio 0.5"
    for clip in made.clips:
        for ranking in (clip.image, clip.audio):
            assert ranking.priority.mean() == pytest.approx(1, abs=1e-5)
            counts = [int(ranking.priority.size * (1 - r)) for r in made.ratios]
            assert ranking.kept.sum(axis=(1, 2)).tolist() == counts
            for kept in ranking.kept:
                assert ranking.priority[kept].min() >= ranking.priority[~kept].max()


def test_without_a_teacher_the_student_ranks_and_both_directions_are_shown(untrained):
    made = priorities(untrained(), WISH, (0.5,), ("cls_to_patch", "patch_to_cls"))
    assert made.ranked_by == "student"
    assert [clip.direction for clip in made.clips[:2]] == ["cls_to_patch", "patch_to_cls"]
    assert len(made.clips) == 8
    assert not np.array_equal(made.clips[0].image.priority, made.clips[1].image.priority)


@pytest.mark.parametrize("ratio", [1.0, -0.1, 0.99])
def test_a_ratio_that_leaves_nothing_is_refused(untrained, ratio):
    with pytest.raises(UserError, match="--ratios"):
        priorities(untrained(), WISH, (ratio,))


def test_without_a_cls_there_is_no_priority(untrained):
    with pytest.raises(UserError, match=r"model\.pooling 'mean'.*no CLS"):
        priorities(untrained(model__pooling="mean"), WISH)


def test_shuffled_ranks_keep_half_of_the_true_half_on_average():
    torch.manual_seed(0)
    priority, noise = torch.rand(400, 20), torch.rand(400, 40)
    assert float(overlap(priority, noise).mean()) == pytest.approx(0.5, abs=0.03)


def test_noise_belongs_to_the_clip_and_the_purpose(untrained):
    shown = choose(untrained(), WISH).shown
    noise = noise_for(0, shown)
    assert noise("a", 5).shape == (4, 5)
    assert not torch.equal(noise("a", 5), noise("b", 5))
    assert torch.equal(noise_for(0, shown[1:])("a", 5), noise("a", 5)[1:])


def test_a_run_is_found_by_folder_signature_and_beginning(tmp_path):
    runs = tmp_path / "runs"
    for name in ("abc123", "abd456", "ff0000"):
        (runs / name).mkdir(parents=True)
    for words in (str(runs / "ff0000"), "ff0000", "ff"):
        assert find_run(words, tmp_path).path == (runs / "ff0000").resolve()
    assert results_of(find_run("ff", tmp_path), tmp_path / "other") == tmp_path.resolve()
    with pytest.raises(UserError, match=r"2 runs in .* begin with 'ab': abc123, abd456"):
        find_run("ab", tmp_path)
    with pytest.raises(UserError, match=r"no run 'abc124' in .* Near it: abc123"):
        find_run("abc124", tmp_path)
    with pytest.raises(UserError, match="holds none"):
        find_run("abc", tmp_path / "empty")


def test_a_checkpoint_is_opened_with_its_teacher_or_refused(untrained, tmp_path):
    stored = untrained(**{k.replace(".", "__"): v for k, v in GUIDED.items()})
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="neither a checkpoint file nor a run directory"):
        open_checkpoint(tmp_path)
    state = {
        "config": dump(stored.config),
        "student": stored.student.state_dict(),
        "teacher": {k: v + 1 for k, v in stored.teacher.state_dict().items()},
    }
    checkpoint.save(tmp_path / "checkpoints", 7, state)
    opened = open_checkpoint(tmp_path)
    assert opened.step == 7
    assert opened.config == stored.config
    one, other = opened.teacher, opened.student.encoder
    assert one is not None
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.allclose(a, b + 1) for a, b in pairs)
    with pytest.raises(UserError, match="Valid: test, train"):
        choose(open_checkpoint(tmp_path, split="nosuch"), WISH)
