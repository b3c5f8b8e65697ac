"""Checkpoints in an object store, code and sockets of a search: what leaves the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import ray
import torch
import yaml
from moto.server import ThreadedMotoServer

from analysis.record.events import Attempt
from analysis.record.folder import open_run
from analysis.record.journal import read_journal
from search import load, run
from search.cli.main import main
from tests.support import examples
from tests.support.processes import RayCluster, shoal, slow_file
from trainables.checkpoints.checkpoints import Checkpoints

DIES_ONCE = """
import os, pathlib, torch

def train(config, context):
    total = torch.zeros(1) if context.state is None else context.state
    for epoch in range(context.epoch, context.max_epochs):
        mark = pathlib.Path(config["folder"]) / f"began-{config['x']}-{epoch}"
        if epoch == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        mark.touch()
        total = total + config["x"]
        context.save(total)
        yield {"score": total, "began_at": context.epoch}
"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[str, boto3.client]]:
    """A URI on a real S3 server of this machine, and a client that looks into its bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="bucket")
    options = f"scheme=http&endpoint_override={host}:{port}&region=us-east-1"
    yield f"s3://bucket/searches?{options}", client
    server.stop()


def keys(client: boto3.client, prefix: str) -> list[str]:
    found = client.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    return [item["Key"] for item in found if item["Key"].endswith(".pt")]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_trial_whose_process_dies_goes_on_from_its_checkpoint_in_an_object_store(
    tmp_path: Path, bucket: tuple[str, boto3.client]
) -> None:
    uri, client = bucket
    (tmp_path / "own.py").write_text(DIES_ONCE)
    experiment = examples.own_code_experiment(
        tmp_path,
        train={"folder": str(tmp_path)},
        scheduler={"name": "none", "max_epochs": 4},
        budget={"trials": 2},
        storage=uri,
    )
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(experiment.plain()))
    run = tmp_path / "run"
    assert main(["search", str(tmp_path / "own.yaml"), "--run", str(run)]) == 0
    _, _, trials = open_run(run)
    events = read_journal(run / "journal.jsonl")
    assert sorted(e.trial for e in events if isinstance(e, Attempt)) == [0, 1]
    for trial in trials:
        assert trial.state == "completed"
        assert [report.metrics["began_at"] for report in trial.reports] == [0, 1, 2, 3]
        assert trial.reports[-1].metrics["score"] == pytest.approx(
            4 * float(trial.params["x"] or 0)
        )
    assert not (run / "checkpoints").exists()
    assert len(keys(client, "searches/run/")) == 2
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    assert (session / "artifacts").is_dir()
    assert (
        list((session / "artifacts").iterdir()) == []
    )  # none of Tune's folders, of a trial or ours


def test_checkpoints_in_an_object_store_are_kept_dropped_and_read_back(
    bucket: tuple[str, boto3.client],
) -> None:
    uri, client = bucket
    checkpoints = Checkpoints(uri, 7)
    for epoch in (1, 2, 3):
        checkpoints.save(epoch, {"epoch": epoch})
    assert [key.rpartition("/")[2] for key in keys(client, "searches/7/")] == [
        "epoch-000002.pt",
        "epoch-000003.pt",
    ]
    client.put_object(Bucket="bucket", Key="searches/7/epoch-000003.pt", Body=b"damaged")
    assert checkpoints.load() == {"epoch": 2}
    assert checkpoints.delete() > 0
    assert checkpoints.load() is None


def test_a_bucket_that_is_not_there_is_one_message_before_anything_starts(
    tmp_path: Path, bucket: tuple[str, boto3.client], capsys: pytest.CaptureFixture[str]
) -> None:
    uri = bucket[0].replace("//bucket", "//nobody")
    arguments = ["--engine", "inline", "--run", str(tmp_path / "run"), "--set", f"storage={uri}"]
    assert main(["search", "quickstart", *arguments]) == 2
    error = capsys.readouterr().err
    assert "error: storage s3://nobody/searches/run can't be written" in error
    assert "secret" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_nodes_of_a_cluster_get_the_code_and_are_looked_at_by_the_doctor(
    tmp_path: Path,
) -> None:
    """The workers' copy of the code lies elsewhere than the driver's, its neighbour beside it."""
    file = Path(slow_file(tmp_path, trials=3))
    (tmp_path / "neighbour.py").write_text("PLACE = __file__\n")
    code = (
        (tmp_path / "own.py")
        .read_text()
        .replace("    total =", "    print(neighbour.PLACE)\n    total =", 1)
    )
    (tmp_path / "own.py").write_text("import neighbour\n" + code)
    nodes, run = RayCluster(head_cpus=1), tmp_path / "run"
    try:
        nodes.join()
        doctor = shoal("doctor", str(file), "--address", nodes.address)
        out, error = doctor.communicate(timeout=240)
        assert out.count("ok       node") == 2, error
        faults = [line for line in out.splitlines() if line.startswith("fault")]
        assert all("GPUs: install a CUDA build" in fault for fault in faults)
        search = shoal("search", str(file), "--run", str(run), "--address", nodes.address)
        _, error = search.communicate(timeout=240)
        assert search.returncode == 0, error
    finally:
        nodes.shut_down()
    (place,) = set((run / "logs" / "0.txt").read_text().split())
    assert "working_dir_files" in place
    assert not place.startswith(str(tmp_path))


@pytest.mark.slow
def test_the_nodes_of_a_cluster_get_the_data_that_a_run_has_kept(tmp_path: Path) -> None:
    scale, shift = torch.ones(3), np.ones(3)

    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        return {"score": config["x"] * float(scale.sum()) + float(shift.sum())}

    folder, space = tmp_path / "run", {"x": {"low": 0.0, "high": 1.0}}
    metric = {"name": "score", "mode": "max"}
    run(train, space=space, metric=metric, trials=2, folder=folder, engine="inline", show=False)
    nodes = RayCluster(head_cpus=1)
    try:
        words = ("--trials", "1", "--engine", "tune", "--address", nodes.address)
        _, error = shoal("resume", str(folder), *words).communicate(timeout=240)
    finally:
        nodes.shut_down()
    assert [*load(folder).trials["state"]] == ["completed"] * 3, error
