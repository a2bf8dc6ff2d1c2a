"""A user who asks for another library's class is told the name of ours."""

import re

import pytest

import fastrec
from fastrec.class_names import _OTHER_NAMES, _fold, suggest_class


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("FPMC", "SequenceRules"),
        ("MarkovChain", "SequenceRules"),
        ("SLIST", "LinearSequence"),
        ("SASRec", "SequenceAttention"),
        ("GRU4Rec", "SequenceAttention"),
        ("BERT4Rec", "SequenceAttention"),
        ("VSKNN", "SequenceKNN"),
        ("VSTAN", "SequenceKNN"),
        ("LightGCN", "GraphFilter"),
        ("BPR", 'SGDFactorization(loss="bpr")'),
        ("iALS", "ImplicitALS"),
        ("SVD++", 'SGDFactorization(loss="squared", implicit_feedback=True)'),
        ("NMF", "ImplicitALS"),
        ("EASE^R", "EASE"),
        ("fsSLIM", "SLIM"),
        ("TruncatedSVD", "PureSVD"),
        ("AlternatingLeastSquares", "ImplicitALS"),
        ("BM25Recommender", 'ItemKNN(similarity="bm25")'),
        ("leave_k_out_split", "split_last"),
        ("Ease", "EASE"),
        ("sequence_rules", "SequenceRules"),
        ("Populairty", "Popularity"),
    ],
)
def test_the_right_class_is_named(wrong, right):
    assert suggest_class(wrong, fastrec.__all__) == right
    with pytest.raises(AttributeError, match=re.escape(f"fastrec has no {wrong!r}; here it is {right}")):
        getattr(fastrec, wrong)


def test_an_import_names_it_too():
    with pytest.raises(ImportError, match="fastrec has no 'LightFM'; here it is SGDFactorization"):
        from fastrec import LightFM  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'nothing_like_it'"):
        from fastrec import nothing_like_it  # noqa: F401


def test_named_classes_exist_and_no_name_has_two_meanings():
    for right, names in _OTHER_NAMES.items():
        meant = set(re.findall(r"\b(?:[A-Z]\w+|split_\w+|read_\w+|evaluate)", right)) - {"True"}
        assert meant
        assert all(hasattr(fastrec, name) for name in meant), right
        assert all(name == _fold(name) for name in names)
    every = [name for names in _OTHER_NAMES.values() for name in names]
    assert len(every) == len(set(every))
    own = {_fold(name) for name in fastrec.__all__}
    assert own.isdisjoint(every)


def test_options_of_a_named_class_are_its_own():
    for right in _OTHER_NAMES:
        if "(" in right:
            eval(f"fastrec.{right.split(', whose')[0]}", {"fastrec": fastrec})._check_options()


def test_other_names_are_missing_as_ever():
    assert not hasattr(fastrec, "SASRec")
    assert not hasattr(fastrec, "__wrapped__")
    with pytest.raises(AttributeError, match="No fastrec attribute nothing_like_it"):
        _ = fastrec.nothing_like_it
    assert suggest_class("nothing_like_it", fastrec.__all__) is None
