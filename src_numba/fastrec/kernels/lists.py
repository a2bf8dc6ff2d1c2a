"""Scans of the most promising lists of a query; a list is a run of panels whose vectors lie near each other.

A list is judged by an estimate of the best score in it. Its m vectors have the mean c and the spread ρ, the root of
their mean squared distance from c. The best of m vectors with this scatter in d dimensions is expected to score q·c +
‖q‖ρ√(2 ln m / d). A guide takes the place of c where typical queries have told better. The requested number of most
promising lists is scanned: all of them, or only those from which enough is expected (`keep_promising`). A batch groups
its queries by list, so that the fetched vectors of a list serve many queries.

Sums of bytes are integers and queries are rounded to ±63 for all instructions, so all CPUs find the same results to the
bit.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.addresses import table_reader
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.largest import choose_largest, gather_largest
from fastrec.kernels.scan import (
    GIVEN_UP,
    GROUP,
    NOTHING,
    UP,
    PanelPointers,
    Panels,
    Place,
    cut_place,
    raise_limit,
    rotate_rows,
    scale_queries,
    scan_block,
    score_group,
    score_one,
    take_panels,
    take_place,
)
from fastrec.kernels.simd import (
    add,
    advance,
    broadcast,
    divide,
    load,
    load_double,
    maximum,
    minimum,
    multiply,
    multiply_add,
    pointer,
    pointer_to_bytes,
    reduce_add,
    reduce_maximum,
    round_even,
    square_root,
    store,
    subtract,
    to_bytes,
)
from fastrec.kernels.topk import COSINE, EMPTY, Filter, Found, Lists, finish_row, open_doors, rank_lists, sift_down

SIGNS = np.int32(-2139062144)  # 0x80808080
READIED = 8 * GROUP  # queries that are prepared at a time
NEWTON_STEPS = 4
LOGISTIC = 1.702  # the scale that makes the logistic distribution most like the normal one
FAINT = 1e-30  # values below it count as 0, since the longest vector is about 1


class Partition(NamedTuple):
    """The lists of an index."""

    guides: Panels  # of the guides; `errors` hold the expected lead of a list's best score over the guide's
    leads: Floats  # (n_lists,): the expected lead of a list's best score over the mean
    shapes: Floats  # (16 · panels of guides, 4): the scatter of scores (u, v), number of vectors, 1 / panels
    starts: Counts  # (n_lists + 1,): list l has the panels starts[l] to starts[l + 1]


class Visits(NamedTuple):
    """The arrays for the plan of a search of n queries."""

    estimates: Floats  # (GROUP · 16 · panels of guides,)
    probes: Codes  # (at least n, n_probe), and 16 more
    starts: Counts  # (n_lists + 1,): list l is visited by the queries rows[starts[l] : starts[l + 1]]
    rows: Counts  # (n · n_probe + GROUP,)
    tops: Floats  # (16 · panels of guides + 16,): work array for the choice of lists
    spots: Codes  # likewise
    counts: Counts  # (n,): the number of lists of `probes` that a query visits
    hits: Floats  # (5 · n_probe rounded up to 16,): work array for the expectations of lists


class ErrorMargin(NamedTuple):
    """The largest error of a score: E = of_step · step + of_length · length, of a vector."""

    of_step: float
    of_length: float
    ranked: bool  # whether the candidates are ranked by exact scores


class VisitPointers(NamedTuple):
    """Partition and Visits by pointers, with their sizes."""

    n_lists: int
    n_probe: int
    panel_starts: Counts
    estimates: Floats
    probes: Codes
    starts: Counts
    rows: Counts
    tops: Floats
    spots: Codes
    counts: Counts
    hits: Floats
    leads: Floats
    shapes: Floats


class AddressTable(NamedTuple):
    """The arrays of a search without its queries. The writer of the table keeps the arrays alive."""

    place: Place
    items: PanelPointers
    guides: PanelPointers
    visits: VisitPointers
    metric: int
    norms: Doubles
    signs: Floats
    blocks: int
    levels: int
    shift: int
    scale: float
    longest: float
    of_step: float
    of_length: float
    least: float  # share of the best that a panel of a list must promise; 0: all chosen lists are scanned
    wanted: float  # the number of the best
    ranked: int


read_table = table_reader(AddressTable)


@kernel()
def search_lists(
    way: Any, table: Any, vectors: Any, queries: Any, first: int, mask: Any, starts: Any, closed: Any, codes: Any,
    scores: Any,
) -> int:  # fmt: skip
    """Fills rows of codes and scores by a scan of some lists; returns the first query that is not finite, or -1.

    `scan.search_bytes` does the same for all vectors. `table` is a written AddressTable. mask, starts and closed are
    the arrays of a Filter, and `first` is the place of query 0 among its rows.
    """
    asked = read_table(table)
    place, plan = cut_place(asked.place, 0, len(queries)), asked.visits  # it has space for as many queries
    own, doors = pointer(queries), open_doors(Filter(mask, starts, closed))
    found = Found(codes.shape[1], pointer(codes), pointer(scores))
    place.work[0], place.work[1], place.work[2], place.work[3] = 0, 0, 0, 0
    # The lists that each query visits, their vectors that reach its limit, and the best of these by exact scores.
    bad = plan_visits(
        way, asked.guides, asked.metric, asked.scale, asked.longest, asked.signs, asked.blocks, asked.levels,
        asked.shift, own, queries.shape[1], pointer_to_bytes(place.quads), np.float32(asked.least),
        np.float32(asked.wanted), plan, place,
    )  # fmt: skip
    if bad >= 0:
        return bad
    of_step, of_length = np.float32(asked.of_step), np.float32(asked.of_length)
    scan_visited(way, asked.items, plan, of_step, of_length, first, doors, place)
    if asked.ranked:
        lists = Lists(place.starts, place.counts, place.codes, True, place.lowers)
        rank_lists(
            pointer(vectors), asked.norms, asked.metric, vectors.shape, own, place.norms, first, place.n, lists, doors,
            found,
        )  # fmt: skip
    else:
        rank_bounds(asked.metric, asked.scale, place, found)
    # The work done, for audits, and the queries that need another search.
    for row in range(place.n):
        place.work[1] += found.codes[(row + 1) * found.k - 1] < 0
        place.work[2] += max(place.counts[row], 0)
        place.work[3] += plan.counts[row]
    return -1


@kernel(inner=True)
def take_visits(visits: Any) -> Any:
    """Returns the pointers of Visits without lists to scan."""
    starts = pointer(visits.starts)
    return VisitPointers(
        len(visits.starts) - 1, visits.probes.shape[1], starts, pointer(visits.estimates), pointer(visits.probes),
        starts, pointer(visits.rows), pointer(visits.tops), pointer(visits.spots), pointer(visits.counts),
        pointer(visits.hits), pointer(visits.hits), pointer(visits.hits),
    )  # fmt: skip


@kernel()
def assign_rows(
    way: Any, centers: Any, form: Any, exact: Any, vectors: Any, filters: Any, space: Any, visits: Any, nearest: Any,
    scores: Any,
) -> None:  # fmt: skip
    """Fills the nearest center of each vector, and minus their squared distance.

    The nearest few are found by bytes, and the first of them by exact distance; `filters` must filter nothing.
    """
    place, own, plan = take_place(space), pointer(vectors), take_visits(visits)
    few, probes = plan.n_probe, plan.probes
    plan_visits(
        way, take_panels(centers), exact.metric, form.scale, form.longest, pointer(form.signs), form.blocks,
        form.levels, form.shift, own, vectors.shape[1], pointer_to_bytes(space.quads), np.float32(0), np.float32(0),
        plan, place,
    )  # fmt: skip
    # The nearest few of each vector are its list of candidates.
    for row in range(place.n):
        place.starts[row] = row * few
        if place.counts[row] != GIVEN_UP:
            place.counts[row] = few
    # The first of them by exact distance.
    rank_lists(
        pointer(exact.vectors), pointer(exact.norms), exact.metric, exact.vectors.shape, own, place.norms, 0, place.n,
        Lists(place.starts, place.counts, probes, True, place.lowers), open_doors(filters),
        Found(1, pointer(nearest), pointer(scores)),
    )  # fmt: skip


@kernel()
def find_best_scores(
    way: Any, items: Any, form: Any, metric: int, starts: Any, queries: Any, space: Any, best: Any
) -> None:
    """Fills the best score of each list for each query, by bytes, as it is for a query of length 1.

    List l has the panels starts[l] to starts[l + 1]; `errors` of the items are -inf in empty places. An empty list has
    -inf, and a query that is given up has NaN everywhere.
    """
    place, panels, n_lists = take_place(space), take_panels(items), len(starts) - 1
    scale_queries(pointer(queries), queries.shape[1], metric, form.scale, form.longest, place)
    rotate_rows(
        pointer(form.signs), form.blocks, place.scaled, place.dimensions, place.n, place.rotated, place.stride
    )  # fmt: skip
    round_queries(form.levels, form.shift, pointer_to_bytes(space.quads), place)
    for at in range(0, place.n, GROUP):
        size = min(GROUP, place.n - at)
        for q in range(GROUP):
            place.alive[q] = at + min(q, size - 1)
        for part in range(n_lists):
            for q in range(size):
                best[at + q, part] = -np.inf
            # No query has a limit, so all vectors pass and are stored, except for queries that were given up.
            for panel in range(starts[part], starts[part + 1]):
                vectors, step = advance(panels.panels, 16 * place.width * panel), load(panels.steps, 16 * panel, 16)
                score_group(
                    way, vectors, place.width, place.quads, place.alive, step, load(panels.errors, 16 * panel, 16),
                    place,
                )  # fmt: skip
                for q in range(size):
                    best[at + q, part] = max(best[at + q, part], reduce_maximum(load(place.uppers, 16 * q, 16)))
        for q in range(size):
            for part in range(n_lists):
                if place.counts[at + q] == GIVEN_UP:
                    best[at + q, part] = np.nan
                else:
                    best[at + q, part] /= place.reaches[at + q]


@kernel(inner=True)
def plan_visits(
    way: Any, centers: Any, metric: int, scale: float, longest: float, signs: Any, blocks: int, levels: int, shift: int,
    queries: Any, d: int, quads: Any, least: float, wanted: float, plan: Any, place: Any,
) -> int:  # fmt: skip
    """Makes queries ready and chooses their lists, a few at a time; returns the first that is not finite, or -1."""
    for start in range(0, place.n, READIED):
        # The queries of this part: scaled, rotated and rounded, then their lists.
        part = cut_place(place, start, min(READIED, place.n - start))
        bad = scale_queries(advance(queries, start * d), d, metric, scale, longest, part)
        if bad >= 0:
            return start + bad
        rotate_rows(signs, blocks, part.scaled, part.dimensions, part.n, part.rotated, part.stride)
        round_queries(levels, shift, advance(quads, 4 * start * part.width), part)
        counts = advance(plan.counts, start)
        choose_lists(
            way, centers, plan, least, wanted, advance(plan.probes, start * plan.n_probe), counts, part
        )  # fmt: skip
    for row in range(place.n):
        place.starts[row] = row * place.room
    return -1


@kernel(inner=True)
def round_queries(levels: int, shift: int, quads: Any, place: Any) -> None:
    """Rounds rotated queries to integers within ±levels; all other numbers become multiples of each query's step."""
    for at in range(4 * place.n * place.width, 4 * (place.n + 1) * place.width):
        quads[at] = 0
    for row in range(place.n):
        rotated, own = advance(place.rotated, row * place.stride), advance(quads, 4 * row * place.width)
        # The step that makes the largest number the highest level; a row of zeros has none.
        largest = find_amplitude(rotated, place.stride)
        inverse = np.float32(levels) / largest if largest > FAINT else np.float32(0)
        total, _ = round_row(rotated, place.stride, inverse, 4 * place.width, own)
        # The other numbers of the query become multiples of its step.
        place.offsets[row] = -shift * np.int64(total)
        place.reaches[row] *= inverse
        place.margins[row] *= inverse


