"""The encoder: a branch for each modality and the joint layers (method section 2)."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import Config, ModelConfig
from tgdp.model.blocks import Block, Direction, JointBlock, Norms, Ranked, Stream, init_linear
from tgdp.model.tokens import PatchEmbed, as_picture, grids

Modality = Literal["audio", "image"]


class Pair(NamedTuple):
    """The same thing for both modalities."""

    audio: Tensor
    image: Tensor


class Branch(nn.Module):
    """CLS and registers around the patch tokens, then the layers of one modality.

    Args:
        model: Sizes.
        patch_embed: Turns the input into tokens.
    """

    def __init__(self, model: ModelConfig, patch_embed: PatchEmbed) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.num_registers = model.num_registers
        self.cls_token = nn.Parameter(torch.empty(1, 1, model.width))
        self.register_tokens = nn.Parameter(torch.empty(1, model.num_registers, model.width))
        self.blocks = nn.ModuleList(
            Block(model.width, model.num_heads, model.mlp_ratio)
            for _ in range(model.modality_layers)
        )
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.register_tokens)  # Upstream: unit normal, unlike the CLS token

    def forward(self, patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B 1+K D"]:
        """Return CLS and patch tokens after the branch; the registers are dropped."""
        batch = patches.shape[0]
        cls = self.cls_token.expand(batch, -1, -1)
        registers = self.register_tokens.expand(batch, -1, -1)
        tokens = torch.cat([cls, patches, registers], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, : 1 + patches.shape[1]]


class Encoder(nn.Module):
    """Both branches and the joint layers; the teacher is a second one of these.

    Args:
        config: Sizes of the model and of its inputs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        model, grid = config.model, grids(config)
        self.audio = Branch(model, PatchEmbed(1, model.audio_patch, grid.audio, model.width))
        self.image = Branch(model, PatchEmbed(3, model.image_patch, grid.image, model.width))
        self.joint = nn.ModuleList(
            JointBlock(model.width, model.num_heads, model.mlp_ratio)
            for _ in range(model.joint_layers)
        )
        self.norms = Norms(model.width)
        self.apply(init_linear)

    def embed(self, audio: Float[Tensor, "B T F"], image: Float[Tensor, "B 3 H W"]) -> Pair:
        """Return the patch tokens of both inputs, nothing hidden."""
        return Pair(self.audio.patch_embed(as_picture(audio)), self.image.patch_embed(image))

    def joint_patches(self, branches: Pair) -> Float[Tensor, "B N D"]:
        """Return audio and visual patch tokens after the joint layers, without CLS.

        Source: TG-DP section 3.1, the reconstruction path.
        """
        tokens = torch.cat([branches.audio[:, 1:], branches.image[:, 1:]], dim=1)
        for block in self._joint_blocks():
            tokens = block(tokens, "shared")
        return self.norms["shared"](tokens)

    def global_vector(
        self, tokens: Float[Tensor, "B N D"], modality: Modality
    ) -> Float[Tensor, "B D"]:
        """Return the CLS of one modality after the joint layers.

        Source: TG-DP section 3.1, the contrastive path.
        """
        *before, last = self._joint_blocks()
        tokens = self._chain(before, tokens, modality)
        return self.norms[modality](last.cls_only(tokens, modality))[:, 0]

    def ranked_vector(
        self, tokens: Float[Tensor, "B N D"], modality: Modality, direction: Direction
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B P"]]:
        """Return the CLS of one modality and the priority of each of its patches.

        Source: TG-DP section 3.2.
        """
        *before, last = self._joint_blocks()
        tokens = self._chain(before, tokens, modality)
        ranked: Ranked = last.ranked(tokens, modality, direction)
        return self.norms[modality](ranked.cls)[:, 0], ranked.priority

    def forward(self, audio: Float[Tensor, "B T F"], image: Float[Tensor, "B 3 H W"]) -> Pair:
        """Return the two global vectors of a full view: what retrieval compares."""
        patches = self.embed(audio, image)
        return Pair(
            self.global_vector(self.audio(patches.audio), "audio"),
            self.global_vector(self.image(patches.image), "image"),
        )

    def _joint_blocks(self) -> list[JointBlock]:
        return [block for block in self.joint if isinstance(block, JointBlock)]

    def _chain(self, blocks: list[JointBlock], tokens: Tensor, stream: Stream) -> Tensor:
        # Upstream: each joint layer is fed the branch output, so that only the last one counts.
        for block in blocks:
            tokens = block(tokens, stream)
        return tokens
