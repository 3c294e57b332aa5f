"""`python -m training` as a command, and arrays in the form of MNIST's files."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.support.project import ROOT


def idx_bytes(array: np.ndarray) -> bytes:
    """Return `array` of unsigned bytes in IDX form."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def run_training(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m training` on the store in `home`."""
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        cwd=ROOT,
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
