"""What the docs show is what works: commands and their flags, YAML, scripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import typer
import yaml

from search.cli.main import app
from spaces.files import load_experiment

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLUSTER = ROOT / "docs" / "cluster.md"


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Every shoal command with a flag or an argument that a page shows, as words."""
    text = page.read_text()
    found = re.findall(
        r"(?:^|[\s`'\"(])(shoal (?!shoal\b)[a-z]+[^`\n#'\";…|]*)", text, flags=re.MULTILINE
    )
    return [shlex.split(command, comments=True) for command in found]


def test_every_command_and_flag_in_the_docs_exists() -> None:
    known = {
        command.name: {flag for parameter in command.params for flag in parameter.opts}
        for command in typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    }
    shown = [words for page in PAGES for words in commands(page)]
    assert len(shown) > 30
    for _, name, *rest in shown:
        assert name in known, name
        flags = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "--"}
        assert flags <= known[name], (name, rest)


def test_every_command_is_in_the_readme() -> None:
    names = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    shown = (ROOT / "README.md").read_text()
    assert [name for name in sorted(names) if f"shoal {name}" not in shown] == []


def test_the_experiment_file_in_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "README.md", "yaml")
    (tmp_path / "my.yaml").write_text(block)
    assert load_experiment(str(tmp_path / "my.yaml")).baseline is not None


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
