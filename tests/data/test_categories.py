"""Super-categories of the classes that methods are trained with."""

from collections import Counter
from math import comb

from ahs_seg.data.categories import categories_of
from ahs_seg.data.world.names import seen_names
from ahs_seg.methods.cost.parts.projection import PARENT_MARGIN, SIBLING_MARGIN, relation_margins
from ahs_seg.vocabulary.vocabulary import Vocabulary


def test_relations_of_coco_stuff_are_the_published_ones() -> None:
    labels = Vocabulary.known("coco-stuff-171").labels
    categories = categories_of(labels)
    assert None not in categories
    assert len(set(categories)) == 27
    margins = relation_margins(labels, categories)
    # The reference's preparation table lists 73 pairs of "<x>-other" and a member, and 494 pairs of siblings.
    assert (margins == PARENT_MARGIN).sum() == 2 * 73
    assert (margins == SIBLING_MARGIN).sum() == 2 * 494
    wall, brick, stone = (labels.index(name) for name in ("wall-other", "wall-brick", "wall-stone"))
    assert margins[wall, brick].item() == margins[stone, wall].item() == margins.new_tensor(PARENT_MARGIN).item()
    assert margins[brick, stone] == SIBLING_MARGIN
    assert margins[labels.index("cat"), labels.index("dog")] == SIBLING_MARGIN
    assert margins[labels.index("cat"), brick] == 0


def test_things_of_one_shape_are_related_in_the_drawn_world() -> None:
    labels = seen_names()
    categories = categories_of(labels)
    found = dict(zip(labels, categories, strict=True))
    assert {found[name] for name in labels if name.endswith(" star")} == {"star"}
    assert {found[name] for name in ("sky", "grass", "brick wall")} == {"stuff"}  # not COCO's plant and wall
    pairs = sum(comb(count, 2) for count in Counter(categories).values())
    assert (relation_margins(labels, categories) == SIBLING_MARGIN).sum() == 2 * pairs


def test_names_that_nobody_knows_have_no_category() -> None:
    assert categories_of(["sprocket", "dog", "flange"]) == (None, "animal", None)
    assert categories_of(["sprocket"]) == (None,)
