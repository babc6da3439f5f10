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


class Step(NamedTuple):
    """One call of `sbatch`.

    Attributes:
        key: Which.
        group: Of which runs.
        kind: How it waits, in SLURM's word; empty where it does not.
        waits_for: For which jobs: a call before, or the number of a job in the queue already.
    """

    key: Key
    group: Group
    kind: str = ""
    waits_for: Key | str | None = None

    def dependency(self, numbers: Mapping[Key, str]) -> str:
        """Return on what its jobs wait, in SLURM's words; empty for nothing.

        Args:
            numbers: The cluster's numbers of those that were submitted before.
        """
        if not self.waits_for:
            return ""
        known = self.waits_for if isinstance(self.waits_for, str) else numbers[self.waits_for]
        return f"{self.kind}:{known}"


def make_steps(groups: Sequence[Group], profile: Profile) -> list[Step]:
    """Return the calls of `sbatch`, each after those it waits for."""
    return [
        step for index, group in enumerate(groups) for step in _steps(index, group, groups, profile)
    ]


def at_once(groups: Sequence[Group], profile: Profile) -> int | None:
    """Return how many jobs of one array may run together, so that all keep to the profile."""
    limit = profile.array_parallelism
    return max(1, limit // len(groups)) if limit and groups else None


def _steps(index: int, group: Group, groups: Sequence[Group], profile: Profile) -> Iterator[Step]:
    successors = profile.successors if profile.requeue == "chain" else 0
    limit = profile.array_parallelism
    kind, before = ("afterok", group.after) if group.after else ("", None)
    if limit and index >= limit and not group.after:
        # More arrays than jobs at once: each waits for the one that many places before it.
        kind, before = "afterany", Key(index - limit, groups[index - limit].stages[0])
    for stage in group.stages:
        for attempt in range(successors + 1 if stage == "train" else 1):
            if attempt:
                kind = "afterany"
            key = Key(index, stage, attempt)
            yield Step(key, group, kind, before)
            before = key
        # Element by element: the evaluation of a run waits for nobody else's training.
        kind = "aftercorr" if len(group.runs) > 1 else "afterok"
