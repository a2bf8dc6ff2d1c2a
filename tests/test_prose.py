"""What can be counted of plain English: short sentences, no words that say nothing, in all pages and docstrings."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 35  # words of a sentence; code, formulas and numbers do not count

pytestmark = pytest.mark.skipif(not (ROOT / "src_numba").is_dir(), reason="needs the checkout")

# Turns of phrase that a reader has to take apart, and what to write.
RIDDLES = {
    r"\bnobody has told\b|\bis told of\b": "is unknown; is reported",
    r"\bwhoever\b|\bwhatever it is\b": "anybody who; of any kind",
    r"\bshall\b": "must, will",
    r"«|»": "quotes of English, or code",
    r"\bby its row\b": "with its row",
}


def pages():
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    made = {"_build", "command-line.md"}
    return [*top, *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not made & set(page.parts))]


def modules():
    return sorted((ROOT / "fastrec").rglob("*.py")) + sorted((ROOT / "src_numba").rglob("*.py"))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def docstrings(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [text for node in ast.walk(tree) if isinstance(node, kinds) and (text := ast.get_docstring(node))]


def sentences_of_page(text):
    """The sentences of a page of Markdown, without its code, tables, formulas and headings."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^(```|~~~|:::).*?^\1", "\n", text, flags=re.DOTALL | re.MULTILINE)
    return sentences(re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.|#) ?)", text))


def sentences_of_docstring(text):
    """The sentences of a docstring, without its examples, formulas and the names of its sections."""
    text = re.sub(r"^.*\n *-{3,}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\S.*\n(?= {4}\S)", "", text, flags=re.MULTILINE)  # the name and type of a parameter
    blocks = re.split(r"\n\s*\n|\n(?= *[-*] )", text)
    return sentences([textwrap.dedent(block) for block in blocks if not re.search(r">>>|::|={5}", block)])


def sentences(blocks):
    found = []
    for block in blocks:
        text = block.strip("\n")
        if (text.strip() and not re.match(r"[|#<*]|    |!\[|\$\$", text)) or text.startswith(("**", "* ")):
            text = re.sub(r"`+[^`]*`+|\$[^$]*\$|\]\([^)]*\)", " _ ", " ".join(text.split()))
            found += re.split(r"(?<=[.!?])[*_)\"”]*\s+", text)
    return found


def problems(found):
    for sentence in found:
        if len(re.findall(r"[A-Za-z][\w'’-]+", sentence)) > LONGEST:
            yield f"more than {LONGEST} words, make two sentences of it: {sentence}"
        for riddle, plain in RIDDLES.items():
            if match := re.search(riddle, sentence):
                yield f"{match[0]!r} (write {plain}): {sentence}"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_pages_are_plain(page):
    found = list(problems(sentences_of_page(page.read_text(encoding="utf-8"))))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_of_code_end(page):
    fences = re.findall(r"^.*```.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(fence.lstrip().startswith("```") for fence in fences)
    assert len(fences) % 2 == 0


@pytest.mark.parametrize("module", modules(), ids=name_of)
def test_docstrings_are_plain(module):
    found = [line for text in docstrings(module) for line in problems(sentences_of_docstring(text))]
    assert not found, "\n".join(found)
