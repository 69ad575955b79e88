"""`python -m mlops.cli`, where the command is not installed: in the image, from another branch."""

import sys

from . import main

sys.exit(main())
