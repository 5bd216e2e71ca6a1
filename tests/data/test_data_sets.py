"""Sounds, tables, frames, PyTorch's data sets and corrupted pictures come through one door."""

from __future__ import annotations

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcusim.core import BadArgument, BadData, McusimError, UnknownName
from mcusim.data import Dataset, Split, corrupted, from_arrays, from_frame, from_torch, open_data, synthetic
from mcusim.data.corruptions import CORRUPTIONS
from mcusim.data.public import SETS
from mcusim.data.sounds import spoken


def wav(samples: np.ndarray, *, rate: int = 8000, width: int = 2, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        if width == 1:
            data = (samples * 127 + 128).astype(np.uint8).tobytes()
        else:
            whole = (samples * (2.0 ** (8 * width - 1) - 1)).astype("<i8")
            data = whole.view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
        out.writeframes(data)
    return file.getvalue()


def recordings(root: Path, speakers: tuple[str, ...] = ("ann", "bob", "cho")) -> Path:
    for label in range(3):
        for who in speakers:
            for number in range(2):
                tone = 0.5 * np.sin(np.arange(600) * (0.1 + 0.2 * label))
                (root / f"{label}_{who}_{number}.wav").write_bytes(wav(tone))
    return root


def test_files_that_name_their_speakers_are_divided_by_speakers(tmp_path: Path) -> None:
    data = open_data(recordings(tmp_path))
    assert data.labels == ("0", "1", "2")
    assert data.train.images.shape[1:] == (8000,)
    assert not {*data.train.groups} & {*data.test.groups}
    left = open_data(f"{tmp_path}?left_out=bob&seconds=0.05")
    assert (len(left.train), len(left.test)) == (12, 6)
    assert left.train.images.shape[1:] == (400,)
    assert {*left.test.groups} == {1}
    with pytest.raises(BadArgument, match=r"left_out=eve: is nobody .*ann, bob, cho"):
        open_data(f"{tmp_path}?left_out=eve")


def test_files_side_by_side_in_one_folder_of_an_archive_are_named_by_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "digits.tar.gz"
    (tmp_path / "all").mkdir()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(recordings(tmp_path / "all"), "digits-1.0/recordings")
    data = open_data(f"{path}?left_out=cho")
    assert data.labels == ("0", "1", "2")
    assert (len(data.train), len(data.test)) == (12, 6)


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 1)])
def test_every_pcm_width_is_read_to_the_same_samples(tmp_path: Path, width: int, channels: int) -> None:
    tone = 0.8 * np.sin(np.arange(500) * 0.3)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            content = wav(np.repeat(tone, channels), width=width, channels=channels)
            (tmp_path / label / f"{number}.wav").write_bytes(content)
    data = open_data(tmp_path)
    assert data.labels == ("a", "b")
    assert data.train.groups is None
    np.testing.assert_allclose(data.train.images[0, :500], tone, atol=2 / 127 if width == 1 else 1e-4)
    assert not data.train.images[0, 500:].any()


def test_an_archive_of_recordings_is_read_without_being_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "words.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for label in ("yes", "no"):
            for number, who in enumerate(("0a1b", "ffee", "1234")):
                content = wav(0.5 * np.ones(100))
                info = tarfile.TarInfo(f"./{label}/{who}_nohash_{number}.wav")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    data = open_data(path)
    assert data.labels == ("no", "yes")
    assert len({*data.train.groups, *data.test.groups}) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"RIFF", "is no PCM wav file"),
        (wav(np.zeros(0)), "holds no samples"),
        (wav(np.ones(9), rate=16000), "has 16000 samples a second, others 8000"),
    ],
    ids=["damaged", "empty", "rate"],
)  # fmt: skip
def test_a_bad_recording_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    recordings(tmp_path)
    (tmp_path / "2_zoe_9.wav").write_bytes(content)
    with pytest.raises(BadData, match=f"2_zoe_9.wav: {said}"):
        open_data(tmp_path)


def test_recordings_end_to_end_keep_their_ends() -> None:
    samples = np.arange(1, 10, dtype=np.int16) * 1000
    lengths, labels = np.array([4, 2, 3], np.int32), np.array([0, 1, 0])
    data = spoken(samples, lengths, labels, np.array([0, 1, 2]), rate=3, left_out="1")
    assert data.test.images.tolist() == [[x * 1000 / 32768 for x in (5, 6, 0)]]
    with pytest.raises(BadData, match="9 samples, and lengths of 10"):
        spoken(samples, np.array([4, 2, 4], np.int32), labels)


