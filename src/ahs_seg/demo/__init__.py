"""Interactive demo: the web page of `ahs-seg serve`."""
