"""Plain Python twins of the operations on interactions: slow, and short enough to be checked by eye."""


def merge(users, items, values, times, policy):
    """Returns {(user, item): value}, event by event."""
    cells = {}
    order = (
        range(len(users)) if times is None or policy != "last" else sorted(range(len(users)), key=lambda e: times[e])
    )
    for event in order:
        cell, value = (users[event], items[event]), values[event]
        if cell not in cells or policy == "last":
            cells[cell] = value
        elif policy == "sum":
            cells[cell] += value
        else:
            cells[cell] = max(cells[cell], value)
    return cells


def core(pairs, user, item):
    """Returns the pairs that are left when users and items with too few partners are removed, again and again."""
    pairs = set(pairs)
    while True:
        partners = {}
        for u, i in pairs:
            partners.setdefault(("u", u), set()).add(i)
            partners.setdefault(("i", i), set()).add(u)
        kept = {(u, i) for u, i in pairs if len(partners["u", u]) >= user and len(partners["i", i]) >= item}
        if kept == pairs:
            return pairs
        pairs = kept


def last(users, times, n):
    """Marks the events that are among the last n of their user, for users that have more."""
    chosen = set()
    for user in set(users):
        events = sorted((e for e in range(len(users)) if users[e] == user), key=lambda e: (times[e], e))
        if len(events) > n:
            chosen.update(events[-n:])
    return chosen
