"""Our method against figures of the released model file: the same weights, inputs and noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tgdp.config import (
    Config,
    ContrastiveConfig,
    ContrastiveMask,
    DataConfig,
    DecoderConfig,
    DistillationConfig,
    ModelConfig,
    TeacherConfig,
    TrainingConfig,
)
from tgdp.evaluation.retrieval import diagonal_mean, retrieve
from tgdp.losses.contrastive import contrastive_loss
from tgdp.losses.objective import Losses, Reconstruction, objective
from tgdp.losses.reconstruction import reconstruction_loss
from tgdp.model import masking
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Pair
from tgdp.model.passes import Selections, branch_tokens, contrast, reconstruct
from tgdp.model.selection import select
from tgdp.model.teacher import teacher_pass
from tgdp.model.tokens import as_picture, patchify
from tgdp.model.upstream import from_released, our_name

pytestmark = pytest.mark.shared
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "parity" / "golden.npz") as figures:
        return {name: figures[name] for name in figures.files}


@pytest.fixture(scope="module")
def config(golden) -> Config:
    size = {name[7:]: int(value) for name, value in golden.items() if name.startswith("config/")}
    return Config(
        data=DataConfig(image_size=size["image_size"], segment_steps=size["audio_steps"]),
        model=ModelConfig(
            width=size["embed_dim"],
            num_heads=size["num_heads"],
            modality_layers=size["modality_depth"],
            joint_layers=size["joint_depth"],
            num_registers=size["num_register_tokens"],
            decoder=DecoderConfig(
                width=size["decoder_embed_dim"],
                num_layers=size["decoder_depth"],
                num_heads=size["decoder_num_heads"],
            ),
        ),
        contrastive=ContrastiveConfig(mask=ContrastiveMask(selection="random"), weight=0.01),
        teacher=TeacherConfig(enabled=False),
        distillation=DistillationConfig(weight=0.0),
        training=TrainingConfig(steps=1),
    )


@pytest.fixture(scope="module")
def student(golden, config) -> Student:
    model = Student(config)
    prefix = "weights/"
    released = {
        f"module.{name.removeprefix(prefix)}": torch.from_numpy(value)
        for name, value in golden.items()
        if name.startswith(prefix)
    }
    model.load_state_dict(from_released(released), strict=True)
    return model


@pytest.fixture(scope="module")
def inputs(golden) -> Pair:
    return Pair(torch.from_numpy(golden["input/audio"]), torch.from_numpy(golden["input/image"]))


def selections(golden, path: str, ratio: float) -> Selections:
    return Selections(
        *(
            masking.random(torch.from_numpy(golden[f"noise/{path}/{modality}"]), ratio)
            for modality in ("audio", "image")
        )
    )


def assert_equal(ours: Tensor, golden, name: str) -> None:
    expected = torch.from_numpy(np.asarray(golden[name]))
    difference = (ours.detach() - expected).abs().max() / expected.abs().max()
    assert difference < TOLERANCE, f"{name}: largest relative difference {difference:.1e}"


def test_positions_are_the_released_ones(golden, student):
    assert_equal(student.encoder.audio.patch_embed.positions, golden, "weights/pos_embed_a")
    assert_equal(student.encoder.image.patch_embed.positions, golden, "weights/pos_embed_v")
    both = [golden["weights/decoder_pos_embed_a"], golden["weights/decoder_pos_embed_v"]]
    assert_equal(student.decoder.positions, {"both": np.concatenate(both, axis=1)}, "both")


def test_retrieval_vectors(golden, student, inputs):
    vectors = student.encoder(*inputs)
    assert_equal(vectors.audio, golden, "embed/audio_cls")
    assert_equal(vectors.image, golden, "embed/image_cls")


def test_teacher_vectors_and_priorities_in_natural_order(golden, student, inputs):
    view = teacher_pass(student.encoder, *inputs, "patch_to_cls")
    for modality in ("audio", "image"):
        priority = getattr(view.priority, modality)
        assert_equal(getattr(view.vectors, modality), golden, f"teacher/{modality}_cls")
        assert_equal(priority, golden, f"teacher/{modality}_priority")
        kept = select("guided", priority, torch.rand(3, 2 * priority.shape[1]), 0.5).ids_keep
        ranks = torch.from_numpy(golden[f"teacher/{modality}_rank"])
        assert torch.equal(kept, ranks[:, : kept.shape[1]])


def test_masks_from_given_noise(golden):
    for path, ratio in (("recon", 0.75), ("contrast", 0.5)):
        chosen = selections(golden, path, ratio)
        for modality in ("audio", "image"):
            expected = torch.from_numpy(golden[f"{path}/{modality}_mask"]).bool()
            assert torch.equal(getattr(chosen, modality).masked, expected)


def test_predictions_and_reconstruction_losses(golden, student, inputs):
    visible = selections(golden, "recon", 0.75)
    patches = student.encoder.embed(*inputs)
    predicted = reconstruct(
        student.encoder, student.decoder, branch_tokens(student.encoder, patches, visible), visible
    )
    targets = Pair(patchify(as_picture(inputs.audio), 16), patchify(inputs.image, 16))
    for modality in ("audio", "image"):
        prediction = getattr(predicted, modality)
        assert_equal(prediction, golden, f"recon/{modality}_pred")
        for pixel_norm, name in ((False, "loss"), (True, "loss_normpix")):
            loss = reconstruction_loss(
                prediction,
                getattr(targets, modality),
                getattr(visible, modality).masked,
                pixel_norm=pixel_norm,
            )
            assert_equal(loss, golden, f"recon/{modality}_{name}")


def test_contrastive_vectors_and_info_nce(golden, student, inputs):
    visible = selections(golden, "contrast", 0.5)
    vectors = contrast(
        student.encoder, branch_tokens(student.encoder, student.encoder.embed(*inputs), visible)
    )
    assert_equal(vectors.audio, golden, "contrast/audio_cls")
    assert_equal(vectors.image, golden, "contrast/image_cls")
    assert_equal(contrastive_loss(*vectors, 0.05)[0], golden, "contrast/loss_two_way")


def test_total_loss_and_the_gradient_of_every_parameter(golden, config, student, inputs):
    student.zero_grad()
    losses = step_losses(golden, config, student, inputs)
    assert_equal(losses.total, golden, "total_loss")
    losses.total.backward()
    ours = dict(student.named_parameters())
    checked = 0
    for name, value in golden.items():
        released = name.removeprefix("gradnorm/")
        if released in {name, "register_tokens"} or float(value) == 0:
            continue
        gradient = ours[our_name(released)].grad
        assert gradient is not None, f"{released} got no gradient"
        assert gradient.norm().item() == pytest.approx(float(value), rel=TOLERANCE), released
        checked += 1
    registers = [ours[f"encoder.{m}.register_tokens"].grad for m in ("audio", "image")]
    norm = torch.cat([g.flatten() for g in registers if g is not None]).norm().item()
    assert norm == pytest.approx(float(golden["gradnorm/register_tokens"]), rel=TOLERANCE)
    assert checked > 300, "most parameters have a golden gradient norm"


def step_losses(golden, config: Config, student: Student, inputs: Pair) -> Losses:
    patches = student.encoder.embed(*inputs)
    hidden = selections(golden, "recon", 0.75)
    predicted = reconstruct(
        student.encoder, student.decoder, branch_tokens(student.encoder, patches, hidden), hidden
    )
    vectors = contrast(
        student.encoder,
        branch_tokens(student.encoder, patches, selections(golden, "contrast", 0.5)),
    )
    targets = Pair(patchify(as_picture(inputs.audio), 16), patchify(inputs.image, 16))
    return objective(
        config,
        (
            Reconstruction(predicted.audio, targets.audio, hidden.audio.masked),
            Reconstruction(predicted.image, targets.image, hidden.image.masked),
        ),
        vectors,
        None,
        0.05,
    )


def test_similarity_and_recalls(golden):
    audio, image = golden["retrieval/audio"], golden["retrieval/image"]
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (audio, image)]
    assert_equal(torch.from_numpy(diagonal_mean(*unit)), golden, "retrieval/similarity")
    metrics = retrieve(*unit, ids=[str(i) for i in range(len(audio))])
    for direction, name in (("a2v", "audio_to_image"), ("v2a", "image_to_audio")):
        ours = [metrics[f"{direction}/{key}"] for key in ("r1", "r5", "r10", "median_rank")]
        np.testing.assert_allclose(ours, golden[f"retrieval/{name}"], atol=1e-6)
