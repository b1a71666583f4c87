"""Modules that carry numbers, the tests that should notice their mutants, and mutants that no test can notice."""

from __future__ import annotations

PLACES: dict[str, tuple[str, ...]] = {
    "metrics/confusion.py": ("metrics/test_confusion.py",),
    "metrics/boundary.py": ("metrics/test_boundary.py",),
    "metrics/counting.py": ("metrics/test_counting.py",),
    "metrics/sg_iou.py": ("metrics/test_sg_iou.py",),
    "metrics/parents.py": ("metrics/test_parents.py",),
    "methods/cost/class_attention.py": ("methods/cost/test_class_attention.py",),
    "methods/cost/window_attention.py": ("methods/cost/test_window_attention.py", "methods/cost/test_segmenter.py"),
    "methods/cost/aggregation.py": ("methods/cost/test_aggregation.py", "methods/cost/test_segmenter.py"),
    "methods/cost/correlation.py": (
        "methods/cost/test_correlation.py",
        "methods/cost/test_segmenter.py",
        "methods/cost/test_variants_options.py",
    ),
    "methods/objective.py": ("methods/test_objective.py",),
    "methods/mask/set_loss.py": ("methods/mask/test_set_loss.py",),
    "methods/mask/proposals.py": ("methods/mask/test_proposals.py",),
    "methods/cost/parts/fusion.py": (
        "methods/cost/parts/test_fusion.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_ahs_seg.py",
    ),
    "methods/cost/parts/projection.py": (
        "methods/cost/parts/test_projection.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_ahs_seg.py",
    ),
    "methods/cost/parts/prototypes.py": (
        "methods/cost/parts/test_prototypes.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_options.py",
        "methods/cost/test_variants_hyperspherical.py",
    ),
    "methods/cost/parts/prototype_losses.py": (
        "methods/cost/parts/test_prototype_losses.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_options.py",
        "methods/cost/test_variants_hyperspherical.py",
    ),
    "methods/cost/parts/rectification.py": (
        "methods/cost/parts/test_rectification.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_options.py",
        "methods/cost/test_variants_hyperspherical.py",
    ),
    "methods/cost/parts/distillation.py": (
        "methods/cost/parts/test_distillation.py",
        "methods/cost/test_variants_documented.py",
        "methods/cost/test_variants_options.py",
        "methods/cost/test_variants_hyperspherical.py",
    ),
    "inference/windows.py": (
        "inference/test_windows.py",
        "inference/test_window_scores.py",
    ),
    "inference/score_maps.py": ("inference/test_score_maps.py",),
    "inference/mask_scores.py": ("inference/test_mask_scores.py",),
    "inference/tiling.py": ("inference/test_tiling.py",),
    "inference/text_cache.py": ("inference/test_text_cache.py",),
    "vocabulary/vocabulary.py": ("vocabulary/test_vocabulary.py",),
    "vocabulary/prompts.py": ("vocabulary/test_prompts.py",),
    "tuners/orthogonal.py": (
        "tuners/test_orthogonal.py",
        "tuners/test_orthogonal_modulation.py",
        "methods/cost/test_variants_documented.py",
    ),
    "tuners/select.py": ("tuners/test_select.py",),
    "training/optim.py": ("training/test_optim.py",),
    "training/sampler.py": ("training/test_sampler.py",),
    "training/class_sampling.py": ("training/test_class_sampling.py",),
    "data/augment.py": ("data/test_augment.py",),
    "data/color_jitter.py": ("data/test_color_jitter.py",),
    "data/prepare/ade20k_847.py": ("data/prepare/test_ade20k_847.py",),
    "data/prepare/pascal_context_459.py": ("data/prepare/test_pascal_context_459.py",),
    "modules/class_pooling.py": ("modules/test_class_pooling.py",),
    "modules/geodesic.py": ("modules/test_geodesic.py",),
    "modules/resize.py": ("modules/test_resize.py",),
    "output/formats/polygons.py": ("output/formats/test_polygons.py",),
    "output/formats/geotiff.py": ("output/formats/test_geotiff.py",),
    "output/formats/yolo.py": ("output/formats/test_yolo.py",),
    "checkpoints/importing/convert_catseg.py": ("checkpoints/importing/test_convert_catseg.py",),
    "checkpoints/importing/detectron2_keys.py": ("checkpoints/importing/test_detectron2_keys.py",),
}
"""By module below the package: test files or folders below `tests`."""

