"""Writes docs/explanation/benchmarks.md, tables of other pages and plots from bench/results/: `python bench/report.py`.

The table of NAME.json is put between `<!-- results: NAME -->` and `<!-- end -->` of a page of docs.
"""

import json
import re
from itertools import groupby
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter
from summary import summary

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
plt.rcParams["svg.hashsalt"] = "fastrec"  # the same picture gives the same file
Record = dict[str, Any]

HEAD = """# Benchmarks

Each row of the first table compares fastrec with another library, on one machine, in one run, in turns. "Times as fast"
goes from the setting with the least gain to the setting with the greatest gain. Below 1, the other library is faster.
The tables below have the figures of each setting.

{summary}

**How to read it.** Seconds are of a machine with 2 cores (AMD Zen 4), which others used too. So trust the ratios more
than the seconds. If a table has CPU seconds, compare these. Figures are medians over the repeats, and so are ratios.
Compile time is left out, except in the tables that measure it. The peers are the other libraries. They run with the
settings that a row names, or else with their own defaults, on as many threads as fastrec.

**How to repeat it.** The line under each table has the command that made it, the date, the machine and the versions of
all packages. The data are [Gowalla](https://snap.stanford.edu/data/loc-Gowalla.html), with the split of LightGCN, and
[MovieLens](https://grouplens.org/datasets/movielens/), in a folder that `--data` names. `pip install '.[bench]'` brings
the peers: implicit, faiss, LightFM, gensim, rusket, irspack, skrecsys, fastslim and others install side by side (tried
on Linux, Python 3.11, NumPy 2.4). `python bench/report.py` then writes this page.

**What is not the same.** implicit gives an entry the weight alpha·v and fastrec gives it 1 + alpha·v, so both are run
to the same loss. skrecsys takes two columns of ids and codes them, so one of fastrec's rows does this too. irspack has
no lists for all users outside its evaluator, so only its fits are timed. The lists of irspack's cosine neighbours
differ from those of the others. rusket's `BPR` begins at random rows, and fastrec's at
the main directions of the data. So both run to an NDCG, and not for a number of steps. "peak MiB" is the memory of the
process above its memory at the start of a run. One benchmark is written but was not run yet: RP3beta (`walks`). The
table of `als_loss` is of a version whose iALS balances its factors. The race to implicit's loss alone (`als race`) was
run before that.

Another page compares the accuracy of the models with other libraries and published figures: [accuracy](accuracy.md).
"""


def table(records: list[Record]) -> str:
    """Returns a Markdown table with one row for each setting: medians over `repeat`."""
    hidden = {"repeat"} if len({record.get("case") for record in records}) > 1 else {"repeat", "case"}
    names = [name for name in dict.fromkeys(name for record in records for name in record) if name not in hidden]
    rows = []
    for _, repeats in groupby(records, key=_setting):
        repeats = list(repeats)
        rows.append({name: _middle([record[name] for record in repeats]) for name in names if name in repeats[0]})
    lines = [" | ".join(names), "|".join("---" for _ in names)]
    lines += [" | ".join(_text(row.get(name, "")) for name in names) for row in rows]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def _setting(record: Record) -> str:
    keys = (
        "case",
        "data",
        "factors",
        "what",
        "shape",
        "method",
        "threads",
        "k",
        "library",
        "recall@10",
        "model",
        "codec",
    )
    return json.dumps([record.get(key) for key in keys])


def _middle(values: list[Any]) -> Any:
    return (
        median(values)
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        else values[0]
    )


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        if isnan(value):
            return ""
        if value and abs(value) < 1e-4:
            return f"{value:.1e}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.4f}"
    return str(value)


