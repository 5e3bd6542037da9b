"""Many files and many trainings on a Ray cluster. Ray comes with the extra ``scale``."""

from audiozoo.scale.cluster import connect
from audiozoo.scale.files import RayFiles
from audiozoo.scale.jobs import RayJobs
from audiozoo.scale.pieces import RayPieces

__all__ = ["RayFiles", "RayJobs", "RayPieces", "connect"]
