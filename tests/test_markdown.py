"""Markdown and plain text."""

from shared_geometry.basics.markdown import plain, table


def test_a_list_becomes_one_line_without_marks():
    listed = "- *ConvNet, CIFAR-10*: **three** of `four`.\n- *digits, live*: none."
    assert plain(listed) == "ConvNet, CIFAR-10: three of four. digits, live: none."


def test_what_is_no_mark_stays():
    assert plain("2 * 3 * 4, from −1 to 1") == "2 * 3 * 4, from −1 to 1"


def test_a_table_has_a_rule_that_says_how_its_columns_stand():
    lines = table(["layer", "r", "n", "note"], [["a", "0.5", "3", "–"]], "lrr").splitlines()
    assert lines == ["| layer | r | n | note |", "|:--|--:|--:|:--|", "| a | 0.5 | 3 | – |"]


def test_a_bar_in_a_cell_is_text_and_one_that_is_marked_stays_marked():
    assert table(["|w|"], [[r"\|w\|"]]).splitlines()[::2] == [r"| \|w\| |"] * 2
