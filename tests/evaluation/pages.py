"""Tells whether a page is sound HTML."""

import html.parser


class _Checker(html.parser.HTMLParser):
    """A parser that checks that every opened element is closed, in order."""

    VOID = frozenset({"meta", "img", "source", "link", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_html(text):
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    return checker
