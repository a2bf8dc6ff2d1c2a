"""The nearest rows of a sparse matrix, and scores by sparse weights: products fill one dense row, never n × n."""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.simd import (
    above,
    broadcast,
    count_ones,
    divide,
    load,
    maximum,
    multiply_add,
    prefetch,
    reduce_maximum,
    store,
    trailing_zeros,
)
from fastrec.kernels.sparse import Entries

# A candidate passes if its float32 score is above this factor times the limit of the best k; the exact score decides.
SLACK = np.float32(1 - 1e-5)
# Rows with fewer products than this share of the columns list the columns that they touched; others are scanned as a
# whole.
SCANNED = 8
# A scan cuts its list of candidates when it is this many times as long as wanted.
LISTED = 4
# The columns of features are prefetched this many features ahead.
AHEAD = 3
# This many rows at a time are compared as bits, while the bits of one column lie in the nearest cache.
BITS_ROWS = 16
TINY = np.float32(1e-38)


class Scale(NamedTuple):
    """The divisor of the product of row i and column j: left[i] · right[j] + base[i] - less · product."""

    left: Floats  # (rows,)
    right: Floats  # (columns,), filled up to a multiple of sixteen
    base: Floats  # (rows,)
    less: np.float32  # a float32 from 0 to 1


class Candidates(NamedTuple):
    """Columns that may be among the best of a row; each array has sixteen more places than there are columns."""

    columns: Codes
    products: Floats
    scores: Floats  # in float32: correct except for the last digits
    keys: Counts  # exact scores and codes of the candidates left at the end


@kernel(inline=True)
def count_products(row: int, rows: Entries, features: Entries) -> int:
    """Counts the products of a row with all the columns."""
    count = 0
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        count += features.indptr[feature + 1] - features.indptr[feature]
    return count


@kernel(fastmath=FAST)
def add_products(row: int, rows: Entries, features: Entries, weights: Any, sums: Any) -> None:
    """Adds Σ_f rows[row, f] · weights[f] · features[f, j] to `sums[j]`."""
    step = min(1, len(rows.values) - 1)
    # Feature by feature of the row: its weight times the columns that have the feature.
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        weight = rows.values[p * step] * weights[feature]
        start, stop = features.indptr[feature], features.indptr[feature + 1]
        if len(features.values) == 1:
            weight *= features.values[0]
            for q in range(start, stop):
                sums[np.uint32(features.indices[q])] += weight
        else:
            for q in range(start, stop):
                sums[np.uint32(features.indices[q])] += weight * features.values[q]


@kernel(fastmath=FAST, inline=True)
def add_touching(column: int, product: float, sums: Any, touched: Any, count: int) -> int:
    """Adds to a sum, and lists its column if the sum was 0: without a branch, which could not be predicted."""
    sum = sums[np.uint32(column)]
    touched[count] = column
    sums[np.uint32(column)] = sum + product
    return count + (sum == 0)


@kernel(fastmath=FAST)
def add_few_products(row: int, rows: Entries, features: Entries, weights: Any, sums: Any, touched: Any) -> int:
    """`add_products` that lists the columns with a product in `touched`, in any order; returns their number."""
    step, count, last = min(1, len(rows.values) - 1), 0, rows.indptr[row + 1] - 1
    # Feature by feature of the row; the columns of a later feature are prefetched.
    for p in range(rows.indptr[row], last + 1):
        prefetch(features.indices, features.indptr[rows.indices[min(p + AHEAD, last)]])
        feature = rows.indices[p]
        weight = rows.values[p * step] * weights[feature]
        start, stop = features.indptr[feature], features.indptr[feature + 1]
        if len(features.values) == 1:
            weight *= features.values[0]
            for q in range(start, stop):
                count = add_touching(features.indices[q], weight, sums, touched, count)
        else:
            for q in range(start, stop):
                count = add_touching(features.indices[q], weight * features.values[q], sums, touched, count)
    return count


@kernel()
def set_bits(rows: Entries, first: int, last: int, bits: Any) -> None:
    """Sets bit f % 64 of the word `bits[row, f // 64]` for each entry f of rows `first` to `last`."""
    for row in range(first, last):
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            feature = np.int64(rows.indices[p])
            bits[row, feature >> 6] |= np.int64(1) << (feature & 63)