def bars(records: list[Record], path: Path) -> None:
    """Draws the seconds to implicit's final loss, of implicit and of fastrec."""
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
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def pitfalls(records: list[Record], blend: float, path: Path) -> None:
    """Draws the accuracy of TwoStage by the data that it learns from, beside that of a Blend of its members."""
    ordered = sorted(records, key=lambda record: record["ndcg@10"])
    figure, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
    for place, value in enumerate(record["ndcg@10"] for record in ordered):
        above = value > blend
        axes.plot([blend, value], [place, place], color="#ced4da", linewidth=2, zorder=1)
        axes.plot(value, place, "o", color="#0b7285" if above else "#868e96", zorder=2)
        text = f"{value:.3f} ({value - blend:+.3f})"
        shift = (7, "left") if above else (-7, "right")
        axes.annotate(
            text, (value, place), (shift[0], 0), textcoords="offset points", ha=shift[1], va="center", fontsize=8
        )
    axes.axvline(blend, color="#e8590c", linestyle="--", linewidth=1, zorder=0)
    axes.set_yticks(range(len(ordered)), [record["what"] for record in ordered])
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlim(0.18, 0.34)
    axes.set_title(f"- - a Blend of the same members: {blend:.3f}", color="#e8590c", fontsize=8, loc="right")
    axes.set_xlabel("NDCG@10 on what came later", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    with plt.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def blend_of(results: Path) -> float:
    """Returns the NDCG@10 of the Blend of the same members and seed."""
    records: list[Record] = json.loads((results / "ranking-cut_in_time.json").read_text(encoding="utf-8"))["records"]
    return float(next(record["ndcg@10"] for record in records if (record["seed"], record["model"]) == (0, "Blend")))


COLOURS = {
    "fastrec": "#0b7285",
    "fastrec float16": "#66d9e8",
    "fastrec exact": "#0b7285",
    "hnswlib": "#e8590c",
    "faiss HNSW": "#5f3dc4",
    "faiss IVF": "#cc5de8",
    "faiss FastScan": "#e64980",
    "usearch": "#2f9e44",
    "voyager": "#f59f00",
    "ScaNN": "#1864ab",
}


def pareto(points: list[Record], path: Path) -> None:
    """Draws queries a second against recall, a row for each set of vectors: batches left, single queries right."""
    names = list(dict.fromkeys(point["data"] for point in points))
    figure, grid = plt.subplots(len(names), 2, figsize=(9, 3.1 * len(names)), layout="constrained", squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for axes, how in zip(row, ("batch", "single"), strict=True):
            for library, colour in COLOURS.items():
                own = [point for point in points if (point["data"], point["library"]) == (name, library)]
                curve = frontier([(point["recall"], point[how]) for point in own])
                if curve:
                    ours = library.startswith("fastrec")
                    marker = "*" if library == "fastrec exact" else "o"
                    axes.plot(
                        *zip(*curve, strict=True), color=colour, label=library, marker=marker,
                        markersize=9 if marker == "*" else 3, linewidth=2 if ours else 1.1, zorder=3 if ours else 2,
                    )  # fmt: skip
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_xlim(0.85, 1.003)
            axes.grid(alpha=0.25, which="both", linewidth=0.5)
            axes.set_title(f"{name}: {'batches' if how == 'batch' else 'one query a call'}", fontsize=9, loc="left")
            axes.set_xlabel("recall@10", fontsize=8)
            axes.set_ylabel("queries/s, one thread", fontsize=8)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
    handles = {
        label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    with plt.rc_context({"svg.fonttype": "none"}):  # letters as text, not as outlines
        figure.savefig(path)
    plt.close(figure)


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the (recall, speed) pairs that no other pair exceeds in both, by rising recall."""
    best: list[tuple[float, float]] = []
    for recall, speed in sorted(points, reverse=True):
        if not best or speed > best[-1][1]:
            best.append((recall, speed))
    return best[::-1]


def said(machine: Record) -> str:
    """Returns the machine, the date and the versions in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['date'][:10]}, {machine['cores']} cores {machine['cpu']} ({machine['vector width']}), "
        f"{machine['system']}, Python {machine['python']}; {versions}."
    )


def _heading(title: str) -> str:
    """Returns the text of a title, whose first line is the heading and whose other lines are paragraphs."""
    first, *more = title.strip().split("\n")
    return "\n".join([f"## {first.rstrip('.')}", *(line.strip() for line in more)])


def put(page: Path, name: str, text: str) -> None:
    """Replaces the text between the marks of a result in a page."""
    pattern = re.compile(rf"(<!-- results: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    before = page.read_text(encoding="utf-8")
    if not pattern.search(before):
        raise SystemExit(f"{page} has no place for the results of {name}")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", before), encoding="utf-8")


def main() -> None:
    """Writes the pages."""
    (DOCS / "img").mkdir(exist_ok=True)
    parts = [HEAD.format(summary=summary(HERE / "results"))]
    for path in sorted((HERE / "results").glob("*.json")):
        content = json.loads(path.read_text())
        records, machine = content.get("records"), content["machine"]  # the accuracy page has its own command
        if not records:
            continue
        if path.stem == "ranking-labels":
            pitfalls(records, blend_of(HERE / "results"), DOCS / "img" / "ranking-pitfalls.svg")
        if "page" in content:
            put(
                DOCS / content["page"],
                path.stem,
                f"{table(records)}\n\n*{content['title'].rstrip('.')}. {said(machine)}*",
            )
            continue
        parts.append(_heading(content.get("title", path.stem)) + "\n")
        if path.stem == "als-race":
            bars(records, DOCS / "img" / "als-race.svg")
            parts.append("![Seconds to implicit's final loss](../img/als-race.svg)\n")
        if path.stem.startswith("ann-"):
            picture = DOCS / "img" / f"{path.stem}.svg"
            pareto([record for record in records if record["case"].endswith("point")], picture)
            parts.append(f"![Queries a second against recall](../img/{picture.name})\n")
            others = [record for record in records if not record["case"].endswith("point")]
            parts += [table(list(rows)) + "\n" for _, rows in groupby(others, key=lambda record: record["case"])]
        else:
            parts.append(table(records) + "\n")
        case, _, part = path.stem.partition("-")
        command = f"python bench/run.py {case} --parts {part} --data FOLDER"
        parts.append(f"`{command}`\n\n*{said(machine)}*\n")
    (DOCS / "explanation/benchmarks.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
