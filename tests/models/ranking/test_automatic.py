import numpy as np

from fastrec.models.ranking.automatic import choose_features


def test_columns_are_read_by_what_is_in_them():
    info = {
        "title": np.array(["Alien", "Brazil", "Casablanca", "Dune"], object),
        "year": np.array(["1979", "1985", None, "2021"], object),
        "same": np.ones(4),
        "genres": np.array(["horror|space", "satire", "drama", "space|drama"], object),
        "released": np.array(["1979-05-25", "1985-02-20", "NaT", "2021-09-15"], "M8[D]"),
    }
    chosen = [str(feature) for feature in choose_features(info, has_order=True)]
    assert chosen == [
        "Scores()", "Counts()", "Activity()", "RecentScores()", "Facts(column='year')", "Affinity(column='genres')",
        "Facts(column='released')",
    ]  # fmt: skip


def test_items_of_many_categories_are_counted():
    authors = np.array([f"author {item // 2}" for item in range(258)], object)  # 129 of them
    assert str(choose_features({"author": authors}, has_order=False)[-1]) == "CategoryCounts(column='author')"
    assert str(choose_features({"author": authors[:256]}, has_order=False)[-1]) == "Affinity(column='author')"


def test_authors_of_mostly_one_book_are_read_and_titles_with_few_repetitions_are_not():
    books = [f"author {item}" for item in range(200)]
    few, some = np.array(books + books[:20], object), np.array(books + books[:40], object)
    assert str(choose_features({"title": few}, has_order=False)[-1]) == "Activity()"  # 40 of 220 share
    assert str(choose_features({"author": some}, has_order=False)[-1]) == "CategoryCounts(column='author')"
