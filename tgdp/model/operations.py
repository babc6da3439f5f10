"""How many operations the passes take for one pair, worked out from the sizes alone.

Counted are the matrix products, the convolutions and the attention, a multiplication and an
addition as two operations: what torch's FlopCounterMode counts, and the tests hold both equal.
Norms, activations, softmax, masks and losses are left out. The largest of these that grows faster
than the batch is the similarity of all pairs, two operations a value of the width, candidate and
direction.
"""

from typing import Literal, NamedTuple

from tgdp.config import MEL_BINS, Config, MaskConfig, ModelConfig, num_kept

Direction = Literal["patch_to_cls", "cls_to_patch"]


class Patches(NamedTuple):
    """Patches of each modality."""

    audio: int
    image: int


class Operations(NamedTuple):
    """Operations of one step's forward side for one pair.

    Attributes:
        embed: Patches of the student's full view, shared by its passes.
        reconstruction: Branches, joint layers on both modalities at once, decoder.
        contrastive: Branches, joint layers on each modality, heads. In a single pass that also
            reconstructs, the branches are counted there and not here.
        teacher: Embedding, branches and what is wanted of the joint layers.
    """

    embed: int
    reconstruction: int
    contrastive: int
    teacher: int

    @property
    def forward(self) -> int:
        """All of the forward side."""
        return sum(self)

    @property
    def step(self) -> int:
        """Forward and backward side.

        Backwards, each product of the student costs one for either factor, so twice its forward
        side. The exception is the embedding: no gradient of the input is needed. The teacher has
        no backward side. Attention matrices that a fused kernel makes a second time are not
        counted, as is usual where operations are compared with the peak of a device.
        """
        return 3 * (self.reconstruction + self.contrastive) + 2 * self.embed + self.teacher


class Layer(NamedTuple):
    """Sizes of a transformer layer."""

    width: int
    hidden: int

    def project(self, tokens: int) -> int:
        """Return the operations of a product with a square matrix."""
        return 2 * tokens * self.width**2

    def attend(self, queries: int, keys: int) -> int:
        """Return those of the scores and of the weighted sum of the values."""
        return 4 * queries * keys * self.width

    def update(self, tokens: int, updated: int) -> int:
        """Return those behind queries, keys and values: attention, projection, MLP."""
        mlp = 4 * updated * self.width * self.hidden
        return self.attend(updated, tokens) + self.project(updated) + mlp

    def cost(self, tokens: int, updated: int) -> int:
        """Return those of a layer out of which only some of the tokens come."""
        return self.project(updated + 2 * tokens) + self.update(tokens, updated)

    def chain(self, depth: int, tokens: int, updated: int) -> int:
        """Return those of several layers; only the last one leaves tokens out."""
        if not depth:
            return 0
        return (depth - 1) * self.cost(tokens, tokens) + self.cost(tokens, updated)


def operations(
    config: Config,
    reconstruction: Patches | None = None,
    contrastive: Patches | None = None,
    *,
    guides: bool = True,
) -> Operations:
    """Return the operations of each pass for one pair.

    Args:
        config: The run.
        reconstruction: Patches that the reconstruction sees; those at the end of the schedule if
            None. With a single pass the contrastive path sees the same.
        contrastive: Patches that the contrastive pass sees, likewise.
        guides: False before the end of the guidance's warm-up.
    """
    single = config.passes == "single"
    seen = reconstruction or visible(config, config.reconstruction.mask)
    shown = seen if single else contrastive or visible(config, config.contrastive.mask)
    rebuilt = contrasted = 0
    if config.reconstructs:
        rebuilt = branches(config.model, seen, with_cls=single and config.contrasts)
        rebuilt += reconstruct(config, seen)
    if config.contrasts:
        contrasted = contrast(config.model, shown)
    if config.contrasts and not (single and config.reconstructs):
        contrasted += branches(config.model, shown)
    return Operations(embed(config), rebuilt, contrasted, _teacher(config, guides))


