"""Why a job waits, in words: what SLURM's reasons mean, and what to do; and how one ended."""

from typing import NamedTuple

from tgdp.sweep.slurm.listing import SchedulerJob


class Reason(NamedTuple):
    """A reason in words.

    Attributes:
        meaning: What it means.
        mend: What to do; empty where waiting is all.
    """

    meaning: str
    mend: str = ""

    def __str__(self) -> str:
        """Return both, as one sentence each."""
        return f"{self.meaning}: {self.mend}" if self.mend else self.meaning


CANCEL_AND = "cancel it, mend the profile, launch again"

REASONS = {
    "None": Reason("about to be looked at"),
    "Priority": Reason("others come first"),
    "Resources": Reason("next in line, waits for free nodes"),
    "Dependency": Reason("waits for the job before it"),
    "JobArrayTaskLimit": Reason("as many of its array run as its throttle allows"),
    "BeginTime": Reason(
        "not before its time: a `begin` of its profile, or a minute or two after a requeue"
    ),
    "just submitted": Reason("just submitted"),
    "Cleaning": Reason("its former start is being cleaned up"),
    "DependencyNeverSatisfied": Reason(
        "the job it waits for failed, so it never starts",
        "cancel it, mend the cause (`tgdp-sweep logs`), then `retry --failed` and launch again",
    ),
    "PartitionTimeLimit": Reason(
        "asks for more time than its partition gives, so it never starts",
        f"{CANCEL_AND} with less time, or on another partition",
    ),
    "PartitionNodeLimit": Reason(
        "asks for more nodes than its partition gives, so it never starts", CANCEL_AND
    ),
    "PartitionDown": Reason("its partition takes no jobs now", "`sinfo` says whether it will"),
    "PartitionInactive": Reason("its partition takes no jobs now", "`sinfo` says whether it will"),
    "PartitionConfig": Reason("asks for what its partition does not have", CANCEL_AND),
    "BadConstraints": Reason("no node has the features it asks for", CANCEL_AND),
    "ReqNodeNotAvail": Reason(
        "nodes it needs are down or reserved", "`sinfo -R` says why; wait, or name other nodes"
    ),
    "Nodes required for job are DOWN": Reason(
        "the nodes that it could have are down, drained or taken by a higher partition",
        "it starts when they are free; `sinfo -R` says which are down, and why",
    ),
    "NodeDown": Reason("a node it needs is down", "`sinfo -R` says why"),
    "Reservation": Reason("waits for its reservation to begin"),
    "Licenses": Reason("waits for a licence"),
    "JobHeldUser": Reason("held by its user", "`scontrol release JOB`"),
    "JobHeldAdmin": Reason("held by an administrator", "ask them"),
    "InvalidAccount": Reason("its account is not valid any more", CANCEL_AND),
    "InvalidQOS": Reason("its quality of service is not valid", CANCEL_AND),
    "launch failed requeued held": Reason(
        "a node could not start it, and SLURM holds it",
        "`scontrol release JOB`; if it fails there again, exclude that node in the profile",
    ),
    "JobHoldMaxRequeue": Reason(
        "was put back into the queue too often, and SLURM holds it",
        "see `tgdp-sweep logs`, then `scontrol release JOB`",
    ),
}

BEGINNINGS = {
    "AssocGrp": "your account is at its limit of {what} for all its jobs together",
    "AssocMax": "you are at your limit of {what}",
    "QOSGrp": "its quality of service is at its limit of {what}",
    "QOSMax": "you are at the limit of {what} that its quality of service allows",
    "QOSMin": "asks for less {what} than its quality of service wants",
}
"""Limits, named by whose they are and of what. Source: man squeue, JOB REASON CODES."""

UNITS = {
    "GRES": "GPUs",
    "Cpu": "cores",
    "CPU": "cores",
    "Mem": "memory",
    "Node": "nodes",
    "Job": "jobs",
    "Submit": "submitted jobs",
    "Wall": "time",
    "Billing": "billing units",
}


def explain(job: SchedulerJob) -> Reason | None:
    """Return why a job waits; None where it does not, or where SLURM says nothing."""
    if not job.is_active or job.state not in {"PENDING", "REQUEUED", "REQUEUE_HOLD"}:
        return None
    known = REASONS.get(job.reason.replace("_", " ")) or REASONS.get(job.reason)
    if known is not None or not job.reason:
        return known or (Reason("waits") if job.state == "PENDING" else None)
    for beginning, words in BEGINNINGS.items():
        if job.reason.startswith(beginning):
            return _limit(job.reason, words)
    first = job.reason.partition(",")[0].strip("()").replace("_", " ")
    return REASONS.get(first) or Reason(job.reason)


def how_ended(job: SchedulerJob) -> str:
    """Return how SLURM says that a job ended: `FAILED, exit code 1`, or `FAILED, signal 9`."""
    code, _, signal = job.exit_code.partition(":")
    if signal.strip("0"):
        return f"{job.state}, signal {signal}"
    return f"{job.state}, exit code {code}" if code.strip("0") else job.state


def _limit(reason: str, words: str) -> Reason:
    what = next((unit for name, unit in UNITS.items() if name in reason), "what it asks for")
    if "PerJob" in reason or reason.startswith("QOSMin"):
        mend = f"it never starts; {CANCEL_AND}"
    else:
        whose = "qos" if reason.startswith("QOS") else "assoc"
        mend = f"it starts when other jobs end; `sacctmgr show {whose}` shows the limit"
    return Reason(words.format(what=what), mend)
