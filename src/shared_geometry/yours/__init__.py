"""Networks of your own: from their activity to the measures of the paper."""

from shared_geometry.yours.comparing import compare
from shared_geometry.yours.placing import place
from shared_geometry.yours.recording import record

__all__ = ["compare", "place", "record"]