@kernel(inner=True)
def find_amplitude(row: Any, stride: int) -> float:
    """Returns the largest absolute value of a row."""
    largest, minus = broadcast(np.float32(0), 16), broadcast(np.float32(-1), 16)
    for j in range(0, stride, 16):
        part = load(row, j, 16)
        largest = maximum(largest, maximum(part, multiply(part, minus)))
    return reduce_maximum(largest)


@kernel(inner=True)
def round_row(row: Any, stride: int, factor: float, size: int, target: Any) -> Any:
    """Fills `size` int8 with the row times a factor, rounded; returns the sum and the sum of squares of all."""
    total, squares, factors = broadcast(np.float32(0), 16), broadcast(np.float32(0), 16), broadcast(factor, 16)
    for j in range(0, stride, 16):
        levels = round_even(multiply(load(row, j, 16), factors))
        total, squares = add(total, levels), multiply_add(levels, levels, squares)
        if j + 16 <= size:
            store(target, j, to_bytes(levels))
        else:
            for c in range(j, size):
                target[c] = np.int8(np.rint(row[c] * factor))
    return reduce_add(total), reduce_add(squares)


@kernel(inner=True)
def choose_lists(
    way: Any, centers: Any, plan: Any, least: float, wanted: float, probes: Any, counts: Any, place: Any
) -> None:
    """Fills the `n_probe` most promising lists of each query, the best first; counts the lists that it visits."""
    n_lists, width, n_probe, estimates = 16 * centers.n_panels, place.width, plan.n_probe, plan.estimates
    for at in range(0, place.n, GROUP):
        size = min(GROUP, place.n - at)
        for q in range(GROUP):
            place.alive[q] = at + min(q, size - 1)
        # Estimates of all lists, by a scan of their centers.
        for begin in range(0, size, size if size > 2 else 1):
            for panel in range(centers.n_panels):
                vectors, step = advance(centers.panels, 16 * width * panel), load(centers.steps, 16 * panel, 16)
                error = load(centers.errors, 16 * panel, 16)
                # No query has a limit yet, so all centers pass and are stored, except for queries that were given up.
                if size > 2:
                    score_group(way, vectors, width, place.quads, place.alive, step, error, place)
                else:
                    score_one(way, vectors, width, place.quads, place.alive[begin], step, error, place)
                for q in range(size if size > 2 else 1):
                    store(estimates, (begin + q) * n_lists + 16 * panel, load(place.uppers, 16 * q, 16))
        # The best of the lists, in falling order.
        for q in range(size):
            row, counts[at + q] = at + q, 0
            if place.counts[row] != GIVEN_UP:
                own, chosen = advance(estimates, q * n_lists), advance(probes, row * n_probe)
                count = n_probe
                if least > 0:
                    count = gather_largest(own, n_lists, chosen, n_probe, plan.tops, plan.spots)
                else:
                    choose_largest(own, n_lists, chosen, n_probe, plan.tops, plan.spots)
                for c in range(1, count):
                    if own[chosen[c]] > own[chosen[0]]:
                        chosen[0], chosen[c] = chosen[c], chosen[0]
                if least > 0:
                    count = keep_promising(
                        plan.shapes, plan.hits, own, plan.leads, place.reaches[row], least, wanted, chosen, count
                    )  # fmt: skip
                counts[row] = count


