import pytest

from service.settings import RENAMED, Settings


def test_what_is_not_set_or_empty_has_its_default() -> None:
    assert Settings.from_environment({"DEVICE": "", "PATH": "/bin"}) == Settings()


def test_the_environment_is_read_with_its_types() -> None:
    settings = Settings.from_environment(
        {"WORKERS": "2", "REQUEST_TIMEOUT_SECONDS": "0.5", "ACCESS_LOG": "true", "DEVICE": "cpu"}
    )
    assert (settings.workers, settings.request_timeout_seconds, settings.access_log, settings.device) == (2, 0.5, True, "cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "tpu"),
        ("WORKERS", "0"),
        ("WORKERS", "two"),
        ("MAX_IMAGES", "-1"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("MODEL", "other:1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value}: "):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_old_name_of_a_setting_is_refused_with_its_new_one(old: str, new: str) -> None:
    with pytest.raises(ValueError, match=f"^{old} is now called {new}: "):
        Settings.from_environment({old: "1"})
    assert new.lower() in Settings.model_fields
    assert old.lower() not in Settings.model_fields


def test_an_old_name_that_compose_hands_on_empty_is_not_set() -> None:
    assert Settings.from_environment(dict.fromkeys(RENAMED, "")) == Settings()
