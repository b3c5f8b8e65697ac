"""Whether CUDA MPS is on: NVIDIA's service that lets processes use a GPU at the same time."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

_FOLDER = "/tmp/nvidia-mps"  # noqa: S108 (NVIDIA's own choice)


def is_mps_on() -> bool:
    """Whether its control daemon listens on this machine.

    It does at ``control`` in the folder CUDA_MPS_PIPE_DIRECTORY, which may stay behind when it
    ends. (NVIDIA, Multi-Process Service, "Environment Variables".)
    """
    control = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _FOLDER) / "control"
    try:
        if stat.S_ISSOCK(control.stat().st_mode):
            with socket.socket(socket.AF_UNIX) as made:
                made.settimeout(1.0)
                made.connect(str(control))
        else:
            os.close(os.open(control, os.O_WRONLY | os.O_NONBLOCK))  # fails where nobody reads it
    except PermissionError:  # it serves somebody else
        return True
    except OSError:
        return False
    return True


def mps_line(is_on: bool) -> str:
    """What it brings, and how it is started where it is off."""
    if is_on:
        return "CUDA MPS is on: trials that share a GPU compute at the same time"
    return (
        "CUDA MPS is off: trials that share a GPU take turns on it, with MPS they would compute at "
        "the same time; nvidia-cuda-mps-control -d starts it, before Ray"
    )
