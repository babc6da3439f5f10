"""The space of configurations: what validation accepts trains, what it refuses says why."""

import re
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import torch
from config_space import BASE, CHOICES, ELSEWHERE, FLAGS, SPACE, STEPS, draw, is_elsewhere
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from tgdp.config import Config, dump, flatten, keys, load, override, signature
from tgdp.config.fields import RUNTIME
from tgdp.errors import UserError
from tgdp.model.schedules import Moment
from tgdp.training.learner import build_learner
from tgdp.training.step import Batch
from tgdp.training.update import take_step


def _accepted(drawn: dict[str, Any]) -> Config | None:
    """Return the configuration, or None if it is refused in words that name a field."""
    try:
        return override(BASE, drawn)
    except UserError as refusal:
        reason = str(refusal)
    named = set(re.findall(r"[a-z_]+(?:\.[a-z_]+)+", reason))
    assert named & _sections_and_keys(), f"no field is named in: {reason}"
    return None


def _sections_and_keys() -> set[str]:
    fields = keys(BASE)
    return {*fields, *(key.rpartition(".")[0] for key in fields if key.count(".") > 1)}


def test_every_field_of_science_is_drawn_or_has_a_reason_not_to_be() -> None:
    fields = {key for key in keys(BASE) if _is_science(key)}
    assert set(SPACE) == {key for key in fields if not is_elsewhere(key)}
    assert [key for key in ELSEWHERE if not any(name.startswith(key) for name in fields)] == []


def _is_science(key: str) -> bool:
    section, _, leaf = f".{key}".rpartition(".")
    model: Any = BASE
    for part in filter(None, section.split(".")):
        model = getattr(model, part)
    return not section.startswith(".runtime") and (
        type(model).model_fields[leaf].json_schema_extra != RUNTIME
    )


def test_the_draw_reaches_every_choice_and_most_of_it_is_accepted() -> None:
    counts: Counter[tuple[str, Any]] = Counter()
    for number in range(500):
        config = _accepted(draw(Random(number)))
        counts["accepted", config is not None] += 1
        if config is not None:
            counts.update((key, value) for key, value in flatten(config).items() if key in SPACE)
    assert counts["accepted", True] >= 250
    assert counts["accepted", False] >= 100
    choices = CHOICES | dict.fromkeys(FLAGS, (False, True))
    rare = [(key, v) for key, values in choices.items() for v in values if counts[key, v] < 10]
    assert rare == []


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    # Three steps of a model are slow beside what the check expects of an example.
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.randoms(use_true_random=True))
def test_what_is_accepted_trains_and_survives_yaml(chance: Random) -> None:
    drawn = draw(chance)
    note(f"{drawn}")
    config = _accepted(drawn)
    event("refused" if config is None else "accepted")
    if config is None:
        return
    learner = build_learner(config, torch.device("cpu"))
    moment = Moment(chance.choice((0, STEPS // 2, STEPS - 1)), STEPS, chance.randint(0, 2))
    for size in (1, 2, 5):
        losses, norm, *_ = take_step(config, learner, _batch(config, size, moment), rate=1e-3)
        assert all(loss is None or loss.isfinite() for loss in losses)
        assert norm.isfinite()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(dump(config), encoding="utf-8")
        again = load(file)
    assert again == config
    assert signature(again) == signature(config)


def _batch(config: Config, size: int, moment: Moment) -> Batch:
    generator = torch.Generator().manual_seed(size)
    side = config.data.image_size
    return Batch(
        torch.randn(size, config.data.audio_steps, 128, generator=generator),
        torch.randn(size, 3, side, side, generator=generator),
        torch.arange(size),
        moment,
    )


def test_a_step_in_bfloat16_is_finite() -> None:
    changes = {"training.precision": "bfloat16", "teacher.enabled": True}
    changes |= {"distillation.weight": 1.0, "contrastive.mask.selection": "sampled"}
    config = override(BASE, changes)
    learner = build_learner(config, torch.device("cpu"))
    for size in (1, 2, 5):
        batch = _batch(config, size, Moment(0, STEPS, 0))
        losses, norm, *_ = take_step(config, learner, batch, 1e-3)
        assert all(loss is None or loss.isfinite() for loss in losses)
        assert norm.isfinite()
