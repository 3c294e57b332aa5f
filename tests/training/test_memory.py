import os
import sys
from pathlib import Path

import pytest

from tests.support.command_line import started

MOST_MIB = 1536  # compose gives the job two GiB, of which it also keeps its temporary files


@pytest.mark.slow
def test_the_largest_recipe_fits_and_publishes_within_the_memory_that_compose_gives_it(home: Path):
    process = started(home, "-m", "training", "--recipe", "conv", "--epochs", "1", "--force", "--quiet")
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    mib = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    print(f"conv: {mib:.0f} MiB at most")
    assert mib <= MOST_MIB
