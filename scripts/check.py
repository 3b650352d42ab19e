"""Runs every static check: `python scripts/check.py`, or with `--fix` to mend what a tool can mend."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the checks; return how many failed."""
    fix = "--fix" in sys.argv[1:]
    python = [sys.executable, "-m"]
    checks = {
        "lint": [*python, "ruff", "check", *(["--fix"] if fix else []), "."],
        "format": [*python, "ruff", "format", *([] if fix else ["--check"]), "."],
        "types": [*python, "mypy"],
    }
    failed = []
    for name, command in checks.items():
        print(f"check: {name}", flush=True)
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}" + ("" if fix else " (python scripts/check.py --fix mends what it can)"))
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
