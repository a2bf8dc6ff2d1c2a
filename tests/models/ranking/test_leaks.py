import functools
import warnings

import numpy as np
import pytest

from fastrec import RollingTime, split_last
from fastrec.models import Popularity
from fastrec.models.ranking import LeakWarning, TwoStage
from tests.models.ranking.data import movies


@pytest.mark.parametrize("validation", [split_last, functools.partial(split_last, n=0.2)])
def test_last_events_of_users_as_labels_are_warned_of(validation):
    with pytest.warns(LeakWarning, match="hides each user's last events whenever they were"):
        TwoStage([Popularity()], validation=validation, random_state=0).fit(movies())


def test_totals_of_today_are_warned_of_and_left_out_where_they_are_named():
    data = movies()
    ratings = np.bincount(data.item_codes, minlength=90) * 3 + 1
    data = movies(ratings=ratings.astype(float))
    with pytest.warns(LeakWarning, match=r"item_info\['ratings'\] follows how often items are taken"):
        leaking = TwoStage([Popularity()], random_state=0).fit(data)
    assert "ratings" in leaking.feature_names_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TwoStage([Popularity()], aggregates=["ratings"], random_state=0).fit(data)
        TwoStage([Popularity()], validation=RollingTime(2, share=0.1), random_state=0).fit(movies())
    assert "ratings" not in model.feature_names_
    with pytest.raises(TypeError, match="aggregates must be a sequence of names"):
        TwoStage(aggregates="ratings").fit(data)
    with pytest.raises(
        ValueError, match=r"aggregates needs the column 'sales' of item_info; there is 'title', 'genres'"
    ):
        TwoStage(aggregates=["ratings", "sales"]).fit(data)
