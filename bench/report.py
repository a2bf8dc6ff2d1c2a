"""Writes docs/benchmarks.md and its plots from bench/results/: `python bench/report.py`."""

import json
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
Record = dict[str, Any]

HEAD = """# Benchmarks

Written by `python bench/report.py` from `bench/results/`, which `python bench/run.py --data FOLDER` fills.
Each row compares runs of one process on one machine, interleaved; figures are medians over the repeats,
ratios too. Peers run at their best settings; compile time is left out unless it is what is measured.

Machines differ and were shared: the ratios are what to read, not the seconds.
"""


def table(records: list[Record]) -> str:
    """A Markdown table with one row for each setting: medians over `repeat`."""
    rows = []
    for _, repeats in groupby(records, key=_setting):
        repeats = list(repeats)
        rows.append(
            {
                name: _middle([record[name] for record in repeats])
                for name in repeats[0]
                if name not in ("case", "repeat")
            }
        )
    names = list(rows[0])
    lines = [" | ".join(names), "|".join("---" for _ in names)]
    lines += [" | ".join(_text(row.get(name, "")) for name in names) for row in rows]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def _setting(record: Record) -> str:
    keys = ("case", "data", "factors", "what", "shape", "method", "threads", "k", "model", "codec")
    return json.dumps([record.get(key) for key in keys])


def _middle(values: list[Any]) -> Any:
    return (
        median(values)
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        else values[0]
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.4f}"
    return str(value)


def bars(records: list[Record], path: Path) -> None:
    """Seconds to implicit's final loss, implicit beside fastrec."""
    groups = [list(group) for _, group in groupby(records, key=_setting)]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for place, group in enumerate(groups):
        for shift, name, colour in ((-0.2, "implicit", "#9aa5b1"), (0.2, "fastrec", "#0b7285")):
            seconds = median(record[name] for record in group)
            bar = axes.bar(place + shift, seconds, 0.38, color=colour, label=name if place == 0 else None)
            axes.bar_label(bar, [f"{seconds:.3g}"], fontsize=8, padding=2)
    axes.set_xticks(
        range(len(groups)), [f"{group[0]['data']}\n{group[0]['factors']} factors" for group in groups], fontsize=8
    )
    axes.set_yscale("log")
    axes.set_ylabel("seconds (log)")
    axes.set_title("iALS: the time to implicit's final loss (15 iterations)", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Write the page."""
    (DOCS / "img").mkdir(exist_ok=True)
    parts = [HEAD]
    for path in sorted((HERE / "results").glob("*.json")):
        content = json.loads(path.read_text())
        records, machine = content["records"], content["machine"]
        if not records:
            continue
        parts.append(f"## {content.get('title', path.stem)}\n")
        if path.stem == "als-race":
            bars(records, DOCS / "img" / "als-race.svg")
            parts.append("![Seconds to implicit's final loss](img/als-race.svg)\n")
        parts.append(table(records) + "\n")
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        parts.append(
            f"*{machine['date'][:10]}, {machine['cores']} cores {machine['cpu']} ({machine['vector width']}), "
            f"{machine['system']}, Python {machine['python']}; {versions}.*\n"
        )
    (DOCS / "benchmarks.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
