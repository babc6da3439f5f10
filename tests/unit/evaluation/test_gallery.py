"""The gallery: who is asked, what is found, and a page that needs nothing else."""

import re

import numpy as np
import pytest
import torch

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import override
from tgdp.errors import UserError
from tgdp.evaluation.embed import embed_clips
from tgdp.evaluation.gallery import Gallery, gallery
from tgdp.evaluation.retrieval import retrieve
from tgdp.evaluation.stored import Stored
from tgdp.model.dual_path import Student
from tgdp.report import pictures
from tgdp.report.gallery_page import page

SMALL = {
    **SMALL_MODEL,
    "evaluation.split": "test",
}


@pytest.fixture(scope="module")
def stored(prepared) -> Stored:
    folder = prepared([1.6] * 16)
    config = override(presets.tiny(), {**SMALL, "data.folder": str(folder)})
    torch.manual_seed(0)
    return Stored(config, Student(config).eval(), None, 7)


@pytest.fixture(scope="module")
def made(stored: Stored) -> Gallery:
    return gallery(stored, "4f0c1b", ids=("-clip.3",), hardest=2)


def test_chosen_queries_come_first_then_the_hardest_of_each_direction(made: Gallery):
    assert [query.direction for query in made.queries] == ["a2v"] * 3 + ["v2a"] * 3
    for first, *hardest in (made.queries[:3], made.queries[3:]):
        assert first.clip == "-clip.3"
        assert "-clip.3" not in {query.clip for query in hardest}
        assert hardest[0].rank >= hardest[1].rank
    assert made.num_clips == 8


def test_ranks_and_hits_are_those_of_retrieval(stored: Stored):
    everything = gallery(stored, "4f0c1b", hardest=8)
    data = stored.config.data
    assert data.folder is not None
    found = embed_clips(stored.student.encoder, data.folder, "test", data)
    metrics = retrieve(found.audio, found.image, found.ids)
    for direction in ("a2v", "v2a"):
        queries = [query for query in everything.queries if query.direction == direction]
        ranks = [query.rank for query in queries]
        assert len(queries) == 8
        assert np.mean(np.array(ranks) <= 1) == metrics[f"{direction}/r1"]
        assert np.median(ranks) == metrics[f"{direction}/median_rank"]
        for query in queries:
            places = [place for place, one in enumerate(query.answers, 1) if one.is_truth]
            assert places == ([query.rank] if query.rank <= 5 else [])
            scores = [answer.score for answer in query.answers]
            assert scores == sorted(scores, reverse=True)


def test_the_page_shows_every_cell_and_needs_no_other_file(made: Gallery):
    text = page(made)
    assert text.count("<figure") == 6 * len(made.queries)
    hits = sum(answer.is_truth for query in made.queries for answer in query.answers)
    assert text.count('class="hit"') == hits
    assert len(re.findall(r'src="data:audio/flac;base64,[^"]{100,}"', text)) == 6 * 6
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_the_picture_has_a_row_a_query(made: Gallery):
    assert pictures.draw("gallery", made).startswith(b"\x89PNG")


def test_a_clip_that_is_not_there_is_named(stored: Stored):
    with pytest.raises(UserError, match=r"no clip 'clip\.3' in split 'test'.*-clip\.3"):
        gallery(stored, "4f0c1b", ids=("clip.3",))
