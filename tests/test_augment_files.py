import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiozoo.augment import (
    AddBackground,
    ByClass,
    ChannelSwap,
    Compose,
    Filter,
    Gain,
    PitchShift,
    Reverse,
    SpecAugment,
    TimeRoll,
    TimeShift,
)
from audiozoo.augment.files import GENTLE, TABLE, augment_files, find_sources, read_transform
from audiozoo.report import augmentation_preview

CHAIN = Compose([Gain(), TimeShift()])


def sounds_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.wav"))}


def table_of(folder):
    with open(folder / TABLE, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_sources_are_named_and_labelled_by_their_folders(sound_folder, write_sound):
    single = write_sound(tone(300, 0.1, 8_000), name="birds/wren/song.wav")
    (sound_folder / "low" / "deep").mkdir()
    soundfile.write(sound_folder / "low" / "deep" / "9.wav", tone(100, 0.1, 8_000), 8_000)
    found = find_sources([sound_folder, single])
    named = {source.name: source.label for source in found}
    assert len(found) == 18 + 1 + 1
    assert (named["low/deep/9.wav"], named["high/0.wav"], named["song.wav"]) == ("low", "high", "wren")
    with pytest.raises(FileNotFoundError, match="no such file"):
        find_sources([sound_folder / "none"])
    with pytest.raises(ValueError, match="several sources have the name sounds/high/0"):
        find_sources([sound_folder, sound_folder])
    (sound_folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no sounds in"):
        find_sources([sound_folder / "empty"])


def test_copies_depend_on_source_number_and_seed_alone(sound_folder, tmp_path):
    sources = find_sources([sound_folder])
    rows, failures = augment_files(sources, GENTLE, tmp_path / "a", copies=2, seed=3)
    assert (len(rows), failures) == (36, [])
    augment_files(sources[::-1][:7], GENTLE, tmp_path / "b", copies=3, seed=3, jobs=2)
    whole, part = sounds_of(tmp_path / "a"), sounds_of(tmp_path / "b")
    assert len(whole) == 36
    assert len(set(whole.values())) == 36
    assert all(part[name] == whole[name] for name in part.keys() & whole.keys())
    assert len(part.keys() & whole.keys()) == 14
    augment_files(sources[:1], GENTLE, tmp_path / "c", seed=4)
    [(name, other)] = sounds_of(tmp_path / "c").items()
    assert other != whole[name]


def test_the_table_says_what_was_drawn(sound_folder, tmp_path):
    transform = ByClass({"low": Gain(gain_db=(-6.0, -6.0))}, default=Reverse())
    out = tmp_path / "out"
    augment_files(find_sources([sound_folder]), transform, out)
    rows = table_of(out)
    assert [row["file"] for row in rows] == sorted(sounds_of(out))
    for row in rows:
        [drawn] = json.loads(row["drawn"])
        wave, rate = soundfile.read(row["source"], dtype="float32")
        copy, same_rate = soundfile.read(out / row["file"], dtype="float32")
        assert rate == same_rate
        if row["label"] == "low":
            assert drawn == {"class": "Gain", "gain_db": -6.0}
            assert np.allclose(copy, wave * 10 ** (-6 / 20), atol=1e-7)
        else:
            assert drawn == {"class": "Reverse"}
            assert np.array_equal(copy, wave[::-1])


def test_what_is_there_is_not_made_again(sound_folder, tmp_path):
    sources, tmp_path = find_sources([sound_folder])[:4], tmp_path / "out"
    augment_files(sources, CHAIN, tmp_path, copies=2)
    before = sounds_of(tmp_path)
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in before}
    (tmp_path / "high" / "0-0.wav").unlink()
    with open(tmp_path / TABLE, "a", encoding="utf-8") as table:
        table.write("high/9-9.wav,a file that a killed")  # a row cut short
    rows, _ = augment_files(sources, CHAIN, tmp_path, copies=2)
    assert len(rows) == len(table_of(tmp_path)) == 8
    assert sounds_of(tmp_path) == before
    made = [name for name in before if (tmp_path / name).stat().st_mtime_ns != times[name]]
    assert made == ["high/0-0.wav"]
    augment_files(sources, CHAIN, tmp_path, copies=2, seed=1)
    assert all(after != before[name] for name, after in sounds_of(tmp_path).items())


@pytest.mark.slow
def test_a_killed_run_goes_on(sound_folder, tmp_path):
    words = [sys.executable, "-m", "audiozoo", "augment", sound_folder, "-o", tmp_path / "out", "--copies", "40", "--jobs", "1"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list((tmp_path / "out").rglob("*-0.wav"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in (row["file"] for row in table_of(tmp_path / "out"))}
    assert 40 <= len(there) < 18 * 40
    rows, failures = augment_files(find_sources([sound_folder]), GENTLE, tmp_path / "out", copies=40)
    assert (len(rows), failures) == (18 * 40, [])
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == when for name, when in there.items())


def test_bad_sources_are_named_and_the_rest_is_made(sound_folder, tmp_path):
    (sound_folder / "low" / "bad.wav").write_bytes(b"RIFF")
    rows, failures = augment_files(find_sources([sound_folder]), CHAIN, tmp_path)
    assert len(rows) == 18
    assert len(failures) == 1
    assert "bad.wav" in failures[0]
    _, failures = augment_files(find_sources([sound_folder / "high"]), Filter(frequency=(7_000, 7_000)), tmp_path / "f")
    assert len(failures) == 6
    assert "0.wav: Filter needs frequencies below" in failures[0]
    with pytest.raises(ValueError, match="at least 1"):
        augment_files([], CHAIN, tmp_path, copies=0)


def test_recordings_and_other_tables_are_never_replaced(sound_folder, tmp_path):
    for output in (sound_folder, sound_folder / "low" / "more"):
        with pytest.raises(ValueError, match="is inside"):
            find_sources([sound_folder], output=output)
    first = sound_folder / "low" / "0.wav"
    soundfile.write(sound_folder / "low" / "0-0.wav", tone(100, 0.1, 8_000), 8_000)
    both = find_sources([first, sound_folder / "low" / "0-0.wav"])
    with pytest.raises(ValueError, match=r"0-0\.wav: a copy of .*0\.wav would overwrite this source"):
        augment_files(both, CHAIN, sound_folder / "low")
    for content in (b"file,label\na.wav,dog\n", b"\xff\xfe\x00", b""):
        (tmp_path / TABLE).write_bytes(content)
        with pytest.raises(ValueError, match="is not a table of augmented copies"):
            augment_files(find_sources([sound_folder / "high"]), CHAIN, tmp_path)
        assert (tmp_path / TABLE).read_bytes() == content


def test_another_class_is_another_copy(sound_folder, tmp_path):
    transform = ByClass({"low": Gain(gain_db=(-6.0, -6.0)), "deep": Reverse()})
    augment_files(find_sources([sound_folder / "low" / "0.wav"]), transform, tmp_path / "out")
    (sound_folder / "low").rename(sound_folder / "deep")
    [row], _ = augment_files(find_sources([sound_folder / "deep" / "0.wav"]), transform, tmp_path / "out")
    assert (row.label, json.loads(row.drawn)) == ("deep", [{"class": "Reverse"}])


def test_several_folders_keep_their_names(sound_folder):
    found = find_sources([sound_folder / "low", sound_folder / "high"])
    assert {(source.name, source.label) for source in found} >= {("low/0.wav", "low"), ("high/0.wav", "high")}
    assert {source.name for source in find_sources([sound_folder / "low"])} == {f"{number}.wav" for number in range(6)}


def test_other_backgrounds_make_other_copies(sound_folder, write_sound, tmp_path):
    sources, transform, rows = find_sources([sound_folder / "low"]), AddBackground(tmp_path / "street"), []
    for number, hertz in enumerate((300, 300, 900)):
        write_sound(tone(hertz, 1, 8_000), name="street/a.wav")
        [row, *_], _ = augment_files(sources, transform, tmp_path / "out")
        rows.append((row.key, (tmp_path / "out" / row.file).read_bytes()))
        augment_files(sources, transform, tmp_path / str(number))
        assert sounds_of(tmp_path / "out") == sounds_of(tmp_path / str(number))
    assert rows[0] == rows[1] != rows[2]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        augment_files(sources, AddBackground("none"), tmp_path / "out")


def test_a_folder_that_cannot_be_written_stops_at_once(sound_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "high").touch()
    with pytest.raises(OSError, match="out/high"):
        augment_files(find_sources([sound_folder]), CHAIN, tmp_path / "out")


def test_names_that_are_no_text(sound_folder, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "odd") + b"/b\xe9.wav"))
    odd.parent.mkdir()
    shutil.copy(sound_folder / "low" / "0.wav", odd)
    for _ in range(2):
        [row], failures = augment_files(find_sources([odd]), CHAIN, tmp_path / "out")
        assert failures == []
        assert (tmp_path / "out" / row.file).is_file()