def full_view(config: Config) -> Patches:
    """Return all patches."""
    patch = config.model.audio_patch
    side = config.data.image_size // config.model.image_patch
    return Patches((MEL_BINS // patch) * (config.data.audio_steps // patch), side**2)


def visible(config: Config, mask: MaskConfig) -> Patches:
    """Return the patches that a mask leaves visible at the end of its schedule."""
    every = full_view(config)
    return Patches(
        num_kept(every.audio, mask.final("audio")), num_kept(every.image, mask.final("image"))
    )


def embed(config: Config) -> int:
    """Return the operations of turning both inputs into tokens, nothing hidden."""
    every, pixels = full_view(config), _pixels(config.model)
    return sum(
        2 * num * values * config.model.width for num, values in zip(every, pixels, strict=True)
    )


def branches(model: ModelConfig, patches: Patches, *, with_cls: bool = True) -> int:
    """Return the operations of both branches.

    Args:
        model: Sizes.
        patches: Visible ones.
        with_cls: Whether the CLS comes out of the last layer.
    """
    num_cls = _num_cls(model)
    out = num_cls * with_cls + _kept_registers(model)
    around = num_cls + model.num_registers
    return sum(
        _layer(model).chain(model.modality_layers, num + around, num + out) for num in patches
    )


def reconstruct(config: Config, patches: Patches) -> int:
    """Return the operations of the joint layers on both modalities, and of the decoder."""
    model, decoder, every = config.model, config.model.decoder, full_view(config)
    kept, num = sum(patches), sum(every)
    joint = _layer(model).chain(model.joint_layers, kept + 2 * _kept_registers(model), kept)
    layer = Layer(decoder.width, int(decoder.width * model.mlp_ratio))
    predicted = sum(count * values for count, values in zip(every, _pixels(model), strict=True))
    ends = 2 * decoder.width * (kept * model.width + predicted)
    return joint + layer.chain(decoder.num_layers, num, num) + ends


def contrast(model: ModelConfig, patches: Patches) -> int:
    """Return the operations from what the branches saw to the two global vectors."""
    return sum(_vector(model, num) for num in patches)


def look(config: Config, direction: Direction | None, *, with_vectors: bool = True) -> int:
    """Return the operations of a teacher pass.

    Args:
        config: Sizes.
        direction: Attention that ranks the patches; None where no ranking is needed.
        with_vectors: Whether the global vectors are needed.
    """
    if direction is None and not with_vectors:
        return 0
    model, every = config.model, full_view(config)
    before = embed(config) + branches(model, every)
    if direction is None:
        return before + contrast(model, every)
    return before + sum(_priority(model, num, direction, with_vectors) for num in every)


def _teacher(config: Config, guides: bool) -> int:
    guides = guides and config.is_guided and config.contrasts
    direction = config.contrastive.mask.attention if guides else None
    return look(config, direction, with_vectors=config.distills)


def _vector(model: ModelConfig, num_patches: int) -> int:
    layer, heads = _layer(model), model.contrastive_head_layers
    tokens = num_patches + _num_cls(model) + _kept_registers(model)
    pooled = _num_cls(model) or num_patches
    joint = layer.chain(model.joint_layers, tokens, tokens if heads else pooled)
    return joint + layer.chain(heads, tokens, pooled)


def _priority(model: ModelConfig, num_patches: int, direction: Direction, with_vector: bool) -> int:
    layer, heads = _layer(model), model.contrastive_head_layers
    tokens = num_patches + 1 + _kept_registers(model)
    before = (model.joint_layers - 1) * layer.cost(tokens, tokens)
    # The one row is a product with the keys; the column is cut out of a whole attention, as each
    # of its values is a share of another row.
    is_row = direction == "cls_to_patch"
    ranking = 2 * tokens * layer.width if is_row else layer.attend(num_patches, tokens)
    if not with_vector:
        return before + layer.project((1 if is_row else num_patches) + tokens) + ranking
    updated = tokens if heads else 1
    queries = max(updated, 1 if is_row else 1 + num_patches)
    vector = layer.project(queries + 2 * tokens) + layer.update(tokens, updated)
    return before + ranking + vector + layer.chain(heads, tokens, 1)


def _layer(model: ModelConfig) -> Layer:
    return Layer(model.width, int(model.width * model.mlp_ratio))


def _num_cls(model: ModelConfig) -> int:
    return int(model.pooling == "cls")


def _kept_registers(model: ModelConfig) -> int:
    return model.num_registers if model.keep_registers else 0


def _pixels(model: ModelConfig) -> Patches:
    """Return the values of one patch of each modality."""
    return Patches(model.audio_patch**2, 3 * model.image_patch**2)
