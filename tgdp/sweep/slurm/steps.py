"""In which order groups of runs are submitted, and which of their jobs wait for which."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tgdp.sweep.slurm.groups import Group
from tgdp.sweep.slurm.jobs import StageName
from tgdp.sweep.slurm.profile import Profile


class Key(NamedTuple):
    """Which call of `sbatch` is meant.

    Attributes:
        group: Place of the group.
        stage: What is done with its runs.
        attempt: 0 for the first job of a stage, above it for a successor.
    """

    group: int
    stage: StageName
    attempt: int = 0

    def __str__(self) -> str:
        """Return it as a word."""
        return f"{self.group}.{self.stage}.{self.attempt}"


class Wait(NamedTuple):
    """For what jobs wait.

    Attributes:
        kind: How, in SLURM's word.
        on: Calls before, or numbers of jobs in the queue already.
        is_any: Whether one of them is enough; otherwise all of them.
    """

    kind: str
    on: tuple[Key | str, ...]
    is_any: bool = False

    def words(self, numbers: Mapping[Key, str]) -> str:
        """Return it in SLURM's words.

        Args:
            numbers: The cluster's numbers of those that were submitted before.
        """
        known = [one if isinstance(one, str) else numbers[one] for one in self.on]
        if self.is_any:
            return "?".join(f"{self.kind}:{number}" for number in known)
        return ":".join((self.kind, *known))


class Step(NamedTuple):
    """One call of `sbatch`.

    Attributes:
        key: Which.
        group: Of which runs.
        wait: For what its jobs wait; None for nothing.
    """

    key: Key
    group: Group
    wait: Wait | None = None

    def dependency(self, numbers: Mapping[Key, str]) -> str:
        """Return on what its jobs wait, in SLURM's words; empty for nothing.

        Args:
            numbers: The cluster's numbers of those that were submitted before.
        """
        return self.wait.words(numbers) if self.wait else ""


def make_steps(groups: Sequence[Group], profile: Profile) -> list[Step]:
    """Return the calls of `sbatch`, each after those it waits for."""
    return [
        step for index, group in enumerate(groups) for step in _steps(index, group, groups, profile)
    ]


def at_once(groups: Sequence[Group], index: int, profile: Profile) -> int | None:
    """Return how many jobs of one array may run together, so that all keep to the profile.

    Each array has one, and of what is left as much as its part of the runs that are left.

    Args:
        groups: All that are submitted together.
        index: Place of the array's group.
        profile: How many at once in all.
    """
    limit = profile.array_parallelism
    if limit is None:
        return None
    left = max(0, limit - len(groups))
    others = [len(group.runs) - 1 for group in groups]
    # From where its part begins to where it ends, so that what is left is given away once.
    begins, ends = (left * sum(others[:end]) // max(1, sum(others)) for end in (index, index + 1))
    return min(others[index], ends - begins) + 1


def _steps(index: int, group: Group, groups: Sequence[Group], profile: Profile) -> Iterator[Step]:
    wait = _turn(index, group, groups, profile)
    for stage in group.stages:
        keys = _keys(index, stage, profile)
        for key in keys:
            yield Step(key, group, wait)
            # A successor: for when the one before it has ended, however it did.
            wait = Wait("afterany", (key,))
        # Element by element: the evaluation of a run waits for nobody else's training. Of a chain
        # the first that comes to its end is the last that works.
        kind = "aftercorr" if len(group.runs) > 1 else "afterok"
        wait = Wait(kind, keys, is_any=True)


def _keys(index: int, stage: StageName, profile: Profile) -> tuple[Key, ...]:
    successors = profile.successors if profile.requeue == "chain" and stage == "train" else 0
    return tuple(Key(index, stage, attempt) for attempt in range(successors + 1))


def _turn(index: int, group: Group, groups: Sequence[Group], profile: Profile) -> Wait | None:
    """Return for what the first stage of a group waits."""
    if group.after:
        return Wait("afterok", group.after, is_any=True)
    limit = profile.array_parallelism
    if limit and index >= limit:
        # More arrays than jobs at once: each waits for the one that many places before it.
        before = index - limit
        return Wait("afterany", _keys(before, groups[before].stages[0], profile))
    return None
