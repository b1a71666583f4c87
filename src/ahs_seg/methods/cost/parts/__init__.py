"""Optional parts of the cost family, one file each: config, module, loss and term."""
