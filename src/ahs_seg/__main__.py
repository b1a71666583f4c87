"""`python -m ahs_seg`: the command line."""

from ahs_seg.cli import main

if __name__ == "__main__":
    main()
