"""The front door: whatever comes, at whatever moment, the run ends with a sentence and an exit code."""

import os
import sys

from training import interruption

_INTERRUPTED = 130


def main() -> int:
    """Run the command that the arguments name and return the exit code."""
    interruption.listen()
    # TensorFlow and BentoML read these when they are imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    try:
        from training import commands  # not at the top: it takes a second, in which Ctrl-C may come

        code = commands.run(sys.argv[1:])
    except KeyboardInterrupt:
        from training.output import fail

        # True, since signals are held back from the first change of the store on.
        code = fail("interrupted; nothing was changed in the store.", _INTERRUPTED)
    interruption.ignore()
    return code


if __name__ == "__main__":
    sys.exit(main())
