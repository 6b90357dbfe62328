"""``enter_root.py PLAN``: mount what the plan says, make it the root, become its user, and run its command.

It runs as the first process of namespaces of its own for mounts and processes, so all of it ends with the command.
"""

import json
import os
import subprocess
import sys


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    root = plan["root"]
    _mount("-t", "overlay", "overlay", "-o", plan["overlay"], root)
    _mount("-t", "proc", "proc", f"{root}/proc")
    _mount("--rbind", "/dev", f"{root}/dev")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    for source, target, read_only in plan["mounts"]:
        _mount("--bind", source, f"{root}{target}")
        if read_only:
            _mount("-o", "remount,bind,ro", f"{root}{target}")
    os.chroot(root)
    os.chdir(plan["workdir"])
    user, group = (int(number) for number in plan["user"].split(":"))
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    command, environment = plan["command"], plan["environment"]
    if "/" in command[0]:
        os.execve(command[0], command, environment)
    os.execvpe(command[0], command, environment)


main()