@kernel(inner=True)
def keep_promising(
    shapes: Any, hits: Any, estimates: Any, bonuses: Any, reach: float, least: float, wanted: float, chosen: Any, n: int
) -> int:  # fmt: skip
    """Keeps the first list, and those with at least `least` of the best expected in each panel; returns their number.

    Scores of a list are taken for nearly normal ones with the mean q·c and the variance u (q·c)² + v ‖q‖²: along the
    center, where lengths differ, and across it. Of m vectors about m Φ(-z) reach a limit t, with z = (t - mean) /
    deviation, and t is where the lists have as many together as are wanted.
    """
    size = padded_width(n)
    means, inverses, sizes = hits, advance(hits, size), advance(hits, 2 * size)
    shares, reaching = advance(hits, 3 * size), advance(hits, 4 * size)
    # The places after the last list count nothing.
    for c in range(n, size):
        means[c], inverses[c], sizes[c] = 0, 1, 0
    # The expectation of each list: its mean and its scatter.
    for c in range(n):
        shape = advance(shapes, 4 * chosen[c])
        mean = estimates[chosen[c]] - bonuses[chosen[c]]
        means[c], sizes[c], shares[c] = mean, shape[2], shape[3]
        inverses[c] = max(mean * mean * shape[0] + reach * reach * shape[1], np.float32(1e-12) * reach * reach)
    # The first guess of the limit: the largest mean plus 1.2 deviations.
    limit, widest, one = np.float32(-np.inf), np.float32(0), broadcast(np.float32(1), 16)
    for start in range(0, size, 16):
        deviation = square_root(load(inverses, start, 16))
        above_mean = multiply_add(deviation, broadcast(np.float32(1.2), 16), load(means, start, 16))
        store(inverses, start, divide(one, deviation))
        store(reaching, start, above_mean)
    for c in range(n):
        limit, widest = max(limit, reaching[c]), max(widest, reaching[c] - means[c])
    # The limit that the wanted number of vectors reaches, by Newton's method.
    for _ in range(NEWTON_STEPS):
        total, slope = broadcast(np.float32(0), 16), broadcast(np.float32(0), 16)
        for start in range(0, size, 16):
            inverse, m = load(inverses, start, 16), load(sizes, start, 16)
            share = exceed(multiply(subtract(broadcast(limit, 16), load(means, start, 16)), inverse))
            some = multiply(m, share)
            store(reaching, start, some)
            total = add(total, some)
            slope = multiply_add(multiply(some, subtract(one, share)), inverse, slope)
        sum_, steepness = reduce_add(total), max(np.float32(LOGISTIC) * reduce_add(slope), np.float32(FAINT))
        # Newton's step for the logarithm, which is nearly straight, with 2 (r - 1) / (r + 1) for log r; steps are
        # limited, since far from all means the logarithm is not nearly straight.
        change = np.float32(2) * (sum_ - wanted) / (sum_ + wanted) * sum_ / steepness
        limit += min(max(change, -widest), widest)
    # The lists that promise enough vectors above it.
    kept = 1
    for c in range(1, n):
        if reaching[c] * shares[c] >= least:
            chosen[kept] = chosen[c]
            kept += 1
    return kept