@kernel()
def add_common(bits: Any, first: int, last: int, value: float, sums: Any) -> None:
    """Fills `sums[i - first, j]` with `value` times the number of bits set in both rows i and j, i from `first` to
    `last`.

    Four rows at a time, so that a word is loaded once for four; rows after the last one are replaced by it.
    """
    # Column by column, whose bits are compared with those of four rows at a time.
    for column in range(len(bits)):
        line = bits[column]
        for row in range(first, last, 4):
            a, b = bits[row], bits[min(row + 1, last - 1)]
            c, d = bits[min(row + 2, last - 1)], bits[min(row + 3, last - 1)]
            n_a, n_b, n_c, n_d = 0, 0, 0, 0
            for word in range(len(line)):
                n_a += count_ones(line[word] & a[word])
                n_b += count_ones(line[word] & b[word])
                n_c += count_ones(line[word] & c[word])
                n_d += count_ones(line[word] & d[word])
            place = row - first
            sums[place, column] = value * np.float32(n_a)
            sums[min(place + 1, last - first - 1), column] = value * np.float32(n_b)
            sums[min(place + 2, last - first - 1), column] = value * np.float32(n_c)
            sums[min(place + 3, last - first - 1), column] = value * np.float32(n_d)


@kernel(inline=True)
def exact_score(product: float, row: int, column: int, scale: Scale) -> Any:
    """Returns the similarity of a product: computed in float64, rounded to float32."""
    total = np.float64(scale.left[row]) * np.float64(scale.right[column]) + np.float64(scale.base[row])
    total -= np.float64(scale.less) * np.float64(product)
    return np.float32(product / total) if total > 0 else np.float32(0)


@kernel(inline=True)
def pack(score: float, code: int) -> Any:
    """Returns a score above 0 and a code as one integer that is larger for a higher score, then for a lower code."""
    return (np.int64(np.float32(score).view(np.int32)) << 32) | (np.int64(0x7FFFFFFF) - np.int64(code))


@kernel()
def least_of_best(keys: Any, size: int, k: int) -> int:
    """Returns the k-th largest of the first `size` distinct keys, at least k, by bisection.

    A step is a count without a branch, which compilers turn into vector instructions: faster than quickselect for a few
    hundred.
    """
    # The smallest and the largest key bracket the answer.
    low = high = keys[0]
    for place in range(1, size):
        low, high = min(low, keys[place]), max(high, keys[place])
    count, high = size, high + 1
    while count > k:  # `count` keys are at least low, and fewer than k at least high
        middle = low + ((high - low) >> 1)
        passed = 0
        for place in range(size):
            passed += keys[place] >= middle
        if passed < k:
            high = middle
        else:
            low, count = middle, passed
    return low


@kernel()
def unpack_row(keys: Any, size: int, scores: Any, codes: Any) -> None:
    """Writes the best keys into a row in their order, and marks the places after them as empty."""
    k, count = len(codes), 0
    least = least_of_best(keys, size, k) if size > k else np.int64(0)
    # The k best keys, in their order.
    for place in range(size):
        key = keys[place]
        if key >= least:
            scores[count] = np.int32(key >> 32).view(np.float32)
            codes[count] = np.int32(np.int64(0x7FFFFFFF) - (key & np.int64(0x7FFFFFFF)))
            count += 1
    # The places that are left are empty.
    for place in range(count, k):
        scores[place] = -np.inf
        codes[place] = -1


@kernel(inline=True)
def count_above(scores: Any, size: int, limit: float) -> int:
    """Counts the first `size` scores above a limit of at least 0; fills the sixteen places after them with zeros."""
    limits, count = broadcast(np.float32(limit), 16), 0
    for start in range(0, size, 16):
        count += count_ones(above(load(scores, start, 16), limits))
    return count


@kernel(inline=True)
def find_cut(scores: Any, size: int, k: int) -> Any:
    """Returns a number with at least k, and few more, of the first `size` scores above it; 0 if there are fewer than k.

    Quarters of the largest score bound it, then the numbers' bits are bisected, whose order is that of the numbers. A
    step counts sixteen at a time, without a branch, which could not be predicted.
    """
    # The largest score; the sixteen places after the last one are read as well.
    for place in range(size, size + 16):
        scores[place] = 0
    top = broadcast(np.float32(0), 16)
    for start in range(0, size, 16):
        top = maximum(load(scores, start, 16), top)
    # Quarters of the largest score, until at least k scores are above.
    high, count = reduce_maximum(top), 0
    low = high
    while size > k and count < k and low > TINY:
        high, low = low, low * np.float32(0.25)
        count = count_above(scores, size, low)
    if count < k:
        return np.float32(0)
    # Bisects the bits between the last two quarters, until few more than k are above.
    first, last = np.float32(low).view(np.int32), np.float32(high).view(np.int32)
    while count > k + (k >> 2) and last - first > 1:
        middle = first + ((last - first) >> 1)
        passed = count_above(scores, size, np.int32(middle).view(np.float32))
        if passed < k:
            last = middle
        else:
            first, count = middle, passed
    return np.int32(first).view(np.float32)


