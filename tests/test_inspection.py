import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiozoo import inspect_clips, load_dataset
from audiozoo.datasets import Clip
from audiozoo.inspection import Inspection, SoundFacts
from audiozoo.report import inspection_picture


def inspected(folder, **how):
    return inspect_clips(load_dataset("folder", root=folder).clips, **how)


def facts(label="a", number=0, **further):
    return SoundFacts(name=f"{label}/{number}.wav", labels=(label,), recording=f"{label}{number}", **further)


def healthy(label, count, **further):
    return [
        facts(label, number, seconds=1.0, sample_rate=8_000, content=f"{label}{number}", **further) for number in range(count)
    ]


def test_a_sound_folder(sound_folder):
    seen = []
    result = inspected(sound_folder, progress=lambda *step: seen.append(step))
    assert [(one.label, one.clips, one.recordings) for one in result.classes] == [
        ("high", 6, 6),
        ("low", 6, 6),
        ("noise", 6, 6),
    ]
    assert {(one.shortest, one.median, one.longest, one.seconds) for one in result.classes} == {(0.5, 0.5, 0.5, 3.0)}
    assert result.sample_rates == {8_000: 18}
    assert result.channels == {1: 18}
    assert result.imbalance == 1
    assert result.errors() == result.warnings() == []
    assert seen[-1] == ("inspecting", 18, 18, {})


def test_levels(sound_folder):
    wave = tone(300, 0.5, 8_000)
    soundfile.write(sound_folder / "low" / "silent.wav", 5e-4 * wave, 8_000)
    soundfile.write(sound_folder / "low" / "clipped.wav", np.clip(5 * wave, -1, 1), 8_000)
    soundfile.write(sound_folder / "low" / "normalised.wav", wave / np.abs(wave).max(), 8_000)
    result = inspected(sound_folder)
    assert [sound.shown for sound in result.readable if sound.silent] == ["low/silent.wav"]
    assert [sound.shown for sound in result.readable if sound.clipped] == ["low/clipped.wav"]
    assert (result.classes[1].silent, result.classes[1].clipped) == (1, 1)
    silent, clipped = result.warnings()
    assert silent == "1 clip(s) are silent, no sample reaches -60 dB of full scale (low/silent.wav)"
    assert clipped.startswith("1 clip(s) are clipped")
    # Only the decoded samples tell.
    assert inspected(sound_folder, decode=False).warnings() == []


def test_clips_shorter_than_20_ms(sound_folder):
    for name, samples in (("short", 159), ("long_enough", 160)):
        soundfile.write(sound_folder / "low" / f"{name}.wav", tone(300, 1, 8_000)[:samples], 8_000)
    for decode in (True, False):
        (warning,) = inspected(sound_folder, decode=decode).warnings()
        assert "1 clip(s) are shorter than 20 ms" in warning
        assert "low/short.wav" in warning


def test_copies_within_and_across_classes(sound_folder):
    shutil.copy(sound_folder / "low" / "0.wav", sound_folder / "low" / "again.wav")
    shutil.copy(sound_folder / "low" / "1.wav", sound_folder / "high" / "wrong.wav")
    for decode in (True, False):
        result = inspected(sound_folder, decode=decode)
        assert len(result.duplicates) == 2
        conflict, copy = result.warnings()
        assert conflict.startswith("1 sound(s) are in several classes")
        assert "high/wrong.wav = low/1.wav" in conflict
        assert copy.startswith("1 clip(s) are copies")
        assert "low/0.wav = low/again.wav" in copy


def test_a_copy_in_another_format_is_found_by_its_samples(sound_folder):
    wave, rate = soundfile.read(sound_folder / "low" / "0.wav", dtype="float32")
    soundfile.write(sound_folder / "low" / "copy.flac", wave, rate)
    soundfile.write(sound_folder / "low" / "copy_float.wav", wave, rate, subtype="FLOAT")
    (group,) = inspected(sound_folder).duplicates
    assert [sound.shown for sound in group] == ["low/0.wav", "low/copy.flac", "low/copy_float.wav"]
    assert inspected(sound_folder, decode=False).duplicates == ()


def test_silent_clips_are_not_copies(sound_folder):
    for label in ("low", "high"):
        soundfile.write(sound_folder / label / "silent.wav", np.zeros(4_000), 8_000)
    assert inspected(sound_folder).duplicates == ()


def test_parts_of_a_file_are_different_sounds(sound_folder):
    path = str(sound_folder / "noise" / "0.wav")
    parts = [
        Clip(path, ("a",), start=0.0, end=0.2),
        Clip(path, ("a",), start=0.2, end=9.0),
        Clip(path, ("a",), start=0.0, end=0.2),
    ]
    for decode in (True, False):
        result = inspect_clips(parts, decode=decode)
        assert [sound.seconds for sound in result.sounds] == pytest.approx([0.2, 0.3, 0.2])
        assert len(result.duplicates) == 1


