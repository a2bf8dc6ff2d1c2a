"""The demo: from a table of ratings to a report, on MovieLens 100K."""

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastrec as fr
from fastrec.data import Interactions
from fastrec.evaluation import Report
from fastrec.evaluation.page import Page, Picture, Section
from fastrec.evaluation.sections import comparison_section, metric_section
from fastrec.plots import learning_curve, popularity_curve
from fastrec.tables import Table

# The settings with the best NDCG@10 on splits by time of the training part alone.
SETTINGS: dict[str, Any] = {"factors": 16, "alpha": 0.5, "regularization": 0.01, "iterations": 15, "random_state": 0}
METRICS = ("ndcg@10", "recall@20", "hit_rate@10", "map@10", "coverage@10", "novelty@10")
KNOWN_FILMS = ("Star Wars (1977)", "Aladdin (1992)", "Alien (1979)")
CREDIT = "Data: MovieLens 100K by GroupLens; F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 2015."
NEXT, NEXT_METRICS = 20, ("recall@10", "ndcg@10")
LIKED = 4.0
"""The rating from which on a film counts as liked in the demo's tables of taste."""


class Reader(NamedTuple):
    """One user's taste, the recommendations, and those of them that the user watched in the test part."""

    user: Any
    liked: list[str]
    recommended: list[str]
    watched: list[bool]


def run_demo(folder: Path, *, say: Callable[[str], None] = print) -> Path:
    """Runs the demo, writes the model and the report into `folder`, and returns the report's path.

    Parameters
    ----------
    folder
        The folder for ``demo.fastrec`` and ``demo-report.html``.
    say
        The function that prints a line.

    Raises
    ------
    OSError
        Where MovieLens 100K is not in the cache and cannot be fetched.
    ImportError
        Without matplotlib and jinja2 (``pip install 'fastrec[demo]'``).
    """
    began = time.perf_counter()
    data = fr.datasets.movielens_100k()
    facts = describe(data)
    _heading(say, "MovieLens 100K")
    for name, value in facts:
        say(f"  {name:<15}{value}")
    train, test = fr.split_time(data, fraction=0.2)
    parts = f"{train.n_interactions:,} ratings for training, the later {test.n_interactions:,} for testing"
    say(f"  {'split by time':<15}{parts}")

    _heading(say, "Training")
    trained = time.perf_counter()
    model = fr.ImplicitALS(**SETTINGS, verbose=True).fit(train)
    say(
        f"  {len(model.loss_curve_)} epochs in {time.perf_counter() - trained:.1f} s (with compilation, the first time)"
    )

    _heading(say, "Choosing a model: AutoRecommender tries many on a hidden part of the same ratings")
    auto = choose_model(train)
    say(_indent(repr(auto.report_)))
    chosen, baseline = f"AutoRecommender's {type(auto.model_).__name__}", fr.Popularity().fit(train)

    _heading(say, "Evaluation (users with a history; all others would get popular items)")
    models = {"ImplicitALS": model, chosen: auto.model_, "Popularity": baseline}
    say(
        "  AutoRecommender chose for a user's next film. This test asks for all later films, which is another question."
    )
    report = fr.evaluate(models, test, METRICS, cold_users="skip")
    say(_indent(repr(report)))
    say(_indent(repr(report.compare())))

    readers = [read_taste(model, train, test, user) for user in pick_users(report)]
    for reader in readers:
        _heading(say, f"User {reader.user}")
        say(reader_table(reader).text("  "))
    if any(any(reader.watched) for reader in readers):
        say("\n  * watched later, in the test part")

    _heading(say, "The next film: SequenceRules reads the order in which films were watched")
    rules = fit_rules(train)
    coming = fr.next_events(data, after=int(test.times.min()), limit=NEXT) if test.times is not None else test
    say(f"  Each user's first {NEXT} films of the later part, one after the other, from all that came before:")
    later = fr.evaluate({"ImplicitALS": model, "SequenceRules": rules}, coming, NEXT_METRICS)
    say(_indent(repr(later)))
    say(f"  {train.tied_share():.0%} of neighbouring ratings have equal times; their order is that of the file.")
    nexts = [next_films(rules, train, reader.user) for reader in readers]
    for table in nexts:
        _heading(say, table.caption)
        say(table.text("  "))
    films = similar_films(model, train)
    _heading(say, "Neighbours of well-known films")
    say(films.text("  "))

    _heading(say, "Saved, and loaded back")
    say(f"  {save_and_load(model, folder / 'demo.fastrec', readers[0].user)}")
    path = folder / "demo-report.html"
    write_page(path, data, model, (report, later), facts, readers, (*nexts, films))
    say(f"  {path}: {path.stat().st_size / 1e6:.1f} MB, one file")
    say(f"\nDone in {time.perf_counter() - began:.1f} s.")
    return path


