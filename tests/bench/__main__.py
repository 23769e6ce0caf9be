"""`python3 -m tests.bench`: the same as tests/bench/run."""

import sys

from tests.bench.driver import main

sys.exit(main(sys.argv[1:]))
