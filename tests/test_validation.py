import inspect

import numpy as np
import pytest

from fastrec.preprocessing import BM25Weight
from fastrec.validation import check_choice, check_flag, check_integer, check_number, name_options, suggest_option

# -- options


@pytest.mark.parametrize("value", [1, np.int64(5), np.uint8(3)])
def test_integers_are_taken(value):
    assert check_integer("x", value, minimum=1) == value
    assert type(check_integer("x", value, minimum=1)) is int


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.float32(1)])
def test_a_value_that_is_not_an_integer_is_refused(value):
    with pytest.raises(TypeError, match="x must be an integer"):
        check_integer("x", value)


def test_integers_out_of_bounds_are_refused():
    with pytest.raises(ValueError, match=r"ImplicitALS\.factors must be an integer of at least 1, got 0"):
        check_integer("ImplicitALS.factors", 0, minimum=1)
    with pytest.raises(ValueError, match="x must be an integer from 1 to 3, got 4"):
        check_integer("x", np.int64(4), minimum=1, maximum=3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_numbers_out_of_bounds_are_refused(value):
    with pytest.raises(ValueError, match="x must be a finite number of at least 0"):
        check_number("x", value, minimum=0)


def test_numbers():
    assert check_number("x", np.float32(0.5), minimum=0) == 0.5
    with pytest.raises(ValueError, match="above 0"):
        check_number("x", 0, minimum=0, above=True)
    with pytest.raises(TypeError, match="x must be a finite number"):
        check_number("x", "1")


def test_choices_are_strict_about_types():
    assert check_choice("x", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="x must be one of True, 'header', got 1"):
        check_choice("x", 1, (True, "header"))


def test_flags():
    assert check_flag("x", np.True_) is True
    with pytest.raises(TypeError, match="x must be True or False, got 1"):
        check_flag("x", 1)


# -- names of options


def test_names_from_other_libraries_are_known():
    options = ["factors", "regularization", "iterations", "n_jobs", "random_state", "learning_rate", "verbose"]
    options += ["blocks", "heads", "window", "candidates", "recency"]
    meant = {
        **dict.fromkeys(["n_factors", "no_components", "rank", "n_components", "k"], "factors"),
        **dict.fromkeys(["reg", "regParam", "lambda_"], "regularization"),
        **dict.fromkeys(["n_epochs", "max_iter", "maxIter", "epochs"], "iterations"),
        **dict.fromkeys(["num_threads", "threads", "workers"], "n_jobs"),
        **dict.fromkeys(["lr", "eta"], "learning_rate"),
        **{"num_blocks": "blocks", "num_heads": "heads", "maxlen": "window", "hidden_units": "factors"},
        **{"sample_size": "candidates", "memory": "recency"},
        **{"seed": "random_state", "show_progress": "verbose", "regularisation": "regularization", "n_job": "n_jobs"},
    }
    assert {name: suggest_option(name, options) for name in meant} == meant
    assert suggest_option("colour", options) is None
    assert suggest_option("n_factors", ["alpha"]) is None


def test_wrong_options_are_named_and_right_ones_pass():
    class Model:
        @name_options
        def __init__(self, factors=4, *, n_jobs=None):
            """Docstring."""
            self.factors, self.n_jobs = factors, n_jobs

        @name_options
        def recommend(self, users, k=10):
            return users, k

    assert Model(8, n_jobs=2).factors == 8
    assert Model().recommend([1], k=3) == ([1], 3)
    assert list(inspect.signature(Model).parameters) == ["factors", "n_jobs"]
    assert Model.__init__.__doc__ == "Docstring."
    with pytest.raises(TypeError, match=r"Model\(\) has no option 'n_factors'; here it is called 'factors'"):
        Model(n_factors=3)
    with pytest.raises(TypeError, match=r"recommend\(\) has no option 'N'; here it is called 'k'"):
        Model().recommend([1], N=3)
    with pytest.raises(TypeError, match=r"recommend\(\) has no option 'colour'; it has users, k"):
        Model().recommend([1], colour=3)
    with pytest.raises(
        TypeError, match=r"recommend\(\) has no option 'recalculate_user': give a history in the place of"
    ):
        Model().recommend([1], recalculate_user=True)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Model().recommend()


def test_a_name_with_several_meanings_means_an_option_that_is_not_given():
    @name_options
    def read(source, item=None, item_info=None): ...

    with pytest.raises(TypeError, match="'items'; here it is called 'item'"):
        read("events.csv", items="items.csv")
    with pytest.raises(TypeError, match="'items'; here it is called 'item_info'"):
        read("events.csv", item="sku", items="items.csv")
    with pytest.raises(TypeError, match="'items'; here it is called 'item'"):
        read("events.csv", item="sku", item_info="a.csv", items="items.csv")


def test_functions_that_take_any_option_are_left_alone():
    def anything(**options):
        return options

    assert name_options(anything) is anything


def test_steps_before_a_model_name_options_of_other_libraries_too():
    with pytest.raises(TypeError, match=r"BM25Weight\(\) has no option 'K1'; here it is called 'k1'"):
        BM25Weight(K1=100)
    assert BM25Weight(k1=2).get_params() == {"k1": 2, "b": 0.8, "rarity": "lucene"}
