"""`tgdp-eval` as a process that notes which clips it read: `evaluate_process.py DIR WORDS...`."""

import json
import os
import sys
from pathlib import Path

from feature_process import counted

from tgdp.cli.console import run
from tgdp.cli.evaluate import app

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    read = counted()
    try:
        run(app)
    finally:
        (folder / f"read-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(read))
