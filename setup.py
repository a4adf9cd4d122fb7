"""Puts configs/ and launch/ into the package tsc_jax; pyproject.toml has everything else."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["tsc_jax*"]),
        *(f"tsc_jax.{name}" for name in find_packages(include=["configs*", "launch*"])),
    ],
    package_dir={"tsc_jax.configs": "configs", "tsc_jax.launch": "launch"},
)
