# SPDX-License-Identifier: Apache-2.0
"""`python -m closedcircuit.cli`: the same as `closedcircuit`."""

from closedcircuit.cli.entry import main

if __name__ == "__main__":
    main()
