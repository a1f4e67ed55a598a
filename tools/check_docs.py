"""Check the documents: every relative link leads somewhere and every file they name exists.

A name in backquotes counts as a file when it has a folder and a suffix, as in `src/zcore/pipe.pxd`; `pipe.pxd:send`
and `tests/wire/*.py` are understood too.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".venv", "build", "dist", ".git"}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:[\w.*-]+/)+[\w.*-]+\.(?:py|pyx|pxd|pyi|h|md|toml|json|svg|yml))(?::[\w.]+)?`")


def anchor(heading: str) -> str:
    """The anchor a renderer gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def problems(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    prose = FENCE.sub("", text)
    found = []
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        linked = document.parent / path if path else document
        if not linked.exists():
            found.append(f"link to {target}, which does not exist")
        elif fragment and linked.suffix == ".md":
            headings = HEADING.findall(FENCE.sub("", linked.read_text(encoding="utf-8")))
            if fragment not in {anchor(heading) for heading in headings}:
                found.append(f"link to {target}, which has no such heading")
    for name in NAMED_FILE.findall(prose):
        if not any(next(base.glob(name), None) for base in (ROOT, document.parent)):
            found.append(f"names {name}, which does not exist")
    return found


def main() -> int:
    failures = 0
    documents = [path for path in sorted(ROOT.rglob("*.md")) if not SKIPPED & set(path.relative_to(ROOT).parts)]
    for document in documents:
        for problem in problems(document):
            print(f"{document.relative_to(ROOT)}: {problem}")
            failures += 1
    print(f"{len(documents)} documents, {failures or 'no'} problem{'' if failures == 1 else 's'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
