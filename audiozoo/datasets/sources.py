"""Where the published datasets come from: archives with their checksums, licence, and bounds for unpacking."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audiozoo.checks import unknown_name

_GB = 10**9


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive of a dataset.

    Args:
        url: Address of the file.
        checksum: Published checksum, such as "md5:9aa6..."; `None` if there is none that lasts.
        earlier: Earlier parts of a split ZIP archive, in their order.
    """

    url: str
    checksum: str | None = None
    earlier: tuple[Archive, ...] = ()

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Source of a dataset.

    Args:
        content: Sounds in a few words.
        classes: Number of classes.
        clips: Number of clips.
        metric: Metric of the publishers, a name in `audiozoo.metrics`.
        licence: Licence of the sounds.
        page: Address of the page that describes the dataset.
        archives: Archives in the order in which they are unpacked.
        download_gb: Size of all archives (GB, 10^9 bytes), about.
        most_bytes: Largest size of one archive's files (bytes).
        most_files: Largest number of one archive's files and folders.
    """

    content: str
    classes: int
    clips: int
    metric: str = "accuracy"
    licence: str
    page: str
    archives: tuple[Archive, ...]
    download_gb: float
    most_bytes: int
    most_files: int


def _zenodo(record: int, prefix: str, parts: dict[str, str]) -> tuple[Archive, ...]:
    """Return the archives of a Zenodo record from their MD5 checksums."""
    address = f"https://zenodo.org/records/{record}/files/{prefix}"
    return tuple(Archive(url=f"{address}{part}", checksum=f"md5:{md5}") for part, md5 in parts.items())


def _split(record: int, name: str, parts: dict[str, str]) -> Archive:
    """Return a split archive of a Zenodo record; the part that ends with "zip" is the last one."""
    *earlier, last = _zenodo(record, f"{name}.", parts)
    return replace(last, earlier=tuple(earlier))


_ESC50 = Source(
    content="environmental sounds of 5 s",
    classes=50,
    clips=2_000,
    licence="CC BY-NC 3.0; the clips of ESC-10: CC BY 3.0",
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

_FSD50K = {
    "doc.zip": "3516162b82dc2945d3e7feba0904e800",
    "metadata.zip": "b9ea0c829a411c1d42adb9da539ed237",
    "ground_truth.zip": "ca27382c195e37d2269c4c866dd73485",
}

_FSD50K_DEV = {
    "z01": "faa7cf4cc076fc34a44a479a5ed862a3",
    "z02": "8f9b66153e68571164fb1315d00bc7bc",
    "z03": "1196ef47d267a993d30fa98af54b7159",
    "z04": "d088ac4e11ba53daf9f7574c11cccac9",
    "z05": "81356521aa159accd3c35de22da28c7f",
    "zip": "c480d119b8f7a7e32fdb58f3ea4d6c5a",
}

_FSD50K_EVAL = {
    "z01": "3090670eaeecc013ca1ff84fe4442aeb",
    "zip": "6fa47636c3a3ad5c7dfeba99f2637982",
}

_TAU2022 = {
    "doc.zip": "9c4f610bdb5d3e3e72a17d393a26452a",
    "meta.zip": "419b6ff6570f1030730352dc80cd8d15",
    "audio.1.zip": "8be14bdbd844481dce059ab31fbd2239",
    "audio.2.zip": "e821abda49b069248bb75eab39df7575",
    "audio.3.zip": "9c7897f78bb42ca0008936daddf3f8f3",
    "audio.4.zip": "53ec3e37c0fc0be75f53c5abbc5300b8",
    "audio.5.zip": "528422c33c5d10263203d2c61cb1f3be",
    "audio.6.zip": "4759a9465c903e13e57d5e82e791fc28",
    "audio.7.zip": "6d545fc83a55a17856a9ccc1ac9aff6b",
    "audio.8.zip": "3a2916a9b5d3f43cc7a22a62b180b0d9",
    "audio.9.zip": "071f664c86639ad730f7be4e3c39d886",
    "audio.10.zip": "e0839d019e9b77ecbcbb0eff85965530",
    "audio.11.zip": "fc60f1c83726be3963ae14fbcb95eeb4",
    "audio.12.zip": "02246547f86c0a814dc63ec65d7033bb",
    "audio.13.zip": "88ae9ef884665140d1572d8061725e00",
    "audio.14.zip": "c3f400d74ae90e5190dc518cde43de47",
    "audio.15.zip": "85594c6fe4f91c10aa2a410f748103b8",
    "audio.16.zip": "6e2df8438c69f6789414aeba8cbad9d8",
}

_SPEECH_COMMANDS = Source(
    content="spoken words of 1 s, version 2",
    classes=35,
    clips=105_829,
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
)

SOURCES: dict[str, Source] = {
    "esc50": _ESC50,
    "esc10": replace(
        _ESC50,
        content="a part of ESC-50",
        classes=10,
        clips=400,
        licence="CC BY 3.0; the archive has all of ESC-50, CC BY-NC 3.0",
    ),
    "urbansound8k": Source(
        content="city sounds of up to 4 s",
        classes=10,
        clips=8_732,
        # The README in the archive and the publishers' page state 3.0, the record at Zenodo states 4.0.
        licence="CC BY-NC 3.0 (README in the archive) or CC BY-NC 4.0 (record at Zenodo)",
        page="https://zenodo.org/records/1203745",
        archives=_zenodo(1203745, "", {"UrbanSound8K.tar.gz": "9aa69802bbf37fb986f71ec1483a196e"}),
        download_gb=6.0,
        most_bytes=12 * _GB,
        most_files=20_000,
    ),
    "dcase2018": Source(
        content="acoustic scenes of 10 s",
        classes=10,
        clips=8_640,
        metric="macro_accuracy",
        licence="non-commercial use, see LICENSE in the archive",
        page="https://zenodo.org/records/1228142",
        archives=_zenodo(1228142, "TUT-urban-acoustic-scenes-2018-development.", _DCASE2018),
        download_gb=21.5,
        most_bytes=6 * _GB,
        most_files=5_000,
    ),
    "freesound2018": Source(
        content="FSDKaggle2018: sounds of 0.3 to 30 s",
        classes=41,
        clips=11_073,
        metric="map@3",
        licence="one for each clip: CC BY, CC BY-NC or CC0",
        page="https://zenodo.org/records/2552860",
        archives=_zenodo(2552860, "FSDKaggle2018.", _FSDKAGGLE2018),
        download_gb=4.9,
        most_bytes=12 * _GB,
        most_files=30_000,
    ),
    "speech_commands": _SPEECH_COMMANDS,
    "speech_commands_12": replace(
        _SPEECH_COMMANDS, content="ten keywords, other words and silence of 1 s, version 2", classes=12, clips=46_258
    ),
    "fsd50k": Source(
        content="sounds of 0.3 to 30 s, several labels each",
        classes=200,
        clips=51_197,
        metric="map",
        licence="CC BY 4.0; one for each clip: CC BY, CC BY-NC, CC0 or CC Sampling+",
        page="https://zenodo.org/records/4060432",
        archives=(
            *_zenodo(4060432, "FSD50K.", _FSD50K),
            _split(4060432, "FSD50K.dev_audio", _FSD50K_DEV),
            _split(4060432, "FSD50K.eval_audio", _FSD50K_EVAL),
        ),
        download_gb=24.7,
        most_bytes=32 * _GB,
        most_files=50_000,
    ),
    "tau2022": Source(
        content="acoustic scenes of 1 s from nine devices",
        classes=10,
        clips=230_350,
        metric="macro_accuracy",
        licence="non-commercial use, see LICENSE in the archive",
        page="https://zenodo.org/records/6337421",
        archives=_zenodo(6337421, "TAU-urban-acoustic-scenes-2022-mobile-development.", _TAU2022),
        download_gb=28.0,
        most_bytes=4 * _GB,
        most_files=40_000,
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
