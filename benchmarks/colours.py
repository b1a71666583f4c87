"""How well classes are told apart by their colours, and whether they keep them: `python -m benchmarks.colours`.

CIEDE2000 differences of classes that touch, as usual and with simulated deuteranopia, over 200 drawn scenes of 150
names and 200 random maps of ADE20K's 150 names; and the share of frames of a film, a pan over one large map, in which
a class has the colour that it has in the first frame it is seen in. "Before" is the earlier scheme, which gave the
colours of a fixed list to the classes of each image in the order of their areas. Writes
`benchmarks/results/colours.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.io.provenance import provenance
from ahs_seg.output.colour_distance import ciede2000, lab_of, with_deuteranopia
from ahs_seg.output.colours import ClassColours, touching
from ahs_seg.output.palette import Colour, by_area
from ahs_seg.vocabulary.vocabulary import Vocabulary
from benchmarks.stored import store

IMAGES, FRAMES, SEED = 200, 100, 0
Scheme = Callable[[np.ndarray], dict[int, Colour]]

FIRST = np.array(
    [
        *[(64, 112, 184), (238, 140, 48), (84, 160, 76), (212, 72, 72), (142, 100, 184), (46, 170, 166)],
        *[(230, 196, 64), (226, 122, 176), (142, 100, 70), (128, 184, 232), (164, 190, 76), (166, 64, 118)],
    ],
    np.uint8,
)
RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
CONES_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def earlier_palette(count: int = 160) -> np.ndarray:
    """The earlier list: twelve fixed colours, then each the farthest from those before it in OKLab."""
    grid = np.arange(4, 256, 11)
    candidates = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3).astype(np.uint8)
    lab = oklab(candidates)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    usable = (lab[:, 0] > 0.45) & (lab[:, 0] < 0.86) & (chroma > 0.06) & (chroma < 0.2)
    candidates, lab = candidates[usable], lab[usable]
    distance = np.square(lab[:, None] - oklab(FIRST)).sum(-1).min(1)
    chosen: list[int] = []
    while len(FIRST) + len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(lab - lab[chosen[-1]]).sum(1))
    return np.concatenate([FIRST, candidates[chosen]])


def oklab(rgb: np.ndarray) -> np.ndarray:
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    result: np.ndarray = np.cbrt(linear @ RGB_TO_CONES.T) @ CONES_TO_LAB.T
    return result


def earlier(palette: np.ndarray) -> Scheme:
    def colours(labels: np.ndarray) -> dict[int, Colour]:
        return {label: tuple(palette[rank].tolist()) for rank, label in enumerate(by_area(labels))}

    return colours


def in_a_film(names: ClassColours, frames: Iterable[np.ndarray]) -> Scheme:
    chosen = names.for_images(frames)
    return lambda labels: {label: chosen[label] for label in by_area(labels)}


def by_names_only(names: ClassColours) -> Scheme:
    return lambda labels: {label: names.of(label) for label in by_area(labels)}


def drawn_scenes() -> Iterator[np.ndarray]:
    scenes = WorldDataset(SEED, IMAGES, names=150)
    for index in range(IMAGES):
        yield scenes[index].labels


def random_map(rng: np.random.Generator, size: tuple[int, int], cells: int, classes: int) -> np.ndarray:
    """Cells of the nearest of random points; each is of a random class."""
    points = rng.uniform(0, 1, (cells, 2)) * size
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    result: np.ndarray = rng.integers(0, classes, cells)[cKDTree(points).query(grid)[1]]
    return result


def differences(maps: Iterable[np.ndarray], colours: Scheme) -> dict[str, Any]:
    """Smallest difference of touching classes: of all images, and the median over images of the smallest of each."""
    usual, blind = [], []
    for labels in maps:
        chosen = colours(labels)
        pairs = [(chosen[one], chosen[other]) for one, other in touching(labels)]
        if pairs:
            one, other = np.array(pairs, np.uint8).transpose(1, 0, 2)
            usual.append(float(ciede2000(lab_of(one), lab_of(other)).min()))
            seen, beside = with_deuteranopia(one), with_deuteranopia(other)
            blind.append(float(ciede2000(lab_of(seen), lab_of(beside)).min()))
    return {
        name: {"smallest": round(min(values), 2), "median": round(float(np.median(values)), 2)}
        for name, values in (("usual", usual), ("deuteranopia", blind))
    }


def kept(frames: Iterable[np.ndarray], colours: Scheme) -> dict[str, Any]:
    """Share of frames in which a class has its first colour, over all classes, and how many do not always have it."""
    first: dict[int, Colour] = {}
    same: dict[int, list[bool]] = {}
    for labels in frames:
        for label, colour in colours(labels).items():
            same.setdefault(label, []).append(first.setdefault(label, colour) == colour)
    share = float(np.mean([one for values in same.values() for one in values]))
    return {"classes": len(same), "share": round(share, 4), "changing": sum(not all(one) for one in same.values())}


def pan(rng: np.random.Generator) -> Iterator[np.ndarray]:
    large = random_map(rng, (120, 160 + 4 * FRAMES), 90, 150)
    for index in range(FRAMES):
        yield large[:, 4 * index : 4 * index + 160]


def main() -> None:
    palette = earlier_palette()
    world = ClassColours(WorldDataset(SEED, 1, names=150).vocabulary.labels)
    ade = ClassColours(Vocabulary.known("ade20k-150").labels)
    rng = np.random.default_rng(SEED)
    scenes = list(drawn_scenes())
    maps = [random_map(rng, (120, 160), 30, 150) for _ in range(IMAGES)]
    frames = list(pan(rng))
    before, film = earlier(palette), in_a_film(ade, frames)
    result = {
        "images": IMAGES,
        "classes in an image": {
            "drawn scenes": round(float(np.mean([len(by_area(labels)) for labels in scenes])), 1),
            "random maps": round(float(np.mean([len(by_area(labels)) for labels in maps])), 1),
        },
        "drawn scenes": {
            "before": differences(scenes, before),
            "after": differences(scenes, world.for_image),
            "after, by names only": differences(scenes, by_names_only(world)),
        },
        "random maps": {
            "before": differences(maps, before),
            "after": differences(maps, ade.for_image),
            "after, by names only": differences(maps, by_names_only(ade)),
        },
        "film": {
            "frames": FRAMES,
            "before": kept(frames, before) | differences(frames, before),
            "after": kept(frames, film) | differences(frames, film),
        },
    }
    store("colours", result, provenance().replace(command=("colours.py",)))
    print(json.dumps({key: result[key] for key in ("drawn scenes", "random maps", "film")}, indent=1))


if __name__ == "__main__":
    main()
