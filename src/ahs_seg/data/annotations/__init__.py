"""Labels as labelling tools export them: one file per origin, each a `LabelSource` (`base.py`)."""
