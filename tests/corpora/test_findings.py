from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from helpers.corpus_factory import add, audited

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.audit import Audit, audit
from sercli.corpora.manifest import Manifest, build_manifest

CLASSES = {"ang": "anger", "sad": "sadness"}
SOUND = AudioFacts(2.0, 16000, 1, peak=0.5, clipped_share=0.0, content="")


def manifest_of(*said: tuple[str, str], splits: Sequence[str | None] | None = None) -> Manifest:
    """Make a manifest of speakers and emotions; utterances are u0, u1, …."""
    rows = [
        {
            "utterance": f"u{i}",
            "audio": f"u{i}.wav",
            "speaker": speaker,
            "emotion": emotion,
            "split": splits[i] if splits else None,
        }
        for i, (speaker, emotion) in enumerate(said)
    ]
    return build_manifest("mine", rows, CLASSES)


def found(manifest: Manifest, facts: dict[str, AudioFacts] | None = None) -> Audit:
    return audit(manifest, DatasetConfig(name="mine"), facts)


def texts(manifest: Manifest, facts: dict[str, AudioFacts] | None = None) -> list[str]:
    return [finding.text for finding in found(manifest, facts).findings]


def sounding(content: str, *, peak: float = 0.5, clipped: float = 0.0) -> AudioFacts:
    return AudioFacts(2.0, 16000, 1, peak, clipped, content)


def test_speakers_who_show_one_emotion_only_are_named() -> None:
    said = [*[("angry", "ang")] * 10, *[("sad", "sad")] * 10, *[("both", "ang"), ("both", "sad")]]
    (text,) = texts(manifest_of(*said))
    assert text.startswith("2 of 3 speakers have one class only (angry, sad): ")


def test_a_speaker_of_few_utterances_has_one_class_by_chance() -> None:
    said = [*[("both", "ang"), ("both", "sad")] * 10, *[("rare", "sad")] * 4]
    assert texts(manifest_of(*said)) == []


def test_a_speaker_of_a_common_class_has_it_by_chance() -> None:
    mostly = [*[("both", "ang")] * 95, *[("both", "sad")] * 5]
    assert texts(manifest_of(*mostly, *[("one", "ang")] * 20)) == []


def test_emotions_that_the_task_leaves_out_confound_nothing() -> None:
    said = [*[("both", "ang"), ("both", "sad")] * 10, *[("other", "xxx")] * 30]
    assert texts(manifest_of(*said)) == []


def test_a_task_of_one_class_has_no_confounded_speakers() -> None:
    assert texts(manifest_of(*[("a", "ang")] * 30)) == []


def test_an_official_split_with_a_speaker_on_several_sides_is_named() -> None:
    said = [("a", "ang"), ("a", "sad"), ("b", "ang"), ("c", "sad")]
    (text,) = texts(manifest_of(*said, splits=["train", "test", "train", "test"]))
    assert text.startswith("1 of 3 speakers are in several parts of the official split (a)")
    assert "protocol=loso_speaker" in text


def test_a_split_that_keeps_speakers_apart_is_sound() -> None:
    said = [("a", "ang"), ("a", "sad"), ("b", "ang"), ("a", "sad")]
    assert texts(manifest_of(*said, splits=["train", "train", "test", None])) == []


def test_many_names_are_cut_short() -> None:
    said = [(f"s{i}", emotion) for i in range(9) for emotion in ("ang", "sad")]
    (text,) = texts(manifest_of(*said, splits=["train", "test"] * 9))
    assert "(s0, s1, s2, s3, s4, … and 4 more)" in text


def test_nearly_silent_and_clipped_audio_is_named() -> None:
    facts = {
        "u0": sounding("x", peak=0.0009),
        "u1": sounding("y", peak=0.001),
        "u2": sounding("z", peak=1.0, clipped=0.01),
        "u3": sounding("w", peak=1.0, clipped=0.0099),
    }
    manifest = manifest_of(("a", "ang"), ("a", "sad"), ("b", "ang"), ("b", "sad"))
    assert texts(manifest, facts) == [
        "1 nearly silent (peak below 0.001 of full scale): u0",
        "1 clipped (1% of the samples or more at full scale): u2",
    ]


def test_the_same_audio_under_two_names_is_named_with_what_differs() -> None:
    facts = {f"u{i}": sounding(content) for i, content in enumerate("xyxyxz")}
    said = [("a", "ang"), ("b", "sad"), ("a", "sad"), ("b", "sad"), ("c", "ang"), ("c", "sad")]
    assert texts(manifest_of(*said), facts) == [
        "the same audio, but speaker a and c, emotion ang and sad: u0, u2, u4",
        "the same audio: u1, u3",
    ]


def test_a_finding_is_json() -> None:
    manifest = manifest_of(*[("a", "ang")] * 9, *[("b", "sad")] * 9)
    (finding,) = found(manifest).to_json()["findings"]
    assert finding["kind"] == "speaker"
    assert finding["text"].startswith("2 of 2 speakers")


def test_the_sound_of_a_corpus_is_described() -> None:
    manifest = manifest_of(("a", "ang"), ("a", "sad"), ("b", "xxx"))
    facts = {
        "u0": AudioFacts(1.0, 16000, 1, 0.5, 0.0, "x"),
        "u1": AudioFacts(3.0, 16000, 2, 0.5, 0.0, "y"),
        "u2": AudioFacts(8.0, 44100, 1, 0.5, 0.0, "z"),
        "nobody's": AudioFacts(999.0, 8000, 9, 0.5, 0.0, "n"),
    }
    audio = found(manifest, facts).audio
    assert audio is not None
    assert audio.targets is not None
    assert (audio.utterances.total, audio.utterances.median) == (12.0, 3.0)
    assert (audio.utterances.minimum, audio.utterances.maximum) == (1.0, 8.0)
    assert (audio.targets.mean, audio.targets.maximum) == (2.0, 3.0)
    assert audio.sampling_rates == {"16000": 2, "44100": 1}
    assert audio.channels == {"1": 2, "2": 1}
    assert found(manifest, facts).hours == 12 / 3600


def test_a_corpus_without_targets_has_no_durations_of_them() -> None:
    audio = found(manifest_of(("a", "xxx")), {"u0": SOUND}).audio
    assert audio is not None
    assert audio.targets is None


def test_urdu_is_warned_of_because_its_speakers_tell_the_emotion(tmp_path: Path) -> None:
    for speaker, folder in (("SM1", "Angry"), ("SM2", "Happy"), ("SF3", "Neutral"), ("SF4", "Sad")):
        places = (f"{folder}/{speaker}_F{n}_{folder[0]}{n:02}.wav" for n in range(1, 11))
        add(tmp_path, *places)
    kinds = {finding.kind: finding.text for finding in audited("urdu", tmp_path).findings}
    assert kinds["speaker"].startswith("4 of 4 speakers have one class only")


def test_the_official_split_of_esd_is_warned_of(tmp_path: Path) -> None:
    for speaker, first in (("0001", 1), ("0011", 1)):
        for offset, emotion in ((350, "Angry"), (700, "Happy"), (0, "Neutral"), (1050, "Sad")):
            for place, split in enumerate(("evaluation", "test", "train"), start=first):
                name = f"{speaker}_{offset + place:06}.wav"
                add(tmp_path, f"{speaker}/{emotion}/{split}/{name}")
    kinds = {finding.kind: finding.text for finding in audited("esd", tmp_path).findings}
    assert kinds["split"].startswith("2 of 2 speakers are in several parts")
