"""The decoder of the reconstruction path: hidden patches from visible ones (method section 2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import Config
from tgdp.model.blocks import Layers, init_linear
from tgdp.model.encoder import Pair
from tgdp.model.masking import Selection, restore
from tgdp.model.tokens import Grid, grids, sincos_positions


class Decoder(nn.Module):
    """Predicts every patch of both modalities from the joint tokens of the visible ones.

    Args:
        config: Sizes of the model and of its inputs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        model, decoder, grid = config.model, config.model.decoder, grids(config)
        self.embed = nn.Linear(model.width, decoder.width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, decoder.width))
        self.modality_audio = nn.Parameter(torch.empty(1, 1, decoder.width))
        self.modality_image = nn.Parameter(torch.empty(1, 1, decoder.width))
        self.register_buffer("positions", _positions(decoder.width, *grid), persistent=False)
        self.positions: Tensor
        self.blocks = Layers(
            decoder.num_layers,
            decoder.width,
            decoder.num_heads,
            model.mlp_ratio,
            config.training.residual,
        )
        self.norm = nn.LayerNorm(decoder.width)
        self.predict_audio = nn.Linear(decoder.width, model.audio_patch**2)
        self.predict_image = nn.Linear(decoder.width, 3 * model.image_patch**2)
        for token in (self.mask_token, self.modality_audio, self.modality_image):
            nn.init.normal_(token, std=0.02)
        self.apply(init_linear)

    def forward(self, joint: Float[Tensor, "B K D"], audio: Selection, image: Selection) -> Pair:
        """Return the predicted pixels of every patch, (B, N, P) for each modality."""
        tokens = self.spread(self.embed(joint), audio, image)
        tokens = self.norm(self.blocks(tokens))
        split = audio.masked.shape[1]
        return Pair(self.predict_audio(tokens[:, :split]), self.predict_image(tokens[:, split:]))

    def spread(
        self, visible: Float[Tensor, "B K D"], audio: Selection, image: Selection
    ) -> Float[Tensor, "B N D"]:
        """Return all tokens in natural order, those of hidden patches the mask token.

        Args:
            visible: Embedded tokens of the visible patches, audio first.
            audio: Which audio patches these are.
            image: Which image patches these are.
        """
        num_audio = audio.ids_keep.shape[1]
        sound = restore(visible[:, :num_audio], self.mask_token, audio.ids_restore)
        sight = restore(visible[:, num_audio:], self.mask_token, image.ids_restore)
        tokens = torch.cat([sound + self.modality_audio, sight + self.modality_image], dim=1)
        return tokens + self.positions


def _positions(width: int, audio: Grid, image: Grid) -> Tensor:
    return torch.cat([sincos_positions(width, audio), sincos_positions(width, image)])[None]
