"""The gallery as one HTML file: frames, spectrograms and players, nothing to fetch."""

import base64
import io
from typing import Any, NamedTuple

import soundfile
from jinja2 import Environment
from PIL import Image

from tgdp.evaluation.gallery import Exhibit, Gallery, Query
from tgdp.report import figures

SAMPLE_RATE = 16_000

WORDS = {"a2v": "sound → film", "v2a": "film → sound"}

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Gallery of run {{ run }}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; color: #222; }
h1 { font-size: 1.4rem; margin-bottom: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
.row { display: grid; grid-template-columns: repeat(6, 1fr); gap: 10px }
figure { margin: 0; padding: 6px; border: 3px solid #ddd; border-radius: 6px; min-width: 0 }
figure.query { border-color: #345; background: #f2f5f9 }
figure.hit { border-color: #1a8f3c } figure.miss { border-color: #d9a3a3 }
img { width: 100%; display: block; image-rendering: pixelated; margin-bottom: 4px }
audio { width: 100%; height: 32px }
figcaption { font-size: 12px; overflow-wrap: anywhere }
.note { color: #555 }
</style>
<h1>Gallery of run {{ run }}</h1>
<p class="note">Step {{ step }}; {{ clips }} clips of {{ dataset }}, split '{{ split }}'. The query
stands first, then its first answers; green: the true one. Each cell: a frame, the stretch of sound
beside it, the whole sound.</p>
{% for row in rows %}
<h2>{{ row.title }}</h2>
<div class="row">
{% for cell in row.cells %}
<figure class="{{ cell.kind }}">
<img alt="frame of {{ cell.clip }}" src="{{ images[cell.clip].frame }}">
<img alt="spectrogram of {{ cell.clip }}" src="{{ images[cell.clip].sound }}">
<audio controls preload="none" src="{{ images[cell.clip].wave }}"></audio>
<figcaption>{{ cell.words }}</figcaption>
</figure>
{% endfor %}
</div>
{% endfor %}
</html>
"""


class Media(NamedTuple):
    """A clip as data URLs."""

    frame: str
    sound: str
    wave: str


def page(gallery: Gallery) -> str:
    """Return the gallery as HTML.

    Args:
        gallery: What to show.
    """
    source = gallery.source
    media = {name: _media(exhibit) for name, exhibit in gallery.exhibits.items()}
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(
        run=source.run,
        step=source.step,
        dataset=source.dataset,
        split=source.split,
        clips=gallery.num_clips,
        rows=[_row(query, gallery.num_clips) for query in gallery.queries],
        images=media,
    )


def _row(query: Query, num_clips: int) -> dict[str, Any]:
    title = f"{WORDS[query.direction]}: {query.clip}, true answer at rank {query.rank:,}"
    cells = [{"kind": "query", "clip": query.clip, "words": f"query {query.clip}"}]
    for place, answer in enumerate(query.answers, 1):
        kind = "hit" if answer.is_truth else "miss"
        words = f"{place}. {answer.clip} ({answer.score:.3f})"
        cells.append({"kind": kind, "clip": answer.clip, "words": words})
    return {"title": f"{title} of {num_clips:,}", "cells": cells}


def _media(exhibit: Exhibit) -> Media:
    panels = figures.drawing("panels")
    sound = panels.coloured(exhibit.shown.audio, panels.scale_of(exhibit.shown.audio))[::-1]
    wave = io.BytesIO()
    soundfile.write(wave, exhibit.wave.clip(-1, 1), SAMPLE_RATE, "PCM_16", format="FLAC")
    return Media(
        _url("image/png", _png(exhibit.shown.image)),
        _url("image/png", _png(sound)),
        _url("audio/flac", wave.getvalue()),
    )


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
