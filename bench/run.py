"""Runs benchmarks: `python bench/run.py als topk --data FOLDER`. Figures go to bench/results/, the page to docs/."""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data import Folder, MissingDataError

HERE = Path(__file__).resolve().parent
CASES = sorted(path.stem for path in (HERE / "cases").glob("*.py") if path.stem != "__init__")
PEERS = (
    "numpy", "scipy", "numba", "scikit-learn", "implicit", "faiss-cpu", "hnswlib", "usearch", "voyager", "scann",
    "torch", "gensim", "lightfm-next", "rusket", "irspack", "skrecsys", "fastslim",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Describes the machine of the figures."""
    import numba
    from llvmlite import binding

    versions = {}
    for name in ("fastrec", *PEERS):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "vector width": "AVX-512" if binding.get_host_cpu_features().get("avx512f") else "other",
        "threads": numba.config.NUMBA_NUM_THREADS,
        "versions": versions,
    }


def main() -> int:
    """Runs the named cases; a part that cannot run says what it lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"which: {', '.join(CASES)} (all)")
    parser.add_argument("--data", type=Path, default=os.environ.get("FASTREC_BENCH_DATA"), help="the data folder")
    parser.add_argument("--parts", nargs="*", help="only these parts; those that find settings may be named, too")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data (or FASTREC_BENCH_DATA) must name the folder with ml-100k, ml-1m and gowalla")
    folder, missing = Folder(Path(options.data)), 0
    for name in options.cases or CASES:
        if name not in CASES:
            parser.error(f"there is no case {name!r}: it must be one of {', '.join(CASES)}")
        case = importlib.import_module(f"cases.{name}")
        known = {part.__name__: part for part in case.PARTS}
        asked = options.parts or known
        for part in (known.get(part, getattr(case, part, None)) for part in asked):
            if part is None:
                continue  # a part of another case
            print(f"{name}: {part.__doc__}", flush=True)
            records = []
            try:
                for record in part(folder, options.repeats):
                    print("  " + ", ".join(f"{key} {_short(value)}" for key, value in record.items()), flush=True)
                    records.append(record)
            except (MissingDataError, ImportError) as error:
                missing += 1
                print(f"  not run: {error}", flush=True)
                continue
            path = HERE / "results" / f"{name}-{part.__name__}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(_content(case, part, f"{name}: {part.__doc__}", records), indent=1) + "\n")
    return 1 if missing else 0


def _content(case: Any, part: Any, title: str, records: list[dict[str, object]]) -> dict[str, object]:
    """Returns the record of a part; a case with a PAGE has its tables on that page, and PAGES names others."""
    page = getattr(case, "PAGES", {}).get(part.__name__, getattr(case, "PAGE", None))
    return {"title": title, **({} if page is None else {"page": page}), "machine": machine(), "records": records}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
