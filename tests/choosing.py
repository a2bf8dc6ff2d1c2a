"""Options for any model, as far as it has them."""


def choose(model, chosen):
    """The model with those of the options that it has, or that a step of it has."""
    own = {name: name.rpartition("__")[2] for name in model.get_params()}
    return model.set_params(**{name: chosen[option] for name, option in own.items() if option in chosen})
