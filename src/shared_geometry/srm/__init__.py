"""The shared response model (SRM): one response that many networks share."""

from shared_geometry.srm.model import SRM

__all__ = ["SRM"]
