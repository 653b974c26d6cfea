"""GPUs and CPU builds: on this machine as it is, and on one laid out as files of the kernel."""

import sys
from pathlib import Path

import pytest

import otelml
from otelml import config
from otelml.doctor import machine

SETTINGS = config.load({}, {})
TORCH = """
class version:
    cuda = {built!r}
class cuda:
    @staticmethod
    def is_available():
        return {works}
"""


@pytest.fixture
def kernel(tmp_path):
    """Files that the kernel would show: one GPU of NVIDIA, its audio, and a card of another maker."""

    class Kernel:
        root = tmp_path

        def card(self, slot, vendor="0x10de", kind="0x030200"):
            folder = tmp_path / "sys/bus/pci/devices" / slot
            folder.mkdir(parents=True)
            (folder / "vendor").write_text(f"{vendor}\n")
            (folder / "class").write_text(f"{kind}\n")

        def device(self, name):
            (tmp_path / "dev").mkdir(exist_ok=True)
            (tmp_path / "dev" / name).touch()

    return Kernel()


def found(kernel, settings=SETTINGS):
    """Return what is said of GPUs."""
    return list(machine.gpus(settings, kernel.root))


def test_no_gpu(kernel):
    """Without one that is all that is said; other makers' cards and audio devices are none."""
    kernel.card("0000:00:02.0", vendor="0x8086", kind="0x030000")
    kernel.card("0000:01:00.1", kind="0x040300")
    kernel.device("nvidiactl")
    assert [(each.state, each.detail) for each in found(kernel)] == [("ok", "none here")]
    assert list(machine.fallbacks(SETTINGS, kernel.root)) == []


def test_a_card_without_a_driver(kernel):
    """A GPU on the bus without a device file: no driver, or a container without GPUs."""
    kernel.card("0000:01:00.0")
    (finding,) = found(kernel)
    assert (finding.state, "--gpus all" in finding.fix) == ("fault", True)


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="NVML works here")
def test_devices_that_nvml_does_not_see(kernel, monkeypatch):
    """NVML is really asked, in a process of its own; here it has no driver, and its reason is told."""
    monkeypatch.setenv("PYTHONPATH", str(Path(otelml.__file__).parents[1]))
    kernel.device("nvidia0")
    (finding,) = found(kernel)
    assert finding.state == "fault"
    assert "NVML does not work: " in finding.detail
    assert "no answer" not in finding.detail


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_devices(kernel, monkeypatch, value):
    """CUDA_VISIBLE_DEVICES that hides all, and OTELML_GPU=false, are notes."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    kernel.device("nvidia0")
    notes = [each.detail for each in found(kernel, config.load({}, {"OTELML_GPU": "false"})) if each.state == "note"]
    assert len(notes) == 2


def test_the_other_pynvml(kernel, installed):
    """The old package of that name lies over the module that otelml needs."""
    installed.add("pynvml", "11.5.3")
    first, *_ = found(kernel)
    assert (first.state, "nvidia-ml-py" in first.fix) == ("fault", True)


@pytest.mark.parametrize(("beside", "state"), [(False, "note"), (True, "fault")])
def test_onnxruntime_for_cpus_beside_a_gpu(kernel, installed, beside, state):
    """The build for CPUs is a note, and a fault where it hides the one for GPUs."""
    kernel.device("nvidia0")
    installed.add("onnxruntime", "1.20")
    if beside:
        installed.add("onnxruntime-gpu", "1.20")
    (finding,) = [each for each in machine.fallbacks(SETTINGS, kernel.root) if each.what == "onnxruntime"]
    assert finding.state == state


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        (("2.5.0+cpu", None, False), ("note", "build for CPUs")),
        (("2.5.0", "12.4", True), ("ok", "CUDA 12.4")),
        (("2.5.0", "12.4", False), ("fault", "finds no GPU")),
        (("2.5.0", None, False), ("note", "built for CUDA never")),
    ],
    ids=["cpu", "works", "falls-back", "no-cuda"],
)
def test_torch(kernel, installed, monkeypatch, torch, said):
    """Its build is read, and where that does not tell, it is asked in a process of its own; never imported here."""
    kernel.device("nvidia0")
    version, built, works = torch
    installed.add("torch", version)
    (installed.folder / "torch.py").write_text(TORCH.format(built=built, works=works))
    monkeypatch.setenv("PYTHONPATH", str(installed.folder))
    (finding,) = [each for each in machine.fallbacks(SETTINGS, kernel.root) if each.what == "torch"]
    assert (finding.state, said[1] in finding.detail) == (said[0], True), finding
    assert "torch" not in sys.modules


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "import os; os._exit(3)", "raise ImportError('no')"])
def test_a_program_that_hangs_or_dies_is_told(code):
    """A question has a limit, and one that ends badly says how."""
    said = machine._asked(code, 1.0)
    assert list(said) == ["error"]
    assert said["error"]


def test_this_machine():
    """On the machine of the test, whatever it is, every finding has a state, and a fault has a fix."""
    for finding in (*machine.gpus(SETTINGS), *machine.fallbacks(SETTINGS)):
        assert finding.state in {"ok", "note", "fault"}
        assert finding.fix or finding.state == "ok"
