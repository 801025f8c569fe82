from pathlib import Path

import cv2

from tests.cli.conftest import Streamcam


def test_demo_prints_where_video_records_and_a_picture_are(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam("demo", "--seconds", "1", "--seed", "4", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [Path(line.split()[-1]) for line in done.stdout.splitlines() if str(tmp_path) in line]
    endings = [".mp4", ".jpg", ".jsonl", ".json"]
    assert [path.suffix for path in paths] == endings
    assert all(path.stat().st_size for path in paths)
    assert cv2.imread(str(paths[1])).shape == (432, 768, 3)
