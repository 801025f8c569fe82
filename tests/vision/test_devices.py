import pytest
import torch

from streamcam.errors import DeviceError, ExitCode, UsageError
from streamcam.vision import devices
from streamcam.vision.devices import (
    choose_device,
    choose_precision,
    describe_device,
    device_errors,
    device_memory,
)

CPU = torch.device("cpu")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@no_gpu
def test_auto_is_the_cpu_without_a_gpu() -> None:
    assert choose_device("auto") == choose_device("cpu") == CPU
    assert describe_device(CPU) == "cpu"


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_said_so(name: str) -> None:
    with pytest.raises(DeviceError, match="no CUDA GPU") as caught:
        choose_device(name)
    assert caught.value.exit_code == ExitCode.INTERNAL
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "meta", "mps"])
def test_a_device_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        choose_device(name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_beyond_the_last_is_refused() -> None:
    with pytest.raises(DeviceError, match="GPUs here"):
        choose_device("cuda:99")


@pytest.mark.parametrize(("units", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bfloat16_where_the_cpu_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch, units: bool, expected: str
) -> None:
    monkeypatch.setattr(devices, "_has_bfloat16_units", lambda: units)
    assert choose_precision("auto", CPU) == expected
    assert choose_precision("fp32", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"


def test_auto_takes_half_precision_on_a_gpu() -> None:
    assert choose_precision("auto", torch.device("cuda")) == "fp16"


def test_half_precision_needs_a_gpu() -> None:
    with pytest.raises(UsageError, match="fp16"):
        choose_precision("fp16", CPU)


def test_a_broken_gpu_is_our_error_and_says_how_to_go_on() -> None:
    with pytest.raises(DeviceError, match="illegal memory access") as caught, device_errors():
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore\nlines")
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == ExitCode.INTERNAL


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), torch.OutOfMemoryError("CUDA")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, device_errors():
        raise error
    assert caught.value is error


def test_only_gpus_that_are_named_are_asked_for_their_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def mem_get_info(index: int) -> tuple[int, int]:
        asked.append(index)
        return 10, 30

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    assert device_memory(["cuda:2", "cuda", "cuda:0"]) == {"cuda:0": (20, 30), "cuda:2": (20, 30)}
    assert asked == [0, 2]
