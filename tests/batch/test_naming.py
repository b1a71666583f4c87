"""Names of results: every input has its own, on every file system."""

import pytest

from ahs_seg.batch.naming import unique_names


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["a.jpg", "a.png"], ["a_jpg", "a_png"]),
        (["a.jpg", "a.JPG"], ["a_jpg", "a_JPG_2"]),
        (["a.jpg", "A.jpg", "a.JPG"], ["a_jpg", "A_jpg_2", "a_JPG_3"]),
        (["a_jpg.png", "a.jpg", "a.png"], ["a_jpg", "a_jpg_2", "a_png"]),
        (["film.mp4", "film/000000.jpg"], ["film_mp4", "film/000000"]),
        (["film.mp4", "Film.jpg", "film/000000.jpg"], ["film_mp4", "Film_jpg", "film/000000"]),
        (["film.mp4", "film.avi"], ["film_mp4", "film_avi"]),
        (["a.png", "a.overlay.png", "b.overlay.png"], ["a", "a.overlay_png", "b.overlay"]),
    ],
)
def test_names_differ_even_if_case_is_ignored(files: list[str], expected: list[str]) -> None:
    stems, suffixes = zip(*(file.rsplit(".", 1) for file in files), strict=True)
    videos = [suffix in ("mp4", "avi") for suffix in suffixes]
    found = unique_names(stems, [f".{suffix}" for suffix in suffixes], videos)
    assert found == expected
    assert len({name.casefold() for name in found}) == len(files)
    assert unique_names(found, [f".{suffix}" for suffix in suffixes], videos) == found, "twice is once"
