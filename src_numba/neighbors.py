"""The nearest rows of a sparse matrix, and scores by sparse weights: a row's products in one dense row, never n × n."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.simd import above, broadcast, load, multiply_add, store, trailing_zeros

# A candidate passes while its score in float32 is above the worst kept one by this factor; the exact score decides.
SLACK = np.float32(1 - 1e-5)
# Rows with fewer products than this share of the columns remember what they touched; others are scanned as a whole.
SCANNED = 24
# Candidates are listed until they are this many times as many as wanted, and then cut down: cheaper than a heap.
LISTED = 3


class Rows(NamedTuple):
    """A sparse matrix by rows; `values` has one value for each entry, or a single one for all."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


class Scale(NamedTuple):
    """What the product of row i and column j is divided by: left[i] · right[j] + base[i] - less · product.

    Without `right`, products are of features that have been divided by it, and only left[i] is missing.
    """

    left: NDArray[np.float32]  # (rows,)
    right: NDArray[np.float32]  # (columns,), filled up to a multiple of sixteen; or empty
    base: NDArray[np.float32]  # (rows,)
    less: Any  # a float32 from 0 to 1


@kernel(inline=True)
def count_products(row: int, rows: Rows, features: Rows) -> int:
    """How many products a row has with all the columns."""
    count = 0
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        count += features.indptr[feature + 1] - features.indptr[feature]
    return count


@kernel(fastmath=FAST)
def add_products(row: int, rows: Rows, features: Rows, weights: Any, sums: Any) -> None:
    """Adds Σ_f rows[row, f] · weights[f] · features[f, j] to `sums[j]`."""
    step = min(1, len(rows.values) - 1)
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


@kernel(fastmath=FAST)
def add_few_products(row: int, rows: Rows, features: Rows, weights: Any, sums: Any, touched: Any) -> int:
    """`add_products` that lists the columns with a product in `touched`, in any order; returns how many."""
    row_step, step = min(1, len(rows.values) - 1), min(1, len(features.values) - 1)
    count = 0
    for p in range(rows.indptr[row], rows.indptr[row + 1]):
        feature = rows.indices[p]
        weight = rows.values[p * row_step] * weights[feature]
        for q in range(features.indptr[feature], features.indptr[feature + 1]):
            column = np.uint32(features.indices[q])
            sum = sums[column]
            touched[count] = column
            count += sum == 0  # no branch: it could not be foretold
            sums[column] = sum + weight * features.values[q * step]
    return count


@kernel(inline=True)
def divide(product: float, row: int, column: int, scale: Scale) -> Any:
    """The similarity that belongs to a product: worked out in float64, rounded to float32."""
    total = np.float64(scale.left[row])
    if len(scale.right):
        total = total * np.float64(scale.right[column]) + np.float64(scale.base[row])
        total -= np.float64(scale.less) * np.float64(product)
    return np.float32(product / total) if total > 0 else np.float32(0)


@kernel(inline=True)
def pack(score: float, code: int) -> Any:
    """A score above 0 and a code as one integer that is larger for the better: a higher score, then a lower code."""
    return (np.int64(np.float32(score).view(np.int32)) << 32) | (np.int64(0x7FFFFFFF) - np.int64(code))


@kernel()
def select_keys(keys: Any, size: int, k: int) -> None:
    """Brings the largest k of the first `size` distinct keys to the front, in any order, by Hoare's quickselect."""
    low, high = 0, size - 1
    while low < high:
        a, b, c = keys[low], keys[(low + high) >> 1], keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break


@kernel(inline=True)
def place_key(keys: Any, at: int, size: int, key: int) -> None:
    """Puts a key at place `at` of a heap of `size` keys, the least at the root, in place of the one that is there."""
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[at] = keys[child]
        at, child = child, 2 * child + 1
    keys[at] = key


