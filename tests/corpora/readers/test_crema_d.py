from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, chosen, read, refusals, rows, unused

from sercli.corpora.audit import audit
from sercli.corpora.manifest import Refusal
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError
from sercli.progress import Progress

ACTORS = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 61578\n"
TEXTS = ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")


def complete() -> list[str]:
    """Name 7 462 files as the corpus has them, of which twenty are missing in it."""
    clips = [
        (text, emotion, level)
        for emotion in ("ANG", "DIS", "FEA", "HAP", "SAD")
        for text, level in [(t, "XX") for t in TEXTS] + [("IEO", v) for v in ("LO", "MD", "HI")]
    ]
    clips += [(text, "NEU", "XX") for text in (*TEXTS, "IEO")]
    return [f"{actor}_{'_'.join(clip)}" for actor in range(1001, 1092) for clip in clips]


def test_the_name_of_a_file_tells_actor_sentence_and_emotion(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_FEA_HI.wav")
    add(tmp_path, "VideoDemographics.csv", content=ACTORS.encode())
    manifest = read("crema_d", tmp_path)
    columns = ("utterance", "audio", "speaker", "gender", "emotion", "label", "transcript")
    assert rows(manifest, *columns) == [
        (
            *("1001_DFA_ANG_XX", str(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav")),
            *("1001", "male", "ANG", "anger", "Don't forget a jacket."),
        ),
        (
            *("1002_IEO_FEA_HI", str(tmp_path / "AudioWAV/1002_IEO_FEA_HI.wav")),
            *("1002", None, "FEA", None, "It's eleven o'clock."),
        ),
    ]
    assert unused(manifest, ("session", "dialogue", "turn", "split"))


def test_the_copies_in_other_formats_are_not_read(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")
    manifest = read("crema_d", tmp_path)
    assert rows(manifest, "audio") == [(str(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav"),)]
    assert manifest.refused == ()


def test_a_folder_with_nothing_but_the_audio_is_read(tmp_path: Path) -> None:
    add(tmp_path, "1001_DFA_ANG_XX.wav")
    manifest = read("crema_d", tmp_path)
    assert rows(manifest, "utterance", "gender") == [("1001_DFA_ANG_XX", None)]


def test_the_level_that_lost_a_letter_is_read(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1040_ITH_SAD_X.wav")
    assert rows(read("crema_d", tmp_path), "utterance", "label") == [("1040_ITH_SAD_X", "sadness")]


def test_pointers_instead_of_audio_are_refused_with_the_remedy(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    add(tmp_path, "AudioWAV/1001_DFA_HAP_XX.wav", content=POINTER)
    assert read("crema_d", tmp_path).refused == (
        Refusal(
            "1001_DFA_HAP_XX.wav",
            "a Git LFS pointer instead of audio; fetch it with `git lfs pull`",
        ),
    )


def test_a_broken_link_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    (tmp_path / "AudioWAV/1001_DFA_HAP_XX.wav").symlink_to(tmp_path / "nowhere.wav")
    manifest = read("crema_d", tmp_path)
    assert rows(manifest, "utterance") == [("1001_DFA_ANG_XX",)]
    reason = "cannot be read (No such file or directory)"
    assert refusals(manifest) == {"1001_DFA_HAP_XX.wav": reason}


def test_a_clone_that_holds_nothing_but_pointers_is_one_clear_error(tmp_path: Path) -> None:
    places = [f"AudioWAV/1001_{text}_ANG_XX.wav" for text in TEXTS]
    add(tmp_path, *places, content=POINTER)
    with pytest.raises(RequestError, match=r"no match in 11 files.*`git lfs pull`"):
        read("crema_d", tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_the_actors_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    text = ACTORS + "1002,21,Female,naïve,Not Hispanic\n1003,x,Unknown,,\n1004,30\n"
    add(tmp_path, "VideoDemographics.csv", content=text.encode(encoding))
    manifest = read("crema_d", tmp_path)
    assert rows(manifest, "gender") == [("male",)]
    assert refusals(manifest) == {
        "VideoDemographics.csv:4": "Sex 'Unknown' is neither Female nor Male",
        "VideoDemographics.csv:5": "the line has 2 values, the header 5",
    }


@pytest.mark.exhaustive
def test_the_complete_corpus_has_the_published_counts(tmp_path: Path) -> None:
    """The corpus lacks twenty clips: which ones is made up here, how many of each is not."""
    names = complete()
    for emotion, missing in {"ANG": 3, "DIS": 3, "FEA": 3, "HAP": 3, "SAD": 3, "NEU": 5}.items():
        of_class = [name for name in names if f"_{emotion}_" in name]
        names = [name for name in names if name not in of_class[:missing]]
    add(tmp_path, *(f"AudioWAV/{name}.wav" for name in names))
    silent = "1076_MTI_SAD_XX"  # extraction refuses it
    for choice in ("crema_d", "crema_d_full"):
        manifest = read(choice, tmp_path)
        assert (len(manifest.table), manifest.table["speaker"].nunique()) == (7442, 91)
        rest = manifest.without({silent: Refusal(f"{silent}.wav", "silent")})
        assert len(rest.table) == 7441
        expected = audit(rest, chosen(choice, tmp_path)).expected
        assert expected is not None
        assert expected.ok


@pytest.mark.parametrize("root", ["", "AudioWAV", ".."])
def test_the_sex_of_the_actors_is_found_from_any_usual_root(tmp_path: Path, root: str) -> None:
    corpus = tmp_path / "archive" / "CREMA-D"
    add(corpus, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")
    add(corpus, "VideoDemographics.csv", content=ACTORS.encode())
    manifest = read("crema_d", (corpus / root).resolve())
    assert rows(manifest, "gender") == [("male",)]
    assert manifest.refused == ()


def test_unknown_genders_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "1001_DFA_ANG_XX.wav")
    read_corpus(chosen("crema_d", tmp_path), Progress())
    assert "the genders are unknown, as there is no Video" in capsys.readouterr().err


RESPONSES = """"","localid","queryType","clipName","respEmo"
"1",16,1,"1001_DFA_ANG_XX","D"
"2",17,3,"1001_DFA_ANG_XX","A"
"3",18,1,"1001_DFA_ANG_XX","Q"
"""


def test_the_labels_of_raters_are_of_those_who_heard_the_voice_alone(tmp_path: Path) -> None:
    add(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    add(tmp_path, "finishedResponses.csv", content=RESPONSES.encode())
    manifest = read("crema_d", tmp_path)
    assert manifest.ratings[["utterance", "rater", "emotion"]].to_numpy().tolist() == [
        ["1001_DFA_ANG_XX", "16", "DIS"]
    ]
    assert refusals(manifest) == {
        "finishedResponses.csv:4": "respEmo 'Q' is none of A, D, F, H, N, S"
    }
