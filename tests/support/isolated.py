"""Runs test files one process each, so that a crash of one does not end the others; prints what failed and why.

cd tests && python -m support.isolated [folder or file ...]
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
FOLDERS = ("patterns", "connection", "limits", "options", "api", "stress", "house")


def files(arguments):
    for argument in arguments or FOLDERS:
        path = HERE / argument
        yield from sorted(path.rglob("test_*.py")) if path.is_dir() else [path]


def main(arguments):
    reasons, total = Counter(), Counter()
    for path in files(arguments):
        skip, crashed = [], []
        while True:  # after a crash the rest of the file is run again without the culprit
            command = [sys.executable, "-m", "pytest", "-v", "--tb=line", "-p", "no:cacheprovider", str(path)]
            for name in skip:
                command += ["--deselect", name]
            try:
                done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, timeout=900)
                out, status = done.stdout, done.returncode
            except subprocess.TimeoutExpired as expired:
                out, status = (expired.stdout or b"").decode(errors="replace"), -1
            started = re.findall(
                r"^(tests/\S+?::.*?) *(PASSED|FAILED|ERROR|SKIPPED|XFAIL)?(?: .*)?$", out, re.MULTILINE
            )
            if status in (0, 1, 5) or not started or started[-1][1] or len(crashed) > 20:
                break
            crashed.append(started[-1][0])
            skip.append(started[-1][0])
        counts = Counter(result for _, result in started if result)
        total.update(counts)
        total["CRASHED"] += len(crashed)
        print(f"{path.relative_to(HERE)}: {dict(counts)}" + (f" crashed: {crashed}" if crashed else ""), flush=True)
        for line in re.findall(r"^(?:FAILED|ERROR) (\S+.*)$", out, re.MULTILINE):
            print("   ", line[:200])
        reasons.update(line.rpartition(": ")[2][:100] for line in re.findall(r"^/\S+:\d+: .*$", out, re.MULTILINE))
    print(dict(total))
    for reason, count in reasons.most_common(30):
        print(f"{count:5}  {reason}")
    return 1 if total["FAILED"] + total["ERROR"] + total["CRASHED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