@kernel(inline=True, inner=True)
def exceed(z: Any) -> Any:
    """Returns about the share of normal numbers above z: 1 / (1 + exp(1.7 z)), whose longer tail tolerates other
    shapes.

    exp x is (1 + x / 256)^256: only sums and products, so that all CPUs choose the same lists.
    """
    most, one = broadcast(np.float32(80 / LOGISTIC), 16), broadcast(np.float32(1), 16)
    z = minimum(maximum(z, subtract(broadcast(np.float32(0), 16), most)), most)
    power = multiply_add(z, broadcast(np.float32(LOGISTIC / 256), 16), one)
    for _ in range(8):
        power = multiply(power, power)
    return divide(one, add(one, power))


@kernel(inner=True)
def scan_visited(
    way: Any, items: Any, plan: Any, of_step: float, of_length: float, first: int, doors: Any, place: Any
) -> None:
    """Fills the candidates of each query from the lists chosen for it.

    The most promising list of a query comes first, and sets a limit that few vectors of the others reach.
    """
    for turn in range(2):
        begin, end = (0, 1) if turn == 0 else (1, plan.n_probe)
        scan_chosen(way, items, plan, begin, end, of_step, of_length, first, doors, place)
    for row in range(place.n):
        raise_limit(place, row)


@kernel(inner=True)
def scan_chosen(
    way: Any, items: Any, plan: Any, begin: int, end: int, of_step: float, of_length: float, first: int, doors: Any,
    place: Any,
) -> None:  # fmt: skip
    """Adds candidates from those lists that are from `begin` to `end` among the chosen of each query."""
    steps, lengths, alone = broadcast(of_step, 16), broadcast(of_length, 16), place.n == 1
    # A single query visits its own lists; several are grouped by list.
    if alone:
        plan.rows[0] = 0
        count = min(end, plan.counts[0]) - begin
    else:
        group_rows(plan, begin, end, place)
        count = plan.n_lists
    # List by list: its panels are scanned for the queries that visit it. After the first list of a query its limit is
    # raised.
    for turn in range(count):
        part = plan.probes[begin + turn] if alone else turn
        own, size = (0, 1) if alone else (plan.starts[part], plan.starts[part + 1] - plan.starts[part])
        start, stop = plan.panel_starts[part], plan.panel_starts[part + 1]
        place.work[0] += size * (stop - start)
        scan_block(
            way, items, start, stop, place.quads, place.width, advance(plan.rows, own), size, steps, lengths, first,
            doors, place,
        )  # fmt: skip
        if begin == 0:
            for at in range(own, own + size):
                raise_limit(place, plan.rows[at])


