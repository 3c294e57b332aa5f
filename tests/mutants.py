"""`make mutants`: changes one small thing at a time in the modules that decide, and looks whether their own tests notice."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".mutants"
MUTMUT = Path(sys.executable).parent / "mutmut"
AIM = 0.9
# By exit code of pytest or the signal that ended it. mutmut calls 255 a timeout, too: there, pytest itself failed.
OUTCOMES = {0: "survived", 1: "failed", 33: "untested"} | dict.fromkeys((-24, 24, 36, 152), "hung")
CAUGHT = ("failed", "hung")

# Each module, and the tests that mirror it; those that are marked slow or start a service are left out. mutmut does not
# change functions with a decorator, nor what is outside of functions.
TESTS = {
    "models/digits.py": ["tests/models/test_digits.py"],
    "models/card.py": ["tests/models/test_card.py"],
    "models/novelty.py": ["tests/models/test_novelty.py"],
    "models/pointer.py": ["tests/models/test_pointer.py"],
    "training/acceptance.py": ["tests/training/test_acceptance.py"],
    "training/behaviour.py": ["tests/training/test_behaviour.py"],
    "training/calibration.py": ["tests/training/test_calibration.py"],
    "training/data.py": ["tests/training/test_data.py", "tests/training/test_split.py"],
    "training/evaluate.py": ["tests/training/test_evaluate.py"],
    "training/prune.py": ["tests/training/test_prune.py"],
    "training/publish.py": [
        "tests/training/test_evidence.py",
        "tests/training/test_objections.py",
        "tests/training/test_publish.py",
    ],
    "training/store.py": [
        "tests/training/test_store.py",
        "tests/training/test_add.py",
        "tests/training/test_pointer_history.py",
    ],
    "service/errors.py": ["tests/service/test_errors.py"],
    "service/inference/admission.py": ["tests/service/inference/test_admission.py", "tests/service/inference/test_slots.py"],
    "service/inference/batcher.py": [
        "tests/service/inference/test_batcher.py",
        "tests/service/inference/test_batcher_isolation.py",
    ],
    "service/inference/explanation.py": ["tests/service/inference/test_explanation.py"],
    "service/inference/model_repository.py": [
        "tests/service/inference/test_model_repository.py",
        "tests/service/inference/test_store_watch.py",
    ],
    "service/protocols/accept.py": ["tests/service/protocols/test_accept.py"],
    "service/protocols/json_fast.py": [
        "tests/service/protocols/test_json_fast.py",
        "tests/service/protocols/test_json_limits.py",
    ],
    "service/protocols/json_strict.py": ["tests/service/protocols/test_json_strict.py"],
    "service/protocols/media_types.py": ["tests/service/protocols/test_media_types.py"],
    "service/http/auth.py": ["tests/service/http/test_auth.py"],
    "service/http/request_body.py": ["tests/service/http/test_request_body.py"],
}

CONFIGURATION = """[mutmut]
source_paths={module}
also_copy=
    models
    training
    service
    data
    examples
pytest_add_cli_args_test_selection=
    {tests}
# The main process stays free of TensorFlow's threads, which a fork would not take along.
process_isolation=forkserver
use_git_change_detection=false
# What a failed test prints may hold half a surrogate pair, which ends pytest where nothing can encode it.
pytest_add_cli_args=
    -ptests.mutants
    --tb=no
    --no-summary
timeout_multiplier=5
timeout_constant=5
"""


# For git, neither what is published here nor the copy is in a checkout: it would find the one around them.
NO_GIT = {"GIT_CEILING_DIRECTORIES": str(ROOT)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests in the order of their files, where the quick ones stand first; mutmut names them in no order."""
    items.sort(key=lambda item: item.reportinfo()[:2])


def published_home() -> Path:
    """Return a store with the published baseline, made once: each mutant's tests would train it again."""
    home = WORK / "home"
    if not home.exists():
        environment = os.environ | NO_GIT | {"BENTOML_HOME": str(home)}
        subprocess.run([sys.executable, "-m", "training", "--quiet"], cwd=ROOT, env=environment, check=True)
    return home


def folder_for(module: str, tests: list[str]) -> Path:
    """Return a folder of its own with the project in it, for mutmut to copy and change."""
    folder = WORK / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("models", "training", "service", "tests", "data", "examples", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "setup.cfg").write_text(CONFIGURATION.format(module=module, tests="\n    ".join(tests)))
    return folder


def run_mutmut(folder: Path, *arguments: str) -> str:
    environment = os.environ | NO_GIT | {"MUTANTS_HOME": str(published_home())}
    finished = subprocess.run([MUTMUT, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        said = re.sub(r"\s*\S Running stats|\s*\S Generating mutants", "", finished.stdout)
        sys.exit(f"mutmut {' '.join(arguments)} in {folder}:\n{said}\n{finished.stderr}")
    return finished.stdout


def caught_share(module: str) -> float:
    """Run the mutants of `module`, print those that survive, and return the share of those that are caught."""
    folder = folder_for(module, TESTS[module])
    run_mutmut(folder, "run", "--max-children", "1")
    exit_codes = json.loads((folder / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
    outcomes = {name: OUTCOMES.get(code, "not run") for name, code in exit_codes.items()}
    for name, outcome in outcomes.items():
        if outcome not in CAUGHT:
            print(run_mutmut(folder, "show", name))
    counts = Counter(outcomes.values())
    caught = sum(counts[outcome] for outcome in CAUGHT) / len(outcomes)
    print(f"{module}: {caught:.1%} of {len(outcomes)} caught; {dict(counts)}", flush=True)
    return caught


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"one or more of {', '.join(TESTS)}; all by default")
    modules = parser.parse_args().modules or list(TESTS)
    if unknown := set(modules) - TESTS.keys():
        parser.error(f"{', '.join(unknown)} is not in the table; choose from {', '.join(TESTS)}")
    if min([caught_share(module) for module in modules]) < AIM:
        sys.exit(f"less than {AIM:.0%} were caught")


if __name__ == "__main__":
    main()
