"""A result as a mapping of class labels to masks, as an image, and in words."""

import copy
import pickle
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageShow

from ahs_seg.output.legend import overlay_with_legend
from ahs_seg.output.segmentation import ClassNotFoundError
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import made

WORDS = Vocabulary.parse("cat, sofa, lamp, dog")
RESULT = made([[2, 2, 0], [2, -1, 0]], WORDS)


def test_it_holds_the_classes_found() -> None:
    assert len(RESULT) == 2
    assert list(RESULT) == list(RESULT.keys()) == ["lamp", "cat"]
    assert "cat" in RESULT
    assert "sofa" not in RESULT
    assert {label: mask.tolist() for label, mask in dict(RESULT).items()} == {
        "lamp": [[True, True, False], [True, False, False]],
        "cat": [[False, False, True], [False, False, True]],
    }
    assert RESULT.names == {0: "cat", 1: "sofa", 2: "lamp", 3: "dog"}


def test_a_class_that_was_not_found_has_an_empty_mask() -> None:
    assert RESULT["sofa"].shape == (2, 3)
    assert not RESULT["sofa"].any()


def test_nothing_found_is_still_a_result() -> None:
    nothing = made([[-1]], WORDS)
    assert len(nothing) == 0
    assert nothing


@pytest.mark.parametrize(("label", "message"), [("lamb", "Did you mean 'lamp'"), ("tree", "They are cat, sofa")])
def test_a_class_of_another_vocabulary_is_an_error_with_a_suggestion(label: str, message: str) -> None:
    for error in (ClassNotFoundError, KeyError, ValueError):
        with pytest.raises(error) as raised:
            RESULT[label]
        assert f"no class '{label}' among the 4" in str(raised.value)
        assert message in str(raised.value)


def test_repr_names_size_classes_and_areas() -> None:
    assert repr(RESULT) == "Segmentation(3x2 pixels, 2 of 4 classes: lamp 50.0%, cat 33.3%, unknown 16.7%)"
    many = Vocabulary.parse([f"thing {index}" for index in range(9)])
    assert repr(made([list(range(9))], many)).endswith("thing 4 11.1%, ...)")


def test_copies_are_equal() -> None:
    for twin in (pickle.loads(pickle.dumps(RESULT)), copy.deepcopy(RESULT), replace(RESULT)):
        assert np.array_equal(twin.labels, RESULT.labels)
        assert twin.vocabulary == RESULT.vocabulary
        assert repr(twin) == repr(RESULT)


def test_images_of_it() -> None:
    expected = overlay_with_legend(RESULT.image, RESULT.labels, RESULT.classes)
    assert np.array_equal(RESULT.plot(), expected)
    assert np.array_equal(np.asarray(RESULT.to_pil()), expected)
    assert not np.array_equal(RESULT.plot(strength=0.1), expected)
    labels = RESULT.to_pil("labels")
    assert labels.mode == "P"
    assert np.asarray(labels).tolist() == [[2, 2, 0], [2, 255, 0]]


def test_showing_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    shown: list[object] = []
    monkeypatch.setitem(sys.modules, "IPython", None)

    def viewer(image: Image.Image, title: str) -> bool:
        shown.append(image)
        return True

    monkeypatch.setattr(ImageShow, "show", viewer)
    RESULT.show()
    assert np.array_equal(np.asarray(shown[0]), RESULT.plot())
    monkeypatch.setattr(ImageShow, "show", lambda image, title: False)
    RESULT.show()
    assert "no image viewer on this machine" in caplog.text
    notebook = ModuleType("IPython")
    notebook.get_ipython = lambda: object()  # type: ignore[attr-defined]  # what a notebook has
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.append))
    RESULT.show()
    assert len(shown) == 2
