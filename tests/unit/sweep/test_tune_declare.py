"""Studies as data: what is refused, with words that name it."""

from pathlib import Path

import pytest

from tests.study_runs import RATIO, RETRIEVAL, gridded, study, task_of
from tgdp import presets
from tgdp.config import override
from tgdp.errors import UserError
from tgdp.sweep.discover import load_study
from tgdp.sweep.tune.declare import Choice, Constraint, Objective, Range
from tgdp.sweep.tune.space import check, grid, grid_size, point_of


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Range("a", 1.0, 1.0), "the lower end must be below"),
        (lambda: Range("a", 0.0, 1.0, log=True), "log needs a lower end above 0"),
        (lambda: Range("a", 0.1, 1.0, log=True, step=0.1), "no step with log"),
        (lambda: Range("a", 0.0, 1.0, step=0.3), "step 0.3 does not end at 1.0"),
        (lambda: Range("a", 0, 4, step=0.5), "must be whole"),
        (lambda: Choice("a", ()), "at least one value"),
        (lambda: Choice("a", (1, 1.0)), "stands there twice"),
        (lambda: Choice("a", ([1],)), "a number, a word"),  # type: ignore[arg-type]
        (lambda: Constraint("hours"), "either upper or lower"),
        (
            lambda: study(space=(Choice("a", (1,)), Choice("a", (2,)))),
            "a stands in the space twice",
        ),
        (lambda: study(objectives=()), "needs a space and an objective"),
        (lambda: study(objectives=(RETRIEVAL, RETRIEVAL)), "an objective stands there twice"),
        (
            lambda: study(constraints=(Constraint("hour", upper=1.0),)),
            "unknown quantity of study 'toy' 'hour'. Did you mean 'hours'?",
        ),
        (lambda: study(name="a/b"), "letters, digits"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Choice("contrastive.mask.ration", (0.5,)), "Did you mean 'contrastive.mask.ratio'"),
        (Range(RATIO, 0.0, 1.5), "contrastive.mask.ratio: Input should be less than 1"),
        (Choice("contrastive.mask.selection", ("random", "best")), "mask.selection: Input should"),
        (Range("training.batch_size", 2.5, 8.5), "training.batch_size"),
        (Range("runtime.log_every", 1, 5), "names no science"),
        (Range("seed", 0, 5), "names no science"),
    ],
)
def test_a_key_or_a_value_that_the_configuration_does_not_have_is_named(parameter, words) -> None:
    with pytest.raises(UserError, match=words):
        check(study(space=(parameter,)), presets.tiny())


def test_a_value_that_contradicts_another_key_is_left_to_the_trial() -> None:
    # Of no use without the teacher, which another key of the space may enable.
    space = (Range("distillation.weight", 0.1, 1.0), Choice("teacher.enabled", (True, False)))
    check(study(space=space), presets.tiny())


@pytest.mark.parametrize("preset", ["tiny", "small", "paper"])
def test_the_study_of_the_checkout_fits_the_presets_of_the_method(preset: str) -> None:
    declared = load_study()
    base = override(presets.by_name(preset), declared.common)
    check(declared, base)
    for end in (0, -1):
        override(base, {parameter.key: parameter.ends()[end] for parameter in declared.space})


def test_the_grid_is_every_point_once() -> None:
    points = list(grid(gridded()))
    assert len(points) == grid_size(gridded()) == 4
    assert points[0] == {RATIO: 0.0, "contrastive.temperature": 0.05}
    assert len({tuple(point.values()) for point in points}) == 4
    assert Range("a", 0.0, 0.3, step=0.1).grid() == (0.0, 0.1, 0.2, 0.3)
    assert Range("a", 2, 8, step=3).grid() == (2, 5, 8)


def test_a_range_without_a_step_has_no_grid() -> None:
    with pytest.raises(UserError, match=r"Range\('contrastive.temperature'\) has no step"):
        grid_size(study())


def test_a_configuration_lies_in_the_space_or_not() -> None:
    space = (
        Range(RATIO, 0.0, 0.5, step=0.25),
        Range("training.batch_size", 8, 64),
        Choice("contrastive.weight", (1, 10)),
        Choice("teacher.enabled", (True,)),
    )
    inside = {RATIO: 0.25, "training.batch_size": 48, "contrastive.weight": 1.0}
    inside["teacher.enabled"] = True
    declared = study(space=space)
    found = point_of(declared, inside)
    assert found == inside
    # As the space writes it: a category of optuna's is not found by an equal number.
    assert isinstance(found["contrastive.weight"], int)
    for key, value in {
        RATIO: 0.3,
        "training.batch_size": 65,
        "contrastive.weight": 2.0,
        "teacher.enabled": 1,
    }.items():
        assert point_of(declared, {**inside, key: value}) is None


def test_a_study_is_named_by_all_that_makes_its_numbers_comparable(tmp_path: Path) -> None:
    names = [
        task_of(study(), tmp_path).name,
        task_of(study(), tmp_path, "training.steps=200").name,
        task_of(study(), tmp_path, seed=1).name,
        task_of(gridded(), tmp_path).name,
        task_of(study(objectives=(Objective("hours", "minimize"),)), tmp_path).name,
        task_of(study(constraints=(Constraint("hours", upper=1.0),)), tmp_path).name,
    ]
    assert len(set(names)) == len(names)
    assert task_of(study(question="Else?"), tmp_path, "runtime.log_every=3").name == names[0]


def test_the_value_that_the_space_varies_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--set contrastive.mask.ratio: .* varies this key"):
        task_of(study(), tmp_path, f"{RATIO}=0.1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X = 1\n", "declares no study"),
        ("from tgdp.sweep.tune.declare import Range\nRange('a', 2, 1)\n", "the lower end"),
        (
            "from tgdp.sweep.tune.declare import *\nSTUDY = Study('masking', '?', "
            "(Range('a', 0, 1),), (Objective('hours', 'minimize'),))\n",
            "a sweep is called 'masking' too",
        ),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"mine\.py: .*{words}"):
        load_study(file)
