"""What is said about published checkpoints."""

from ahs_seg.checkpoints.known import DEFAULT_MODEL, KNOWN_CHECKPOINTS, find_known


def test_the_names_are_those_of_the_authors() -> None:
    places = {
        name: (known.repository, known.repository_kind, known.filename) for name, known in KNOWN_CHECKPOINTS.items()
    }
    assert places == {
        "cat-seg-vitb": ("hamacojr/CAT-Seg-weights", "space", "model_base.pth"),
        "cat-seg-vitl": ("hamacojr/CAT-Seg-weights", "space", "model_large.pth"),
        "ebseg-vitb": ("slonetime/EBSeg", "model", "EBSeg_base.pth"),
        "ebseg-vitl": ("slonetime/EBSeg", "model", "EBSeg_large.pth"),
    }


def test_the_default_is_the_published_cat_seg() -> None:
    known = KNOWN_CHECKPOINTS[DEFAULT_MODEL]
    assert (DEFAULT_MODEL, known.method, known.backbone, known.megabytes) == (
        "cat-seg-vitb",
        "cat_seg",
        "ViT-B/16",
        617,
    )
    assert known.scores is not None
    assert (known.scores.miou["ade20k-150"], known.scores.protocol) == (31.8, "catseg")
    assert known.description().training == known.training
    assert known.training.kind == "photographs"


def test_a_licence_is_named_only_if_it_is_known() -> None:
    licences = {name: known.licence for name, known in KNOWN_CHECKPOINTS.items()}
    assert licences == {"cat-seg-vitb": None, "cat-seg-vitl": None, "ebseg-vitb": "MIT", "ebseg-vitl": "MIT"}
    assert KNOWN_CHECKPOINTS["cat-seg-vitb"].licence_in_words.startswith("licence unknown (")
    assert KNOWN_CHECKPOINTS["ebseg-vitl"].licence_in_words == "licence MIT"


def test_a_name_may_have_a_revision() -> None:
    assert find_known("ebseg-vitl@v1") is KNOWN_CHECKPOINTS["ebseg-vitl"]
    assert find_known("owner/name") is None
    assert find_known("no name") is None
