"""Tables of texts."""

from fastrec.tables import Table


def test_columns_are_as_wide_as_their_widest_text_and_numbers_end_together():
    text = Table(["a", "number"], [["long name", "1"], ["b", "1000000"]]).text("  ")
    assert text.splitlines() == ["  a           number", "  long name        1", "  b          1000000"]


def test_html_escapes_and_stresses():
    html = Table(["<m>", "v"], [["a & b", "1 [0, 2]"]], "c<", strong=frozenset({(0, 1)})).html()
    assert "<caption>c&lt;</caption>" in html
    assert '<th scope="row" style="text-align:left">a &amp; b</th>' in html
    assert '<strong>1 <span class="interval">[0, 2]</span></strong>' in html


def test_a_table_of_many_columns_is_wide_unless_its_texts_wrap():
    assert Table("abcd", []).wide
    assert not Table("abc", []).wide
    assert not Table("abcd", [], wrap=True).wide
