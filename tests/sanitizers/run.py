"""Run Python against one of the other builds of the engine: run.py asan|tsan|portable ARGUMENTS...

`make asan`, `make tsan` and `make portable` build the engine into build/VARIANT/site and come here.  The interpreter
itself is not instrumented, so the sanitizer's runtime is preloaded.  Reports go to files, because a process that dies
while pytest captures its output would take them along; they are printed at the end, and any report is a failure.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# variant -> (runtimes to preload, a symbol every instrumented module refers to)
VARIANTS = {
    "asan": (["libasan.so", "libstdc++.so.6"], b"__asan_init"),
    "tsan": (["libtsan.so", "libstdc++.so.6"], b"__tsan_init"),
    "portable": ([], b""),
}
ADDR_NO_RANDOMIZE = 0x0040000


def runtime(name: str) -> str:
    """The path of a library that belongs to the compiler."""
    path = subprocess.run(
        [*os.environ.get("CC", "gcc").split(), f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(path).is_absolute():
        sys.exit(f"The sanitizer builds need gcc on Linux with its runtime {name}; this compiler has none.")
    return str(Path(path).resolve())


def environment(variant: str, reports: Path) -> dict[str, str]:
    """Our environment, plus what makes a child process use the build and its sanitizer."""
    libraries, _ = VARIANTS[variant]
    common = f"log_path={reports}:handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2"
    env = os.environ | {"PYTHONPATH": str(ROOT / "build" / variant / "site"), "PYZQ_SANITIZER": variant}
    if libraries:
        env |= {
            "LD_PRELOAD": " ".join(runtime(name) for name in libraries),
            "PYTHONMALLOC": "malloc",
            # CPython keeps memory until exit on purpose
            "ASAN_OPTIONS": f"{common}:detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0",
            "TSAN_OPTIONS": f"{common}:suppressions={HERE / 'tsan.supp'}:die_after_fork=0:second_deadlock_stack=1",
            # everything is several times slower
            "PYZQ_TEST_WATCHDOG": os.environ.get("PYZQ_TEST_WATCHDOG", "600"),
        }
    return env


def check_build(variant: str, env: dict[str, str]) -> None:
    """Make sure that what will be imported is this variant, and instrumented."""
    _, symbol = VARIANTS[variant]
    where = subprocess.run(
        [sys.executable, "-c", "import zcore.platform; print(zcore.platform.__file__)"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if where.returncode != 0:
        sys.exit(f"The {variant} build cannot be imported:\n{where.stderr}")
    module = Path(where.stdout.strip())
    if ROOT / "build" / variant not in module.parents:
        sys.exit(f"The {variant} build is not the one that is imported: {module}")
    if symbol not in module.read_bytes():
        sys.exit(f"{module} is not instrumented.")


def main() -> int:
    variant, *arguments = sys.argv[1:]
    reports = ROOT / "build" / variant / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    for old in reports.iterdir():
        old.unlink()
    if variant == "tsan" and sys.platform == "linux":
        # its shadow memory does not survive every random layout of the address space
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    env = environment(variant, reports / "report")
    check_build(variant, env)
    status = subprocess.run([sys.executable, *arguments], env=env, cwd=ROOT, check=False).returncode
    found = sorted(reports.iterdir())
    for report in found:
        print(f"---- {report.relative_to(ROOT)}\n{report.read_text(errors='replace')}")
    if found:
        print(f"{variant}: {len(found)} process(es) reported.")
    return status or (1 if found else 0)


if __name__ == "__main__":
    sys.exit(main())