_MATRIX = "the last axis of a matrix is its axis 1"
_ORDER = "min, max and distances do not depend on the order of their arguments"
_MEMORY = "only how much is computed at once"
EQUIVALENT: dict[str, str] = {
    "data/augment.py: Crop.apply: min(self.width, full_width) -> min(full_width, self.width)": _ORDER,
    "data/color_jitter.py: : np.arange(256) > 0 -> np.arange(256) >= 0": "what is multiplied with it is 0 for black",
    "data/prepare/pascal_context_459.py: _check_size: 8 -> 9": "a variable without content has no bytes to count",
    "data/prepare/pascal_context_459.py: _check_size: place + 8 -> place - 8": "there is nothing behind the end",
    "inference/score_maps.py: WholeScores.contested: max(1, height - 1) -> max(height - 1, 1)": _ORDER,
    "inference/text_cache.py: _probe: 0 -> 1": "any number that stays the same",
    "inference/tiling.py: TileMerger: 2 ** 20 -> 2 * 20": _MEMORY,
    "inference/windows.py: SlidingWindows.grid: 1 -> 2": "the size of the image is not used",
    "inference/windows.py: SlidingWindows.grid: max(1, int(kernel * (1 - self.overlap))) -> "
    "max(int(kernel * (1 - self.overlap)), 1)": _ORDER,
    "methods/cost/aggregation.py: : 24 -> 25": _MEMORY,
    "methods/cost/aggregation.py: CostHead._bytes_per_class: 8 -> 9": _MEMORY,
    "methods/cost/aggregation.py: CostHead._bytes_per_class: dense.shape[0] * dense.shape[-2] * dense.shape[-1] -> "
    "dense.shape[0] * dense.shape[-2]": _MEMORY,
    "methods/cost/parts/projection.py: contrastive_loss: -1 -> 1": _MATRIX,
    "methods/cost/parts/prototype_losses.py: prototype_loss: -1 -> 1": _MATRIX,
    "methods/cost/parts/prototype_losses.py: prototype_distance: geodesic_distance(F.normalize(features, dim=-1), own) "
    "-> geodesic_distance(own, F.normalize(features, dim=-1))": _ORDER,
    "methods/cost/parts/rectification.py: CertaintyRectifier.__init__: max(1, dim // reduction) -> "
    "max(dim // reduction, 1)": _ORDER,
    "metrics/boundary.py: count_boundaries: 0 -> 1": "a longer table of zeros",
    "metrics/counting.py: MetricAccumulator.add: True -> False": "there are three counts and three columns",
    "metrics/counting.py: MetricAccumulator.scores: self.confusion.labelled > 0 -> self.confusion.labelled >= 0": (
        "classes without labels have the semantic IoU 0"
    ),
    "metrics/sg_iou.py: semantic_iou: 1.0 -> 2.0": "a class that is never predicted was not taken for a narrower one",
    "modules/class_pooling.py: class_embeddings: -1 -> 1": f"of the means: {_MATRIX}",
    "modules/class_pooling.py: mean_of_rows: -1 -> 1": _MATRIX,
    "modules/resize.py: resize_in_proportion: 2 -> 3": "an image resized to its own size is the same",
    "modules/resize.py: resize_in_proportion: max(1, round(length / multiple)) -> "
    "max(round(length / multiple), 1)": _ORDER,
    "output/formats/geotiff.py: label_writer: False -> True": "JSON reads the same with and without escapes",
    "output/formats/yolo.py: YoloFormat.start: False -> True": "it does nothing in either case",
    "output/formats/yolo.py: YoloFormat.finish: False -> True": "the order of keys in a mapping",
    "training/class_sampling.py: relabel: 1 -> 2": "a longer table of labels that are ignored",
    "training/optim.py: _own: False -> True": "layers of these types have no layers inside",
    "training/sampler.py: load_steps: True -> False": "the loader has the steps of the order",
    "vocabulary/prompts.py: PromptTable.assemble: -1 -> 1": _MATRIX,
    "vocabulary/prompts.py: PromptTable.assemble: len(prompt) > 1 -> len(prompt) >= 1": (
        "the mean of one text is the text"
    ),
}
"""Mutants that change no result, `module: key`, each with the reason."""
