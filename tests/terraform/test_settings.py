"""What terraform takes as a setting, backend and job take too: a wrong value is refused at plan."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config.environment import Environment, EnvironmentInvalid
from batch_job.settings import Settings, SettingsInvalid
from tools.terraform_inputs import JOB_SETTINGS, backend_settings

BACKEND_SETTINGS = backend_settings()
FORMS = (*BACKEND_SETTINGS.values(), *JOB_SETTINGS.values())


def accepts(form: dict[str, str], text: str) -> bool:
    """As the variables `environment` of modules/backend and modules/batch judge it."""
    return re.search(form["pattern"], text) is not None


values = st.one_of(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    st.integers(-5, 100_000).map(str),
    st.sampled_from(
        sorted({word for form in FORMS for word in form["words"].removeprefix("one of ").split(", ")})
    ).flatmap(lambda choice: st.sampled_from([choice, choice.upper(), choice + "s"])),
    st.from_regex(r"\Ahttps?://[a-z]{1,8}(/[a-z]{0,3})?\Z"),
)


def faults_of_the_backend(environment: dict[str, str]) -> list[str]:
    try:
        Environment.from_environ(environment)
    except EnvironmentInvalid as exc:
        return [fault for fault in exc.faults if not fault.endswith("is missing")]
    return []


@pytest.mark.parametrize("name", BACKEND_SETTINGS)
@given(text=values)
def test_what_terraform_takes_the_backend_takes(name: str, text: str):
    if accepts(BACKEND_SETTINGS[name], text):
        assert faults_of_the_backend({name: text}) == []


@pytest.mark.parametrize("name", JOB_SETTINGS)
@given(text=values)
def test_what_terraform_takes_the_job_takes(name: str, text: str):
    if accepts(JOB_SETTINGS[name], text):
        with pytest.raises(SettingsInvalid) as refused:  # of an environment with nothing else in it
            Settings.from_environ({name: text})
        assert f"{name} is not" not in str(refused.value)


@pytest.mark.parametrize(
    ("form", "text"),
    [(BACKEND_SETTINGS[name], text) for name, text in (("KEEP_VIDEOS_DAYS", "0"), ("SIGN_UP", "maybe"))]
    + [(JOB_SETTINGS[name], text) for name, text in (("PRECISION", "half"), ("CHUNK_FRAMES", "0"))],
)
def test_what_they_refuse_terraform_refuses(form: dict[str, str], text: str):
    assert not accepts(form, text)
