"""``python -m autoconv`` is the command ``autoconv``."""

import sys

from .cli import main

sys.exit(main())
