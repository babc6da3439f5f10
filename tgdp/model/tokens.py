"""Pictures and spectrograms as tokens: patches, fixed positions, a learned mark of the modality."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import MEL_BINS, Config


class Grid(NamedTuple):
    """Rows and columns of patches.

    A spectrogram's rows are frequency and its columns time, so its tokens are frequency-major.
    """

    rows: int
    columns: int

    @property
    def num_patches(self) -> int:
        """Tokens of the grid."""
        return self.rows * self.columns


class Grids(NamedTuple):
    """The two grids of a configuration."""

    audio: Grid
    image: Grid


def grids(config: Config) -> Grids:
    """Return the patch grids of both modalities."""
    side = config.data.image_size // config.model.image_patch
    patch = config.model.audio_patch
    return Grids(Grid(MEL_BINS // patch, config.data.audio_steps // patch), Grid(side, side))


def patchify(picture: Float[Tensor, "B C H W"], patch: int) -> Float[Tensor, "B N P"]:
    """Return the pixels of every patch, row by row, colours innermost.

    Source: MAE, released lines 275 to 283.
    """
    batch, channels, height, width = picture.shape
    cells = picture.reshape(batch, channels, height // patch, patch, width // patch, patch)
    # (B, C, rows, p, columns, q) -> (B, rows, columns, p, q, C)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, patch * patch * channels)


def patchify_channels_first(
    picture: Float[Tensor, "B C H W"], patch: int
) -> Float[Tensor, "B N P"]:
    """Return the pixels of every patch, row by row, colours outermost, as kernels have them."""
    batch, channels, height, width = picture.shape
    cells = picture.reshape(batch, channels, height // patch, patch, width // patch, patch)
    # (B, C, rows, p, columns, q) -> (B, rows, columns, C, p, q)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch * patch)


def unpatchify(patches: Float[Tensor, "B N P"], grid: Grid, patch: int) -> Float[Tensor, "B C H W"]:
    """Return the picture whose patches these are: the inverse of `patchify`.

    Source: MAE, released lines 285 to 295.
    """
    cells = patches.unflatten(2, (patch, patch, -1)).unflatten(1, (grid.rows, grid.columns))
    # (B, rows, columns, p, q, C) -> (B, C, rows, p, columns, q)
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def sincos_positions(width: int, grid: Grid) -> Float[Tensor, "N D"]:
    """Return fixed 2-D sine-cosine positions, row by row.

    Source: MAE; the first half of the width encodes the column, the second half the row.
    """
    rows, columns = torch.meshgrid(
        torch.arange(grid.rows, dtype=torch.float64),
        torch.arange(grid.columns, dtype=torch.float64),
        indexing="ij",
    )
    halves = [_sincos(width // 2, axis.flatten()) for axis in (columns, rows)]
    return torch.cat(halves, dim=1).float()


def _sincos(width: int, positions: Tensor) -> Tensor:
    frequencies = 10_000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = positions[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PatchEmbed(nn.Module):
    """Patches -> tokens with position and modality embedding.

    Args:
        channels: 3 for pictures, 1 for spectrograms.
        patch: Side of a patch.
        grid: Rows and columns of patches.
        width: Token width.
    """

    def __init__(self, channels: int, patch: int, grid: Grid, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        self.modality = nn.Parameter(torch.empty(1, 1, width))
        self.register_buffer("positions", sincos_positions(width, grid)[None], persistent=False)
        self.positions: Tensor
        # As a linear layer over the patch, not as a convolution (MAE).
        nn.init.xavier_uniform_(self.proj.weight.view(width, -1))
        nn.init.normal_(self.modality, std=0.02)

    def forward(self, picture: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        """Return the tokens of every patch, row by row."""
        return self._project(picture) + self.positions + self.modality

    def _project(self, picture: Tensor) -> Tensor:
        if not picture.is_cuda:
            return self.proj(picture).flatten(2).transpose(1, 2)
        # The same as a matrix product: cuDNN takes eight times as long for the convolution.
        patches = patchify_channels_first(picture, self.proj.kernel_size[0])
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


def as_picture(audio: Float[Tensor, "B T F"]) -> Float[Tensor, "B 1 F T"]:
    """Return a spectrogram as a one-channel picture with frequency as rows."""
    return audio.transpose(1, 2)[:, None]
