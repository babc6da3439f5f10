"""Peaks by the names that drivers give their cards."""

import pytest
import torch

from tgdp.training.peak import peak_flops, peak_of


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA H200", 989.5),
        ("NVIDIA GH200 480GB", 989.5),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A10", 125.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.05),
        ("Tesla V100-SXM2-16GB", 125.0),
        ("Tesla V100-PCIE-32GB", 112.0),
        ("NVIDIA GeForce RTX 3090", 71.0),
        ("NVIDIA GeForce RTX 4090", 165.2),
    ],
)
def test_a_card_is_known_by_its_name(name, half):
    assert peak_of(name, "float16", tf32=False) == half


@pytest.mark.parametrize(
    "name", ["NVIDIA A10G", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D", "?"]
)
def test_a_card_that_is_only_like_a_known_one_has_no_peak(name):
    assert peak_of(name, "bfloat16", tf32=False) is None


def test_a_volta_has_no_bfloat16_and_no_tf32():
    assert peak_of("Tesla V100-SXM2-16GB", "bfloat16", tf32=False) is None
    assert peak_of("Tesla V100-SXM2-16GB", "float32", tf32=True) == 15.7


def test_float32_counts_as_tf32_only_where_that_is_allowed():
    name = "NVIDIA A100-SXM4-80GB"
    assert peak_of(name, "float32", tf32=False) == 19.5
    assert peak_of(name, "float32", tf32=True) == 156.0


def test_a_cpu_has_no_peak():
    assert peak_flops(torch.device("cpu"), "float32") is None
