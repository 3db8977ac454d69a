import pytest
import torch

from shared_geometry.basics.devices import (
    describe_hardware,
    resolve_device,
    resolve_precision,
    usable_cores,
)
from shared_geometry.errors import InputError


@pytest.mark.parametrize("name", ["gpu", "", "cpux", "mps"])
def test_an_unknown_device_is_refused_with_what_is_allowed(name):
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["float16", "bf16", ""])
def test_an_unknown_precision_is_refused_with_what_is_allowed(name):
    with pytest.raises(InputError, match="auto, float32 or bfloat16"):
        resolve_precision(name, torch.device("cpu"))


def test_auto_takes_the_gpu_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="no GPU"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_is_bfloat16_where_the_processor_multiplies_it(monkeypatch, fast, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast, raising=False)
    assert resolve_precision("auto", torch.device("cpu")) is expected
    assert resolve_precision("float32", torch.device("cpu")) is torch.float32
    assert resolve_precision("bfloat16", torch.device("cpu")) is torch.bfloat16


def test_the_hardware_is_described_with_its_cores():
    assert f"{usable_cores()} cores" in describe_hardware()
    assert usable_cores() >= 1
