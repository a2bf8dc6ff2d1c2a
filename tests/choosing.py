"""Sets options of any model, as far as the model has them."""


def choose(model, chosen):
    """Returns the model with those of the options that it, or one of its steps, has."""
    own = {name: name.rpartition("__")[2] for name in model.get_params()}
    return model.set_params(**{name: chosen[option] for name, option in own.items() if option in chosen})
