"""GPUs of this machine: whether they are seen, and whether what runs models could use them.

NVML and PyTorch are asked in processes of their own, with a time limit: a driver that hangs does not hang the doctor,
and nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from otelml._guard import attempt
from otelml.doctor import packages
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config

ROOT = Path("/")
_NVIDIA = "0x10de"
_DISPLAY = "0x03"
"""Class of PCI devices: graphics and 3D, which GPUs are; not their audio or USB."""
_NVML = """
import json
from otelml.probes.nvml import Nvml, NvmlUnavailableError
try:
    nvml = Nvml()
except NvmlUnavailableError as error:
    print(json.dumps({"error": str(error)}))
else:
    print(json.dumps({"gpus": len(nvml.devices() or []), "driver": nvml.driver_version()}))
"""
_TORCH = "import json, torch; print(json.dumps({'cuda': torch.cuda.is_available(), 'built': torch.version.cuda}))"
_OWN_NVML = Version("12")
"""The package ``pynvml`` before this release brought a module ``pynvml`` of its own, over that of nvidia-ml-py."""


def gpus(settings: Config, root: Path = ROOT) -> Iterator[Finding]:
    """Say which GPUs are there, and whether NVML sees them."""
    here = packages.installed()
    old = here.get("pynvml")
    if old is not None and Version(old.version) < _OWN_NVML:
        text = f"pynvml {old.version} is installed over nvidia-ml-py: another module of the same name"
        yield Finding("gpu", FAULT, text, "pip uninstall pynvml; pip install --force-reinstall nvidia-ml-py")
    cards, devices = _cards(root), _devices(root)
    if not cards and not devices:
        yield Finding("gpu", OK, "none here")
        return
    if not devices:
        text = f"{cards} by PCI, and no /dev/nvidia*: no driver, or a container that was not given them"
        yield Finding(
            "gpu", FAULT, text, "install the driver; in a container: --gpus all, or nvidia.com/gpu in Kubernetes"
        )
        return
    yield from _hidden(settings, devices)
    if "nvidia-ml-py" not in here:
        yield Finding("gpu", FAULT, f"{devices} here, and nvidia-ml-py is missing", "pip install nvidia-ml-py")
        return
    yield _by_nvml(devices)


def _cards(root: Path) -> int:
    """Return the NVIDIA GPUs that the PCI bus lists."""
    found = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        vendor, kind = (attempt((device / name).read_text)[0] or "" for name in ("vendor", "class"))
        found += vendor.strip() == _NVIDIA and kind.startswith(_DISPLAY)
    return found


def _devices(root: Path) -> int:
    """Return the GPUs that the driver offers to this machine or container."""
    return len(list((root / "dev").glob("nvidia[0-9]*")))


def _hidden(settings: Config, devices: int) -> Iterator[Finding]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in {"", "-1"}:
        text = f"{devices} here, and CUDA_VISIBLE_DEVICES={visible!r} hides all from models"
        yield Finding("gpu", NOTE, text, "unset CUDA_VISIBLE_DEVICES, or name GPUs in it")
    if not settings.gpu:
        yield Finding("gpu", NOTE, f"{devices} here, not watched", "unset OTELML_GPU")


def _by_nvml(devices: int) -> Finding:
    said = _asked(_NVML, 10.0)
    if "gpus" not in said:
        why = said.get("error", "no answer")
        return Finding("gpu", FAULT, f"{devices} here, and NVML does not work: {why}", "does nvidia-smi work here?")
    if said["gpus"] == 0:
        return Finding("gpu", FAULT, f"{devices} here, and NVML lists none", "does nvidia-smi work here?")
    return Finding("gpu", OK, f"{said['gpus']} by NVML, driver {said['driver']}")


def fallbacks(_: Config, root: Path = ROOT) -> Iterator[Finding]:
    """Say which of the installed libraries would run models on the CPU, where there is a GPU."""
    if not _devices(root):
        return
    here = packages.installed()
    if "onnxruntime" in here:
        beside = "onnxruntime-gpu" in here
        text = "onnxruntime, the build for CPUs, is installed" + (" over onnxruntime-gpu" if beside else "")
        yield Finding(
            *("onnxruntime", FAULT if beside else NOTE, f"{text}: models run on the CPU"),
            "pip uninstall onnxruntime onnxruntime-gpu; pip install onnxruntime-gpu",
        )
    if "torch" in here:
        yield _torch(here["torch"].version)


def _torch(version: str) -> Finding:
    fix = "install a build of PyTorch for this driver's CUDA (pytorch.org/get-started)"
    if version.endswith("+cpu"):
        return Finding("torch", NOTE, f"{version} is a build for CPUs: models run on the CPU", fix)
    said = _asked(_TORCH, 30.0)
    if "cuda" not in said:
        return Finding("torch", NOTE, f"{version} could not be asked: {said.get('error', 'no answer')}", fix)
    if not said["cuda"]:
        text = f"{version}, built for CUDA {said['built'] or 'never'}, finds no GPU: models run on the CPU"
        return Finding("torch", FAULT if said["built"] else NOTE, text, fix)
    return Finding("torch", OK, f"{version}, CUDA {said['built']}")


def _asked(script: str, seconds: float) -> dict[str, Any]:
    """Run a short program in a process of its own; return the object that it prints, or ``error``."""
    command = [sys.executable, "-c", script]
    done, error = attempt(
        subprocess.run, command, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
    )
    if done is None:
        return {"error": f"no answer within {seconds:g} s" if "Timeout" in type(error).__name__ else str(error)}
    said, _ = attempt(json.loads, done.stdout.splitlines()[-1] if done.stdout else "")
    if isinstance(said, dict):
        return said
    return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
