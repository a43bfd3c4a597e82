"""`blunet track`: labels in, the Cell Tracking Challenge's files and tables out, read back by reference tools."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from moving_discs import draw_discs, shuffle_numbers, straight
from typer.testing import CliRunner, Result

from blunet.cli import app
from blunet.errors import InputError
from blunet.images.image_writer import write_labels
from blunet.images.pixel_size import PixelSize
from blunet.jobs import track_results
from blunet.tracking.challenge_table import read_table
from blunet.tracking.label_frames import open_label_frames

FRAMES = 8


@pytest.fixture(scope="module")
def dividing() -> np.ndarray:
    """A disc that divides between frames 3 and 4, one that stays and one that leaves the field in frame 5."""
    return draw_discs(
        {
            1: straight(range(4), (48, 40), (0, 1), radius=12),
            2: straight(range(4, FRAMES), (40, 44), (-2, 0)),
            3: straight(range(4, FRAMES), (56, 44), (2, 0)),
            4: straight(range(FRAMES), (20, 80), (1, 0), radius=10),
            5: straight(range(6), (70, 98), (0, 5)),
        },
        FRAMES,
    )


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["track", *map(str, args)])


def write_frames(folder: Path, labels: np.ndarray, name: str = "mask{:03d}.tif") -> Path:
    folder.mkdir(parents=True)
    for t, frame in enumerate(labels):
        tifffile.imwrite(folder / name.format(t), frame.astype(np.uint16))
    return folder


def write_stack(path: Path, labels: np.ndarray) -> Path:
    """Write labels as `blunet segment --time-lapse` does: a pixel of half a micrometre, a frame every 5 minutes."""
    write_labels(path, labels, pixel_size=PixelSize(0.5, 0.5, "µm"), step=300.0, description={})
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_stack_becomes_masks_a_table_of_tracks_and_two_tables(tmp_path: Path, dividing: np.ndarray) -> None:
    stack = write_stack(tmp_path / "cells_labels.tif", shuffle_numbers(dividing))
    result = run(stack, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["frames"], found["tracks"], found["divisions"], found["mended"]) == (FRAMES, 5, 1, [])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    masks = [f"mask{t:03d}.tif" for t in range(FRAMES)]
    assert names == [*masks, "objects.csv", "res_track.txt", "tracking.json", "tracks.csv"]
    first = tifffile.imread(tmp_path / "out" / "mask000.tif")
    assert first.dtype == np.uint16
    assert np.array_equal(first > 0, dividing[0] > 0)
    mother = first[48, 40]
    tracks = {int(row["track"]): row for row in rows(tmp_path / "out" / "tracks.csv")}
    assert tracks[mother]["fate"] == "divided"
    daughters = [int(each) for each in tracks[mother]["daughters"].split()]
    assert [tracks[each]["parent"] for each in daughters] == [str(mother)] * 2
    assert [tracks[each]["generation"] for each in daughters] == ["1", "1"]
    assert tracks[first[20, 80]]["fate"] == "end"
    assert tracks[first[70, 98]]["fate"] == "left"
    assert float(tracks[first[20, 80]]["mean_speed_um_per_min"]) == pytest.approx(0.5 / 5, rel=1e-3)
    assert float(tracks[daughters[0]]["start_min"]) == 20
    objects = [row for row in rows(tmp_path / "out" / "objects.csv") if int(row["track"]) == first[20, 80]]
    assert [int(row["frame"]) for row in objects] == list(range(FRAMES))
    assert objects[0]["speed_um_per_min"] == ""
    assert float(objects[3]["centroid_y_um"]) == pytest.approx(23 / 2)
    assert float(objects[3]["area_um2"]) == (dividing[3] == 4).sum() / 4


def test_the_reference_metrics_read_the_result(tmp_path: Path, dividing: np.ndarray) -> None:
    ctc_metrics = pytest.importorskip("ctc_metrics")
    run(write_frames(tmp_path / "in", dividing), "--out", tmp_path / "01_RES")
    truth = write_frames(tmp_path / "01_GT" / "TRA", dividing, "man_track{:03d}.tif")
    write_frames(tmp_path / "01_GT" / "SEG", dividing, "man_seg{:03d}.tif")
    (truth / "man_track.txt").write_text("1 0 3 0\n2 4 7 1\n3 4 7 1\n4 0 7 0\n5 0 5 0\n")
    scores = ctc_metrics.evaluate_sequence(
        str(tmp_path / "01_RES"), str(tmp_path / "01_GT"), metrics=["Valid", "SEG", "DET", "TRA"]
    )
    assert scores["Valid"] == 1
    assert (scores["SEG"], scores["DET"], scores["TRA"]) == (1, 1, 1)


def test_the_reference_reader_reads_the_graph(tmp_path: Path, dividing: np.ndarray) -> None:
    geff = pytest.importorskip("geff")
    stack = write_stack(tmp_path / "cells.tif", dividing)
    assert run(stack, "--out", tmp_path / "out", "--geff").exit_code == 0
    path = tmp_path / "out" / "tracks.geff"
    geff.validate_structure(path)
    graph, metadata = geff.read(path)
    assert graph.number_of_nodes() == len(rows(tmp_path / "out" / "objects.csv"))
    assert sorted(degree for _, degree in graph.out_degree())[-1] == 2
    assert [(axis.name, axis.scale) for axis in metadata.axes] == [("t", 300), ("y", 0.5), ("x", 0.5)]


def test_tables_are_written_as_parquet_too(tmp_path: Path, dividing: np.ndarray) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run(write_frames(tmp_path / "in", dividing), "--out", tmp_path / "out", "--parquet").exit_code == 0
    for name in ("objects", "tracks"):
        table = parquet.read_table(tmp_path / "out" / f"{name}.parquet")
        plain = rows(tmp_path / "out" / f"{name}.csv")
        assert table.column_names == list(plain[0])
        assert table.num_rows == len(plain)
    assert table["cycle_frames"].null_count == 5


def test_a_gap_that_is_not_mended_is_two_tracks_in_files(tmp_path: Path, dividing: np.ndarray) -> None:
    damaged = dividing.copy()
    damaged[5][damaged[5] == 4] = 0
    run(write_frames(tmp_path / "in", damaged), "--out", tmp_path / "out", "--no-mend")
    number = int(tifffile.imread(tmp_path / "out" / "mask000.tif")[20, 80])
    table = {row.label: row for row in read_table(tmp_path / "out" / "res_track.txt")}
    (later,) = [row for row in table.values() if row.parent == number]
    assert (table[number].begin, table[number].end, later.begin, later.end) == (0, 4, 6, 7)
    for t in (6, 7):
        mask = tifffile.imread(tmp_path / "out" / f"mask{t:03d}.tif")
        assert np.array_equal(mask == later.label, damaged[t] == 4)
    fates = {int(row["track"]): row["fate"] for row in rows(tmp_path / "out" / "tracks.csv")}
    assert (fates[number], fates[later.label]) == ("interrupted", "end")


def test_a_frame_without_a_file_is_a_gap(tmp_path: Path, dividing: np.ndarray) -> None:
    folder = write_frames(tmp_path / "in", dividing)
    (folder / "mask002.tif").unlink()
    result = run(folder, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "has no file for frame 2; it counts as a frame without objects" in result.stderr
    assert "Mended: 3 objects missing, filled in" in result.stdout
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "mask002.tif") > 0, dividing[2] > 0)


def test_numbers_of_frames_stay_those_of_the_names(tmp_path: Path, dividing: np.ndarray) -> None:
    folder = write_frames(tmp_path / "in", dividing)
    for t in (0, 1):
        (folder / f"mask{t:03d}.tif").unlink()
    assert run(folder, "--out", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out" / "mask001.tif").exists()
    assert min(row.begin for row in read_table(tmp_path / "out" / "res_track.txt")) == 2


def test_files_are_frames_in_natural_order(tmp_path: Path, dividing: np.ndarray) -> None:
    folder = write_frames(tmp_path / "in", np.concatenate([dividing, dividing[::-1]]), "t{:d}_labels.tif")
    (folder / "t3_probability.tif").write_bytes((folder / "t0_labels.tif").read_bytes())
    frames = open_label_frames(folder)
    assert [path.name for path in frames.source.paths] == [f"t{t}_labels.tif" for t in range(2 * FRAMES)]


def test_shuffled_frames_are_noticed(tmp_path: Path) -> None:
    paths = {n: straight(range(20), (20 + 25 * (n % 3), 10 + 20 * (n // 3)), (0.5, 3), radius=7) for n in range(1, 10)}
    labels = draw_discs(paths, 20)
    ordered = run(write_frames(tmp_path / "in", labels), "--out", tmp_path / "out")
    assert "order" not in ordered.stderr
    mixed = labels[np.random.default_rng(1).permutation(20)]
    result = run(write_frames(tmp_path / "mixed", mixed), "--out", tmp_path / "out2")
    assert result.exit_code == 0
    assert "check that they are in order of time" in result.stderr


def test_an_earlier_result_is_replaced_whole_but_nothing_else(tmp_path: Path, dividing: np.ndarray) -> None:
    folder, out = write_frames(tmp_path / "in", dividing), tmp_path / "out"
    run(folder, "--out", out, "--parquet")
    (folder / "mask007.tif").unlink()
    (out / "notes.txt").write_text("mine")
    assert run(folder, "--out", out).exit_code == 0
    left = {path.name for path in out.iterdir()}
    assert "mask007.tif" not in left
    assert "tracks.parquet" not in left
    assert "notes.txt" in left
    with (out / "tracks.csv").open("a") as file:
        file.write("\n")
    edited = run(folder, "--out", out)
    assert edited.exit_code == 2
    assert "tracks.csv' was edited and would be replaced" in edited.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "res_track.txt").write_text("1 0 0 0\n")
    foreign = run(folder, "--out", tmp_path / "other")
    assert foreign.exit_code == 2
    assert "res_track.txt' was not made by blunet track" in foreign.stderr
    assert (tmp_path / "other" / "res_track.txt").read_text() == "1 0 0 0\n"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("1 0 4 0\n2 2 7 1\n", "line 2 says that track 2 begins in frame 2, but its parent 1 ends in frame 4"),
        ("2 5 7 1\n1 5 7 0\n", "line 1 says that track 2 begins in frame 5, but its parent 1 ends in frame 7"),
        ("1 0 4 9\n", "line 1 has the parent 9, which has no line"),
        ("1 0 4\n", "line 1 is '1 0 4'; give a label"),
        ("1 4 0 0\n", "line 1 is '1 4 0 0'"),
        ("1 0 2 0\n\n1 3 4 0\n", "line 3 is track 1 again, after line 1"),
    ],
)
def test_a_wrong_table_of_tracks_is_named_by_its_line(tmp_path: Path, table: str, sentence: str) -> None:
    path = tmp_path / "res_track.txt"
    path.write_text(table)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert sentence in str(error.value)


def test_bad_input_ends_in_one_sentence(tmp_path: Path, dividing: np.ndarray) -> None:
    folder = write_frames(tmp_path / "in", dividing)
    grey = tmp_path / "grey.tif"
    noise = np.random.default_rng(0).integers(0, 60_000, (2, 60, 60), np.uint16)
    tifffile.imwrite(grey, noise, imagej=True, metadata={"axes": "TYX"})
    sizes = write_frames(tmp_path / "sizes", dividing[:2])
    tifffile.imwrite(sizes / "mask002.tif", np.zeros((9, 9), np.uint16))
    (tmp_path / "empty").mkdir()
    for args, sentence in (
        ((folder, "--max-step", "3 furlongs"), "The largest step is '3 furlongs'; give pixels"),
        ((folder, "--max-step", "12um"), "but the labels have no pixel size"),
        ((folder, "--gap", "-1"), "'gap' is -1; give a whole number, 0 or more."),
        ((folder, "--method", "magic"), "'method' is 'magic'; give one of"),
        ((grey,), "are an image, no labels"),
        ((sizes,), "the frames of a time-lapse have one size and type"),
        ((tmp_path / "empty",), "holds no label images"),
        ((tmp_path / "nothing",), "There is no file"),
    ):
        result = run(*args, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out" / "res_track.txt").exists()
    inside = run(folder, "--out", folder)
    assert "holds the labels 'mask000.tif'; choose another one" in inside.stderr


def test_more_tracks_than_16_bits_can_number_are_written_in_32(tmp_path: Path) -> None:
    from blunet.images.frame_source import FrameSource

    source = FrameSource.from_array(np.zeros((1, 4, 4), np.uint16))
    results = track_results.TrackResults(tmp_path, source, 70_000)
    results.add(0, np.full((4, 4), 70_000, np.int32))
    mask = tifffile.imread(tmp_path / "mask000.tif")
    assert mask.dtype == np.uint32
    assert mask[0, 0] == 70_000
    assert track_results.TrackResults(tmp_path, source, 65_535).dtype == np.uint16
