"""Makes the blocking face of what both faces have from iommud.aio: `python3 tools/make_blocking.py [--check]`.

Only what does I/O is written twice: connections, claims, event queues, threads.
"""

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "iommud"
SAME = (
    "bus",
    "device_ats",
    "device_dma",
    "domains",
    "faults",
    "function",
    "ioas",
    "machine",
    "mappings",
    "memory",
    "model",
    "pasid",
    "recovery",
    "region",
    "slot",
    "sriov",
    "started",
)
BANNER = "# Made from {} by tools/make_blocking.py. Do not edit.\n"

WORDS = (
    (r"\basync def\b", "def"),
    (r"\basync with\b", "with"),
    (r"\bawait ", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
)


def blocking(name: str) -> str:
    text = (PACKAGE / "aio" / f"{name}.py").read_text()
    for pattern, put in WORDS:
        text = re.sub(pattern, put, text)
    return BANNER.format(f"aio/{name}.py") + text


def main(arguments: list[str]) -> int:
    stale = []
    for name in SAME:
        path = PACKAGE / "blocking" / f"{name}.py"
        text = blocking(name)
        if arguments == ["--check"]:
            if not path.exists() or path.read_text() != text:
                stale.append(path)
        else:
            path.write_text(text)
    for path in stale:
        print(f"{path} is not what aio gives; run python3 tools/make_blocking.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
