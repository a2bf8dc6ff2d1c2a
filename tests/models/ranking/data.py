"""Provides small data whose later events follow a rule: users take new items of their genre, newer ones of late."""

import numpy as np

from fastrec import Interactions


def movies(n_users=150, n_items=90, events=14, seed=0, **info):
    """Returns users of one of three genres; their events are spread over time, and new items appear with it."""
    rng = np.random.default_rng(seed)
    genre = np.arange(n_items) % 3
    users, items, times = [], [], []
    for user in range(n_users):
        moments = np.sort(rng.integers(0, 1000, events))
        had = set()
        for moment in moments:
            chances = np.where(genre == user % 3, 1.0, 0.05) * np.exp(
                -np.abs(np.arange(n_items) - moment * n_items / 1000) / 8
            )
            chances[list(had)] = 0
            item = rng.choice(n_items, p=chances / chances.sum())
            had.add(int(item))
            users.append(user)
            items.append(item)
            times.append(moment)
    facts = {
        "title": np.array([f"Film {item}" for item in range(n_items)], object),
        "genres": np.array([["war", "drama", "comedy"][kind] for kind in genre], object),
        "year": 1950.0 + np.arange(n_items),
    }
    return Interactions(
        users, items, times=times, users=np.arange(n_users), items=np.arange(n_items), item_info=facts | info
    )
