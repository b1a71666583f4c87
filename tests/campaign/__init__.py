"""The campaign: damaged and hostile input by the hundred, and runs that are killed at random moments."""
