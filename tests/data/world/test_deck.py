"""Shuffled streams: everything is dealt equally often."""

from collections import Counter

from ahs_seg.data.world.deck import Deck


def test_a_deck_can_be_opened_anywhere():
    deck = Deck("abcdefg", (1, 2))
    stream = deck.deal(0, 70)
    assert deck.deal(33, 10) == stream[33:43]
    assert set(Counter(stream).values()) == {10}
    assert stream[:7] != stream[7:14]
