"""Models as classes of transformers: auto classes and pipeline. Importing a class of it registers all of them."""
