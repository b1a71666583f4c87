"""Methods: compositions of a backbone, a tuner and a head."""
