"""``python -m shared_geometry.publishing``: see `shared_geometry.publishing.build.main`."""

import sys

from shared_geometry.publishing.build import main

sys.exit(main())
