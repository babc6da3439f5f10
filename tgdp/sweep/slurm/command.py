"""SLURM's own commands, asked with patience: a controller that is busy answers a moment later."""

import logging
import os
import subprocess
import time

WAITS_S = (1.0, 3.0)
"""Pauses before the second and the third try."""

PATIENCE_S = 60.0
"""What one try may take; SLURM's commands give up on a silent controller after some ten seconds."""

NO_ACCOUNTING = "accounting storage is disabled"
UNKNOWN_JOB = "Invalid job id specified"
"""What `squeue` says of a single job that it has forgotten; of several it says nothing."""

OVERRIDES = ("SQUEUE_", "SACCT_", "SACCTMGR_", "SINFO_", "SCANCEL_", "SCONTROL_", "SLURM_CLUSTERS")
"""Beginnings of variables that would change what the commands print, or which cluster they mean:
`sbatch` is given none of them either."""

log = logging.getLogger(__name__)


def answer(*command: str) -> str | None:
    """Return what a command prints; None where it is not here, or fails three times over.

    Failures are warned of, but for a cluster that keeps no accounts: that is how it is made.
    """
    said, conf = "", os.environ.get("SLURM_CONF")
    if conf and not os.path.exists(conf):
        # The commands themselves look for it for a minute, each time.
        log.warning("SLURM_CONF: %s is not there; what %s knows is left out", conf, command[0])
        return None
    for pause in (0.0, *WAITS_S):
        time.sleep(pause)
        try:
            done = call(*command)
        except FileNotFoundError:
            log.warning("%s: not on this machine; what it knows is left out", command[0])
            return None
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
            continue
        said = done.stderr.strip()
        if done.returncode == 0:
            return done.stdout
        if UNKNOWN_JOB in said:
            return ""
        if NO_ACCOUNTING in said:
            return None
    log.warning("%s fails, what it knows is left out: %s", command[0], said or "it says nothing")
    return None


def call(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command once, whatever the user's variables would make of it.

    Raises:
        OSError: It is not here.
        subprocess.TimeoutExpired: It does not come to an end.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OVERRIDES)}
    # Times as seconds, whatever the site prefers, and lists of array elements never cut short.
    words = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
    return subprocess.run(
        command,
        env={**kept, **words},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
