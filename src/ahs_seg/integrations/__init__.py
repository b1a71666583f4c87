"""Results as objects of other libraries: one file each; the library is imported when the conversion is called.

A conversion takes arrays and names, so that `Segmentation` can offer it as a method.
"""
