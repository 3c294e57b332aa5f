"""The hash of the files that a service of compose mounts from the project; a label with it recreates the container.

`python -m tests.support.mounted` writes the labels.
"""

import hashlib
import re
from pathlib import Path

import yaml

from tests.support.project import ROOT

LABEL = "digit-classifier.config"


def services_with_files(project: Path) -> dict[str, dict]:
    services = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]
    return {name: service for name, service in services.items() if folders_of(service)}


def folders_of(service: dict) -> list[str]:
    """Return the folders of deploy/ that it mounts, as long as no setting names another."""
    found = (re.match(r"(?:\$\{\w+:-)?(\./deploy/[\w/.]+)", volume) for volume in service.get("volumes", []))
    return [each[1] for each in found if each]


def hash_of(project: Path, service: dict) -> str:
    """Return 12 digits that are others once a file that `service` mounts has another name or content."""
    digest = hashlib.sha256()
    for folder in folders_of(service):
        for path in sorted((project / folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(project)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def write_labels(project: Path) -> None:
    """Write the labels into the compose file of the folder `project`."""
    compose = project / "docker-compose.yml"
    for name, service in services_with_files(project).items():
        labelled = rf'(?ms)^(  {name}:\n.*?{LABEL}: )"\w*"'
        compose.write_text(re.sub(labelled, rf'\g<1>"{hash_of(project, service)}"', compose.read_text(), count=1))


if __name__ == "__main__":
    write_labels(ROOT)
