"""Checks of an installation: packages, decoders, backends, the cache folder. Every problem comes with its fix."""

from audiozoo.doctor.all_checks import CHECKS, checkup
from audiozoo.doctor.finding import Finding, Status

__all__ = ["CHECKS", "Finding", "Status", "checkup"]
