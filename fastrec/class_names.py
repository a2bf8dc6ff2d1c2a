"""Names of other libraries and papers for classes of fastrec, and suggestions for misspelt ones."""

import difflib
import re
import sys
from collections.abc import Iterable

# The replacement of each class of another library; the keys are its names there and in papers, as `_fold` returns them.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "SequenceRules": (
        "fpmc", "fossil", "markovchain", "firstordermarkovchain", "sequentialrules", "associationrules", "fpgrowth",
        "apriori",
    ),
    "TIFUKNN": ("tifu", "upcf", "upcfknn", "ptopfreq", "gptopfreq", "dream", "dnntsp", "nextbasket"),
    "SequenceKNN": ("vsknn", "vstan", "stan", "sknn", "ssknn", "vmsknn"),
    "LinearSequence": ("slist", "slit", "slis"),
    "SequenceAttention": (
        "sasrec", "esasrec", "bert4rec", "gru4rec", "gru4reccpr", "narm", "caser", "tisasrec", "stamp", "srgnn", "hstu",
        "transformers4rec",
    ),
    "ImplicitALS": (
        "alternatingleastsquares", "als", "ials", "ialspp", "wrmf", "wals", "wmf", "weightedmatrixfactorization", "nmf",
        "implicitmf", "implicitmfscorer", "collaborativefiltering",
    ),
    "ExplicitALS": ("biasedmfscorer", "biasedmf", "biaseddmf"),
    'SGDFactorization(loss="bpr")': ("bayesianpersonalizedranking", "bpr", "bprmf", "mfbpr", "bprmatrixfactorization"),
    'SGDFactorization(loss="warp")': ("warp", "kos"),
    'SGDFactorization(loss="logistic")': ("logisticmatrixfactorization", "lmf"),
    'SGDFactorization(loss="squared")': ("svd", "funksvd", "probabilisticmatrixfactorization", "pmf", "fm"),
    'SGDFactorization(loss="squared", implicit_feedback=True)': ("svdpp", "svdplusplus"),
    'SGDFactorization(loss="ccl")': ("simplex", "ultragcn"),
    'SGDFactorization(loss="warp"), whose fit takes item_features= and user_features=': ("lightfm", "hybridmf"),
    "EASE": ("easer", "edlae", "rdlae"),
    "SLIM": ("slimelastic", "fslim", "slimrecommender", "admmslim"),
    "PureSVD": ("truncatedsvd", "svdrecommender", "randomizedsvd", "psvd"),
    "GraphFilter": ("lightgcn", "ngcf", "gfcf", "bspm", "chebycf", "simgcl", "sgl", "turbocf", "lgcn"),
    'ItemKNN(similarity="cosine")': ("cosinerecommender",),
    'ItemKNN(similarity="tfidf")': ("tfidfrecommender",),
    'ItemKNN(similarity="bm25")': ("bm25recommender",),
    "ItemKNN": (
        "itemitemrecommender", "itemitem", "itemcf",
        "itemknncf", "iknn", "itemknnscorer", "knnbasic", "knnwithmeans", "knnbaseline", "knnwithzscore", "slopeone",
        "swing", "nearestneighbours",
    ),
    'ItemKNN(similarity="rp3beta")': ("rp3beta", "p3alpha", "rp3betarecommender", "p3alpharecommender"),
    "UserKNN": ("userknncf", "useruser", "usercf", "uknn", "userknnscorer"),
    "Item2Vec": ("word2vec", "prod2vec", "metaprod2vec"),
    "MLPRecommender": ("neumf", "ncf", "gmf", "neuralcf", "mlp"),
    "TwoTowerRecommender": ("twotower", "twotowermodel", "dssm", "youtubednn", "tensorflowrecommenders"),
    "ContentRecommender": ("contentbased", "contentbasedrecommender", "tfidf"),
    "Popularity": (
        "mostpopular", "mostpop", "toppop", "toppopular", "pop", "poprec", "popularitymodel", "popularityrecommender",
        "popscorer",
    ),
    "Blend": ("ensemble", "hybrid", "weightedensemble", "votingregressor", "hybridrecommender"),
    "Switch": ("switchrecommender", "switchinghybrid", "fallbackscorer", "router"),
    "Slots": ("slotrecommender", "mixedhybrid", "backfill", "interleave"),
    "TwoStage": ("cascade", "candidaterankingmodel", "twostagemodel", "lambdamart", "rankingmodel"),
    "Interactions, which read_interactions makes": ("dataset", "trainset", "interactiondataset", "ratings"),
    "split_random, split_time or split_last": ("traintestsplit", "trainvaltestsplit"),
    "split_last_baskets": ("leavelastbasketout",),
    "split_last": ("leavelastout", "leaveoneout", "lastnsplitter", "leavekoutsplit"),
    "split_time or RollingTime": ("timesplitter", "timerangesplit"),
    'evaluate, by metrics such as "precision@10"': (
        "precisionatk", "recallatk", "ndcgatk", "mapatk", "meanaverageprecisionatk", "aucatk", "aucscore",
        "reciprocalrank", "rankingmetricsatk", "calcmetrics", "precisionrecallatk", "accuracy",
    ),
    "read_interactions": ("reader", "readcsv", "loadfromdf", "loadfromfile", "loadbuiltin"),
    "ExactIndex": ("indexflatip", "indexflatl2", "nearestneighbors", "bruteforce"),
    "IVFIndex": ("indexivfflat", "indexivfpq", "hnsw", "annoyindex", "indexhnswflat"),
}  # fmt: skip


def _fold(name: str) -> str:
    """Returns a name in the form in which it is looked up: EASE^R, ease_r and EASER are one.

    >>> _fold("SVD++"), _fold("EASE^R")
    ('svdpp', 'easer')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "p"))


def suggest_class(wrong: str, known: Iterable[str]) -> str | None:
    """Suggests a class for a name from another library or a misspelt one, or None; `known` are names of classes.

    >>> suggest_class("SVD++", ["EASE"])
    'SGDFactorization(loss="squared", implicit_feedback=True)'
    >>> suggest_class("Poularity", ["EASE", "Popularity"])
    'Popularity'
    """
    folded = _fold(wrong)
    of_case = {_fold(name): name for name in known}
    if folded in of_case:
        return of_case[folded]
    for right, names in _OTHER_NAMES.items():
        if folded in names:
            return right
    close = difflib.get_close_matches(folded, of_case, n=1, cutoff=0.8)
    return of_case[close[0]] if close else None


def no_attribute(package: str, wrong: str, known: Iterable[str]) -> Exception | None:
    """Returns the error for a name that a package lacks, with the right name if it is known: call it from `__getattr__`
    alone.

    ``from package import name`` asks for the attribute first and shows no AttributeError, so it gets an ImportError.
    """
    right = None if wrong.startswith("_") else suggest_class(wrong, known)
    if right is None:
        return None
    importing = sys._getframe(2).f_globals.get("__name__") in ("importlib._bootstrap", "_frozen_importlib")
    return (ImportError if importing else AttributeError)(f"{package} has no {wrong!r}; here it is {right}")
