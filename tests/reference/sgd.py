"""Plain NumPy twins of the kernels of stochastic gradients, in float64, one sample at a time."""

import math

import numpy as np

MASK = 2**64 - 1


def random_below(seed, number, n):
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return ((z >> 32) * n) >> 32


class Side:
    """Rows and biases with the memory of an optimizer."""

    def __init__(self, rows, biases, optimizer, rate, decay, bias_decay):
        self.rows, self.biases = rows.astype(float), biases.astype(float)
        self.optimizer, self.rate, self.decay, self.bias_decay = optimizer, rate, decay, bias_decay
        self.memory = {}
        self.priors = np.zeros_like(self.rows), np.zeros_like(self.biases)

    def move(self, array, code, ascent, decay):
        prior = self.priors[0 if array is self.rows else 1][code]
        gradient = ascent - decay * (array[code] - prior)
        first, second, n = self.memory.get((id(array), code), (0.0, 0.0, 0))
        if self.optimizer == "sgd":
            step = gradient
        elif self.optimizer == "adagrad":
            second = second + gradient**2
            step = gradient / (np.sqrt(second) + 1e-8)
        else:
            n += 1
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            step = first / (1 - 0.9**n) / (np.sqrt(second / (1 - 0.999**n)) + 1e-8)
        self.memory[id(array), code] = first, second, n
        array[code] = array[code] + self.rate * step

    def move_row(self, code, ascent):
        self.move(self.rows, code, ascent, self.decay)

    def move_bias(self, code, ascent):
        self.move(self.biases, code, ascent, self.bias_decay)


def runs(users):
    """Yields (user, first, last) of each run of equal users."""
    starts = [k for k in range(len(users)) if k == 0 or users[k] != users[k - 1]]
    return [(users[a], a, b) for a, b in zip(starts, [*starts[1:], len(users)], strict=True)]


def step_pairs(users, items, weights, pool, seed, left, right, *, draws, margin, hardest, hinge, shares):
    loss = 0.0
    for u, first, last in runs(users):
        seen = set(items[first:last])
        for k in range(first, last):
            i, x = items[k], left.rows[u].copy()
            score = x @ right.rows[i] + right.biases[i]
            best, j, drawn = (-np.inf if hardest else score - margin), None, 0
            for draw in range(draws):
                candidate = pool[random_below(seed, k * 64 + draw, len(pool))]
                if candidate in seen:
                    continue
                drawn += 1
                other = x @ right.rows[candidate] + right.biases[candidate]
                if other > best:
                    j, best = candidate, other
                    if not hardest:
                        break
            if j is None:
                continue
            weight, gap = weights[k] * shares[drawn], score - best
            pull = weight if hinge else weight / (1 + math.exp(gap))
            loss += weight * (1 - gap if hinge else math.log1p(math.exp(-gap)))
            y, z = right.rows[i].copy(), right.rows[j].copy()
            right.move_bias(i, pull)
            right.move_bias(j, -pull)
            right.move_row(i, pull * x)
            right.move_row(j, -pull * x)
            left.move_row(u, pull * (y - z))
    return loss


def step_labels(users, items, weights, pool, seed, left, right, *, draws, weight):
    loss = 0.0
    for u, first, last in runs(users):
        seen = set(items[first:last])
        for k in range(first, last):
            x, ascent = left.rows[u].copy(), 0.0
            targets = [(items[k], weights[k])]
            if weights[k] > 0:
                drawn = [pool[random_below(seed, k * 64 + draw, len(pool))] for draw in range(draws)]
                targets += [(j, -weight) for j in drawn if j not in seen]
            for j, amount in targets:
                score = (x @ right.rows[j] + right.biases[j]) * np.sign(amount)
                pull = amount / (1 + math.exp(score))
                loss += abs(amount) * math.log1p(math.exp(-score))
                ascent = ascent + pull * right.rows[j]
                right.move_bias(j, pull)
                right.move_row(j, pull * x)
            left.move_row(u, ascent)
    return loss


def step_lists(users, items, weights, pool, seed, left, right, *, draws, softmax, margin, weight, temperature):
    def tangent(direction, row):
        return direction - (direction @ row) * row

    def normalize(side, code):
        side.rows[code] /= np.linalg.norm(side.rows[code])

    loss = 0.0
    for u, first, last in runs(users):
        seen, x = set(items[first:last]), left.rows[u].copy()
        drawn = [pool[random_below(seed, first * draws + draw, len(pool))] for draw in range(draws)]
        drawn = [j for j in drawn if j not in seen]
        cosines = np.array([x @ right.rows[j] for j in drawn])
        pulls = np.exp((cosines - 1) / temperature) if softmax else np.maximum(0, cosines - margin)
        ascent, push = np.zeros_like(x), 0.0
        for k in range(first, last):
            y = right.rows[items[k]].copy()
            if softmax:
                own = math.exp((x @ y - 1) / temperature)
                everything = own + pulls.sum()
                pull = weights[k] * (1 - own / everything) / temperature
                push += weights[k] / everything / temperature
                loss -= weights[k] * math.log(own / everything)
            else:
                pull = weights[k]
                push += weights[k] * weight / max(1, len(drawn))
                loss += weights[k] * (1 - x @ y)
            ascent += pull * y
            right.move_row(items[k], tangent(pull * x, y))
            normalize(right, items[k])
        loss += 0 if softmax else push * pulls.sum()
        for j, amount in zip(drawn, pulls, strict=True):
            if amount == 0:
                continue
            y, pull = right.rows[j].copy(), -push * (amount if softmax else 1)
            ascent += pull * y
            right.move_row(j, tangent(pull * x, y))
            normalize(right, j)
        left.move_row(u, tangent(ascent, x))
        normalize(left, u)
    return loss


