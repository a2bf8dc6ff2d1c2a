"""A picture of one user."""

import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")


def test_a_user_is_shown_with_titles_beside_the_history(als):
    ax = fr.plots.user_panel(als, "u3", k=4, history=3)
    texts = [text.get_text() for text in ax.texts]
    top = als.recommend(["u3"], 4)
    titles = als.item_info_["title"]
    assert texts[0].startswith("had (3 of ")
    assert texts[1] == "recommended"
    assert texts[5:] == [titles[code] for code in top.codes[0]]
    assert len(ax.patches) == 4
    with pytest.raises(ValueError, match="unknown id"):
        fr.plots.user_panel(als, "nobody")