def table(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    who = np.repeat(["ann", "bob", "cho"], rows // 3)
    kind = np.tile(np.repeat(["walk", "run"], rows // 6), 3)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["x", "y_axis", "z"])
    return frame.assign(activity=kind, subject=who)


def test_windows_share_group_and_label_and_no_group_is_on_both_sides() -> None:
    data = from_frame(table(), window=8, step=4)
    assert data.labels == ("run", "walk")
    assert data.train.images.shape[1:] == (8, 3)
    assert len(data.train) + len(data.test) == 6 * ((20 - 8) // 4 + 1)
    assert not {*data.train.groups} & {*data.test.groups}
    whole = table()[["x", "y_axis", "z"]].to_numpy(np.float32)
    assert any((data.train.images[0] == whole[i : i + 8]).all() for i in range(len(whole) - 8))


def test_labels_of_any_kind() -> None:
    frame = pd.DataFrame({"x": np.arange(12.0), "y": [7, 9] * 6})
    assert from_frame(frame).labels == ("7", "9")
    assert from_frame(frame.assign(y=frame["y"] > 8)).labels == ("False", "True")
    assert from_frame(frame.assign(y=frame["y"].astype("category"))).labels == ("7", "9")
    real = from_frame(frame.assign(y=frame["x"] / 2))
    assert real.labels == ()
    assert real.train.labels.dtype == np.float32


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_in_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"arm.{suffix}"
    table().to_csv(path, index=False) if suffix == "csv" else table().to_parquet(path)
    data = open_data(f"{path}?window=8&step=4&left_out=cho")
    assert data.name == "arm-without-cho"
    assert data.train.images.shape[1:] == (8, 3)
    np.testing.assert_allclose(
        data.test.images[0], from_frame(table(), window=8, step=4, left_out="cho").test.images[0]
    )


BAD: list[tuple[pd.DataFrame, dict[str, object], type[McusimError], str]] = [
    (table(), {"label": "activty"}, UnknownName, "did you mean activity"),
    (table().drop(columns="activity"), {}, BadData, "has no column of labels"),
    (table().assign(x="a"), {}, BadData, "holds a column that is no numbers"),
    (table().assign(x=np.nan), {}, BadData, "gaps among them"),
    (table().assign(activity=None), {}, BadData, "have gaps"),
    (table(), {"window": 50}, BadData, "has no 50 rows in a row"),
    (table(), {"window": -1}, BadArgument, "window=-1"),
    (table(), {"step": 3}, BadArgument, "there is no window"),
    (table().drop(columns="subject"), {"window": 8}, BadData, "windows that overlap, and nothing that says"),
]


@pytest.mark.parametrize(("frame", "more", "kind", "said"), BAD, ids=[said for *_, said in BAD])
def test_a_bad_table_is_named(frame, more, kind, said) -> None:
    with pytest.raises(kind, match=said):
        from_frame(frame, **more)


def test_pairs_of_a_torch_data_set() -> None:
    torch = pytest.importorskip("torch")
    pictures = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    source = torch.utils.data.TensorDataset(pictures, torch.arange(20) % 4)
    data = from_torch(source, names=("a", "b", "c", "d"))
    assert data.train.images.shape[1:] == (8, 8, 3)
    assert (len(data.train), len(data.test)) == (16, 4)
    with pytest.raises(BadData, match="cannot be stacked"):
        from_torch([(np.zeros(2), 0), (np.zeros(3), 1)])


def test_groups_of_arrays_are_not_divided() -> None:
    x, groups = np.zeros((30, 4), np.float32), np.repeat(np.arange(5), 6)
    data = from_arrays(x, np.arange(30) % 2, groups=groups)
    assert not {*data.train.groups} & {*data.test.groups}


def test_there_are_fifteen_corruptions() -> None:
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
def test_every_corruption_grows_with_its_severity_and_is_the_same_again(kind: str) -> None:
    data = synthetic("source", train=10, test=24)
    plain = data.test.images.astype(float)
    found = {s: corrupted(data, kind, s, test_only=True) for s in (1, 3, 5)}
    assert all(each.train is data.train for each in found.values())
    far = [np.abs(each.test.images - plain).mean() for each in found.values()]
    assert 0.3 < far[0] < far[1] < far[2] < 90
    assert corrupted(data, kind, 3).test.digest() == found[3].test.digest()
    part = Dataset(data.train, Split(data.test.images[:5], data.test.labels[:5]), data.labels, "part")
    assert (corrupted(part, kind, 3).test.images == found[3].test.images[:5]).all()


def test_corruptions_are_options_of_all_pictures() -> None:
    data = open_data("synthetic?corruption=fog&severity=5&test=40&train=50")
    assert data.name == "synthetic-target-fog-5"
    assert (len(data.train), len(data.test)) == (50, 40)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("synthetic?corruption=fgo", UnknownName, "did you mean fog"),
        ("synthetic?corruption=fog&severity=6", BadArgument, "severity=6"),
        ("synthetic?severity=3", BadArgument, "name it too"),
        ("synthetic?tran=4", UnknownName, "did you mean train"),
        ("synthetic?train=x", BadArgument, "option train=x: is no int"),
        ("synthetic?train", BadArgument, "are not NAME=VALUE"),
        ("kws-100", UnknownName, "did you mean kws-1000"),
    ],
)
def test_a_bad_option_is_named(text: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        open_data(text)


@pytest.mark.parametrize("name", SETS)
def test_public_sets_say_where_they_were_looked_for(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MCUSIM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BadData, match="set MCUSIM_DATA to the folder that holds it"):
        open_data(name)


@pytest.mark.data
def test_the_public_sets() -> None:
    keywords, people = open_data("kws-1000"), open_data("vww-1000")
    assert (keywords.classes, len(keywords.train), len(keywords.test)) == (12, 700, 300)
    assert people.train.image_shape == (96, 96, 3)
    digits = open_data("spoken-digits-jackson")
    assert {*digits.test.groups} == {1}
    assert (len(digits.train), len(digits.test)) == (2500, 500)


@pytest.mark.data
def test_the_keyword_network_knows_its_keywords() -> None:
    import os

    import mcusim

    root = Path(os.environ["MCUSIM_DATA"]) / "tflite"
    model = mcusim.load(root / "mlperftiny_kws_ref_model.tflite")
    assert mcusim.evaluate(model, open_data("kws-1000").test) > 0.85
