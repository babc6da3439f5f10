"""The decoder and the losses as the released TG-DP model computes them.

"Released lines" are those of `src/models/cavmae_dp.py`, commit 978274c.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tgdp.bench.plain_layers import Masked, MaskedPair, blocks
from tgdp.config import Config
from tgdp.model.decoder import Decoder
from tgdp.model.encoder import Pair
from tgdp.model.tokens import Grid, unpatchify


def decode(decoder: Decoder, joint: Tensor, masked: MaskedPair) -> Pair:
    """Return the predicted pixels of every patch, (B, N, P) for each modality.

    Args:
        decoder: Whose parameters are used.
        joint: Patches of both modalities after the joint layer, (B, K, D).
        masked: What each modality saw.

    Source: released lines 525 to 560 (`forward_decoder`).
    """
    tokens = decoder.embed(joint)
    num = masked.audio.hidden.shape[1]
    # Released lines 532 and 537: the split is worked out from the mask a second time.
    split = num - int(masked.audio.hidden[0].sum())
    tokens = torch.cat(
        [
            _restore(decoder, tokens[:, :split, :], masked.audio),
            _restore(decoder, tokens[:, split:, :], masked.image),
        ],
        dim=1,
    )
    tokens = tokens + decoder.positions
    # Released lines 547 and 548: in place, on slices.
    tokens[:, 0:num, :] = tokens[:, 0:num, :] + decoder.modality_audio
    tokens[:, num:, :] = tokens[:, num:, :] + decoder.modality_image
    tokens = decoder.norm(blocks(decoder.blocks, tokens))
    return Pair(
        decoder.predict_audio(tokens[:, :num, :]), decoder.predict_image(tokens[:, num:, :])
    )


def _restore(decoder: Decoder, visible: Tensor, one: Masked) -> Tensor:
    # Released lines 530 and 536: the number of hidden patches is read from the mask, which on a
    # GPU waits for everything before it.
    mask_tokens = decoder.mask_token.repeat(visible.shape[0], int(one.hidden[0].sum()), 1)
    tokens = torch.cat([visible, mask_tokens], dim=1)
    # Released lines 533 and 538: the index is written out for every value of the width.
    index = one.ids_restore.unsqueeze(-1).repeat(1, 1, visible.shape[2])
    return torch.gather(tokens, dim=1, index=index)


def pixel_loss(config: Config, target: Tensor, predicted: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error on hidden patches of one modality.

    Args:
        config: Whether targets are normalised.
        target: True pixels, (B, N, P).
        predicted: Predicted ones.
        hidden: 1 for each hidden patch, (B, N).

    Source: released lines 656 to 667.
    """
    if config.reconstruction.pixel_norm:
        mean, variance = target.mean(dim=-1, keepdim=True), target.var(dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6) ** 0.5
    loss = ((predicted - target) ** 2).mean(dim=-1)
    return (loss * hidden).sum() / hidden.sum()


def rebuild_pictures(predicted: Pair, grids: tuple[Grid, Grid], patches: tuple[int, int]) -> Pair:
    """Return the predictions as pictures, channels last, which training never looks at.

    Source: released lines 740 to 744: done at every step.
    """
    sound, sight = (
        torch.einsum("nchw->nhwc", unpatchify(pixels, grid, patch))
        for pixels, grid, patch in zip(predicted, grids, patches, strict=True)
    )
    return Pair(sound, sight)


def info_nce(vectors: Pair, temperature: Tensor | float, *, two_way: bool) -> tuple[Tensor, Tensor]:
    """Return the contrastive loss of the batch, and the share of pairs found.

    Args:
        vectors: Global vectors, (B, D) each.
        temperature: Divides the cosines.
        two_way: Both directions; otherwise each picture looks for its sound.

    Source: released lines 562 to 589, without the gathering, which on one device does nothing.
    """
    audio, image = (F.normalize(one, dim=-1) for one in vectors)
    truth = torch.arange(audio.size(0), device=audio.device)
    sides = [(image, audio), (audio, image)] if two_way else [(image, audio)]
    losses: list[Tensor] = []
    hits: list[Tensor] = []
    for queries, candidates in sides:
        logits = (queries @ candidates.t()) / temperature
        losses.append(F.cross_entropy(logits, truth))
        with torch.no_grad():
            hits.append((logits.argmax(dim=1) == truth).float().mean())
    return sum(losses[1:], losses[0]) / len(losses), sum(hits[1:], hits[0]) / len(hits)
