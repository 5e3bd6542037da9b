"""Downloads: cached files with checksums, transfers that continue, and safe unpacking of archives."""

from audiozoo.download.cached import cache_folder, fetch
from audiozoo.download.transfer import transfer
from audiozoo.download.unpack import unpack
from audiozoo.download.weights import HubFile, fetch_from_hub, fetch_published, hub_file, local_path, revision_of

__all__ = [
    "HubFile",
    "cache_folder",
    "fetch",
    "fetch_from_hub",
    "fetch_published",
    "hub_file",
    "local_path",
    "revision_of",
    "transfer",
    "unpack",
]
