"""Runs a command under the sandbox and the limits of the daemon's unit, by systemd-run --user.

usage: python3 -m hearken_kernels.bringup.service UNIT [NAME=VALUE ...] COMMAND ...

In: the unit file, environment variables, a command. Out: what the command prints; its exit code.
"""

import os
import subprocess
import sys
from pathlib import Path

NOT_FOR_A_COMMAND = {
    "Type",
    "BusName",
    "ExecStart",
    "ExecReload",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "WatchdogSec",
    "NotifyAccess",
    "Slice",
}
"""Settings of the unit that say how the daemon is started and watched; all others confine it."""


def properties(unit: str) -> list[str]:
    """Returns the settings of a unit's [Service] that confine it, in order."""
    found, section = [], ""
    for line in map(str.strip, unit.splitlines()):
        if line.startswith("["):
            section = line
        elif section != "[Service]" or not line or line[0] in "#;":
            continue
        elif line.partition("=")[0] not in NOT_FOR_A_COMMAND:
            found.append(line)
    return found


def command(unit: str, arguments: list[str]) -> list[str]:
    """Returns the call of systemd-run for leading NAME=VALUE and a command."""
    start = ["systemd-run", "--user", "--quiet", "--wait", "--collect", "--pipe"]
    for setting in properties(unit):
        start += ["-p", setting]
    rest = list(arguments)
    while rest and "=" in rest[0] and not rest[0].startswith("/"):
        start.append(f"--setenv={rest.pop(0)}")
    return [*start, f"--working-directory={os.getcwd()}", "--", *rest]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    unit = Path(sys.argv[1]).read_text()
    sys.exit(subprocess.run(command(unit, sys.argv[2:])).returncode)
