"""Photographs of single objects."""

from ahs_seg.data.world.photos import PhotoSource


def test_photographs_show_each_name_equally_often():
    source = PhotoSource(1, ["red plain star", "blue plain ring", "white dotted heart"])
    shown = [source[index].thing.name for index in range(30)]
    assert {name: shown.count(name) for name in set(shown)} == dict.fromkeys(set(shown), 10)
    assert source[3].image.shape == (64, 64, 3)
