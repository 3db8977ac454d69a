"""What a release promises: checksums, one version, workflows that may do little."""

import re
import tomllib

import pytest
import yaml
from conftest import ROOT

import shared_geometry
from shared_geometry.publishing.new_page import SUMS, checksums
from shared_geometry.publishing.pages import read_pages

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()


def steps(workflow):
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_published_results_are_those_of_their_checksums():
    assert (ROOT / "results" / SUMS).read_text() == checksums(ROOT / "results")


def test_there_is_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert shared_geometry.__version__ == version


def test_the_readme_opens_every_chapter_in_binder():
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    place = url.removeprefix("https://github.com/")
    pattern = rf"mybinder\.org/v2/gh/{place}/main\?urlpath=lab/tree/book/([\w-]+)\.ipynb"
    linked = re.findall(pattern, (ROOT / "README.md").read_text())
    own = {p.name for p in read_pages(ROOT) if p.is_executed(ROOT) and p.name == p.chapter}
    assert set(linked) == own


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow):
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", name) for name in used)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_only_the_job_that_publishes_may_write(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    writing = {name for name, job in content["jobs"].items() if "permissions" in job}
    assert writing <= {"publish"}
    for name, job in content["jobs"].items():
        for step in job["steps"]:
            if "checkout" in step.get("uses", "") and name not in writing:
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_workflows_make_can_be_made(workflow):
    targets = [t for step in steps(workflow) for t in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))]  # fmt: skip  # noqa: E501
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", MAKEFILE, flags=re.M), target