def _heading(say: Callable[[str], None], text: str) -> None:
    say(f"\n{text}")


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def describe(data: Interactions) -> list[tuple[str, str]]:
    """Returns the main facts about the data, as pairs of a name and a text.

    >>> describe(Interactions([0, 0, 1], [0, 1, 1]))[:3]
    [('users', '2'), ('films', '2'), ('ratings', '3')]
    """
    users, items = data.shape
    facts = [
        ("users", f"{users:,}"),
        ("films", f"{items:,}"),
        ("ratings", f"{data.n_interactions:,}"),
        ("density", f"{100 * data.matrix.nnz / max(users * items, 1):.1f} % of all pairs"),
    ]
    if data.times is not None and len(data.times) and data.time_unit is not None:
        ends = np.array([data.times.min(), data.times.max()]).astype(f"datetime64[{data.time_unit}]")
        first, last = ends.astype("datetime64[D]").astype(str)
        facts.append(("time span", f"{first} to {last}"))
    return facts


# --- users and films -------------------------------------------------------------------------------------------------


def pick_users(report: Report, n: int = 3) -> list[Any]:
    """Returns users with a short, a middle and a long history; how well the model answers them plays no part."""
    order = np.argsort(report.history, kind="stable")
    places = ((np.arange(n) + 0.5) / n * len(order)).astype(int)
    return [user.item() if isinstance(user, np.generic) else user for user in report.users[order[places]]]


def read_taste(model: Any, train: Interactions, test: Interactions, user: Any, k: int = 8) -> Reader:
    """Returns the items that a user liked before, latest first, and the model's recommendations."""
    code = train.users.encode([user])[0]
    events = np.flatnonzero(train.user_codes == code)
    ratings = train.matrix.data[train.matrix.indptr[code] : train.matrix.indptr[code + 1]]
    if train.values is not None and train.times is not None:
        floor = min(LIKED, float(ratings.max()))
        events = events[train.values[events] >= floor]
        events = events[np.argsort(-train.times[events], kind="stable")]
    codes = model.recommend([user], k=k).codes[0]
    codes = codes[codes >= 0]
    liked = list(dict.fromkeys(train.titles(train.item_codes[events])))  # the data contain some films twice
    later = set(test.item_codes[test.user_codes == code].tolist())
    return Reader(user, liked[:k], train.titles(codes), [code in later for code in codes.tolist()])


def reader_table(reader: Reader) -> Table:
    """Makes a table of a user's taste beside the recommendations."""
    n = max(len(reader.liked), len(reader.recommended))
    liked = reader.liked + [""] * (n - len(reader.liked))
    marked = [f"{title}{' *' if hit else ''}" for title, hit in zip(reader.recommended, reader.watched, strict=True)]
    marked += [""] * (n - len(marked))
    rows = [[str(place + 1), *pair] for place, pair in enumerate(zip(liked, marked, strict=True))]
    return Table(["", "liked before", "recommended"], rows, f"User {reader.user}", (0, 1, 2), wrap=True)


def fit_rules(train: Interactions) -> fr.SequenceRules:
    """Fits rules of order; the demo itself says that many times are ties."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fr.TiedTimesWarning)
        return fr.SequenceRules().fit(train)


def choose_model(train: Interactions) -> fr.AutoRecommender:
    """Chooses the best of a few trials; the demo itself says that many times are ties."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fr.TiedTimesWarning)
        return fr.AutoRecommender(trials=1, validation="last", blend=False, random_state=0).fit(train)


def next_films(rules: Any, data: Interactions, user: Any, k: int = 5) -> Table:
    """Returns the films that a user watched last, newest first, the next ones, and the watched film that leads most
    to each.
    """
    code = int(data.users.encode([user])[0])
    start, stop = rules.seen_.indptr[code : code + 2]
    newest = rules.seen_.indices[start:stop][np.argsort(-rules.order_[start:stop], kind="stable")][:k]
    codes = rules.recommend([user], k=k).codes[0]
    codes = codes[codes >= 0]
    reasons = [rules.explain(user, item, 1).items for item in data.items.decode(codes).tolist()]
    columns = [data.titles(newest), data.titles(codes), [data.titles(data.items.encode(one))[0] for one in reasons]]
    rows = [
        [str(place + 1), *(_short(column[place]) if place < len(column) else "" for column in columns)]
        for place in range(max(map(len, columns)))
    ]
    header = ["", "just watched", "next", "because you just watched"]
    return Table(header, rows, f"User {user}: the next films", range(4), wrap=True)


