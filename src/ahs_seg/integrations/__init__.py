"""Other people's tools: one file each, their packages imported only when called."""