@kernel()
def unpack_row(keys: Any, size: int, scores: Any, codes: Any) -> None:
    """Sorts the best keys into a row, the best first, and marks the places behind them as empty."""
    k = len(codes)
    if size > k:
        select_keys(keys, size, k)
        size = k
    for place in range(size, k):
        scores[place] = -np.inf
        codes[place] = -1
    for at in range(size // 2 - 1, -1, -1):
        place_key(keys, at, size, keys[at])
    for place in range(size - 1, -1, -1):
        key = keys[0]
        place_key(keys, 0, place, keys[place])
        scores[place] = np.int32(key >> 32).view(np.float32)
        codes[place] = np.int32(np.int64(0x7FFFFFFF) - (key & np.int64(0x7FFFFFFF)))


@kernel(inline=True)
def shrink_keys(keys: Any, k: int, scale: Scale) -> Any:
    """Keeps the best k keys of a full list; returns what a product must be above to be worth an exact look from now on.

    That is a share of left · right + base: product / (total - less · product) > worst is the same as
    product > worst / (1 + worst · less) · total.
    """
    select_keys(keys, len(keys), k)
    worst = keys[0]
    for place in range(1, k):
        worst = min(worst, keys[place])
    score = np.int32(worst >> 32).view(np.float32)
    return score * SLACK / (np.float32(1) + score * np.float32(scale.less))


@kernel(inline=True)
def keep_touched(
    row: int, itself: int, sums: Any, touched: Any, count: int, k: int, scale: Scale, ready: bool, keys: Any
) -> int:
    """Lists keys, the best k of the touched columns among them, and sets their sums to zero; returns how many.

    `ready`, known when it is compiled, says that products are of features divided by `scale.right`.
    """
    size = 0
    slope, base = np.float32(0), np.float32(0)
    for c in range(count):
        column = touched[c]
        product = sums[column]
        sums[column] = 0
        limit = slope if ready else slope * scale.right[column] + base
        if product > limit and column != itself:
            score = divide(product, row, column, scale)
            keys[size] = pack(score, column)
            size += score > 0
            if size == len(keys):
                factor = shrink_keys(keys, k, scale)
                size, slope, base = k, factor * scale.left[row], factor * scale.base[row]
    return size


@kernel(inline=True)
def scan_products(row: int, itself: int, sums: Any, k: int, scale: Scale, ready: bool, keys: Any) -> int:
    """Lists keys, the best k columns of a dense row of products among them, and clears the row; returns how many."""
    size = 0
    nothing = broadcast(np.float32(0), 16)
    slope, base = nothing, nothing
    for start in range(0, len(sums), 16):
        limit = slope if ready else multiply_add(slope, load(scale.right, start, 16), base)
        bits = above(load(sums, start, 16), limit)
        while bits:
            column = start + trailing_zeros(bits)
            bits &= bits - 1
            score = divide(sums[column], row, column, scale)
            if column == itself or score <= 0:
                continue
            keys[size] = pack(score, column)
            size += 1
            if size == len(keys):
                factor = shrink_keys(keys, k, scale)
                size = k
                slope = broadcast(np.float32(factor * scale.left[row]), 16)
                base = broadcast(np.float32(factor * scale.base[row]), 16)
        store(sums, start, nothing)
    return size


@kernel()
def find_neighbors(
    rows: Rows, features: Rows, weights: Any, scale: Scale, first: int, last: int, alone: bool, sums: Any, touched: Any,
    codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of `codes` and `scores` with the most similar columns of rows `first` to `last`, best first.

    The similarity of row i and column j is Σ_f rows[i, f] · weights[f] · features[f, j], divided by `scale`; only those
    above 0 count, -1 and -inf are behind them. Values must not be negative. With `alone`, row i is column i too, and
    left out. `sums`, zeros for the columns filled up to a multiple of sixteen, is left as zeros; `touched` is as long.
    """
    k, ready = scores.shape[1], len(scale.right) == 0
    keys = np.empty(max(32, LISTED * k), np.int64)
    for row in range(first, last):
        itself = row if alone else -1
        if count_products(row, rows, features) * SCANNED < len(sums):
            count = add_few_products(row, rows, features, weights, sums, touched)
            if ready:
                size = keep_touched(row, itself, sums, touched, count, k, scale, True, keys)
            else:
                size = keep_touched(row, itself, sums, touched, count, k, scale, False, keys)
        else:
            add_products(row, rows, features, weights, sums)
            if ready:
                size = scan_products(row, itself, sums, k, scale, True, keys)
            else:
                size = scan_products(row, itself, sums, k, scale, False, keys)
        unpack_row(keys, size, scores[row - first], codes[row - first])


# Sums of scores follow the history in its order, a product rounded and then added, never fused nor reordered: a pair
# has to the bit the score that its row has.


@kernel()
def add_weighted_rows(rows: Rows, first: int, last: int, weights: Rows, scores: Any) -> None:
    """Adds Σ_i rows[u, i] · weights[i, j] to `scores[u - first, j]` for rows u from `first` to `last`."""
    row_step, step = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1)
    for row in range(first, last):
        line = scores[row - first]
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            value = rows.values[p * row_step]
            item = rows.indices[p]
            for q in range(weights.indptr[item], weights.indptr[item + 1]):
                line[np.uint32(weights.indices[q])] += value * weights.values[q * step]


@kernel()
def add_dense_rows(rows: Rows, first: int, last: int, weights: Any, scores: Any) -> None:
    """Adds Σ_i rows[u, i] · weights[i] to `scores[u - first]` for rows u from `first` to `last`; weights are dense."""
    step = min(1, len(rows.values) - 1)
    for row in range(first, last):
        line = scores[row - first]
        p, stop = rows.indptr[row], rows.indptr[row + 1]
        while p + 4 <= stop:  # four at a time, so that a sum is loaded once for four
            w0, w1 = weights[rows.indices[p]], weights[rows.indices[p + 1]]
            w2, w3 = weights[rows.indices[p + 2]], weights[rows.indices[p + 3]]
            v0, v1 = rows.values[p * step], rows.values[(p + 1) * step]
            v2, v3 = rows.values[(p + 2) * step], rows.values[(p + 3) * step]
            for j in range(len(line)):
                line[j] = (((line[j] + v0 * w0[j]) + v1 * w1[j]) + v2 * w2[j]) + v3 * w3[j]
            p += 4
        while p < stop:
            w0, v0 = weights[rows.indices[p]], rows.values[p * step]
            for j in range(len(line)):
                line[j] += v0 * w0[j]
            p += 1


@kernel()
def sum_pairs_dense(rows: Rows, columns: Any, weights: Any, scores: Any) -> None:
    """Fills `scores[u]` with Σ_i rows[u, i] · weights[i, columns[u]]; weights are dense."""
    step = min(1, len(rows.values) - 1)
    for row in range(len(columns)):
        total = np.float32(0)
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            total += rows.values[p * step] * weights[rows.indices[p], columns[row]]
        scores[row] = total


@kernel()
def sum_pairs_sparse(rows: Rows, columns: Any, weights: Rows, scores: Any) -> None:
    """Fills `scores[u]` with Σ_i rows[u, i] · weights[i, columns[u]]; the codes in rows of weights are sorted."""
    row_step, step = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1)
    for row in range(len(columns)):
        total = np.float32(0)
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            item = rows.indices[p]
            low, high = weights.indptr[item], weights.indptr[item + 1]
            stop = high
            while low < high:
                middle = (low + high) >> 1
                if weights.indices[middle] < columns[row]:
                    low = middle + 1
                else:
                    high = middle
            if low < stop and weights.indices[low] == columns[row]:
                total += rows.values[p * row_step] * weights.values[low * step]
        scores[row] = total
