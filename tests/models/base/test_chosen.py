"""The values that fit chose are shown for the options that were left to it, and for no others."""

import numpy as np

from fastrec.models import EASE, ImplicitALS, PureSVD
from fastrec.models.base.chosen import chosen_in_words, chosen_options


def test_options_that_were_left_to_fit_are_told_with_what_they_came_to():
    X = np.kron(np.eye(2), np.ones((6, 3)))
    model = ImplicitALS(random_state=0).fit(X)
    assert chosen_options(model) == {
        "factors": 16, "alpha": model.alpha_, "regularization": model.regularization_, "weighting": "raw",
    }  # fmt: skip
    assert chosen_in_words(model).startswith("alpha 0.2, factors 16, regularization 0.")
    assert chosen_options(PureSVD(3).fit(X)) == {"weighting": "raw"}


def test_nothing_is_told_of_what_was_given():
    assert chosen_in_words(EASE(weighting="raw").fit(np.eye(3))) == ""
