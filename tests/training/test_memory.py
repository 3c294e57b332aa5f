import time
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.command_line import started
from tests.support.processes import in_status

MOST_MIB = 1536  # compose gives the job two GiB, of which it also keeps its temporary files


def most_mib(process: Popen[bytes]) -> float:
    """Wait for `process` to end and return the most memory that it had."""
    kib = 0
    while process.poll() is None:
        # Not that of wait4, which counts what the process had before it became another program: as much as this one.
        kib = max(kib, in_status(process.pid, "VmHWM"))
        time.sleep(0.05)
    return kib / 1024


@pytest.mark.slow
def test_the_largest_recipe_fits_and_publishes_within_the_memory_that_compose_gives_it(home: Path):
    process = started(home, "-m", "training", "--recipe", "conv", "--epochs", "1", "--force", "--quiet")
    mib = most_mib(process)
    print(f"conv: {mib:.0f} MiB at most")
    assert process.returncode == 0
    assert mib <= MOST_MIB