def test_a_table_keeps_what_another_run_adds(sound_folder, tmp_path):
    high, low = (find_sources([sound_folder / name]) for name in ("high", "low"))
    others, out = [[replace(one, name=f"low/{one.name}") for one in low]], tmp_path / "out"
    augment_files(high, CHAIN, out, progress=lambda *_: others and augment_files(others.pop(), CHAIN, out))
    assert len(table_of(tmp_path / "out")) == 12


def test_features_are_no_files(sound_folder, tmp_path):
    with pytest.raises(ValueError, match="SpecAugment changes spectral features"):
        augment_files(find_sources([sound_folder]), Compose([Gain(), SpecAugment()]), tmp_path / "out")


def test_recipes_are_transforms_or_have_one(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(CHAIN.to_config()))
    assert read_transform(path) == CHAIN
    path.write_text(json.dumps({"epochs": 3, "augment_wave": CHAIN.to_config()}))
    assert read_transform(path) == CHAIN
    for text, reason in (
        ("{", "r.json"),
        ('{"epochs": 3}', "contains no transform"),
        ("[]", "contains no transform"),
        ('{"class": "Gane"}', "did you mean 'Gain'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=reason):
            read_transform(path)


@pytest.mark.slow
def test_the_preview_shows_each_change(write_sound, tmp_path):
    mono = write_sound(tone(300, 1, 16_000), 16_000, name="dog/bark.wav")
    picture, count, left_out = augmentation_preview(mono, tmp_path / "all")
    assert left_out["AddBackground"] == "it needs a folder of recordings"
    assert "needs at least 2 channels" in left_out["ChannelSwap"]
    assert len(left_out) == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    names = {sound.stem.split("-", 1)[1] for sound in (tmp_path / "all").glob("*.wav")}
    assert {"before", "Gain", "TimeStretch", "Codec"} <= names
    assert count == len(names)
    assert "SpecAugment" not in names, "what changes features makes no sound"
    stereo = write_sound(np.stack([tone(300, 1, 16_000), tone(400, 1, 16_000)], axis=1), 16_000, name="dog/two.wav")
    transform = Compose([ByClass({"dog": PitchShift(p=0.1)}, default=ChannelSwap()), Reverse()])
    _, count, left_out = augmentation_preview(stereo, tmp_path / "some", transform)
    names = [sound.stem for sound in sorted((tmp_path / "some").glob("*.wav"))]
    assert names == ["0-before", "1-PitchShift", "2-ChannelSwap", "3-Reverse", "4-Compose"]
    assert (count, left_out) == (5, {})
    picture, count, _ = augmentation_preview(mono, tmp_path / "features", Compose([TimeRoll(), SpecAugment()]))
    assert (picture.is_file(), count) == (True, 1)
    with pytest.raises(ValueError, match="bands, frames"):
        augmentation_preview(mono, tmp_path / "none", Compose([Gain(), SpecAugment()]))
