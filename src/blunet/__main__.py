"""`python -m blunet`: the command `blunet`."""

from blunet.cli import main

if __name__ == "__main__":
    main()
