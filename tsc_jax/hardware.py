"""What measured numbers depend on besides the code: the machine, the versions and the commit."""

import os
import platform
import subprocess

import jax


def hardware() -> dict[str, str | int]:
    """Processor, devices and versions, and the commit; "" where there is no git."""
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        commit = ""
    return {
        "processor": processor(),
        "devices": ", ".join(sorted({device.device_kind for device in jax.devices()})),
        "device_count": jax.device_count(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "commit": commit,
    }


def missing_platform() -> str:
    """Returns a sentence if JAX_PLATFORMS names devices that are not there, "" otherwise."""
    wanted = os.environ.get("JAX_PLATFORMS", "")
    if not wanted:
        return ""
    # Without a driver, JAX raises errors of many types, AssertionError among them.
    try:
        jax.devices()
    except Exception:
        jax.config.update("jax_platforms", None)
        there = ", ".join(sorted({device.platform for device in jax.devices()}))
        return f"JAX_PLATFORMS is {wanted!r}, but JAX finds no such devices here, only {there}; unset it or name these"
    return ""


def processor() -> str:
    """Model and number of cores."""
    models = cpuinfo("model name")
    return f"{len(models)} cores of {models[0]}" if models else platform.processor()


def emulates_bfloat16() -> bool:
    """Whether computation runs on a processor without bfloat16 arithmetic; False where it does not tell."""
    flags = " ".join(cpuinfo("flags", "Features")).split()  # of x86 and ARM
    return jax.default_backend() == "cpu" and bool(flags) and not {"avx512_bf16", "amx_bf16", "bf16"} & set(flags)


def cpuinfo(*names: str) -> list[str]:
    """Returns what Linux says of each core under one of these names; nothing elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        return []
    return [value.strip() for name, _, value in lines if name.strip() in names]
