"""The declared arrays of classes: the table in docs/reference/model-file.md.

`python -m tests.models.base.test_fields` writes the table anew.
"""

from pathlib import Path

from fastrec.compression.codec import VectorCodec
from fastrec.compression.files import CLASSES
from fastrec.fields import Nothing, fields_of
from fastrec.models import Recommender
from fastrec.models.base.registry import loadable
from fastrec.retrieval import exact, ivf_state

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "model-file.md"
MARK = "<!-- made by tests/models/base/test_fields.py -->\n"


def lines(kind, done):
    """Returns the classes in a class's line that declare anything, the most general first."""
    bases = [base for base in reversed(kind.__mro__) if vars(base).get("_learned") and base not in done]
    return [base for base in bases if base.__module__.startswith("fastrec.")]


def rows(name, fields):
    told = {attribute: field for attribute, field in fields.items() if not isinstance(field, Nothing)}
    return [f"| {name} | `{attribute}` | {' | '.join(field.words())} |" for attribute, field in told.items()]


def table():
    text, done = [], set()
    for kind in [Recommender, *loadable().values(), VectorCodec, *CLASSES.values()]:
        for base in lines(kind, done):
            done.add(base)
            text += rows(base.__name__, base._learned)
    for name, fields in {
        "ExactIndex, float32": exact.exact_fields(exact.METRICS["l2"], "float32"),
        "ExactIndex, int8": exact.exact_fields(exact.METRICS["l2"], "int8"),
        "IVFIndex": ivf_state.ivf_fields("float32"),
    }.items():
        text += rows(name, fields)
    head = ["| class | attribute | type | shape | numbers |", "|---|---|---|---|---|"]
    return "\n".join(head + text) + "\n"


def test_the_page_has_what_classes_declare():
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip() == table().strip(), "run this file to write it"


def test_every_class_declares_its_own():
    for kind in loadable().values():
        assert fields_of(kind).keys() >= {"seen_", "item_counts_"}


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.partition(MARK)[0] + MARK + "\n" + table(), encoding="utf-8")
