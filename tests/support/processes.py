"""What the system says of a process."""

from pathlib import Path


def in_status(pid: int, field: str) -> int:
    """Return the number of a field of the process's status, of memory in KiB; 0 where it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
