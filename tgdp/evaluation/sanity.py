"""Rows beside a result: an untrained encoder, one vector for all, the true causes."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tgdp.config import Config
from tgdp.data.card import DatasetCard
from tgdp.data.shards import PreparedClips
from tgdp.data.synthetic.factors import SoundingObject, draw_clip
from tgdp.data.synthetic.spec import EMBEDDED, SHAPES, SynthSpec
from tgdp.errors import UserError, unknown_name
from tgdp.evaluation.embed import ClipFeatures, Features
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder

FACTORS = ("shape", "hue", "place", "size")
"""What an object of the embedded benchmark shows and sounds alike; its height is not heard."""

CLIP_ID = re.compile(r"(?P<split>\w+)-(?P<index>\d{5,})")
"""As `tgdp.data.synthetic.benchmark.clip_id` writes it."""


def untrained(config: Config) -> Encoder:
    """Return the encoder of a run as its seed makes it, without any start weights, on the CPU.

    Args:
        config: Shape and seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Student(config).encoder.eval()


def mean_embedding(features: ClipFeatures) -> ClipFeatures:
    """Return the features with those of every clip replaced by the mean over all clips.

    All scores are equal then, and ties count against us: what is more than 0 here was not measured
    but given away.

    Args:
        features: Of any encoder.
    """
    audio, image = (
        np.broadcast_to(part.mean(axis=0, dtype=np.float64).astype(np.float32), part.shape)
        for part in (features.audio, features.image)
    )
    return ClipFeatures(features.ids, audio, image)


def oracle(
    folder: Path,
    split: str,
    factors: tuple[str, ...] = FACTORS,
    levels: int | None = None,
    spec: SynthSpec | None = None,
) -> ClipFeatures:
    """Return features made of the causes that sound and picture of a clip share.

    Their retrieval is the ceiling: of a model that misses nothing, of one that knows some of the
    causes alone, or of one that knows them roughly. Sound and picture get the same vectors.

    Args:
        folder: The embedded benchmark, prepared.
        split: Which clips.
        factors: Which causes are known.
        levels: How many values of hue, place and size are told apart; all of them if None.
        spec: What the clips were made from; looked up if None.

    Raises:
        UserError: The folder is not the embedded benchmark, or there is no such split or factor.
    """
    for factor in factors:
        if factor not in FACTORS:
            raise unknown_name("factor", factor, FACTORS)
    clips = PreparedClips(folder)
    spec = _checked(clips.card, spec or find_spec(folder))
    ids = [clips.ids[i] for i in clips.indices(split)]
    vectors = np.stack([_clip_vector(_objects(name, spec), factors, levels) for name in ids])
    frames = np.repeat(vectors[:, None], clips.num_frames, axis=1)
    return ClipFeatures(ids, frames, frames)


def find_spec(folder: Path) -> SynthSpec:
    """Return what the clips beside a prepared folder were made from; the usual spec if none are.

    Args:
        folder: Prepared; its clips lie in `<folder>-clips`.
    """
    file = folder.resolve().with_name(f"{folder.resolve().name}-clips") / "spec.json"
    try:
        source = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return EMBEDDED
    return SynthSpec(**{name: source[name] for name in SynthSpec.model_fields if name in source})


def _checked(card: DatasetCard, spec: SynthSpec) -> SynthSpec:
    if spec.fingerprint != card.fingerprint:
        raise UserError(
            f"{card.folder}: field 'fingerprint' is {card.fingerprint}, but the embedded benchmark "
            f"of {spec.clips} clips, seed {spec.seed}, noise {spec.noise:g} is {spec.fingerprint}: "
            "only its own clips have known causes"
        )
    return spec


def _objects(name: str, spec: SynthSpec) -> tuple[SoundingObject, ...]:
    found = CLIP_ID.fullmatch(name)
    if found is None:
        raise UserError(f"clip '{name}' is not of the embedded benchmark (<split>-<number>)")
    return draw_clip(spec, found["split"], int(found["index"])).objects


def _clip_vector(
    objects: tuple[SoundingObject, ...], factors: tuple[str, ...], levels: int | None
) -> Features:
    """Return the normalised sum over the objects of a clip."""
    total = np.sum([_object_vector(thing, factors, levels) for thing in objects], axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def _object_vector(
    thing: SoundingObject, factors: tuple[str, ...], levels: int | None
) -> NDArray[np.float64]:
    """Return a stretch of length 1 for each factor, so that only equal objects agree in full."""
    parts: list[NDArray[np.float64]] = []
    for factor in factors:
        if factor == "shape":
            parts.append(np.eye(len(SHAPES))[thing.shape])
        else:
            value = getattr(thing, factor)
            known = value if levels is None else (int(value * levels) + 0.5) / levels
            # On half a circle: the further apart two values are, the smaller their product.
            parts.append(np.array([np.cos(np.pi * known), np.sin(np.pi * known)]))
    return np.concatenate(parts)
