"""Results in Python and in notebooks: pictures, tables, plots, the documentation's notebook."""

import base64
import html
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import nbclient
import nbformat
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from streamcam.errors import UsageError
from streamcam.explained import COLUMNS, Explained, table
from streamcam.render import annotate
from streamcam.types import BoxMap, Detection, Explanation, Focus, Frame

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def result(*labels: str, index: int = 0, why: float | None = None) -> Explained:
    picture = np.full((90, 160, 3), 90, np.uint8)
    frame = Frame("street", index, index, Fraction(1, 5), index / 5, picture)
    heat = np.zeros((9, 16), np.float32)
    heat[3:6, 4:8] = 1
    box_map = None if why is None else BoxMap("layercam", heat, Focus(0.5, why, True))
    detections = tuple(
        Detection(label, at, 0.9, (10.0 + at, 20, 60, 70), Focus(0.25, 1.5, at == 0), box_map)
        for at, label in enumerate(labels)
    )
    explanation = Explanation("eigencam", heat, 0.4, 0.1 if index else None, (60, 40))
    return Explained(frame, detections, explanation)


def test_a_table_has_a_row_for_each_detection() -> None:
    rows = table([result("person", "dog"), result(index=1), result("dog", index=2, why=3.0)])
    assert list(rows.columns) == list(COLUMNS)
    assert rows["label"].tolist() == ["person", "dog", "dog"]
    assert rows["time"].tolist() == [0.0, 0.0, 0.4]
    assert rows[["x1", "y1", "x2", "y2"]].iloc[1].tolist() == [11, 20, 60, 70]
    assert rows["peak_inside"].tolist() == [True, False, True]
    assert rows["why_lift"].isna().tolist() == [True, True, False]
    assert rows["flicker"].isna().tolist() == [True, True, False]
    assert rows.groupby("label")["lift"].mean().to_dict() == {"dog": 1.5, "person": 1.5}


def test_a_table_of_nothing_has_the_same_columns_and_types() -> None:
    assert (table([result()]).dtypes == result("dog").to_pandas().dtypes).all()


def test_a_result_shows_itself_in_jupyter() -> None:
    one = result("person", "<script>alert(1)</script>")
    shown = one._repr_html_()
    assert "<script>" not in shown
    assert html.escape("<script>alert(1)</script>") in shown
    assert re.findall(r"<td>(\d+ ?%)</td>", shown) == ["90%", "90%"]
    encoded = re.search(r"base64,([^']+)'", shown)
    assert encoded is not None
    content = np.frombuffer(base64.b64decode(encoded[1]), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB).astype(int)
    assert abs(picture - annotate(one)).mean() < 6


def test_large_pictures_are_shown_smaller() -> None:
    large = result()
    frame = Frame("wall", 0, 0, Fraction(1), 0.0, np.zeros((1000, 3000, 3), np.uint8))
    shown = Explained(frame, (), large.explanation)._repr_html_()
    encoded = re.search(r"base64,([^']+)'", shown)
    assert encoded is not None
    content = np.frombuffer(base64.b64decode(encoded[1]), np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (320, 960, 3)


def test_a_result_says_in_a_line_what_was_found() -> None:
    one = result("person", "dog", "person", index=2)
    assert repr(one) == "<Explained: street, frame 2, 0.40 s: 2 person, 1 dog (EigenCAM)>"
    assert "nothing found" in repr(result())


def test_a_plot_holds_the_annotated_picture() -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    one = result("person")
    axes = one.plot()
    assert_array_equal(axes.images[0].get_array(), annotate(one))
    assert axes.get_title() == "street, 0.00 s"
    assert one.plot(axes) is axes
    plt.close("all")


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_pandas"), ("matplotlib", "plot")])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"need {package}") as caught:
        getattr(result("dog"), call)()
    assert "streamcam[notebook]" in (caught.value.hint or "")


def test_neither_pandas_nor_matplotlib_is_imported_unasked() -> None:
    code = "import sys, streamcam.explained; print({'pandas', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """The kinds of what each cell shows."""
    return [
        [
            kind
            for output in cell.get("outputs", [])
            for kind in sorted(output.get("data", {"text"}))
        ]
        for cell in notebook.cells
    ]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_documentations_notebook_runs_and_shows_what_it_says() -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(fresh, timeout=240, kernel_name="python3").execute()
    assert kinds(fresh) == kinds(committed)
    shown = [output for cell in fresh.cells for output in cell.get("outputs", [])]
    assert any("text/html" in output.get("data", {}) for output in shown)
    assert not [output for output in shown if output.output_type == "error"]
