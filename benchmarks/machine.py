"""What the figures were measured on."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def machine() -> dict[str, str]:
    """Processor, cores, memory, load of the last minute, kernel, Python and date."""
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": str(os.cpu_count()),
        "memory": _gib(_field(Path("/proc/meminfo"), "MemTotal")),
        "load_average": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _gib(kib_text: str) -> str:
    """ "24684096 kB" → "23.5 GiB"; the kernel's kB are 1,024 bytes."""
    kib = kib_text.removesuffix(" kB")
    return f"{int(kib) / 1024**2:.1f} GiB" if kib.isdigit() else kib_text


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")