@kernel()
def drop_rare(row: int, rows: Entries, features: Entries, support: int, counts: Any, sums: Any) -> None:
    """Sets the sums of the columns to 0 that share fewer than `support` features with a row.

    `counts`, int32, has a zero for each column before and after the call.
    """
    # Counts the features that each column shares with the row.
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        for q in range(features.indptr[feature], features.indptr[feature + 1]):
            counts[np.uint32(features.indices[q])] += 1
    # A column is met once for each feature that it shares: the first time decides, and clears its count.
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        for q in range(features.indptr[feature], features.indptr[feature + 1]):
            column = np.uint32(features.indices[q])
            if 0 < counts[column] < support:
                sums[column] = 0
            counts[column] = 0


@kernel(inline=True)
def take_touched(row: int, itself: int, sums: Any, count: int, scale: Scale, found: Candidates) -> None:
    """Turns the touched columns into candidates, and sets their sums to zero."""
    left, base, less = scale.left[row], scale.base[row], scale.less
    # The products, and their divisors.
    for c in range(count):
        column = found.columns[c]
        product = sums[column]
        sums[column] = 0
        found.products[c] = product if column != itself else np.float32(0)
        found.scores[c] = left * scale.right[column] + base - less * product
    # The scores: products by divisors, sixteen at a time.
    tiny = broadcast(TINY, 16)
    for start in range(0, count, 16):
        total = maximum(load(found.scores, start, 16), tiny)
        store(found.scores, start, divide(load(found.products, start, 16), total))


@kernel(inline=True)
def drop_candidates(found: Candidates, size: int, cut: float) -> int:
    """Keeps the candidates whose score is above a cut; returns their number."""
    kept = 0
    for place in range(size):
        score = found.scores[place]
        found.columns[kept], found.products[kept], found.scores[kept] = (
            found.columns[place], found.products[place], score,
        )  # fmt: skip
        kept += score > cut
    return kept


@kernel(inline=True)
def keep_best(row: int, size: int, k: int, scale: Scale, found: Candidates) -> Any:
    """Keeps the best k candidates, by exact scores and codes; returns the smallest of their scores."""
    # The keys of all candidates, by exact scores.
    for place in range(size):
        score = exact_score(found.products[place], row, found.columns[place], scale)
        found.keys[place] = pack(score, found.columns[place])
    # Keeps the candidates whose keys are among the best k.
    least, kept = least_of_best(found.keys, size, k), 0
    for place in range(size):
        found.columns[kept], found.products[kept], found.scores[kept] = (
            found.columns[place], found.products[place], found.scores[place],
        )  # fmt: skip
        kept += found.keys[place] >= least
    return np.int32(least >> 32).view(np.float32)


@kernel(inline=True)
def scan_products(row: int, itself: int, sums: Any, k: int, scale: Scale, found: Candidates) -> int:
    """Lists the columns of a dense row of products that may be among the best k as candidates, and clears the row.

    Returns their number. Product / (total - less · product) > cut is the same as product > cut / (1 + cut · less) ·
    total.

    If many columns have equal scores, such as all items that only one user has, the best k are kept by exact scores.
    Columns come in the order of their codes, so a later column must be better than these, not equal: columns equal to
    the last rejected one are skipped.
    """
    size, room, least = 0, LISTED * k + 64, np.float32(-1)
    last_product, last_right = np.float32(-1), np.float32(-1)
    left, base, less = scale.left[row], scale.base[row], scale.less
    nothing = broadcast(np.float32(0), 16)
    slopes, bases = nothing, nothing
    # Sixteen columns at a time are compared with the limit, which depends on the column's own part of the divisor.
    for start in range(0, len(sums), 16):
        bits = above(load(sums, start, 16), multiply_add(slopes, load(scale.right, start, 16), bases))
        # The columns that pass are listed, without those that are known to be no better.
        while bits:
            column = start + trailing_zeros(bits)
            bits &= bits - 1
            product, right = sums[column], scale.right[column]
            if least >= 0:
                if product == last_product and right == last_right:
                    continue
                if not exact_score(product, row, column, scale) > least:
                    last_product, last_right = product, right
                    continue
            total = left * right + base - less * product
            found.columns[size], found.products[size] = column, product
            found.scores[size] = product / total if total > TINY else np.float32(0)
            size += column != itself
        store(sums, start, nothing)
        # A list that is full keeps its best, whose limit holds for the columns that follow.
        if size > room:
            cut = find_cut(found.scores, size, k) * SLACK
            size = drop_candidates(found, size, cut)
            if size * 2 > room:
                least, size = keep_best(row, size, k, scale, found), k
            factor = cut / (np.float32(1) + cut * less) * SLACK
            slopes, bases = broadcast(factor * left, 16), broadcast(factor * base, 16)
    return size


