"""Where the published datasets come from: archives with their checksums, licence, and bounds for unpacking."""

from __future__ import annotations

from dataclasses import dataclass

from audiozoo.checks import unknown_name

_GB = 10**9


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive of a dataset.

    Args:
        url: Address of the file.
        checksum: Published checksum, such as "md5:9aa6..."; `None` if there is none that lasts.
    """

    url: str
    checksum: str | None = None

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Source of a dataset.

    Args:
        content: Sounds and classes in a few words.
        licence: Licence of the sounds.
        page: Address of the page that describes the dataset.
        archives: Archives in the order in which they are unpacked; empty if a person must download them.
        download_gb: Size of all archives (GB, 10^9 bytes), about; `None` if unknown.
        most_bytes: Largest size of one archive's files (bytes).
        most_files: Largest number of one archive's files and folders.
    """

    content: str
    licence: str
    page: str
    archives: tuple[Archive, ...] = ()
    download_gb: float | None = None
    most_bytes: int = 0
    most_files: int = 0


def _zenodo(record: int, prefix: str, parts: dict[str, str]) -> tuple[Archive, ...]:
    """Return the archives of a Zenodo record from their MD5 checksums."""
    address = f"https://zenodo.org/records/{record}/files/{prefix}"
    return tuple(Archive(url=f"{address}{part}", checksum=f"md5:{md5}") for part, md5 in parts.items())


_ESC50 = Source(
    content="2,000 clips of 5 s, 50 classes; ESC-10 is a part of it",
    licence="CC BY-NC 3.0; the clips of ESC-10: CC BY",
    page="https://github.com/karolpiczak/ESC-50",
    # The archive follows a branch, so its checksum changes.
    archives=(Archive(url="https://github.com/karolpiczak/ESC-50/archive/master.zip"),),
    download_gb=0.6,
    most_bytes=2 * _GB,
    most_files=5_000,
)

_DCASE2018 = {
    "doc.zip": "28a4a9c46a6f46709ecc8eece365a3a4",
    "meta.zip": "e196065ee83c07af03a11a310364377d",
    "audio.1.zip": "62f97087c447e29def8716204469bf89",
    "audio.2.zip": "8e569a92025d82bff6b02b956d7c6dc9",
    "audio.3.zip": "00d2020582a4535af5e65322fb2bad56",
    "audio.4.zip": "d691eb4271f83ba6ba9a28797accc497",
    "audio.5.zip": "c4d64b5483b60f85e9fe080b3435a6be",
    "audio.6.zip": "2f0feee78f216697eb19497714d97642",
    "audio.7.zip": "07cfefe80a0731de6819181841239f3a",
    "audio.8.zip": "213f3c012859c2e9dcb74aacc8558458",
    "audio.9.zip": "b724442b09abcb3bd095ebff497cef85",
    "audio.10.zip": "a27a32fa52e283ed8013375b8a16f269",
    "audio.11.zip": "7073a121e825ffef99832507f30d6644",
    "audio.12.zip": "6567aa61db12776568b6267ce122fb18",
    "audio.13.zip": "d00eeb2db0e093d8975521323a96c519",
}

_FSDKAGGLE2018 = {
    "doc.zip": "4f2d1ac88f33a62f9db3108b269ee1b7",
    "meta.zip": "f16828ac8be0e5285b9175a12f90d784",
    "audio_train.zip": "a8b47ff4b52022c178f88fa5c6f080d0",
    "audio_test.zip": "f85c8665c3fc39311ea1b748e194a81d",
}

SOURCES: dict[str, Source] = {
    "esc50": _ESC50,
    "esc10": _ESC50,
    "urbansound8k": Source(
        content="8,732 clips of up to 4 s, 10 classes",
        licence="CC BY-NC 3.0",
        page="https://zenodo.org/records/1203745",
        archives=_zenodo(1203745, "", {"UrbanSound8K.tar.gz": "9aa69802bbf37fb986f71ec1483a196e"}),
        download_gb=6.0,
        most_bytes=12 * _GB,
        most_files=20_000,
    ),
    "dcase2018": Source(
        content="8,640 clips of 10 s, 10 acoustic scenes",
        licence="non-commercial use, see the LICENSE in the archive",
        page="https://zenodo.org/records/1228142",
        archives=_zenodo(1228142, "TUT-urban-acoustic-scenes-2018-development.", _DCASE2018),
        download_gb=21.5,
        most_bytes=6 * _GB,
        most_files=5_000,
    ),
    "freesound2018": Source(
        content="11,073 clips of 0.3 to 30 s, 41 classes (FSDKaggle2018)",
        licence="one for each clip: CC BY, CC BY-NC or CC0",
        page="https://zenodo.org/records/2552860",
        archives=_zenodo(2552860, "FSDKaggle2018.", _FSDKAGGLE2018),
        download_gb=4.9,
        most_bytes=12 * _GB,
        most_files=30_000,
    ),
    "speech_commands": Source(
        content="105,829 clips of 1 s, 35 words (version 2)",
        licence="CC BY 4.0",
        page="https://arxiv.org/abs/1804.03209",
        archives=(
            Archive(
                url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            ),
        ),
        download_gb=2.4,
        most_bytes=6 * _GB,
        most_files=120_000,
    ),
    "fsd50k": Source(
        content="51,197 clips of 0.3 to 30 s, 200 labels, several a clip",
        licence="one for each clip: CC BY, CC BY-NC, CC0 or CC Sampling+",
        page="https://zenodo.org/records/4060432",
        download_gb=24.0,
    ),
    "tau2022": Source(
        content="clips of 1 s from several devices, 10 acoustic scenes",
        licence="non-commercial use, see the LICENSE in the archive",
        page="https://zenodo.org/records/6337421",
    ),
}


def source_of(name: str) -> Source:
    """Return the source of a dataset.

    Raises:
        ValueError: There is no such published dataset; the message suggests the closest name.
    """
    if name not in SOURCES:
        raise unknown_name("dataset", name, SOURCES)
    return SOURCES[name]