def step_ratings(users, items, ratings, mean, offsets, left, right):
    loss, asked = 0.0, np.zeros_like(left.rows)
    for k, (u, i) in enumerate(zip(users, items, strict=True)):
        whole, y = left.rows[u] + offsets[u], right.rows[i].copy()
        error = ratings[k] - mean - left.biases[u] - right.biases[i] - whole @ y
        loss += error**2
        left.move_bias(u, error)
        right.move_bias(i, error)
        right.move_row(i, error * whole)
        left.move_row(u, error * y)
        asked[u] += error * y
    return loss, asked


def solve_ratings(codes, ratings, mean, offset, rows, biases, decay, bias_decay):
    """Returns the user's row and bias that solve the normal equations."""
    targets = ratings - mean - biases[codes] - rows[codes] @ offset
    design = np.c_[rows[codes], np.ones(len(codes))]
    penalty = len(codes) * np.diag([decay] * rows.shape[1] + [bias_decay])
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ targets)
    return solution[:-1], solution[-1]


def fold(codes, start, prior, passes, rate, decay, slope):
    """Returns a user's row: passes over a history from its first row on, at rates that fall to zero.

    `slope(x, place, number)` is how the loss of the entry at a place falls with x; `number` is its first random one.
    None: nothing moves.
    """
    x = start.astype(float)
    for turn in range(passes):
        for place in range(len(codes)):
            taken = turn * len(codes) + place
            pace = rate * (1 - taken / (passes * len(codes)))
            ascent = slope(x, place, taken * 64)
            if ascent is not None:
                x = x + pace * (ascent - decay * (x - prior))
    return x


def fold_pairs(
    codes, values, start, prior, pool, rows, biases, *, passes, rate, decay, draws, margin, hardest, hinge, shares
):
    def slope(x, place, number):
        i = codes[place]
        score = x @ rows[i] + biases[i]
        best, j, drawn = (-np.inf if hardest else score - margin), None, 0
        for draw in range(draws):
            candidate = pool[random_below(0, number + draw, len(pool))]
            if candidate in codes:
                continue
            drawn += 1
            other = x @ rows[candidate] + biases[candidate]
            if other > best:
                j, best = candidate, other
                if not hardest:
                    break
        if j is None:
            return None
        weight = values[place] * shares[drawn]
        return (weight if hinge else weight / (1 + math.exp(score - best))) * (rows[i] - rows[j])

    return fold(codes, start, prior, passes, rate, decay, slope)


def fold_labels(codes, values, start, prior, pool, rows, biases, *, passes, rate, decay, draws, weight):
    def slope(x, place, number):
        targets = [(codes[place], values[place])]
        if values[place] > 0:
            drawn = [pool[random_below(0, number + draw, len(pool))] for draw in range(draws)]
            targets += [(j, -weight) for j in drawn if j not in codes]
        ascent = np.zeros_like(x)
        for j, amount in targets:
            score = (x @ rows[j] + biases[j]) * np.sign(amount)
            ascent = ascent + amount / (1 + math.exp(score)) * rows[j]
        return ascent

    return fold(codes, start, prior, passes, rate, decay, slope)


def fold_lists(codes, values, pool, rows, *, passes, rate, draws, softmax, margin, weight, temperature):
    x = rows[codes].sum(axis=0)
    x = x / np.linalg.norm(x)
    for turn in range(passes):
        drawn = [pool[random_below(0, turn * draws + draw, len(pool))] for draw in range(draws)]
        others = rows[[j for j in drawn if j not in codes]]
        own, cosines = rows[codes] @ x, others @ x
        if softmax:
            shares, pushes = np.exp((own - 1) / temperature), np.exp((cosines - 1) / temperature)
            everything = shares + pushes.sum()
            pulls = values * (1 - shares / everything) / temperature
            pushes = pushes * (values / everything / temperature).sum()
        else:
            pulls, pushes = values, (cosines > margin) * values.sum() * weight / max(1, len(others))
        ascent = pulls @ rows[codes] - pushes @ others
        x = x + rate * (1 - turn / passes) / values.sum() * (ascent - (ascent @ x) * x)
        x = x / np.linalg.norm(x)
    return x
