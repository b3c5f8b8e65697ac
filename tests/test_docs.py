"""What the docs show is what works: commands, settings, scripts, links."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import typer
import yaml
from pydantic import TypeAdapter, ValidationError

from search.cli.groups import GROUPS
from search.cli.main import app
from spaces.experiment import Budget, Confirm, Experiment
from spaces.files import load_experiment
from spaces.metric import Metric
from spaces.parameters import Parameter
from spaces.resources import Checkpointing, Resources
from spaces.scheduler import Sampler, Scheduler
from spaces.settings.dataset import Dataset
from spaces.settings.model import Block, Convnet, Init, Mlp
from spaces.settings.own_data import Arrays, Table
from spaces.settings.train import Schedule, Train
from spaces.text import parse_yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLUSTER = ROOT / "docs" / "cluster.md"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LAYERS = ("trainables", "analysis", "search")
SECTIONS = (
    *(Experiment, Dataset, Table, Arrays, Mlp, Convnet, Block, Init, Train, Schedule),
    *(Metric, Sampler, Scheduler, Budget, Resources, Checkpointing, Confirm),
)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def inline(page: Path) -> list[str]:
    """What stands between backticks in the text of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


def commands(page: Path) -> list[list[str]]:
    """Every shoal command that a page shows, as words."""
    text = page.read_text().replace("\\\n", " ")
    whole = re.findall(r"^shoal [a-z].*", text, flags=re.MULTILINE)
    # "a shoal of trials" is no command
    parts = re.findall(r"(?<!\ba)(?<!\bA)[ `'\"(](shoal (?!shoal\b)[a-z]+[^`\n#'\";…|>&]*)", text)
    return [shlex.split(command, comments=True) for command in (*whole, *parts)]


def slugs(page: Path) -> list[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def is_setting(text: str) -> bool:
    """Whether a text is a setting of some section, or a parameter of a space, that is valid."""
    ((name, value),) = parse_yaml(text).items()
    for section in SECTIONS:
        if name not in section.model_fields:
            continue
        try:
            section.model_validate({name: value})
        except ValidationError as error:
            if any(found["loc"][:1] == (name,) for found in error.errors()):
                continue
        return True
    try:
        is_part = name in ("type", "when")
        TypeAdapter(Parameter).validate_python(
            {"low": 0, "high": 1, name: value} if is_part else value
        )
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_one_that_the_command_line_takes(page: Path) -> None:
    for _, name, *words in commands(page):
        assert name in COMMANDS, name
        if words:
            COMMANDS[name].make_context(name, words)


def test_the_pages_show_many_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 100


def test_every_command_has_its_place_in_the_reference() -> None:
    shown = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in COMMANDS if not re.search(rf"^shoal {name}\b", shown, re.M)] == []


def test_the_help_and_the_reference_have_every_command_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    headings = re.findall(r"^## (.*)", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    assert headings == list(GROUPS)


def test_every_section_of_an_experiment_is_in_the_reference() -> None:
    shown = (ROOT / "docs" / "experiment.md").read_text()
    fields = {name for section in SECTIONS for name in section.model_fields}
    assert [
        name for name in sorted(fields) if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", shown)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_experiment_on_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    (tmp_path / "my_code.py").write_text("\n".join(blocks(page, "python")))
    shutil.copy(ROOT / "examples" / "table" / "wine.csv", tmp_path)
    for block in blocks(page, "yaml"):
        if not {"cluster_name", "apiVersion"} & yaml.safe_load(block).keys():
            (tmp_path / "my.yaml").write_text(block)
            assert load_experiment(str(tmp_path / "my.yaml")).baseline is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_on_a_page_is_valid(page: Path) -> None:
    settings = [text for text in inline(page) if re.match(r"[a-z_]+: [^…]+$", text)]
    assert [text for text in settings if not is_setting(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_on_a_page_parses(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_on_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    for link in (link for link in links if "://" not in link):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    folders = "search|analysis|trainables|spaces|tests|benchmarks|docs"
    named = re.findall(rf"(?<![\w/.])(?:{folders})/[\w./-]*", page.read_text())
    assert [name for name in named if not (ROOT / name.rstrip(".")).exists()] == []


def test_every_package_on_the_page_how_it_works_is_there() -> None:
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    tree = page.partition("## Packages")[2].split("```")[1]
    folder, shown = ROOT, []
    for indent, name in re.findall(r"^( *)(\w+)/ ", tree, flags=re.MULTILINE):
        folder = folder if indent else ROOT / name
        shown.append(folder / name if indent else folder)
    there = {path.parent for top in ("spaces", *LAYERS) for path in (ROOT / top).glob("*/*.py")}
    assert [path for path in shown if not path.is_dir()] == []
    assert there - {*shown, ROOT / "analysis" / "report" / "sections"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_a_page_is_longer_than_120_characters(page: Path) -> None:
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_cluster_file_fits_ray_s_schema() -> None:
    folder = Path(ray.autoscaler.__file__).parent
    schema = json.loads((folder / "ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load(blocks(CLUSTER, "yaml")[0]), schema)


def test_the_ray_job_names_only_volumes_that_it_has() -> None:
    spec = yaml.safe_load(blocks(CLUSTER, "yaml")[1])["spec"]
    cluster = spec["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = {m["name"] for container in pod["containers"] for m in container["volumeMounts"]}
        assert mounted == volumes
    subprocess.run(["sh", "-n", "-c", shlex.split(spec["entrypoint"])[2]], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_in_the_docs_parses(page: Path) -> None:
    for block in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.slow
def test_the_slurm_script_searches_and_then_goes_on(tmp_path: Path) -> None:
    """Run as it stands, with stand-ins for Slurm's own two commands, on one node.

    (``ray symmetric-run`` ends with ``ray stop``, which must see no other Ray than its own.)
    """
    alone = ["unshare", "-Urpf", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no process namespaces are permitted here")
    script = next(block for block in blocks(CLUSTER, "bash") if "#SBATCH" in block)
    (tmp_path / "shoal.sh").write_text(script.replace("/shared/runs", f"{tmp_path}/runs"))
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in (
        ("scontrol", "echo 127.0.0.1"),
        ("srun", f'shift; exec {shlex.join(alone)} "$@"'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    spec = load_experiment("quickstart", ["budget.trials=3", "scheduler.max_epochs=1"]).plain()
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({**spec, "storage": f"{tmp_path}/storage"}))
    environment = {
        **os.environ,
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "one",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_CPUS_PER_TASK": "2",
    }
    for arguments, expected in (
        (["doctor"], "trials at a time"),
        ([], "3 of 3: "),
        ([], "the run is finished"),
    ):
        ended = subprocess.run(
            ["bash", "shoal.sh", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert expected in ended.stdout + ended.stderr
