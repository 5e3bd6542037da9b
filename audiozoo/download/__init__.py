"""Downloads: cached files with checksums, transfers that continue, and safe unpacking of archives."""

from audiozoo.download.cached import cache_folder, fetch
from audiozoo.download.transfer import transfer
from audiozoo.download.unpack import unpack

__all__ = ["cache_folder", "fetch", "transfer", "unpack"]