@kernel(inner=True)
def group_rows(plan: Any, begin: int, end: int, place: Any) -> None:
    """Fills the queries that visit each list, in their order; rows after the last one are padding."""
    probes, n_probe, n_lists, starts, rows = plan.probes, plan.n_probe, plan.n_lists, plan.starts, plan.rows
    # Counts the queries of each list, sums up the counts to starts, and fills the queries in.
    for part in range(n_lists + 1):
        starts[part] = 0
    for row in range(place.n):
        for at in range(row * n_probe + begin, row * n_probe + min(end, plan.counts[row])):
            starts[probes[at] + 1] += 1
    for part in range(n_lists):
        starts[part + 1] += starts[part]
    for row in range(place.n):
        for at in range(row * n_probe + begin, row * n_probe + min(end, plan.counts[row])):
            rows[starts[probes[at]]] = row
            starts[probes[at]] += 1
    for part in range(n_lists, 0, -1):  # each start has moved on to the next one's
        starts[part] = starts[part - 1]
    starts[0] = 0
    # Rows of padding fill up the last group of queries.
    for at in range(starts[n_lists], starts[n_lists] + GROUP):
        rows[at] = place.n


@kernel(inner=True)
def rank_bounds(metric: int, scale: float, place: Any, found: Any) -> None:
    """Fills rows with the best k candidates by the scores of the scan itself."""
    k = found.k
    # A heap of the best k; a bound becomes a score by the query's unit.
    for row in range(place.n):
        scores, codes = advance(found.scores, row * k), advance(found.codes, row * k)
        for at in range(k):
            scores[at] = -np.inf
            codes[at] = EMPTY
        unit = UP / max(np.float64(place.reaches[row]), NOTHING)
        if metric != COSINE:
            unit *= place.norms[row] / scale
        for at in range(row * place.room, row * place.room + max(place.counts[row], 0)):
            score, code = np.float32(place.bounds[at] * unit), place.codes[at]
            if score > scores[0] or (score == scores[0] and code < codes[0]):
                sift_down(scores, codes, k, score, code)
        finish_row(scores, codes, k)