def test_clips_in_memory_and_beyond_the_end(sound_folder):
    content = (sound_folder / "noise" / "0.wav").read_bytes()
    for decode in (True, False):
        result = inspect_clips([Clip(content, ("a",)), Clip(content, ("a",), start=2.0)], decode=decode)
        assert len(result.readable) == 1
        assert "no samples" in result.failures[0]


def test_damage_behind_the_header_needs_decoding(sound_folder):
    path = sound_folder / "low" / "cut.wav"
    path.write_bytes((sound_folder / "low" / "0.wav").read_bytes()[:5_000])
    assert "cut short" in inspected(sound_folder).failures[0]
    assert inspected(sound_folder, decode=False).failures == ()


def test_a_class_without_a_readable_file(sound_folder):
    (sound_folder / "lost").mkdir()
    (sound_folder / "lost" / "a.wav").write_bytes(b"not a sound")
    result = inspected(sound_folder)
    (error,) = result.errors()
    assert "no clip of 'lost' can be read" in error
    assert "a.wav: not a sound file" in error
    assert result.warnings() == ["1 clip(s) cannot be read and will be left out (lost/a.wav)"]
    assert result.imbalance == 1


def test_all_clips_are_silent(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            soundfile.write(tmp_path / label / f"{number}.wav", np.zeros(800), 8_000)
    assert ["all 4 readable clips are silent" in error for error in inspected(tmp_path).errors()] == [True]


def test_a_class_with_one_clip_and_imbalance():
    result = Inspection((*healthy("a", 6), *healthy("b", 1)), decoded=False)
    assert result.imbalanced
    single, imbalance = result.warnings()
    assert single.startswith("1 class(es) have a single recording")
    assert single.endswith(": b")
    assert imbalance == "the classes are imbalanced: 'a' has 6 clips and 'b' 1"
    assert not Inspection((*healthy("a", 10), *healthy("b", 2)), decoded=False).imbalanced  # five times is still allowed


def test_several_clips_of_one_recording():
    same = [replace(sound, recording="street") for sound in healthy("a", 4)]
    result = Inspection((*same, *healthy("b", 4)), decoded=False)
    assert result.classes[0].recordings == 1
    assert result.warnings()[0].endswith(": a")


def test_rates_that_give_classes_away():
    lower = [replace(sound, sample_rate=4_000) for sound in healthy("b", 3)]
    (warning,) = Inspection((*healthy("a", 3), *lower), decoded=False).warnings()
    assert "'a' has 8,000 Hz and 'b' 4,000 Hz" in warning
    shared = replace(healthy("a", 1)[0], labels=("b",), content="b9", recording="b9")
    assert Inspection((*healthy("a", 3), *lower, shared), decoded=False).warnings() == []


def test_the_histogram_covers_every_clip():
    for durations in ([1.0] * 5, [0.5, 1.0, 5.0], [0.01, 0.3, 7.0, 3_600.0], []):
        sounds = [replace(one, seconds=seconds) for one, seconds in zip(healthy("a", len(durations)), durations, strict=True)]
        counts, edges = Inspection(tuple(sounds), decoded=False).histogram()
        assert (len(counts), len(edges)) == (10, 11)
        assert counts.sum() == max(1, len(durations))


def test_decoding_of_large_collections_is_left_out(sound_folder, monkeypatch):
    assert inspected(sound_folder, decode=None).decoded
    monkeypatch.setattr("audiozoo.inspection.inspect.DECODED_SECONDS", 8.9)  # the folder has 9 s
    assert not inspected(sound_folder, decode=None).decoded


def test_no_clips():
    with pytest.raises(ValueError, match="no clips to inspect"):
        inspect_clips([])


def test_data_for_json(sound_folder):
    shutil.copy(sound_folder / "low" / "1.wav", sound_folder / "high" / "wrong.wav")
    data = json.loads(json.dumps(inspected(sound_folder).to_dict()))
    assert data["clips"] == 19
    assert len(data["conflicts"]) == len(data["duplicates"]) == len(data["warnings"]) == 1
    assert sum(data["durations"]["counts"]) == 19
    assert data["sample_rates"] == {"8000": 19}


def test_the_picture(sound_folder, tmp_path):
    soundfile.write(sound_folder / "low" / "long.wav", tone(300, 20, 8_000), 8_000)
    path = inspection_picture(inspected(sound_folder), tmp_path / "a.svg", title="my sounds")
    assert path.read_text().count("<path") > 20
