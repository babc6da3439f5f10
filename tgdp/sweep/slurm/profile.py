"""A cluster profile: on what a job runs there, how long, and what is done when it must go.

Profiles are YAML files; where they are looked for is said in `profile_files`.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tgdp.sweep.slurm.jobs import StageName
from tgdp.sweep.slurm.units import as_time, megabytes, minutes

Requeue = Literal["auto", "chain", "none"]

SET_BY_US = (
    *("array", "chdir", "comment", "dependency", "error", "export", "hold", "job-name"),
    *("kill-on-invalid-dep", "no-requeue", "ntasks", "ntasks-per-node", "open-mode", "output"),
    *("parsable", "requeue", "signal", "test-only", "wait", "wrap"),
)
HAVE_A_FIELD = (
    *("account", "constraint", "cpus-per-task", "gpus-per-node", "mem", "nodes", "partition"),
    *("qos", "time"),
)
OURS = frozenset({*SET_BY_US, *HAVE_A_FIELD})
"""Options of `sbatch` that the harness sets, or that have a field of their own."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Name of a variable that a shell can export."""


def _read_minutes(value: Any) -> Any:
    return minutes(value) if isinstance(value, str) else value


def _read_megabytes(value: Any) -> Any:
    return megabytes(value) if isinstance(value, str) else value


Minutes = Annotated[int, BeforeValidator(_read_minutes)]
Megabytes = Annotated[int, BeforeValidator(_read_megabytes)]


class Resources(BaseModel):
    """What a stage may have otherwise than the profile; left out is as the profile has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    gpu_type: str | None = None
    cpus: int | None = Field(default=None, ge=1)
    memory: Megabytes | None = None
    walltime: Minutes | None = None


class Profile(BaseModel):
    """Where and how the jobs of a sweep run on a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = Field(default="", description="one line for `tgdp-sweep profiles`")
    partition: str | None = Field(default=None, description="the cluster's default if left out")
    account: str | None = None
    qos: str | None = None
    constraint: str | None = Field(default=None, description="features of nodes, as in h100&ib")
    nodes: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0, description="of each node; there is one task a GPU")
    gpu_type: str | None = Field(default=None, description="as the cluster calls it, as in h100")
    cpus: int = Field(default=4, ge=1, description="cores of each task")
    memory: Megabytes | None = Field(default=None, description="of each node; else its default")
    walltime: Minutes
    signal_ahead: int = Field(
        default=120, ge=1, le=3600, description="seconds to save in, before the walltime is over"
    )
    setup: tuple[str, ...] = Field(default=(), description="lines of shell before each start")
    environment: dict[str, str] = Field(default_factory=dict[str, str])
    requeue: Requeue = Field(
        default="auto", description="'chain' where the cluster forbids it: successors are submitted"
    )
    successors: int = Field(default=1, ge=1, le=50, description="'chain': how many")
    restarts: int = Field(default=100, ge=0, description="'auto': jobs a run may use up")
    array_parallelism: int | None = Field(default=None, ge=1, description="jobs at once")
    sbatch: dict[str, str] = Field(
        default_factory=dict[str, str], description="further options: reservation, mail-user, ..."
    )
    evaluate: Resources = Resources()
    probe: Resources = Resources()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        # The script has them with `-`, however they are written here.
        if taken := sorted(key for key in self.sbatch if key.replace("_", "-") in OURS):
            raise ValueError(f"sbatch.{taken[0]}: the harness sets this, or it has its own field")
        if wrong := sorted(name for name in self.environment if not VARIABLE.fullmatch(name)):
            raise ValueError(
                f"environment.{wrong[0]}: no name of a variable; letters, digits and _ make one, "
                "and no digit comes first"
            )
        if self.gpu_type and not self.gpus:
            raise ValueError("gpu_type is of no use without gpus")
        if self.requeue != "chain" and "successors" in self.model_fields_set:
            raise ValueError("successors is only for requeue: chain")
        if (self.probe.nodes or 1) > 1 or (self.probe.gpus or 1) > 1:
            raise ValueError("probe: a probe is measured by one process; nodes and gpus are 1")
        for minutes_given in (self.walltime, self.evaluate.walltime, self.probe.walltime):
            if minutes_given is not None and minutes_given * 60 <= self.signal_ahead:
                raise ValueError(
                    f"walltime {as_time(minutes_given)} is no longer than signal_ahead, "
                    f"{self.signal_ahead} seconds; raise the one or lower the other"
                )
        return self

    @property
    def tasks(self) -> int:
        """Processes on each node: one a GPU."""
        return max(1, self.gpus)

    @property
    def world(self) -> int:
        """Processes of a job."""
        return self.nodes * self.tasks

    def of(self, stage: StageName) -> "Profile":
        """Return the profile of a stage, with its own resources where it has any.

        Raises:
            ValueError: They do not go together with the rest.
        """
        if stage == "train":
            return self
        own: Resources = getattr(self, stage)
        changed = own.model_dump(exclude_none=True)
        if stage == "probe":
            changed |= {"nodes": 1, "gpus": min(1, changed.get("gpus", self.gpus))}
        if changed.get("gpus") == 0:
            changed["gpu_type"] = None
        return Profile.model_validate({**self.model_dump(exclude_unset=True), **changed})
