"""`python -m training`: runs a command; whatever interrupts it, the run ends with a sentence and an exit code."""

import os
import sys
from signal import SIGINT

from training import signals

INTERRUPTED = 128 + SIGINT  # as a shell has it


def main() -> int:
    """Run the command that the arguments name and return the exit code."""
    signals.listen()
    # TensorFlow and BentoML read these when they are imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    try:
        from training import commands  # not at the top: it takes a second, in which Ctrl-C may come

        code = commands.run(sys.argv[1:])
    except KeyboardInterrupt:
        from training.output import fail

        # True, since signals are deferred before `latest` is renamed.
        code = fail("interrupted; what is served is unchanged.", INTERRUPTED)
    signals.ignore()
    return code


if __name__ == "__main__":
    code = main()
    if code == INTERRUPTED:
        os._exit(code)  # Python would end itself with the signal where the exception has passed through a library's C code
    sys.exit(code)
