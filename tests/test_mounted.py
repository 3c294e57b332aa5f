"""`docker compose up -d` recreates a container whose mounted files have changed: a label has their hash."""

import pytest

from tests.support.mounted import LABEL, folders_of, hash_of, services_with_files
from tests.support.project import ROOT

SERVICES = services_with_files(ROOT)


@pytest.mark.parametrize("name", SERVICES)
def test_the_label_of_a_service_is_the_hash_of_the_files_that_it_mounts(name: str) -> None:
    expected = hash_of(ROOT, SERVICES[name])
    assert SERVICES[name]["labels"][LABEL] == expected, f'the files of {name} have changed: `make labels` writes "{expected}"'


@pytest.mark.parametrize("name", SERVICES)
def test_only_folders_are_mounted_since_a_file_that_is_replaced_stays_the_old_one(name: str) -> None:
    assert all((ROOT / folder).is_dir() for folder in folders_of(SERVICES[name])), name