@kernel(inline=True)
def list_keys(row: int, size: int, k: int, scale: Scale, found: Candidates) -> int:
    """Fills keys by exact scores for the candidates that can be among the best k; returns their number."""
    # Only candidates that reach the cut get exact scores.
    limit = broadcast(find_cut(found.scores, size, k) * SLACK, 16)
    count = 0
    for start in range(0, size, 16):
        bits = above(load(found.scores, start, 16), limit)
        while bits:
            place = start + trailing_zeros(bits)
            bits &= bits - 1
            score = exact_score(found.products[place], row, found.columns[place], scale)
            found.keys[count] = pack(score, found.columns[place])
            count += score > 0
    return count


@kernel()
def find_neighbors(
    rows: Entries, features: Entries, bits: Any, weights: Any, scale: Scale, first: int, last: int, alone: bool,
    support: int, counts: Any, sums: Any, found: Candidates, codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of `codes` and `scores` with the most similar columns of rows `first` to `last`, in any order.

    The similarity of row i and column j is Σ_f rows[i, f] · weights[f] · features[f, j], divided by `scale`. Only
    similarities above 0 count; -1 and -inf fill the places after them. Values must not be negative. With `alone`, row i
    is column i too, and is left out. `sums` is a row of zeros for the columns, filled up to a multiple of sixteen; it
    is zero again after the call. If `support` is above 1, a column counts only if it shares so many features with the
    row; `counts` is then an int32 row of zeros for the columns.

    If rows and columns are the same, all values are equal and weights are 1, the products may be counted from `bits`,
    which `set_bits` has filled; `sums` then has BITS_ROWS rows. Otherwise `bits` has the length 0.
    """
    k = scores.shape[1]
    for row in range(first, last):
        # The products are counted from bits, listed by columns if they are few, or summed as a whole row.
        itself, line = row if alone else -1, 0
        if len(bits):
            line = (row - first) % BITS_ROWS
            if line == 0:
                value = rows.values[0] * features.values[0]
                add_common(bits, row, min(row + BITS_ROWS, last), value, sums)
            if support > 1:
                drop_rare(row, rows, features, support, counts, sums[line])
            size = scan_products(row, itself, sums[line], k, scale, found)
        elif count_products(row, rows, features) * SCANNED < sums.shape[1]:
            size = add_few_products(row, rows, features, weights, sums[0], found.columns)
            if support > 1:
                drop_rare(row, rows, features, support, counts, sums[0])
            take_touched(row, itself, sums[0], size, scale, found)
        else:
            add_products(row, rows, features, weights, sums[0])
            if support > 1:
                drop_rare(row, rows, features, support, counts, sums[0])
            size = scan_products(row, itself, sums[0], k, scale, found)
        # The best k by exact scores.
        size = list_keys(row, size, k, scale, found)
        unpack_row(found.keys, size, scores[row - first], codes[row - first])


# Sums of scores follow the order of the history. A product is rounded and then added, never fused or reordered, so a
# pair's score has the same bits as in its whole row.


@kernel()
def add_weighted_rows(rows: Entries, first: int, last: int, weights: Entries, scores: Any) -> None:
    """Adds Σ_i rows[u, i] · weights[i, j] to `scores[u - first, j]` for rows u from `first` to `last`."""
    row_step, step = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1)
    # Row by row, and in it entry by entry of the history.
    for row in range(first, last):
        line = scores[row - first]
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            value = rows.values[p * row_step]
            if value == 0:  # value of a faded event; most events of a long history have faded
                continue
            item = rows.indices[p]
            for q in range(weights.indptr[item], weights.indptr[item + 1]):
                line[np.uint32(weights.indices[q])] += value * weights.values[q * step]


@kernel()
def fill_dense_rows(rows: Entries, weights: Entries, dense: Any, places: Any, used: int, found: Codes) -> int:
    """Makes rows of weights dense that the values other than 0 need, after the first `used` ones.

    Returns their new number; or, if `dense` is too small, -1 minus the number of rows that it must hold: then it is
    full.

    Parameters
    ----------
    places
        int64, of shape (n,): the place of each row of weights in `dense`; -1 if it is not there.
    found
        Filled with the places of the rows that the entries of `rows` need, and 0 for values of 0.
    """
    row_step, step = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1)
    # An entry needs a dense row unless its value is 0: one that is missing is filled in.
    for p in range(len(rows.indices)):
        item = rows.indices[p]
        found[p] = 0
        if rows.values[p * row_step] == 0:
            continue
        if places[item] < 0:
            if used == len(dense):
                return -1 - (used + len(rows.indices) - p)
            line = dense[used]
            line[:] = 0
            for q in range(weights.indptr[item], weights.indptr[item + 1]):
                line[np.uint32(weights.indices[q])] = weights.values[q * step]
            places[item] = used
            used += 1
        found[p] = places[item]
    return used


@kernel()
def add_dense_rows(rows: Entries, first: int, last: int, weights: Any, scores: Any) -> None:
    """Adds Σ_i rows[u, i] · weights[i] to `scores[u - first]` for rows u from `first` to `last`; weights are dense."""
    step = min(1, len(rows.values) - 1)
    for row in range(first, last):
        line = scores[row - first]
        # Four entries wait until they are added together.
        p0 = p1 = p2 = p3 = waiting = 0
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            if rows.values[p * step] == 0:  # value of a faded event
                continue
            p0, p1, p2, p3 = p1, p2, p3, p
            waiting += 1
            if waiting == 4:  # four at a time, so that a sum is loaded once for four
                w0, w1 = weights[rows.indices[p0]], weights[rows.indices[p1]]
                w2, w3 = weights[rows.indices[p2]], weights[rows.indices[p3]]
                v0, v1, v2, v3 = (
                    rows.values[p0 * step], rows.values[p1 * step], rows.values[p2 * step], rows.values[p3 * step],
                )  # fmt: skip
                for j in range(len(line)):
                    line[j] = (((line[j] + v0 * w0[j]) + v1 * w1[j]) + v2 * w2[j]) + v3 * w3[j]
                waiting = 0
        # Up to three entries are left, the oldest first.
        while waiting > 0:
            p = p3 if waiting == 1 else p2 if waiting == 2 else p1
            w0, v0 = weights[rows.indices[p]], rows.values[p * step]
            for j in range(len(line)):
                line[j] += v0 * w0[j]
            waiting -= 1


@kernel()
def sum_pairs_dense(rows: Entries, users: Any, columns: Any, weights: Any, scores: Any) -> None:
    """Fills `scores[p]` with Σ_i rows[users[p], i] · weights[i, columns[p]]; weights are dense."""
    step = min(1, len(rows.values) - 1)
    # Pair by pair, in the order of the history.
    for pair in range(len(columns)):
        row = users[pair]
        total = np.float32(0)
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            total += rows.values[p * step] * weights[rows.indices[p], columns[pair]]
        scores[pair] = total


@kernel()
def sum_pairs_sparse(rows: Entries, users: Any, columns: Any, weights: Entries, scores: Any) -> None:
    """Fills `scores[p]` with Σ_i rows[users[p], i] · weights[i, columns[p]]; codes in rows of weights are sorted."""
    row_step, step = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1)
    # Pair by pair, in the order of the history; the column is found by bisection.
    for pair in range(len(columns)):
        row = users[pair]
        total = np.float32(0)
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            item = rows.indices[p]
            low, high = weights.indptr[item], weights.indptr[item + 1]
            stop = high
            while low < high:
                middle = (low + high) >> 1
                if weights.indices[middle] < columns[pair]:
                    low = middle + 1
                else:
                    high = middle
            if low < stop and weights.indices[low] == columns[pair]:
                total += rows.values[p * row_step] * weights.values[low * step]
        scores[pair] = total
