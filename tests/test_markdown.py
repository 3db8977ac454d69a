"""Markdown and plain text."""

from shared_geometry.basics.markdown import plain


def test_a_list_becomes_one_line_without_marks():
    listed = "- *ConvNet, CIFAR-10*: **three** of `four`.\n- *digits, live*: none."
    assert plain(listed) == "ConvNet, CIFAR-10: three of four. digits, live: none."


def test_what_is_no_mark_stays():
    assert plain("2 * 3 * 4, from −1 to 1") == "2 * 3 * 4, from −1 to 1"
