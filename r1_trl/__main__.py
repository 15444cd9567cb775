"""`python -m r1_trl …` and `accelerate launch -m r1_trl …` are `r1-trl …`."""

import sys

from r1_trl.cli import main

sys.exit(main())
