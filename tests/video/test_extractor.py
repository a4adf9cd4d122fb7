"""A data set, its run and the export of it keep what meta.json says of the extractor."""

import pytest

from configs import demo
from tests.data.layouts import make_examples, write_per_video
from tsc_jax.data.builder import prepare
from tsc_jax.data.dataset import open_dataset
from tsc_jax.data.per_video import read_per_video
from tsc_jax.training.export import KEPT
from tsc_jax.training.runs import about_run


@pytest.mark.parametrize("extractor", [{"name": "CLIP ViT-L/14", "dtype": "float16"}, "VideoMAE", None])
def test_the_extractor_is_known_to_the_run(tmp_path, extractor):
    meta = {"snippets_per_second": 0.25} | ({} if extractor is None else {"extractor": extractor})
    source = write_per_video(tmp_path / "source", make_examples(), meta=meta)
    prepare(lambda: read_per_video(source), "small", tmp_path / "data")
    dataset = open_dataset(tmp_path / "data", "small")
    assert dataset.extractor == extractor
    assert about_run(demo.get_config(), dataset, dataset.train)["extractor"] == extractor
    assert "extractor" in KEPT