def similar_films(model: Any, data: Interactions, titles: Sequence[str] = KNOWN_FILMS, k: int = 6) -> Table:
    """Makes a table of the neighbours of some films; films that the data lack are replaced by popular ones."""
    every = data.titles(np.arange(data.shape[1]))
    counts = np.bincount(data.item_codes, minlength=data.shape[1])
    popular = [every[code] for code in np.argsort(-counts, kind="stable").tolist()]
    chosen = list(dict.fromkeys([title for title in titles if title in every] + popular))[: len(titles)]
    codes: NDArray[Any] = np.array([every.index(title) for title in chosen])
    near = model.similar_items(data.items.decode(codes), k=k).codes
    columns = [data.titles(row[row >= 0]) for row in near]
    columns = [[_short(title) for title in column] for column in columns]
    rows = [[str(r + 1), *(c[r] if r < len(c) else "" for c in columns)] for r in range(max(map(len, columns)))]
    return Table(["", *chosen], rows, "The most similar films", range(1 + len(chosen)), wrap=True)


def _short(title: str, longest: int = 44) -> str:
    return title if len(title) <= longest else title[: longest - 3].rstrip() + "..."


def save_and_load(model: Any, path: Path, user: Any) -> str:
    """Saves the model, loads it back memory-mapped, and returns a line about it.

    Raises
    ------
    RuntimeError
        If the loaded model recommends anything else than the one that was saved.
    """
    model.save(path)
    began = time.perf_counter()
    again = fr.load(path)
    milliseconds = 1000 * (time.perf_counter() - began)
    if not np.array_equal(again.recommend([user]).codes, model.recommend([user]).codes):
        raise RuntimeError(f"the model loaded from {path} recommends other items than the one that was saved")
    size = path.stat().st_size / 1e6
    return f"{path}: {size:.1f} MB, loaded memory-mapped in {milliseconds:.1f} ms; same recommendations"


# --- the page --------------------------------------------------------------------------------------------------------


def write_page(
    path: Path,
    data: Interactions,
    model: Any,
    reports: tuple[Report, Report],
    facts: Sequence[tuple[str, str]],
    readers: Sequence[Reader],
    films: Sequence[Table],
) -> None:
    """Writes the demo's report: one self-contained HTML file."""
    who = "Users with a short, a middle and a long history."
    if any(any(reader.watched) for reader in readers):
        who += " A star marks what the user watched later, in the test part."
    sections = [
        metric_section(reports[0]),
        comparison_section(reports[0]),
        _training_section(data, model),
        Section("For three users", [who], tables=[reader_table(reader) for reader in readers]),
        _next_section(reports[1], films[:-1]),
        Section("Neighbours of well-known films", tables=[films[-1]], notes=[CREDIT]),
    ]
    lead = (
        "Trained on the earlier 80 % of the ratings, evaluated on the films that the same users "
        "watched later: ImplicitALS, the model that AutoRecommender chose, and the most popular films."
    )
    Page("MovieLens 100K with fastrec", lead, sections, facts).save(path)


def _next_section(report: Report, nexts: Sequence[Table]) -> Section:
    figures = ", ".join(f"{name} {report.mean(NEXT_METRICS[0], name):.3f}" for name in report.models)
    said = (
        f"SequenceRules counts which film follows which. Of each user's next {NEXT} films, each found from all before "
        f"it, {NEXT_METRICS[0]}: {figures}."
    )
    return Section("What next", [said], tables=list(nexts))


def _training_section(data: Interactions, model: Any) -> Section:
    losses, counts = model.loss_curve_, np.sort(np.bincount(data.item_codes))[::-1]
    share = counts[: len(counts) // 10].sum() / counts.sum()
    alt_loss = (
        f"The training loss falls from {losses[0]:.4g} after the first epoch to {losses[-1]:.4g} after {len(losses)}."
    )
    alt_tail = (
        f"Ratings per film, from the most to the least popular: a tenth of the films has {share:.0%} of the ratings."
    )
    pictures = [
        Picture(lambda ax, theme: learning_curve(model, ax=ax, theme=theme), alt_loss),
        Picture(lambda ax, theme: popularity_curve(data, ax=ax, theme=theme), alt_tail),
    ]
    return Section("Training, and the catalogue", pictures=pictures)