@kernel()
def pack_lists(
    exact: Any, form: Any, order: Any, start: int, stop: int, wide: Any, work: Any, rotated: Any, level: Any,
    panels: Any, steps: Any, lengths: Any,
) -> None:  # fmt: skip
    """Fills panels `start` to `stop` with the vectors that `order` names: scaled, rotated, rounded to bytes.

    `wide` of 16 float64, `work` of shape (16, dimensions), `rotated` of (16, a multiple of 16) and `level` of `width`
    int32 are overwritten.
    """
    size, d, stride, width = exact.vectors.shape[1], work.shape[1], rotated.shape[1], panels.shape[1]
    vectors, rows, turned, quads = pointer(exact.vectors), pointer(work), pointer(rotated), pointer(panels)
    for panel in range(start, stop):
        # Sixteen vectors scaled, in float32; under L2 half their squared length is one more dimension.
        for lane in range(16):
            code, own = order[16 * panel + lane], advance(rows, lane * d)
            factor = 0.0
            if code >= 0:
                factor = form.scale
                if exact.metric == COSINE:
                    factor = 1 / exact.norms[code] if exact.norms[code] > 0 else 0.0
            scale_row(advance(vectors, np.int64(max(code, 0)) * size), factor, size, pointer(wide), own)
            if d > size:
                own[size] = -0.5 * (exact.norms[max(code, 0)] * factor) ** 2
        # Rotated, and rounded to bytes in steps of their own.
        rotate_rows(pointer(form.signs), form.blocks, rows, d, 16, turned, stride)
        for lane in range(16):
            own, at = advance(turned, lane * stride), 16 * panel + lane
            largest = find_amplitude(own, stride)
            inverse = np.float32(127) / largest if largest > FAINT else np.float32(0)
            _, squares = round_row(own, stride, inverse, 4 * width, pointer_to_bytes(level))
            steps[at] = largest / np.float32(127) if largest > FAINT else np.float32(0)
            lengths[at] = np.sqrt(squares) * steps[at]
            for quad in range(width):
                quads[(panel * width + quad) * 16 + lane] = level[quad] ^ SIGNS  # each byte plus 128


@kernel(inner=True)
def scale_row(source: Any, factor: float, d: int, wide: Any, target: Any) -> None:
    """Fills d float32 with a row of float32 or float16 bits, times a factor; `wide` holds 16 float64."""
    for j in range(0, d, 16):
        count = min(16, d - j)
        store(wide, 0, load_double(source, j, count, 16))
        for c in range(count):
            target[j + c] = np.float32(wide[c] * factor)
