"""What the browser is given: labels and scores that can be read again exactly, classes, and times in words."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.demo.web.feature_cache import Times
from ahs_seg.demo.web.session import Asked, SessionResult
from ahs_seg.demo.web.viewer import asset, payload, times_text
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import made


def given(result: Segmentation) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(payload(SessionResult(result, "tiny", Times(), Path("a.png"))))
    return values


def pixels(address: str) -> np.ndarray:
    kind, _, content = address.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def labels_of(values: dict[str, Any]) -> np.ndarray:
    codes = pixels(values["labels"]).astype(int)
    return codes[..., 0] + 256 * codes[..., 1]


def test_labels_scores_and_image_can_be_read_again() -> None:
    many = Vocabulary.parse([f"thing {index}" for index in range(300)])
    result = made([[0, 255, 256], [299, -1, 1]], many)
    result.scores[:] = [[0, 1, 0.5], [0.2, 0.4, 0.6]]
    values = given(result)
    assert labels_of(values).tolist() == [[0, 255, 256], [299, 65535, 1]]
    assert pixels(values["labels"])[..., 2].tolist() == [[0, 255, 128], [51, 102, 153]]
    assert np.array_equal(pixels(values["picture"]), result.image)
    assert values["size"] == values["original"] == [3, 2]
    assert values["names"] == many.labels


def test_classes_come_by_area_and_those_absent_are_counted() -> None:
    values = given(made([[2, 2, -1], [2, 1, -1]]))
    assert [(one["index"], one["name"], one["pixels"]) for one in values["classes"]] == [
        (2, "sky", 3),
        (1, "a <b> & 'c'", 1),
    ]
    assert values["classes"][0]["colour"] != values["classes"][1]["colour"]
    assert values["absent"] == 1


def test_large_images_are_reduced_for_the_screen_without_mixing_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.demo.web.viewer.LONGEST", 40)
    labels = np.zeros((50, 80), np.int32)
    labels[:, 40:] = 2
    values = given(made(labels))
    assert (values["size"], values["original"]) == ([40, 25], [80, 50])
    small = np.zeros((25, 40), int)
    small[:, 20:] = 2
    assert np.array_equal(labels_of(values), small)
    assert [one["pixels"] for one in values["classes"]] == [2000, 2000], "of the image, not of what is shown"
    assert values["picture"].startswith("data:image/jpeg")


@pytest.mark.parametrize(
    ("encoding", "decoding", "text"),
    [
        (1.234, 0.5, "Image: 1.23 s. Classes: 0.50 s."),
        (None, 0.5, "Image: cached. Classes: 0.50 s."),
        (None, None, "Image: cached. Classes: cached."),
    ],
)
def test_times_tell_what_was_computed(encoding: float | None, decoding: float | None, text: str) -> None:
    answer = SessionResult(made([[0]]), "tiny", Times(encoding, decoding), Path("a.png"))
    assert times_text(answer) == text
    short = SessionResult(made([[0]]), "tiny", Times(encoding, decoding, dtype="bf16"), Path("a.png"))
    assert times_text(short) == f"{text} Computed in bf16."


def test_files_of_the_page_are_in_the_package() -> None:
    assert "labels" in asset("viewer.js")
    with pytest.raises(FileNotFoundError):
        asset("nothing.js")


def test_warnings_of_a_result_reach_the_browser() -> None:
    result = made([[0, 1]])
    assert given(result)["warnings"] == []
    assert given(replace(result, warnings=("the labels mean little.",)))["warnings"] == ["the labels mean little."]
    assert '[".warnings", [...texts("warnings")' in asset("viewer.js")
    assert 'class="warnings"' in asset("viewer.html")


def test_an_answer_says_what_it_answers() -> None:
    asked = Asked("sky, sea", "wall", 0.25)
    answer = SessionResult(made([[0, 1]]), "tiny", Times(), Path("folder/a.png"), asked, ("Name 9 is long.",))
    values = json.loads(payload(answer))
    assert values["asked"] == {"words": "sky, sea", "background": "wall", "unknown_below": 0.25}
    assert (values["file"], values["model"], values["notes"]) == ("a.png", "tiny", ["Name 9 is long."])
    assert values["id"] == answer.name


def test_notices_about_the_words_are_shown_after_the_warnings_of_the_result() -> None:
    result = replace(made([[0, 1]]), warnings=("the labels mean little.",))
    answer = SessionResult(result, "tiny", Times(), Path("a.png"), notices=("'<b>' is the only class.",))
    values = json.loads(payload(answer))
    assert values["warnings"] == ["the labels mean little.", "'<b>' is the only class."]
    assert values["notes"] == []


def test_other_models_answer_beside_it_in_the_same_colours() -> None:
    one, other = (SessionResult(made(labels), "tiny", Times(), Path("a.png")) for labels in ([[0, 1]], [[1, 2]]))
    values = json.loads(payload(one, beside=[other], failed={"third": "no"}))
    assert values["failed"] == {"third": "no"}
    (beside,) = values["beside"]
    assert labels_of(beside).tolist() == [[1, 2]]
    first, second = ({c["index"]: c["colour"] for c in found["classes"]} for found in (values, beside))
    assert first[1] == second[1]
    assert set(first) == {0, 1}
    assert set(second) == {1, 2}
