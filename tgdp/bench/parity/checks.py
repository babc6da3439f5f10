"""Everything of ours that a file of figures has a number for, one check a number."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tgdp.bench.parity.difference import Difference, of_entries, of_orders, of_values
from tgdp.bench.parity.embedding import embedded_by_hand
from tgdp.bench.parity.replay import FOLDERS, Path, Replay
from tgdp.losses.objective import Losses
from tgdp.model.encoder import MODALITIES, Modality
from tgdp.model.selection import select

Ours = Callable[[Replay], Tensor]

INPUTS = ("input/audio", "input/image")
STEP = (
    *INPUTS,
    *(f"noise/{path}/{modality}" for path in FOLDERS.values() for modality in MODALITIES),
)
SUFFIX = {"audio": "a", "image": "v"}
"""How the released names tell the modalities apart."""


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        name: What is compared.
        key: The figure it is held against; a folder if it ends in a slash.
        measure: Returns the difference.
        needs: What else of the file it takes, beside weights and sizes.
        path: Which part of the method, for the deliberate departures.
    """

    name: str
    key: str
    measure: Callable[[Replay], Difference]
    needs: tuple[str, ...] = ()
    path: Path = "reconstruction"

    def lacking(self, replay: Replay) -> list[str]:
        """Return what the file would need to hold for this check and does not."""
        arrays = replay.figures.arrays
        return [
            key
            for key in (self.key, *self.needs)
            if not (
                any(name.startswith(key) for name in arrays) if key[-1] == "/" else key in arrays
            )
        ]

    def title(self, replay: Replay, note: str = "") -> str:
        """Return the name, with where ours departs from theirs on purpose, and a note."""
        remarks = [remark for remark in (replay.departures(self.path), note) if remark]
        return f"{self.name} ({'; '.join(remarks)})" if remarks else self.name


def model_checks() -> list[Check]:
    """Return the checks of the model, from the patches to the loss, in the order of the method."""
    return [
        *_each(_positions),
        *_each(_decoder_positions),
        *_each(_patch_embedding),
        *(check for part in (_tokens, _vector) for check in _each(part)),
        *(check for part in (_teacher_vector, _priority, _order) for check in _each(part)),
        *(_mask(path, modality) for path in FOLDERS for modality in MODALITIES),
        *_each(_prediction),
        *(_loss(modality, pixel_norm) for pixel_norm in (False, True) for modality in MODALITIES),
        *_each(_contrastive_vector),
        _info_nce("one_way"),
        _info_nce("two_way"),
        values("total loss", "total_loss", lambda it: it.losses.total, STEP, "contrastive"),
    ]


def values(
    name: str, key: str, ours: Ours, needs: tuple[str, ...] = (), path: Path = "reconstruction"
) -> Check:
    """Return the check of real numbers against one array of the file."""

    def measure(replay: Replay) -> Difference:
        return of_values(ours(replay).detach().numpy(), replay.figures[key])

    return Check(name, key, measure, needs, path)


def _each(part: Callable[[Modality], Check]) -> list[Check]:
    return [part(modality) for modality in MODALITIES]


def _positions(modality: Modality) -> Check:
    return values(
        f"positions, {modality}",
        f"weights/pos_embed_{SUFFIX[modality]}",
        lambda it: getattr(it.student.encoder, modality).patch_embed.positions,
    )


def _decoder_positions(modality: Modality) -> Check:
    def ours(replay: Replay) -> Tensor:
        # The decoder keeps both in one table, audio first.
        split = replay.student.encoder.audio.patch_embed.positions.shape[1]
        table = replay.student.decoder.positions
        return table[:, :split] if modality == "audio" else table[:, split:]

    return values(
        f"decoder positions, {modality}", f"weights/decoder_pos_embed_{SUFFIX[modality]}", ours
    )


