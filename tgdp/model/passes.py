"""What the student makes of the visible patches: predictions, global vectors (method section 3).

A dual-path step calls these on two masks, a single-pass step on one.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from tgdp.model import masking
from tgdp.model.decoder import Decoder
from tgdp.model.encoder import Encoder, Pair
from tgdp.model.masking import Selection


class Selections(NamedTuple):
    """What stays visible in one pass."""

    audio: Selection
    image: Selection


def branch_tokens(
    encoder: Encoder, patches: Pair, visible: Selections, *, with_cls: bool = True
) -> Pair:
    """Return what the two branches make of the visible patches, (B, CLS + K + kept registers, D).

    Args:
        encoder: The student's.
        patches: Tokens of all patches.
        visible: Which of them are seen.
        with_cls: Whether the CLS is wanted; `reconstruct` does without, `contrast` does not.

    Source: TG-DP section 3.1; CAV-MAE section 2.3; released lines 446 to 472.
    """
    return Pair(
        encoder.audio(masking.gather(patches.audio, visible.audio.ids_keep), with_cls=with_cls),
        encoder.image(masking.gather(patches.image, visible.image.ids_keep), with_cls=with_cls),
    )


def reconstruct(encoder: Encoder, decoder: Decoder, branches: Pair, visible: Selections) -> Pair:
    """Return the predicted pixels of every patch, (B, N, P) for each modality.

    Source: TG-DP section 3.1; released lines 474 to 479 and 525 to 560. Upstream: the contrastive
    streams are computed as well and dropped.
    """
    num_patches = visible.audio.ids_keep.shape[1], visible.image.ids_keep.shape[1]
    joint: Float[Tensor, "B K D"] = encoder.joint_patches(branches, num_patches)
    return decoder(joint, visible.audio, visible.image)


def contrast(encoder: Encoder, branches: Pair) -> Pair:
    """Return the global vectors of what the branches saw, (B, D) for each modality.

    Source: TG-DP section 3.3; released lines 491 to 520 and 715 to 720. Upstream: the joint patch
    stream is computed as well and dropped.
    """
    return Pair(
        encoder.vector(branches.audio, "audio"),
        encoder.vector(branches.image, "image"),
    )
