"""What changes during a run is written down; what does not is in the configuration."""

from tgdp import presets
from tgdp.config import override
from tgdp.model.dual_path import Student
from tgdp.model.schedules import Moment
from tgdp.training.in_force import in_force


def test_a_constant_configuration_adds_nothing():
    config = presets.tiny()
    assert in_force(config, Student(config), Moment(5, 10, 0)) == {}


def test_what_a_schedule_has_set_is_named():
    moving = {"schedule": "linear", "from_ratio": 0.75, "ratio": 0.25}
    config = override(
        presets.tiny(),
        {
            **{f"contrastive.mask.{key}": value for key, value in moving.items()},
            "contrastive.learned_temperature": True,
            "teacher.enabled": True,
            "teacher.momentum": 0.9,
            "teacher.momentum_schedule": "cosine",
            "distillation.weight": 1.0,
        },
    )
    found = in_force(config, Student(config), Moment(5, 11, 0))
    values = {name: round(float(value), 6) for name, value in found.items()}
    assert values == {
        "train/mask_ratio/contrastive_audio": 0.5,
        "train/mask_ratio/contrastive_visual": 0.5,
        "train/teacher_momentum": 0.95,
        "train/temperature": 0.05,
    }
