"""Plain English, as far as it can be counted: short sentences, no riddles; in pages, docstrings, comments, messages."""

import ast
import io
import re
import textwrap
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 35  # words of a sentence; code, formulas and numbers do not count

pytestmark = pytest.mark.skipif(not (ROOT / "src_numba").is_dir(), reason="needs the checkout")

SPEAKING = re.compile(r"(Error|Warning|warn|print|Option|Argument|refuse|fail)$")  # functions that get messages

# A docstring begins with a verb in the third person or a noun.
NOT_FIRST = {"What", "How", "Whether", "Which", "Where", "All", "Who", "When"}

# Turns of phrase that a reader has to take apart, and what to write.
RIDDLES = {
    r"\bnobody has told\b|\bis told of\b": "is unknown; is reported",
    r"\bwhoever\b|\bwhatever it is\b": "anybody who; of any kind",
    r"\bshall\b": "must, will",
    r"«|»": "quotes of English, or code",
    r"\bby its row\b": "with its row",
    r"\bhangs? on\b": "depends on",
    r"\bbut for\b": "except for",
    r"\b(is|are) none of\b|\bto be had\b": "is not one of; is available",
    r"\bwhat (nobody|is no)\b|\bin vain\b": "the noun: values that, rows without; without effect",
}


def pages():
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    made = {"_build", "command-line.md"}
    return [*top, *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not made & set(page.parts))]


def modules():
    folders = ("fastrec", "src_numba", "bench", "tests")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def docstrings(nodes):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [text for node in nodes if isinstance(node, kinds) and (text := ast.get_docstring(node))]


def comments(source):
    """Returns the comments of a module; those on lines of their own, one below the other, are one text."""
    found, last = [], None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            alone = token.line.strip() == token.string
            if alone and last == (row - 1, column):
                found[-1] += token.string.removeprefix("#")
            else:
                found.append(token.string.removeprefix("#"))
            last = (row, column) if alone else None
    return found


def messages(nodes):
    """Returns the texts that users read: those of errors, warnings and printed lines, and the help of options."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            texts = node.args if SPEAKING.search(name) else []
            texts = [*texts, *(keyword.value for keyword in node.keywords if keyword.arg == "help")]
            found += [text for node in texts if (text := text_of(node))]
    return found


def text_of(node):
    """Returns the text of a string, in which `_` stands for the values of a formatted one; None for other nodes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "_" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def sentences_of_page(text):
    """Returns the sentences of a page of Markdown, without its code, tables, formulas and headings."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^(```|~~~|:::).*?^\1", "\n", text, flags=re.DOTALL | re.MULTILINE)
    return sentences(re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.|#) ?)", text))


def sentences_of_docstring(text):
    """Returns the sentences of a docstring, without its examples, formulas and the names of its sections."""
    text = re.sub(r"^.*\n *-{3,}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\S.*\n(?= {4}\S)", "", text, flags=re.MULTILINE)  # the name and type of a parameter
    blocks = re.split(r"\n\s*\n|\n(?= *[-*] )", text)
    return sentences([textwrap.dedent(block) for block in blocks if not re.search(r">>>|::|={5}|^ +python ", block)])


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


def bad_beginnings(texts):
    for text in texts:
        if (word := text.split()[0].strip(",.:")) in NOT_FIRST:
            yield f"{word!r} is neither a verb nor a noun: {text.splitlines()[0]}"


SAMPLE = """
# The first line of a comment,
# and its second line.
number = 1  # a comment beside code
raise ValueError(f"must be one of {names}, got {name!r}")
warnings.warn("a warning", stacklevel=2)
print("a line")
option("--name", help="the help of an option")
compute("an argument")
"""


def test_comments_and_messages_are_found():
    wanted = [" The first line of a comment, and its second line.", " a comment beside code"]
    assert comments(SAMPLE) == wanted
    wanted = ["must be one of _, got _", "a warning", "a line", "the help of an option"]
    assert sorted(messages(ast.walk(ast.parse(SAMPLE)))) == sorted(wanted)


@pytest.mark.parametrize("module", modules(), ids=name_of)
def test_docstrings_comments_and_messages_are_plain(module):
    source = module.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))  # once: of the time, walks take more than all else
    documented = docstrings(nodes)
    found = list(bad_beginnings(documented))
    found += [line for text in documented for line in problems(sentences_of_docstring(text))]
    found += [line for text in comments(source) + messages(nodes) for line in problems(sentences([text]))]
    assert not found, "\n".join(found)
