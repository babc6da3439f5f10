"""The encoder: a branch for each modality and the joint layers (method section 2)."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import Config, ModelConfig
from tgdp.model.blocks import Direction, JointBlock, Layers, Norms, Residual, Stream, init_linear
from tgdp.model.tokens import PatchEmbed, as_picture, grids

Modality = Literal["audio", "image"]
MODALITIES: tuple[Modality, Modality] = ("audio", "image")


class Pair(NamedTuple):
    """The same thing for both modalities."""

    audio: Tensor
    image: Tensor


class Branch(nn.Module):
    """CLS and registers around the patch tokens, then the layers of one modality.

    Args:
        model: Sizes; with mean pooling there is no CLS.
        patch_embed: Turns the input into tokens.
        residual: Type of the tokens between the layers under autocast.
    """

    def __init__(self, model: ModelConfig, patch_embed: PatchEmbed, residual: Residual) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.num_cls = int(model.pooling == "cls")
        self.drop_registers = not model.keep_registers
        self.cls_token = nn.Parameter(torch.empty(1, self.num_cls, model.width))
        self.register_tokens = nn.Parameter(torch.empty(1, model.num_registers, model.width))
        self.blocks = Layers(
            model.modality_layers, model.width, model.num_heads, model.mlp_ratio, residual
        )
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.register_tokens)  # Upstream: unit normal, unlike the CLS token

    def forward(
        self, patches: Float[Tensor, "B K D"], *, with_cls: bool = True
    ) -> Float[Tensor, "B N D"]:
        """Return the CLS, if there is one, the patches, and the registers where they are kept.

        Args:
            patches: Tokens of the visible patches.
            with_cls: Whether the CLS is wanted; in the layers it is there in any case.
        """
        cls = self.cls_token.expand(len(patches), -1, -1)
        registers = self.register_tokens.expand(len(patches), -1, -1)
        wanted, others = [patches], []
        (wanted if with_cls else others).insert(0, cls)
        (others if self.drop_registers else wanted).append(registers)
        # Attention does not care about order: what comes out stands first, and the last layer
        # computes nothing else. Upstream: it computes all, and what is not wanted is cut off.
        tokens = torch.cat([*wanted, *others], dim=1)
        return self.blocks(tokens, sum(part.shape[1] for part in wanted))


class Heads(nn.ModuleDict):
    """Layers behind the joint ones that only the contrastive path passes through.

    Source: CAV-MAE Sync; the released TG-DP code offers them and its script leaves them out.
    """

    def __init__(self, model: ModelConfig, residual: Residual) -> None:
        num, width = model.contrastive_head_layers, model.width
        super().__init__(
            {
                modality: Layers(num, width, model.num_heads, model.mlp_ratio, residual)
                for modality in MODALITIES
            }
        )


class Encoder(nn.Module):
    """Both branches and the joint layers; the teacher is a second one of these.

    Args:
        config: Sizes of the model and of its inputs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        model, grid = config.model, grids(config)
        self.num_cls = int(model.pooling == "cls")
        self.num_registers = model.num_registers if model.keep_registers else 0
        residual = config.training.residual
        self.audio = Branch(
            model, PatchEmbed(1, model.audio_patch, grid.audio, model.width), residual
        )
        self.image = Branch(
            model, PatchEmbed(3, model.image_patch, grid.image, model.width), residual
        )
        self.joint = nn.ModuleList(
            JointBlock(model.width, model.num_heads, model.mlp_ratio)
            for _ in range(model.joint_layers)
        )
        self.heads = Heads(model, residual)
        self.norms = Norms(model.width)
        self.apply(init_linear)

    def embed(self, audio: Float[Tensor, "B T F"], image: Float[Tensor, "B 3 H W"]) -> Pair:
        """Return the patch tokens of both inputs, nothing hidden."""
        return Pair(self.audio.patch_embed(as_picture(audio)), self.image.patch_embed(image))

    def joint_patches(self, branches: Pair, num_patches: tuple[int, int]) -> Float[Tensor, "B N D"]:
        """Return audio and visual patch tokens after the joint layers, without CLS.

        Args:
            branches: What the branches returned, with the CLS or without.
            num_patches: How many patches are among it, audio and image.

        Source: TG-DP section 3.1, the reconstruction path; released lines 474 to 479.
        """
        parts = [
            self._split(tokens, num) for tokens, num in zip(branches, num_patches, strict=True)
        ]
        patches = torch.cat([patches for patches, _ in parts], dim=1)
        # Registers stand last: attention does not care, and what is wanted comes first. Upstream:
        # they are cut out by the number of all patches, as if none were hidden.
        tokens = torch.cat([patches, *(registers for _, registers in parts)], dim=1)
        return self.norms["shared"](self._chain(tokens, "shared", patches.shape[1]))

    def vector(self, tokens: Float[Tensor, "B N D"], modality: Modality) -> Float[Tensor, "B D"]:
        """Return the global vector of one modality: its CLS, or the mean of its patches.

        Args:
            tokens: What the branch returned.
            modality: Whose norms and head apply.

        Source: TG-DP section 3.1, the contrastive path; released lines 491 to 520. Mean: CAV-MAE.
        """
        heads, num = self._head(modality), self._num_pooled(tokens)
        tokens = self._chain(tokens, modality, None if heads else num)
        return self._pool(tokens, modality, num)

    def priority(
        self,
        tokens: Float[Tensor, "B N D"],
        modality: Modality,
        direction: Direction,
        *,
        with_vector: bool,
    ) -> tuple[Float[Tensor, "B D"] | None, Float[Tensor, "B P"]]:
        """Return the global vector of one modality, if wanted, and the priority of its patches.

        The attention is that of the last joint layer, averaged over heads.

        Source: TG-DP section 3.2; released lines 482 to 489 and 393.
        """
        num_patches = tokens.shape[1] - 1 - self.num_registers
        num = (tokens.shape[1] if self._head(modality) else 1) if with_vector else 0
        *before, last = self._joint_blocks()
        for block in before:
            tokens = block(tokens, modality)
        ranked = last.ranked(tokens, modality, num, num_patches, direction)
        if ranked.tokens is None:
            return None, ranked.priority
        return self._pool(ranked.tokens, modality, 1), ranked.priority

    def patch_tokens(
        self, tokens: Float[Tensor, "B N D"], modality: Modality
    ) -> Float[Tensor, "B P D"]:
        """Return the patches of one modality after the joint layers, its head and its norm.

        Source: released lines 767 to 839 (`forward_feat`), beside the CLS.
        """
        for block in self._joint_blocks():
            tokens = block(tokens, modality)
        tokens = self._head(modality)(tokens)
        num_patches = tokens.shape[1] - self.num_cls - self.num_registers
        return self.norms[modality](self._split(tokens, num_patches)[0])

    def encode(self, picture: Tensor, modality: Modality) -> Float[Tensor, "B D"]:
        """Return the global vector of a full view of one modality: what retrieval compares.

        Args:
            picture: Pictures (B, 3, H, W), or segments (B, T, F) where the modality is audio.
            modality: Which of the two.
        """
        return self.vector(self._branch(picture, modality), modality)

    def branch_vector(self, picture: Tensor, modality: Modality) -> Float[Tensor, "B D"]:
        """Return the CLS of a full view behind its own branch, or the mean of the patches there.

        Neither the joint layers nor any norm have touched it: what the frozen probe reads.

        Args:
            picture: As for `encode`.
            modality: Which of the two.

        Source: method section 4, "before the joint layer". Mean: ours, where there is no CLS.
        """
        tokens = self._branch(picture, modality)
        return tokens[:, : self._num_pooled(tokens)].mean(dim=1)

    def forward(self, audio: Float[Tensor, "B T F"], image: Float[Tensor, "B 3 H W"]) -> Pair:
        """Return the two global vectors of a full view."""
        return Pair(self.encode(audio, "audio"), self.encode(image, "image"))

    def _branch(self, picture: Tensor, modality: Modality) -> Tensor:
        branch = self.audio if modality == "audio" else self.image
        patches = branch.patch_embed(as_picture(picture) if modality == "audio" else picture)
        return branch(patches)

    def _joint_blocks(self) -> list[JointBlock]:
        return [block for block in self.joint if isinstance(block, JointBlock)]

    def _chain(self, tokens: Tensor, stream: Stream, num: int | None) -> Tensor:
        """Pass through the joint layers; of the last one only the first `num` tokens come out."""
        # Upstream: each joint layer is fed the branch output, so that only the last one counts.
        *before, last = self._joint_blocks()
        for block in before:
            tokens = block(tokens, stream)
        return last(tokens, stream, num)

    def _head(self, modality: Modality) -> Layers:
        head = self.heads[modality]
        assert isinstance(head, Layers)
        return head

    def _pool(self, tokens: Tensor, modality: Modality, num: int) -> Tensor:
        """Return the mean of the first `num` tokens behind the head, normed before it is taken."""
        tokens = self._head(modality)(tokens, num)
        return self.norms[modality](tokens).mean(dim=1)

    def _num_pooled(self, tokens: Tensor) -> int:
        return 1 if self.num_cls else tokens.shape[1] - self.num_registers

    def _split(self, tokens: Tensor, num_patches: int) -> tuple[Tensor, Tensor]:
        """Return the patches and the registers, which stand last among what a branch returned."""
        end = tokens.shape[1] - self.num_registers
        return tokens[:, end - num_patches : end], tokens[:, end:]