def _patch_embedding(modality: Modality) -> Check:
    def measure(replay: Replay) -> Difference:
        ours = getattr(replay.patches, modality)
        return of_values(ours.numpy(), embedded_by_hand(replay.figures, modality))

    order = "frequency-major" if modality == "audio" else "row by row"
    return Check(
        f"patch embedding + positions, {modality}, {order}",
        f"weights/patch_embed_{SUFFIX[modality]}.proj.weight",
        measure,
        (*INPUTS, f"weights/pos_embed_{SUFFIX[modality]}"),
    )


def _tokens(modality: Modality) -> Check:
    return values(
        f"retrieval embedding, {modality} tokens",
        f"embed/{modality}_tokens",
        lambda it: it.encoder.patch_tokens(getattr(it.branches, modality), modality),
        INPUTS,
        "contrastive",
    )


def _vector(modality: Modality) -> Check:
    return values(
        f"retrieval embedding, {modality} CLS",
        f"embed/{modality}_cls",
        lambda it: it.vector(modality),
        INPUTS,
        "contrastive",
    )


def _teacher_vector(modality: Modality) -> Check:
    return values(
        f"teacher vector, {modality}",
        f"teacher/{modality}_cls",
        lambda it: getattr(it.teacher.vectors, modality),
        INPUTS,
        "teacher",
    )


def _priority(modality: Modality) -> Check:
    return values(
        f"teacher priority of the patches, {modality}",
        f"teacher/{modality}_priority",
        lambda it: getattr(it.teacher.priority, modality),
        INPUTS,
        "teacher",
    )


def _order(modality: Modality) -> Check:
    key, merit = f"teacher/{modality}_rank", f"teacher/{modality}_priority"

    def measure(replay: Replay) -> Difference:
        priority = getattr(replay.teacher.priority, modality)
        noise = priority.new_zeros(len(priority), 2 * priority.shape[1])
        # With nothing hidden, the ones that stay are all of them, in the order of choice.
        ours = select("guided", priority, noise, ratio=0.0).ids_keep
        return of_orders(ours.numpy(), replay.figures[key], replay.figures[merit])

    return Check(f"teacher ranks, {modality}", key, measure, (*INPUTS, merit), "teacher")


def _mask(path: str, modality: Modality) -> Check:
    key = f"{FOLDERS[path]}/{modality}_mask"

    def measure(replay: Replay) -> Difference:
        outputs = replay.outputs
        chosen = outputs.hidden if path == "reconstruction" else outputs.visible
        return of_entries(getattr(chosen, modality).masked.numpy(), replay.figures[key] == 1)

    return Check(f"{path} mask from given noise, {modality}", key, measure, STEP)


def _prediction(modality: Modality) -> Check:
    return values(
        f"predicted pixels, {modality}",
        f"recon/{modality}_pred",
        lambda it: getattr(it.outputs.predicted, modality),
        STEP,
    )


def _loss(modality: Modality, pixel_norm: bool) -> Check:
    def ours(replay: Replay) -> Tensor:
        losses = replay.losses_with("reconstruction.pixel_norm", pixel_norm)
        return getattr(losses, f"reconstruction_{modality}")

    form = "pixel-norm" if pixel_norm else "plain"
    key = f"recon/{modality}_loss" + "_normpix" * pixel_norm
    return values(f"reconstruction loss, {modality}, {form}", key, ours, STEP)


def _contrastive_vector(modality: Modality) -> Check:
    return values(
        f"contrastive CLS, {modality}",
        f"contrast/{modality}_cls",
        lambda it: getattr(it.outputs.vectors, modality),
        STEP,
        "contrastive",
    )


def _info_nce(directions: str) -> Check:
    def ours(replay: Replay) -> Tensor:
        losses: Losses = replay.losses_with("contrastive.directions", directions)
        assert losses.contrastive is not None
        return losses.contrastive

    return values(
        f"InfoNCE, {directions.replace('_', '-')}",
        f"contrast/loss_{directions}",
        ours,
        STEP,
        "contrastive",
    )
