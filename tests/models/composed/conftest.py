import numpy as np
import pytest

from fastrec.models import compress
from tests.models.composed.factor_models import FACTOR_MODELS, random_matrix


@pytest.fixture(scope="module")
def fitted():
    known = {}

    def get(name):
        if name not in known:
            X = random_matrix()
            model = FACTOR_MODELS[name]
            if name == "FixedFactors":
                rng = np.random.default_rng(0)
                model.set_params(user_factors=rng.normal(size=(60, 16)), item_factors=rng.normal(size=(40, 16)))
            known[name] = model.fit(X)
        return known[name]

    return get


@pytest.fixture(scope="module")
def compressed(fitted):
    known = {}

    def get(name, codec):
        if (name, codec) not in known:
            known[name, codec] = compress(fitted(name), codec)
        return known[name, codec]

    return get
