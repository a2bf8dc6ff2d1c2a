import numpy as np

from fastrec.models.ranking.listwise import MOST_HITS, ListSoftmax


def loss(scores, labels, sizes):
    """Returns the loss whose gradients are tested, a list at a time."""
    total, start = 0.0, 0
    for size in sizes:
        s, y = scores[start : start + size], labels[start : start + size]
        logs = s - np.log(np.exp(s).sum())
        total -= min(y.sum(), MOST_HITS) * (y / max(y.sum(), 1)) @ logs
        start += size
    return total


def test_gradients_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    sizes = np.array([3, 1, 12, 4])
    scores, labels = rng.normal(size=20), (rng.random(20) < 0.6).astype(float)
    labels[16:] = 0  # a list without hits
    gradient, hessian = ListSoftmax(sizes).init_gradient_and_hessian(20)
    ListSoftmax(sizes).gradient_hessian(labels, scores, None, gradient, hessian)
    step = 1e-6
    for place in range(20):
        moved = [scores + sign * step * (np.arange(20) == place) for sign in (1, -1)]
        slope = (loss(moved[0], labels, sizes) - loss(moved[1], labels, sizes)) / (2 * step)
        np.testing.assert_allclose(gradient[place], slope, atol=1e-6)
    assert (hessian > 0).all()
    assert not gradient[16:].any()
